// For tests of any room: a certificate authority in memory. Keys are Ed25519 and made from names,
// dates and serial numbers are fixed, and Ed25519 signs without chance: the same calls give the
// same octets in every run.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <vector>

#include "crypto/signature.hpp"

namespace espalier::crypto::test {

inline constexpr std::int64_t kPkiStart = 1767225600;  // 2026-01-01
inline constexpr std::int64_t kPkiEnd = 2082758400;    // 2036-01-01

struct Extension {
  int nid;
  std::string value;  // in the words of openssl.cnf
};

struct Issue {
  bool ca = false;
  std::vector<Extension> extensions = {};
  std::int64_t not_before = kPkiStart;
  std::int64_t not_after = kPkiEnd;
  std::string key_of = {};  // the name that the key is made from; empty: the subject's
};

struct Revoke {
  std::vector<Bytes> certificates;
  std::int64_t this_update = kPkiStart;
  std::int64_t next_update = kPkiEnd;
  std::vector<Extension> extensions = {};
};

// What an OCSP responder says of a certificate.
struct Answer {
  Bytes certificate;
  int verdict = V_OCSP_CERTSTATUS_GOOD;
  std::int64_t this_update = kPkiStart;
  std::int64_t next_update = kPkiEnd;  // 0: none
  Bytes nonce = {};
  // Who signs: the subject whose key it is and its certificate; empty: the CA itself.
  std::string signer = {};
  Bytes signer_certificate = {};
};

class TestAuthority {
 public:
  using Key = std::shared_ptr<EVP_PKEY>;

  // A root, or below `parent`, which outlives it.
  explicit TestAuthority(std::string name, const TestAuthority* parent = nullptr, Issue how = {})
      : name_(std::move(name)), parent_(parent), key_(key_of(name_)) {
    how.ca = true;
    certificate = make(name_, key_, parent == nullptr ? *this : *parent, how);
  }

  Bytes certificate;  // DER

  // CN=`subject`, O=Test; DER.
  Bytes issue(const std::string& subject, Issue how = {}) const {
    return make(subject, key_of(how.key_of.empty() ? subject : how.key_of), *this, how);
  }

  // The key of a subject, as from its PEM file.
  static std::shared_ptr<const PrivateKey> private_key(const std::string& subject) {
    return PrivateKey::from_pem(as_bytes(private_pem(subject))).value();
  }

  static std::string private_pem(const std::string& subject) {
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
    EXPECT_EQ(PEM_write_bio_PrivateKey(out.get(), key_of(subject).get(), nullptr, nullptr, 0,
                                       nullptr, nullptr),
              1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }

  // A revocation list, DER.
  Bytes revoke(const Revoke& what) const {
    const std::unique_ptr<X509_CRL, void (*)(X509_CRL*)> crl(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(crl.get(), 1);
    X509_CRL_set_issuer_name(crl.get(), name_of(name_).get());
    const auto time = [](std::int64_t at) {
      return std::unique_ptr<ASN1_TIME, void (*)(ASN1_TIME*)>(
          ASN1_TIME_set(nullptr, static_cast<time_t>(at)), ASN1_TIME_free);
    };
    X509_CRL_set1_lastUpdate(crl.get(), time(what.this_update).get());
    X509_CRL_set1_nextUpdate(crl.get(), time(what.next_update).get());
    for (const Bytes& der : what.certificates) {
      const unsigned char* at = der.data();
      const std::unique_ptr<X509, void (*)(X509*)> one(
          d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
      X509_REVOKED* entry = X509_REVOKED_new();
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one.get()));
      X509_REVOKED_set_revocationDate(entry, time(what.this_update).get());
      const std::unique_ptr<ASN1_ENUMERATED, void (*)(ASN1_ENUMERATED*)> reason(
          ASN1_ENUMERATED_new(), ASN1_ENUMERATED_free);
      ASN1_ENUMERATED_set(reason.get(), CRL_REASON_KEY_COMPROMISE);
      X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, reason.get(), 0, 0);
      X509_CRL_add0_revoked(crl.get(), entry);
    }
    X509V3_CTX context;
    X509V3_set_ctx(&context, nullptr, nullptr, nullptr, crl.get(), 0);
    for (const Extension& extension : what.extensions) {
      X509_EXTENSION* made =
          X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value.c_str());
      EXPECT_NE(made, nullptr) << extension.value;
      X509_CRL_add_ext(crl.get(), made, -1);
      X509_EXTENSION_free(made);
    }
    EXPECT_GT(X509_CRL_sign(crl.get(), key_.get(), nullptr), 0);
    return der_of(crl.get(), i2d_X509_CRL);
  }

