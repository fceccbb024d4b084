// Slow work as data: Diffie-Hellman, signatures, path validation. The core emits a Job and gets a
// JobResult back as a completion; run_job() does the work, inline, on another core, or in a
// simulator's own order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/secret.hpp"
#include "crypto/dh.hpp"
#include "crypto/signature.hpp"
#include "policy/nouns.hpp"

namespace espalier::ike {

struct DhGenerateJob {
  crypto::DhId group = crypto::DhId::kNone;
  friend bool operator==(const DhGenerateJob&, const DhGenerateJob&) = default;
};
struct DhSharedJob {  // own pair and the answer (public value or ciphertext) to the shared secret
  crypto::DhKeyPair own;
  Bytes peer_public;
  friend bool operator==(const DhSharedJob&, const DhSharedJob&) = default;
};
struct DhRespondJob {  // the answer to the peer's public value, and the shared secret, in one go
  crypto::DhId group = crypto::DhId::kNone;
  Bytes peer_public;
  friend bool operator==(const DhRespondJob&, const DhRespondJob&) = default;
};
struct SignJob {
  std::string key;  // policy::OwnCertificate::private_key
  Bytes octets;     // RFC 7296 section 2.15
  // Of its SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4); empty: it has only the older methods.
  std::vector<crypto::HashId> peer_hashes;
  bool wants_status = false;  // the peer asked for an OCSP response of ours (RFC 4806)
  friend bool operator==(const SignJob&, const SignJob&) = default;
};
// Path, revocation, identity and signature; in that order, the first failure is the answer. What is
// not known of revocation and can be asked for comes back in JobResult::unknown, so that nothing is
// fetched for who did not prove that the certificate is theirs.
struct VerifyJob {
  std::vector<Bytes> chain;  // the peer's CERT payloads, end entity first
  std::vector<Bytes> anchors;
  crypto::RevocationPolicy revocation = crypto::RevocationPolicy::kRelaxed;
  policy::Identity identity;
  crypto::AuthMethod method = crypto::AuthMethod::kDigitalSignature;
  Bytes octets;
  Bytes auth_data;
  std::vector<Bytes> responses;  // the peer's CERT payloads with OCSP content (RFC 4806)
  bool last_word = false;        // all was asked for: the policy decides about what is not known
  friend bool operator==(const VerifyJob&, const VerifyJob&) = default;
};
// The status of these certificates is to be had from where they say, for the KeyStore: that takes
// as long as it takes, the core waits kRevocationWait. The result holds nothing.
struct FetchJob {
  std::vector<crypto::PathCertificate> certificates;
  friend bool operator==(const FetchJob&, const FetchJob&) = default;
};
using Job = std::variant<DhGenerateJob, DhSharedJob, DhRespondJob, SignJob, VerifyJob, FetchJob>;

struct JobId {
  std::uint64_t value = 0;
  friend auto operator<=>(const JobId&, const JobId&) = default;
};

// What an established IKE SA keeps of the peer's certificates.
struct PeerCertificates {
  std::vector<crypto::CertificateId> path;  // without the anchor
  crypto::PathValidity validity;            // of the first to end
  friend bool operator==(const PeerCertificates&, const PeerCertificates&) = default;
};

struct Watched {
  crypto::PathCertificate certificate;
  std::int64_t known_until = 0;  // seconds since 1970; 0: its status is not known
  friend bool operator==(const Watched&, const Watched&) = default;
};

struct JobResult {
  std::optional<Error> error;
  crypto::DhKeyPair key_pair;  // DhGenerate, DhRespond (private key cleared in the latter)
  SecretBytes shared;          // DhShared, DhRespond
  crypto::AuthMethod auth_method = crypto::AuthMethod::kDigitalSignature;  // Sign
  Bytes auth_data;                                                         // Sign
  PeerCertificates peer;                                                   // Verify
  std::vector<crypto::PathCertificate> unknown;                            // Verify
  // Verify: the certificates that say where their status is to be had, for whoever keeps it fresh
  // while the IKE SA lasts; the core does not look at them.
  std::vector<Watched> watched;
  std::vector<std::string> notes;  // Verify: responses of the peer that are of no use, and why
  Bytes status;                    // Sign: an OCSP response about our certificate; empty: none
};

// Private keys by the name that a Connection carries, and what is revoked; the core never sees
// them.
class KeyStore {
 public:
  virtual ~KeyStore() = default;
  virtual std::shared_ptr<const crypto::PrivateKey> find(const std::string& name) const = 0;
  // Nothing: no lists.
  virtual const crypto::RevocationLists* revocations() const { return nullptr; }
  // The OCSP response about the certificate of that key, for the peer (RFC 4806); empty: none.
  virtual Bytes own_status(const std::string& /*name*/) const { return {}; }
};

// Does the work; of a FetchJob nothing, who can fetch does not come here. now_utc (seconds since
// 1970) is for certificate dates. Never fails to return: errors are in the result.
JobResult run_job(const Job& job, crypto::Rng& rng, const KeyStore& keys, std::int64_t now_utc);

}  // namespace espalier::ike
