#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "crypto/limits.hpp"
#include "crypto/owned.hpp"
#include "crypto/prf.hpp"
#include "crypto/public_key.hpp"
#include "crypto/signature.hpp"
#include "crypto/x509_read.hpp"
#include "crypto/x509_text.hpp"

namespace espalier::crypto {
namespace {

using OwnedCertificate = Owned<X509, X509_free>;
using OwnedNames = Owned<GENERAL_NAMES, GENERAL_NAMES_free>;
using OwnedBio = Owned<BIO, BIO_free_all>;

Error malformed(std::string_view reason) {
  return make_error(ErrorCode::kMalformed, "the certificate is refused: " + std::string(reason));
}

// A dNSName or rfc822Name. Spaces, control characters and NUL have no place in either and are how
// one name is made to look like another.
Result<std::string> plain_name(const ASN1_STRING* name) {
  const ByteView octets(ASN1_STRING_get0_data(name),
                        static_cast<std::size_t>(ASN1_STRING_length(name)));
  const bool plain = std::all_of(octets.begin(), octets.end(),
                                 [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
  if (!plain || octets.empty()) {
    return malformed("a name in its subjectAltName holds characters that names cannot have");
  }
  return to_text(octets);
}

Status add_name(const GENERAL_NAME* entry, CertificateInfo& info) {
  int type = 0;
  const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(entry, &type));
  if (type == GEN_DNS) {
    TRY_ASSIGN(std::string name, plain_name(value));
    info.dns_names.push_back(std::move(name));
  } else if (type == GEN_EMAIL) {
    TRY_ASSIGN(std::string name, plain_name(value));
    info.emails.push_back(std::move(name));
  } else if (type == GEN_IPADD) {
    const ByteView octets(ASN1_STRING_get0_data(value),
                          static_cast<std::size_t>(ASN1_STRING_length(value)));
    if (octets.size() != 4 && octets.size() != 16) {
      return malformed("an address in its subjectAltName has neither 4 nor 16 octets");
    }
    info.ip_addresses.push_back(to_vector(octets));
  }
  return {};  // other kinds of name are no IKE identity
}

Status add_alternative_names(const X509* certificate, CertificateInfo& info) {
  int critical = 0;
  const OwnedNames names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  if (!names) {
    // -1: there is none. Else it is there twice, or does not parse.
    if (critical != -1) return malformed("its subjectAltName is broken");
    return {};
  }
  const int count = sk_GENERAL_NAME_num(names.get());
  if (count > static_cast<int>(kMaxAlternativeNames)) {
    return make_error(ErrorCode::kLimit, "the certificate is refused: it holds " +
                                             std::to_string(count) + " alternative names, more " +
                                             "than " + std::to_string(kMaxAlternativeNames));
  }
  for (int i = 0; i < count; ++i) TRY(add_name(sk_GENERAL_NAME_value(names.get(), i), info));
  return {};
}

Status read_subject_and_dates(const X509* certificate, CertificateInfo& info) {
  info.subject_dn = der_of<X509_NAME>(i2d_X509_NAME, X509_get_subject_name(certificate));
  auto subject = name_text(info.subject_dn);
  if (!subject) return malformed("its subject is not a Name that can be read");
  info.subject = std::move(*subject);
  info.issuer_dn = der_of<X509_NAME>(i2d_X509_NAME, X509_get_issuer_name(certificate));
  const auto not_before = seconds_of(X509_get0_notBefore(certificate));
  const auto not_after = seconds_of(X509_get0_notAfter(certificate));
  if (!not_before || !not_after) return malformed("its dates cannot be read");
  info.not_before = *not_before;
  info.not_after = *not_after;
  return {};
}

}  // namespace

Result<CertificateInfo> inspect_certificate(ByteView der) {
  const ErrorQueueGuard guard;
  if (der.size() > kMaxCertificateOctets) {
    return make_error(ErrorCode::kLimit, "the certificate is longer than a payload can be");
  }
  const unsigned char* at = der.data();
  const OwnedCertificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return malformed("it is not a DER X.509 certificate");
  if (at != der.data() + der.size()) return malformed("octets follow it");
  CertificateInfo info;
  TRY(read_subject_and_dates(certificate.get(), info));
  TRY(add_alternative_names(certificate.get(), info));
  info.is_ca = (X509_get_extension_flags(certificate.get()) & EXFLAG_CA) != 0;
  info.public_der = der_of<X509_PUBKEY>(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(certificate.get()));
  TRY_ASSIGN(const PublicKey key, PublicKey::from_der(info.public_der));
  info.key_type = key.type();
  info.ca_key_hash = sha1({info.public_der});
  if (const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(certificate.get())) {
    info.key_id.assign(ASN1_STRING_get0_data(id),
                       ASN1_STRING_get0_data(id) + ASN1_STRING_length(id));
  }
  if (const ASN1_OCTET_STRING* id = X509_get0_authority_key_id(certificate.get())) {
    info.issuer_key_id.assign(ASN1_STRING_get0_data(id),
                              ASN1_STRING_get0_data(id) + ASN1_STRING_length(id));
  }
  return info;
}

Result<std::vector<Bytes>> certificates_from_pem(ByteView pem) {
  const ErrorQueueGuard guard;
  if (pem.size() > kMaxPemOctets) {
    return make_error(ErrorCode::kLimit, "the certificate file is larger than " +
                                             std::to_string(kMaxPemOctets) + " octets");
  }
  const OwnedBio bio(
      BIO_new_mem_buf(pem.empty() ? reinterpret_cast<const std::uint8_t*>("") : pem.data(),
                      static_cast<int>(pem.size())));
  if (!bio) return make_error(ErrorCode::kInternal, "the crypto library is out of memory");
  std::vector<Bytes> out;
  for (;;) {
    ERR_clear_error();
    const OwnedCertificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    if (out.size() == kMaxCertificatesInFile) {
      return make_error(
          ErrorCode::kLimit,
          "the file holds more than " + std::to_string(kMaxCertificatesInFile) + " certificates");
    }
    out.push_back(der_of<X509>(i2d_X509, certificate.get()));
  }
  // At the end of the file, and only there, no further block starts.
  const unsigned long reason = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
  if (!at_end) {
    return make_error(ErrorCode::kMalformed, "certificate " + std::to_string(out.size() + 1) +
                                                 " of the file cannot be read");
  }
  if (out.empty()) {
    return make_error(ErrorCode::kMalformed, "the file holds no certificate in PEM form");
  }
  return out;
}

}  // namespace espalier::crypto
