#include "crypto/prf.hpp"
#include "crypto/signature.hpp"
#include "crypto/test_support.hpp"
#include "crypto/x509_text.hpp"

namespace espalier::crypto {
namespace {

using test::read_text;

// 2026-11-21; the committed certificates are valid from 2026-01-01 to 2036-01-01.
constexpr std::int64_t kNow = 1795219200;
constexpr std::int64_t kStart = 1767225600;
constexpr std::int64_t kEnd = 2082758400;

Bytes der(const std::string& name) {
  auto list = certificates_from_pem(as_bytes(read_text("certificates/" + name + ".pem")));
  EXPECT_TRUE(list.ok() && list->size() == 1) << name;
  return list ? list->front() : Bytes();
}

std::vector<Bytes> ders(std::initializer_list<const char*> names) {
  std::vector<Bytes> out;
  for (const char* name : names) out.push_back(der(name));
  return out;
}

TEST(Certificate, SaysWhatItHolds) {
  const auto info = inspect_certificate(der("ecdsa384"));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->subject, "CN=ecdsa384,O=Espalier test,C=CH");
  EXPECT_EQ(info->dns_names, (std::vector<std::string>{"ecdsa384.example.net", "ecdsa384"}));
  EXPECT_EQ(info->emails, (std::vector<std::string>{"root@ecdsa384.example.net"}));
  ASSERT_EQ(info->ip_addresses.size(), 2u);
  EXPECT_EQ(to_hex(info->ip_addresses[0]), "c000020b");
  EXPECT_EQ(to_hex(info->ip_addresses[1]), "20010db8000000000000000000000011");
  EXPECT_EQ(info->not_before, kStart);
  EXPECT_EQ(info->not_after, kEnd);
  EXPECT_FALSE(info->is_ca);
  EXPECT_EQ(info->key_type, KeyType::kEcdsa);
  EXPECT_EQ(info->ca_key_hash, sha1({info->public_der}));
  EXPECT_EQ(name_text(info->subject_dn), info->subject);
  const auto key = PrivateKey::from_pem(as_bytes(read_text("certificates/ecdsa384.key")));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(info->public_der, (*key)->public_der());
}

TEST(Certificate, KindsOfKeysAndCas) {
  EXPECT_EQ(inspect_certificate(der("rsa2048"))->key_type, KeyType::kRsa);
  EXPECT_EQ(inspect_certificate(der("ed25519"))->key_type, KeyType::kEd25519);
  EXPECT_TRUE(inspect_certificate(der("ca"))->is_ca);
  EXPECT_TRUE(inspect_certificate(der("sub-ca"))->is_ca);
  EXPECT_FALSE(inspect_certificate(der("v1-ca"))->is_ca);
  const auto swan = inspect_certificate(der("swan"));  // by strongSwan's pki
  ASSERT_TRUE(swan.ok());
  EXPECT_EQ(swan->subject, "CN=moon.strongswan.org,O=strongSwan,C=CH");
  EXPECT_EQ(swan->dns_names, (std::vector<std::string>{"moon.strongswan.org"}));
  EXPECT_EQ(swan->ip_addresses.size(), 1u);
}

TEST(Certificate, SubjectsAreSafeToPrint) {
  const auto info = inspect_certificate(der("not-utf8-subject"));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->subject, "CN=Zo\\C3\\AB \\\"the\\0Aroot\\\",O=Espalier test,C=CH");
}

TEST(Certificate, BrokenOnesAreRefused) {
  const auto code = [](ByteView bytes) {
    const auto info = inspect_certificate(bytes);
    return info ? ErrorCode::kInternal : info.error().code;
  };
  const Bytes good = der("ecdsa256");
  EXPECT_EQ(code({}), ErrorCode::kMalformed);
  EXPECT_EQ(code(ByteView(good).first(good.size() - 1)), ErrorCode::kMalformed);
  Bytes trailing = good;
  trailing.push_back(0);
  EXPECT_EQ(code(trailing), ErrorCode::kMalformed);
  EXPECT_EQ(code(Bytes(70000)), ErrorCode::kLimit);
  EXPECT_EQ(code(der("nul-in-san")), ErrorCode::kMalformed);
  EXPECT_EQ(code(der("bad-ip-san")), ErrorCode::kMalformed);
  EXPECT_EQ(code(der("broken-san")), ErrorCode::kMalformed);
  EXPECT_EQ(code(der("secp256k1")), ErrorCode::kUnsupported);
}

