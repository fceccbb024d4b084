#include "crypto/revocation.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <set>

#include "crypto/limits.hpp"
#include "crypto/owned.hpp"
#include "crypto/x509_read.hpp"
#include "crypto/x509_text.hpp"

namespace espalier::crypto {
namespace {

using OwnedCrl = Owned<X509_CRL, X509_CRL_free>;
using OwnedCertificate = Owned<X509, X509_free>;
using OwnedBio = Owned<BIO, BIO_free_all>;

Error bad(ErrorCode code, std::string why) { return make_error(code, std::move(why)); }

std::string text_of(const X509_NAME* name) {
  return name_text(der_of<X509_NAME>(i2d_X509_NAME, name)).value_or("an unreadable name");
}

std::string_view reason_text(int reason) {
  switch (reason) {
    case CRL_REASON_KEY_COMPROMISE: return "its key was compromised";
    case CRL_REASON_CA_COMPROMISE: return "its CA was compromised";
    case CRL_REASON_AFFILIATION_CHANGED: return "its affiliation changed";
    case CRL_REASON_SUPERSEDED: return "it was superseded";
    case CRL_REASON_CESSATION_OF_OPERATION: return "its operation ended";
    case CRL_REASON_CERTIFICATE_HOLD: return "it is on hold";
    case CRL_REASON_PRIVILEGE_WITHDRAWN: return "its privilege was withdrawn";
    default: return "no reason is given";
  }
}

// RFC 5280 section 5.2: what changes the meaning of the list must be understood, or the list not
// used. A delta list or a partial one says nothing about a certificate that is not on it.
Status check_extensions(const X509_CRL* crl) {
  for (int i = 0; i < X509_CRL_get_ext_count(crl); ++i) {
    const X509_EXTENSION* extension = X509_CRL_get_ext(crl, i);
    const int kind = OBJ_obj2nid(X509_EXTENSION_get_object(const_cast<X509_EXTENSION*>(extension)));
    if (kind == NID_delta_crl) {
      return bad(ErrorCode::kUnsupported,
                 "is a delta list, which is not supported: put the CA's complete list there");
    }
    if (kind == NID_issuing_distribution_point) {
      return bad(ErrorCode::kUnsupported,
                 "is for a part of the CA's certificates only (issuingDistributionPoint), which is "
                 "not supported: put the CA's complete list there");
    }
    if (X509_EXTENSION_get_critical(extension) != 0) {
      return bad(ErrorCode::kUnsupported, "has a critical extension that is not supported");
    }
  }
  return {};
}

Status check_hash(const X509_CRL* crl) {
  int hash = NID_undef;
  OBJ_find_sigid_algs(X509_CRL_get_signature_nid(crl), &hash, nullptr);
  if (hash != NID_sha1 && hash != NID_md5) return {};
  return bad(ErrorCode::kUnsupported,
             "is signed with too weak a hash (SHA-1 or older): have the CA sign it with SHA-256");
}

// The CA that signed the list: of its name, allowed to sign lists, and its key fits.
Result<OwnedCertificate> signer_of(X509_CRL* crl, const std::vector<Bytes>& issuers) {
  bool named = false;
  for (const Bytes& der : issuers) {
    const unsigned char* at = der.data();
    OwnedCertificate ca(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!ca || X509_NAME_cmp(X509_get_subject_name(ca.get()), X509_CRL_get_issuer(crl)) != 0) {
      continue;
    }
    named = true;
    // RFC 5280 section 6.3.3 (f); all ones when the extension is absent.
    if ((X509_get_key_usage(ca.get()) & KU_CRL_SIGN) == 0) continue;
    EVP_PKEY* key = X509_get0_pubkey(ca.get());
    if (key != nullptr && X509_CRL_verify(crl, key) == 1) return ca;
  }
  const std::string issuer = text_of(X509_CRL_get_issuer(crl));
  if (named) {
    return bad(ErrorCode::kAuthentication,
               "is not signed by the CA '" + issuer + "' of x509ca, or that may not sign lists");
  }
  return bad(ErrorCode::kAuthentication,
             "is of the CA '" + issuer + "', whose certificate is not in x509ca: put it there");
}

}  // namespace

Bytes key_digest(const X509* certificate) {
  return issuer_key_of(der_of<X509_PUBKEY>(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(certificate)));
}

Bytes issuer_key_of(ByteView der) {
  Bytes out(32);
  unsigned size = 0;
  const bool made =
      EVP_Digest(der.data(), der.size(), out.data(), &size, EVP_sha256(), nullptr) == 1;
  ASSERT(made && size == out.size());
  return out;
}

Bytes serial_of(const ASN1_INTEGER* number) {
  Bytes out;
  if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER) out.push_back(0xff);
  const unsigned char* octets = ASN1_STRING_get0_data(number);
  out.insert(out.end(), octets, octets + ASN1_STRING_length(number));
  return out;
}

