// Private keys, certificates and signatures for IKE authentication (RFC 7296 section 2.15, RFC
// 7427).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.hpp"
#include "crypto/ids.hpp"
#include "crypto/revocation.hpp"

namespace espalier::crypto {

enum class KeyType : std::uint8_t { kRsa, kEcdsa, kEd25519, kEd448 };
// Keys that sign the data itself, the hash "Identity" (RFC 8420 section 2).
inline bool is_eddsa(KeyType type) { return type == KeyType::kEd25519 || type == KeyType::kEd448; }

// IKEv2 Authentication Method numbers.
enum class AuthMethod : std::uint8_t {
  kRsaSignature =
      1,  // RSASSA-PKCS1-v1_5 with SHA-1 (RFC 7296 section 3.8): verified never, refused
  kSharedKeyMic = 2,
  kEcdsa256 = 9,  // RFC 4754; signature is r | s
  kEcdsa384 = 10,
  kEcdsa521 = 11,
  kNull = 13,              // RFC 7619
  kDigitalSignature = 14,  // RFC 7427
};

// A private key, loaded from PEM (PKCS#8, PKCS#1, SEC1). Immutable and shareable.
class PrivateKey {
 public:
  static Result<std::shared_ptr<const PrivateKey>> from_pem(ByteView pem);
  virtual ~PrivateKey() = default;
  virtual KeyType type() const = 0;
  // SubjectPublicKeyInfo, DER: to match a key with its certificate.
  virtual Bytes public_der() const = 0;
  // Signs `data` (the octets of RFC 7296 section 2.15) and returns the whole Authentication Data of
  // method kDigitalSignature: AlgorithmIdentifier length, AlgorithmIdentifier, signature (RFC 7427
  // section 3). The hash is the strongest of `peer_hashes` that fits the key (RSA: PKCS#1 v1.5 with
  // SHA-2; ECDSA: the hash of the curve's size if offered; EdDSA: needs kIdentity). Errors:
  // kUnsupported when none fits.
  virtual Result<Bytes> sign(ByteView data, const std::vector<HashId>& peer_hashes) const = 0;
  // The one of kEcdsa256/384/521 (RFC 4754) that this key makes; nothing for RSA and EdDSA.
  virtual std::optional<AuthMethod> ecdsa_method() const = 0;
  // The same as sign() for that method, towards peers without RFC 7427.
  virtual Result<Bytes> sign_ecdsa(AuthMethod method, ByteView data) const = 0;
};

// The hashes that this build verifies, for SIGNATURE_HASH_ALGORITHMS.
std::vector<HashId> supported_hashes();

// What a certificate says, in our words.
struct CertificateInfo {
  std::string subject;  // RFC 4514 text, for people
  Bytes subject_dn;     // DER Name: ID_DER_ASN1_DN
  Bytes issuer_dn;
  std::vector<std::string> dns_names;  // subjectAltName dNSName
  std::vector<std::string> emails;
  std::vector<Bytes> ip_addresses;  // 4 or 16 octets
  std::int64_t not_before = 0;      // seconds since 1970, UTC
  std::int64_t not_after = 0;
  bool is_ca = false;
  KeyType key_type = KeyType::kRsa;
  Bytes public_der;
  Bytes key_id;         // subjectKeyIdentifier; empty: none
  Bytes issuer_key_id;  // authorityKeyIdentifier; empty: none
  Bytes ca_key_hash;    // SHA-1 of the SubjectPublicKeyInfo: CERTREQ (RFC 7296 section 3.7)
};
Result<CertificateInfo> inspect_certificate(ByteView der);

// PEM file contents to DER certificates, in order.
Result<std::vector<Bytes>> certificates_from_pem(ByteView pem);

// Path validation (RFC 5280): the first of `chain` is the end entity, the others untrusted helpers;
// `anchors` are DER CA certificates: the path ends in a self-signed one of them; the others are
// helpers. Checks signatures, dates at `now_utc` (seconds since
// 1970), basic constraints, path lengths, name constraints and key usage; extendedKeyUsage is not
// asked for (RFC 4945 section 5.1.3.12). Returns the path's certificates without the anchor;
// kAuthentication with a sentence that names the certificate and the reason otherwise.
Result<std::vector<PathCertificate>> validate_path(const std::vector<Bytes>& chain,
                                                   const std::vector<Bytes>& anchors,
                                                   std::int64_t now_utc);

// Verifies Authentication Data against the public key of a certificate (DER SubjectPublicKeyInfo).
// method is kDigitalSignature or an ECDSA one; anything else, SHA-1, and RSA keys under 2048 bits
// are refused.
Status verify_signature(ByteView public_der, AuthMethod method, ByteView data, ByteView auth_data);

}  // namespace espalier::crypto
