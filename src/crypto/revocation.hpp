// What is revoked: certificate revocation lists (RFC 5280 sections 5 and 6.3) and OCSP responses
// (RFC 6960), from wherever they were had, and what a missing or outdated one means for a path.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace espalier::crypto {

// As swanctl's `revocation`. kRelaxed: a path fails when a certificate of it is known to be
// revoked. kIfUri: also when a certificate names where its status is to be had (a CRL distribution
// point or an OCSP responder) and it is not known. kStrict: also when it names nothing.
enum class RevocationPolicy : std::uint8_t { kRelaxed, kIfUri, kStrict };
std::string_view name(RevocationPolicy policy);  // "relaxed", "ifuri", "strict"

// CertificateId::issuer_key of a CA with that SubjectPublicKeyInfo.
Bytes issuer_key_of(ByteView public_der);

// What a list says a certificate by: whose key signed it, and its serial number. The serial numbers
// of two CAs are unrelated, and so are two CAs of one name.
struct CertificateId {
  Bytes issuer_key;  // SHA-256 of the issuer's SubjectPublicKeyInfo
  Bytes serial;      // the octets of the INTEGER
  friend auto operator<=>(const CertificateId&, const CertificateId&) = default;
};

// When a certificate is valid, in seconds since 1970.
struct PathValidity {
  std::string subject;  // for people; empty: not known
  std::int64_t from = 0, until = 0;
  friend bool operator==(const PathValidity&, const PathValidity&) = default;
};

// One certificate of a validated path.
struct PathCertificate {
  CertificateId id;
  std::string subject;                         // for people
  std::string issuer;                          // for people
  std::int64_t not_before = 0, not_after = 0;  // seconds since 1970
  bool names_a_list = false;  // it has a CRL distribution point or an OCSP responder
  // Of those the addresses of the scheme http, at most kMaxStatusAddresses each.
  std::vector<std::string> ocsp_urls, crl_urls;
  Bytes der, issuer_der;
  friend bool operator==(const PathCertificate&, const PathCertificate&) = default;
};
// Of the certificate that ends first.
PathValidity validity_of(const std::vector<PathCertificate>& path);

// When a list is in force, for warnings.
struct ListDates {
  std::string issuer;
  std::int64_t this_update = 0;
  std::optional<std::int64_t> next_update;
};

// What an OCSP response says of one certificate (crypto/ocsp.hpp reads it).
struct OcspStatus {
  enum class Verdict : std::uint8_t { kGood, kRevoked, kUnknown };
  Verdict verdict = Verdict::kUnknown;
  int reason = 0;       // CRLReason
  std::int64_t at = 0;  // revoked since, seconds since 1970
  std::int64_t this_update = 0;
  std::int64_t usable_until =
      0;                  // nextUpdate; without one, kOcspWithoutNextUpdate after thisUpdate
  std::string responder;  // for people
  friend bool operator==(const OcspStatus&, const OcspStatus&) = default;
};

// A value; copies share their lists.
class RevocationLists {
 public:
  // The lists of one file, PEM (one or several) or DER. `issuers` are DER certificates of CAs; one
  // of them must have signed each list. Of two lists of one CA the younger holds. Errors, whole
  // but for the file's name: kMalformed, kLimit; kUnsupported for delta lists, lists of a part of a
  // CA's certificates and critical extensions we do not know; kAuthentication when no issuer fits.
  Status add(ByteView file, const std::vector<Bytes>& issuers);
  // The answer of read_ocsp(). Of two about one certificate the younger holds.
  void add(const CertificateId& id, const OcspStatus& status);
  // Adds what the other one has; the younger list and response hold.
  void merge(const RevocationLists& other);
  // Whether both revoke the same.
  bool revokes_the_same(const RevocationLists& other) const;
  // Forgets what OCSP said of certificates that `keep` does not name.
  void forget_ocsp(const std::function<bool(const CertificateId&)>& keep);

  // Nothing when the certificate is on no list; else the end of a sentence: "was revoked by ...".
  std::optional<std::string> revoked(const CertificateId& id) const;
  // Errors: kAuthentication, with the certificate, the reason and what to do.
  Status check(const std::vector<PathCertificate>& path, RevocationPolicy policy,
               std::int64_t now_utc) const;
  // Whether it is known now that the certificate is not revoked.
  bool is_known_good(const CertificateId& id, std::int64_t now_utc) const;
  // When what is known of it ends; nothing: it is not known.
  std::optional<std::int64_t> known_until(const CertificateId& id, std::int64_t now_utc) const;
  std::vector<ListDates> dates() const;
  bool empty() const { return lists_.empty() && responses_.empty(); }
  std::size_t size() const { return lists_.size(); }

  friend bool operator==(const RevocationLists& a, const RevocationLists& b);

 private:
  struct Entry {
    int reason = 0;  // CRLReason
    std::int64_t at = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  struct List {
    std::string issuer;
    std::int64_t this_update = 0;
    std::optional<std::int64_t> next_update;
    std::map<Bytes, Entry> entries;  // by serial number
    friend bool operator==(const List&, const List&) = default;
  };
  static std::string trouble(const List& list, std::int64_t now_utc);
  Status add_der(ByteView der, const std::vector<Bytes>& issuers);

  const OcspStatus* response(const CertificateId& id, std::int64_t now_utc) const;
  std::string why_unknown(const PathCertificate& certificate, std::int64_t now_utc) const;

  std::map<Bytes, std::shared_ptr<const List>> lists_;  // by CertificateId::issuer_key
  std::map<CertificateId, OcspStatus> responses_;
};

}  // namespace espalier::crypto