std::string_view name(RevocationPolicy policy) {
  switch (policy) {
    case RevocationPolicy::kRelaxed: return "relaxed";
    case RevocationPolicy::kIfUri: return "ifuri";
    case RevocationPolicy::kStrict: return "strict";
  }
  return "relaxed";
}

Status RevocationLists::add_der(ByteView der, const std::vector<Bytes>& issuers) {
  const unsigned char* at = der.data();
  const OwnedCrl crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  if (!crl || at != der.data() + der.size()) {
    return bad(ErrorCode::kMalformed, "is no revocation list in PEM or DER form");
  }
  TRY(check_hash(crl.get()));
  TRY_ASSIGN(const OwnedCertificate signer, signer_of(crl.get(), issuers));
  TRY(check_extensions(crl.get()));
  List list;
  list.issuer = text_of(X509_CRL_get_issuer(crl.get()));
  const auto made = seconds_of(X509_CRL_get0_lastUpdate(crl.get()));
  if (!made) return bad(ErrorCode::kMalformed, "has no thisUpdate that can be read");
  list.this_update = *made;
  list.next_update = seconds_of(X509_CRL_get0_nextUpdate(crl.get()));
  STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(crl.get());
  const int count = revoked == nullptr ? 0 : sk_X509_REVOKED_num(revoked);
  if (count > static_cast<int>(kMaxRevokedInList)) {
    return bad(ErrorCode::kLimit,
               fmt::format("revokes {} certificates, more than {}", count, kMaxRevokedInList));
  }
  for (int i = 0; i < count; ++i) {
    const X509_REVOKED* one = sk_X509_REVOKED_value(revoked, i);
    Entry entry;
    entry.at = seconds_of(X509_REVOKED_get0_revocationDate(one)).value_or(0);
    const Owned<ASN1_ENUMERATED, ASN1_ENUMERATED_free> reason(static_cast<ASN1_ENUMERATED*>(
        X509_REVOKED_get_ext_d2i(one, NID_crl_reason, nullptr, nullptr)));
    entry.reason = reason ? static_cast<int>(ASN1_ENUMERATED_get(reason.get())) : 0;
    list.entries[serial_of(X509_REVOKED_get0_serialNumber(one))] = entry;
  }
  auto& known = lists_[key_digest(signer.get())];
  if (!known || known->this_update <= list.this_update) {
    known = std::make_shared<const List>(std::move(list));
  }
  return {};
}

void RevocationLists::add(const CertificateId& id, const OcspStatus& status) {
  const auto known = responses_.find(id);
  if (known == responses_.end()) {
    responses_.emplace(id, status);
  } else if (known->second.this_update <= status.this_update) {
    known->second = status;
  }
}

void RevocationLists::merge(const RevocationLists& other) {
  for (const auto& [key, list] : other.lists_) {
    auto& known = lists_[key];
    if (!known || known->this_update <= list->this_update) known = list;
  }
  for (const auto& [id, status] : other.responses_) add(id, status);
}

bool RevocationLists::revokes_the_same(const RevocationLists& other) const {
  const auto lists = [](const RevocationLists& all) {
    std::map<Bytes, const List*> out;
    for (const auto& [key, list] : all.lists_) {
      if (!list->entries.empty()) out.emplace(key, list.get());
    }
    return out;
  };
  const auto responses = [](const RevocationLists& all) {
    std::set<CertificateId> out;
    for (const auto& [id, status] : all.responses_) {
      if (status.verdict == OcspStatus::Verdict::kRevoked) out.insert(id);
    }
    return out;
  };
  const auto ours = lists(*this), theirs = lists(other);
  return responses(*this) == responses(other) &&
         std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                    [](const auto& a, const auto& b) {
                      return a.first == b.first &&
                             (a.second == b.second || a.second->entries == b.second->entries);
                    });
}

void RevocationLists::forget_ocsp(const std::function<bool(const CertificateId&)>& keep) {
  std::erase_if(responses_, [&](const auto& entry) { return !keep(entry.first); });
}

bool operator==(const RevocationLists& a, const RevocationLists& b) {
  return a.responses_ == b.responses_ &&
         std::equal(a.lists_.begin(), a.lists_.end(), b.lists_.begin(), b.lists_.end(),
                    [](const auto& one, const auto& other) {
                      return one.first == other.first &&
                             (one.second == other.second || *one.second == *other.second);
                    });
}

Status RevocationLists::add(ByteView file, const std::vector<Bytes>& issuers) {
  const ErrorQueueGuard guard;
  if (file.size() > kMaxCrlOctets) {
    return bad(ErrorCode::kLimit, fmt::format("is larger than {} octets", kMaxCrlOctets));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.find("-----BEGIN") == std::string_view::npos) return add_der(file, issuers);
  const OwnedBio bio(BIO_new_mem_buf(file.data(), static_cast<int>(file.size())));
  if (!bio) return bad(ErrorCode::kInternal, "could not be read: out of memory");
  std::size_t count = 0;
  for (; count < kMaxCrlsInFile; ++count) {
    ERR_clear_error();
    const OwnedCrl crl(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!crl) break;
    TRY(add_der(der_of<X509_CRL>(i2d_X509_CRL, crl.get()), issuers));
  }
  const unsigned long reason = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
  if (count == 0 || !at_end) {
    return bad(ErrorCode::kMalformed, fmt::format("cannot be read at its list {}", count + 1));
  }
  return {};
}