  // An OCSP response, DER.
  Bytes respond(const Answer& answer) const {
    const auto parse = [](const Bytes& der) {
      const unsigned char* at = der.data();
      return std::unique_ptr<X509, void (*)(X509*)>(
          d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free);
    };
    const auto time = [](std::int64_t at) {
      return std::unique_ptr<ASN1_TIME, void (*)(ASN1_TIME*)>(
          at == 0 ? nullptr : ASN1_GENERALIZEDTIME_set(nullptr, static_cast<time_t>(at)),
          ASN1_TIME_free);
    };
    const auto about = parse(answer.certificate);
    const auto issuer = parse(certificate);
    const auto signer = parse(answer.signer.empty() ? certificate : answer.signer_certificate);
    const std::unique_ptr<OCSP_BASICRESP, void (*)(OCSP_BASICRESP*)> basic(OCSP_BASICRESP_new(),
                                                                           OCSP_BASICRESP_free);
    const std::unique_ptr<OCSP_CERTID, void (*)(OCSP_CERTID*)> id(
        OCSP_cert_to_id(EVP_sha1(), about.get(), issuer.get()), OCSP_CERTID_free);
    const bool revoked = answer.verdict == V_OCSP_CERTSTATUS_REVOKED;
    OCSP_basic_add1_status(basic.get(), id.get(), answer.verdict,
                           revoked ? OCSP_REVOKED_STATUS_KEYCOMPROMISE : 0,
                           revoked ? time(answer.this_update).get() : nullptr,
                           time(answer.this_update).get(), time(answer.next_update).get());
    if (!answer.nonce.empty()) {
      Bytes nonce = answer.nonce;
      OCSP_basic_add1_nonce(basic.get(), nonce.data(), static_cast<int>(nonce.size()));
    }
    const Key key = answer.signer.empty() ? key_ : key_of(answer.signer);
    EXPECT_EQ(OCSP_basic_sign(basic.get(), signer.get(), key.get(), nullptr, nullptr, 0), 1);
    const std::unique_ptr<OCSP_RESPONSE, void (*)(OCSP_RESPONSE*)> response(
        OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()), OCSP_RESPONSE_free);
    return der_of(response.get(), i2d_OCSP_RESPONSE);
  }

 private:
  using Name = std::unique_ptr<X509_NAME, void (*)(X509_NAME*)>;

  static Bytes digest(const std::string& text) {
    Bytes out(32);
    unsigned size = 0;
    EXPECT_EQ(EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr), 1);
    return out;
  }

  static Key key_of(const std::string& name) {
    const Bytes seed = digest("espalier test key of " + name);
    return {EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()),
            EVP_PKEY_free};
  }

  static Name name_of(const std::string& subject) {
    Name name(X509_NAME_new(), X509_NAME_free);
    const auto add = [&](const char* field, const std::string& value) {
      X509_NAME_add_entry_by_txt(name.get(), field, MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0);
    };
    add("O", "Test");
    add("CN", subject);
    return name;
  }

  template <class T>
  static Bytes der_of(T* object, int (*encode)(const T*, unsigned char**)) {
    Bytes out(static_cast<std::size_t>(encode(object, nullptr)));
    unsigned char* at = out.data();
    encode(object, &at);
    return out;
  }

  static Bytes make(const std::string& subject, const Key& key, const TestAuthority& issuer,
                    const Issue& how) {
    const std::unique_ptr<X509, void (*)(X509*)> made(X509_new(), X509_free);
    X509_set_version(made.get(), 2);
    const Bytes serial = digest("serial of " + subject);
    ASN1_STRING_set(X509_get_serialNumber(made.get()), serial.data(), 8);
    X509_get_serialNumber(made.get())->data[0] &= 0x7f;
    X509_get_serialNumber(made.get())->data[0] |= 0x40;
    ASN1_TIME_set(X509_getm_notBefore(made.get()), static_cast<time_t>(how.not_before));
    ASN1_TIME_set(X509_getm_notAfter(made.get()), static_cast<time_t>(how.not_after));
    X509_set_subject_name(made.get(), name_of(subject).get());
    X509_set_issuer_name(made.get(), name_of(issuer.name_).get());
    X509_set_pubkey(made.get(), key.get());
    std::vector<Extension> extensions = how.extensions;
    const auto has = [&](int nid) {
      for (const Extension& one : extensions) {
        if (one.nid == nid) return true;
      }
      return false;
    };
    if (!has(NID_basic_constraints)) {
      extensions.push_back({NID_basic_constraints, how.ca ? "critical,CA:TRUE" : "CA:FALSE"});
    }
    if (!has(NID_key_usage)) {
      extensions.push_back(
          {NID_key_usage, how.ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"});
    }
    X509V3_CTX context;
    X509V3_set_ctx(&context, made.get(), made.get(), nullptr, nullptr, 0);
    for (const Extension& extension : extensions) {
      X509_EXTENSION* one =
          X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value.c_str());
      EXPECT_NE(one, nullptr) << extension.value;
      X509_add_ext(made.get(), one, -1);
      X509_EXTENSION_free(one);
    }
    EXPECT_GT(X509_sign(made.get(), issuer.key_.get(), nullptr), 0);
    return der_of(made.get(), i2d_X509);
  }

  std::string name_;
  const TestAuthority* parent_;
  Key key_;
};

}  // namespace espalier::crypto::test