TEST(Certificate, PemFiles) {
  const std::string ca = read_text("certificates/ca.pem");
  const std::string sub = read_text("certificates/sub-ca.pem");
  const auto both = certificates_from_pem(as_bytes("# a comment\n" + ca + "\n" + sub));
  ASSERT_TRUE(both.ok());
  ASSERT_EQ(both->size(), 2u);
  EXPECT_EQ((*both)[0], der("ca"));
  EXPECT_EQ((*both)[1], der("sub-ca"));
  // A private key in the file is passed over.
  EXPECT_EQ(certificates_from_pem(as_bytes(read_text("certificates/ed25519.key") + ca))->size(),
            1u);
  const auto code = [](const std::string& text) {
    const auto list = certificates_from_pem(as_bytes(text));
    return list ? ErrorCode::kInternal : list.error().code;
  };
  EXPECT_EQ(code(""), ErrorCode::kMalformed);
  EXPECT_EQ(code("nothing here"), ErrorCode::kMalformed);
  EXPECT_EQ(code(read_text("certificates/ed25519.key")), ErrorCode::kMalformed);
  // A half-written file is not half used.
  EXPECT_EQ(code(ca + sub.substr(0, sub.size() / 2)), ErrorCode::kMalformed);
  EXPECT_EQ(code(ca + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ErrorCode::kMalformed);
}

TEST(Path, EveryLeafOfTheRoot) {
  for (const char* name : {"rsa2048", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"}) {
    const auto status = validate_path(ders({name}), ders({"ca"}), kNow);
    EXPECT_TRUE(status.ok()) << name << (status ? "" : status.error().message);
  }
  EXPECT_TRUE(validate_path(ders({"swan"}), ders({"swan-ca"}), kNow).ok());
  EXPECT_TRUE(validate_path(ders({"no-extensions"}), ders({"ca"}), kNow).ok());
}

TEST(Path, AcrossAnIntermediateAndAmongSeveralAnchors) {
  EXPECT_TRUE(validate_path(ders({"by-sub-ca", "sub-ca"}), ders({"ca"}), kNow).ok());
  // The peer may send the root and unrelated ones too, in any order.
  EXPECT_TRUE(validate_path(ders({"by-sub-ca", "other-ca", "ca", "sub-ca"}),
                            ders({"other-ca", "ca", "ca"}), kNow)
                  .ok());
  // An impostor of the same name beside the true one does no harm.
  EXPECT_TRUE(validate_path(ders({"by-sub-ca", "impostor-ca", "sub-ca"}), ders({"ca"}), kNow).ok());
}

struct Refusal {
  std::vector<Bytes> chain;
  std::vector<Bytes> anchors;
  std::int64_t now;
  std::vector<std::string> words;  // all of them are in the message
};

void expect_refused(const Refusal& refusal) {
  const auto status = validate_path(refusal.chain, refusal.anchors, refusal.now);
  ASSERT_FALSE(status.ok()) << refusal.words.front();
  EXPECT_EQ(status.error().code, ErrorCode::kAuthentication);
  for (const std::string& word : refusal.words) {
    EXPECT_NE(status.error().message.find(word), std::string::npos)
        << "no '" << word << "' in: " << status.error().message;
  }
}

TEST(Path, DatesAreAnArgument) {
  const auto at = [](std::int64_t now) {
    return validate_path(ders({"ecdsa256"}), ders({"ca"}), now).ok();
  };
  EXPECT_FALSE(at(kStart - 1));
  EXPECT_TRUE(at(kStart));
  EXPECT_TRUE(at(kEnd - 1));
  EXPECT_FALSE(at(kEnd + 1));
  // Both the leaf and the CA have run out; the message names one of them and both times.
  expect_refused({ders({"ecdsa256"}),
                  ders({"ca"}),
                  kEnd + 86400,
                  {"valid until 2036-01-01 00:00:00 UTC", "it is 2036-01-02 00:00:00 UTC"}});
  expect_refused({ders({"ecdsa256"}), ders({"ca"}), 0, {"valid from 2026-01-01", "1970-01-01"}});
}

TEST(Path, RefusalsNameTheCertificateAndTheReason) {
  expect_refused({{}, ders({"ca"}), kNow, {"no certificate"}});
  expect_refused({ders({"ecdsa256"}), {}, kNow, {"CN=ecdsa256", "issuer", "CN=Root"}});
  expect_refused({ders({"ecdsa256"}), ders({"other-ca"}), kNow, {"CN=ecdsa256", "CN=Root"}});
  // The intermediate is missing.
  expect_refused({ders({"by-sub-ca"}), ders({"ca"}), kNow, {"CN=by-sub-ca", "CN=Intermediate"}});
  // An intermediate is no anchor by itself: partial chains are off.
  expect_refused({ders({"by-sub-ca"}), ders({"sub-ca"}), kNow, {"CN=Intermediate"}});
  expect_refused({ders({"self-signed"}), ders({"ca"}), kNow, {"CN=self-signed", "self-signed"}});
  expect_refused({ders({"other-ca"}), ders({"ca"}), kNow, {"CN=Other root", "self-signed"}});
  expect_refused(
      {ders({"by-subsub-ca", "subsub-ca", "sub-ca"}), ders({"ca"}), kNow, {"too many CAs"}});
  expect_refused({ders({"by-leaf", "ecdsa256"}), ders({"ca"}), kNow, {"CN=ecdsa256", "not a CA"}});
  expect_refused({ders({"encipher-only"}), ders({"ca"}), kNow, {"CN=encipher-only", "keyUsage"}});
  expect_refused({ders({"critical-unknown"}), ders({"ca"}), kNow, {"CN=critical-unknown"}});
  expect_refused({ders({"rsa1024"}), ders({"ca"}), kNow, {"CN=rsa1024", "too short"}});
}

// Made by the issuer's name but not by its key.
TEST(Path, ForgedSignatures) {
  EXPECT_FALSE(validate_path(ders({"by-impostor"}), ders({"ca"}), kNow).ok());
  EXPECT_FALSE(validate_path(ders({"by-impostor", "impostor-ca"}), ders({"ca"}), kNow).ok());
  Bytes forged = der("ecdsa256");
  forged.back() ^= 1;  // of the signature
  expect_refused({{forged}, ders({"ca"}), kNow, {"CN=ecdsa256", "signature", "CN=Root"}});
}

TEST(Path, OldCertificatesAreRefused) {
  // Made by the openssl command, so their dates are their own.
  const auto v1_leaf = inspect_certificate(der("by-v1-ca"));
  ASSERT_TRUE(v1_leaf.ok());
  expect_refused({ders({"by-v1-ca"}),
                  ders({"v1-ca"}),
                  v1_leaf->not_before + 60,
                  {"CN=v1 root", "basicConstraints"}});
  const auto sha1_leaf = inspect_certificate(der("sha1"));
  ASSERT_TRUE(sha1_leaf.ok());
  expect_refused(
      {ders({"sha1"}), ders({"sha1-ca"}), sha1_leaf->not_before + 60, {"CN=sha1", "too weak"}});
}

TEST(Path, HostileChains) {
  EXPECT_EQ(validate_path(std::vector<Bytes>(17, der("ecdsa256")), ders({"ca"}), kNow).error().code,
            ErrorCode::kLimit);
  EXPECT_EQ(validate_path({test::unhex("3000")}, ders({"ca"}), kNow).error().code,
            ErrorCode::kMalformed);
  EXPECT_EQ(validate_path({der("ecdsa256"), {}}, ders({"ca"}), kNow).error().code,
            ErrorCode::kMalformed);
  EXPECT_EQ(validate_path({{}}, ders({"ca"}), kNow).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(validate_path(ders({"ecdsa256"}), {test::unhex("00")}, kNow).error().code,
            ErrorCode::kMalformed);
}

TEST(Text, Utc) {
  EXPECT_EQ(utc_text(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(utc_text(-1), "1969-12-31 23:59:59 UTC");
  EXPECT_EQ(utc_text(951782400), "2000-02-29 00:00:00 UTC");
  EXPECT_EQ(utc_text(INT64_MAX), "9999-12-31 23:59:59 UTC");
  EXPECT_EQ(utc_text(INT64_MIN), "1950-01-01 00:00:00 UTC");
}

TEST(Text, NamesThatAreNone) {
  EXPECT_FALSE(name_text({}).has_value());
  EXPECT_FALSE(name_text(test::unhex("300000")).has_value());
  EXPECT_EQ(name_text(test::unhex("3000")), "");
}

}  // namespace
}  // namespace espalier::crypto