std::optional<std::string> RevocationLists::revoked(const CertificateId& id) const {
  if (const auto answer = responses_.find(id);
      answer != responses_.end() && answer->second.verdict == OcspStatus::Verdict::kRevoked) {
    return fmt::format("was revoked on {} ({}), says the OCSP responder '{}'",
                       utc_text(answer->second.at), reason_text(answer->second.reason),
                       answer->second.responder);
  }
  const auto list = lists_.find(id.issuer_key);
  if (list == lists_.end()) return std::nullopt;
  const auto entry = list->second->entries.find(id.serial);
  if (entry == list->second->entries.end()) return std::nullopt;
  return fmt::format("was revoked by '{}' on {} ({})", list->second->issuer,
                     utc_text(entry->second.at), reason_text(entry->second.reason));
}

const OcspStatus* RevocationLists::response(const CertificateId& id, std::int64_t now_utc) const {
  const auto found = responses_.find(id);
  if (found == responses_.end() || found->second.usable_until + kOcspSkew < now_utc) return nullptr;
  return &found->second;
}

std::optional<std::int64_t> RevocationLists::known_until(const CertificateId& id,
                                                         std::int64_t now_utc) const {
  if (const OcspStatus* answer = response(id, now_utc);
      answer != nullptr && answer->verdict != OcspStatus::Verdict::kUnknown) {
    return answer->usable_until;
  }
  const auto list = lists_.find(id.issuer_key);
  if (list == lists_.end() || !trouble(*list->second, now_utc).empty()) return std::nullopt;
  return list->second->next_update.value_or(now_utc);
}

bool RevocationLists::is_known_good(const CertificateId& id, std::int64_t now_utc) const {
  return !revoked(id) && known_until(id, now_utc).has_value();
}

std::string RevocationLists::trouble(const List& list, std::int64_t now_utc) {
  if (list.this_update > now_utc) {
    return fmt::format("is in force only from {}, and it is {}: compare the clocks",
                       utc_text(list.this_update), utc_text(now_utc));
  }
  if (list.next_update && *list.next_update < now_utc) {
    return fmt::format("was in force until {}, and it is {}: put the new one into x509crl",
                       utc_text(*list.next_update), utc_text(now_utc));
  }
  return {};
}

std::string RevocationLists::why_unknown(const PathCertificate& certificate,
                                         std::int64_t now_utc) const {
  if (const OcspStatus* answer = response(certificate.id, now_utc)) {
    return fmt::format("the OCSP responder '{}' does not know it", answer->responder);
  }
  const auto list = lists_.find(certificate.id.issuer_key);
  if (list != lists_.end()) {
    return fmt::format("the revocation list of its issuer '{}' {}", certificate.issuer,
                       trouble(*list->second, now_utc));
  }
  std::string where;
  for (const auto* urls : {&certificate.ocsp_urls, &certificate.crl_urls}) {
    for (const std::string& url : *urls) where += (where.empty() ? "" : ", ") + url;
  }
  if (where.empty()) {
    return fmt::format("there is no revocation list of its issuer '{}': put it into x509crl",
                       certificate.issuer);
  }
  return fmt::format("its status could not be had from {} (the log says why)", where);
}

Status RevocationLists::check(const std::vector<PathCertificate>& path, RevocationPolicy policy,
                              std::int64_t now_utc) const {
  for (const PathCertificate& certificate : path) {
    // A list that is out of date revokes what it revoked.
    if (const auto why = revoked(certificate.id)) {
      return bad(ErrorCode::kAuthentication,
                 fmt::format("the certificate '{}' is refused: it {}", certificate.subject, *why));
    }
    const bool needed = policy == RevocationPolicy::kStrict ||
                        (policy == RevocationPolicy::kIfUri && certificate.names_a_list);
    if (!needed || known_until(certificate.id, now_utc)) continue;
    return bad(ErrorCode::kAuthentication,
               fmt::format("the certificate '{}' is refused: {} (revocation: {})",
                           certificate.subject, why_unknown(certificate, now_utc), name(policy)));
  }
  return {};
}

std::vector<ListDates> RevocationLists::dates() const {
  std::vector<ListDates> out;
  for (const auto& [key, list] : lists_) {
    out.push_back({list->issuer, list->this_update, list->next_update});
  }
  return out;
}

PathValidity validity_of(const std::vector<PathCertificate>& path) {
  PathValidity out;
  for (const PathCertificate& one : path) {
    if (out.subject.empty() || one.not_after < out.until) {
      out = {one.subject, one.not_before, one.not_after};
    }
  }
  return out;
}

}  // namespace espalier::crypto
