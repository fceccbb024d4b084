// The configuration folder: what is read, what is refused, and with which words.
#include "daemon/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "crypto/pki_testing.hpp"
#include "daemon/certificate_watch.hpp"
#include "daemon/host_network.hpp"

namespace espalier::daemon {
namespace {

using ::testing::HasSubstr;

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/espalier-configuration-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    path_ = name;
    std::filesystem::create_directory(path_ + "/private");
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  void write(const std::string& file, const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_ + "/" + file) << text;
    ASSERT_EQ(chmod((path_ + "/" + file).c_str(), mode), 0);
  }
  std::string path_;
};

constexpr const char* kTwoHosts =
    "mesh: test\n"
    "hosts:\n"
    "  bender: {address: 192.0.2.1, subnets: [10.1.0.0/24]}\n"
    "  flexo: {address: [192.0.2.2, \"2001:db8::2\"]}\n";
constexpr const char* kSecret = "0sq8kS0xw2mJb7u5nYV1hTz4pGQeDfRaLcXoWyNiKs3vE=\n";

TEST_F(Folder, NoInventoryIsAnEmptyPlan) {
  const auto loaded = load_configuration(path_, std::nullopt);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE(loaded->plan.connections.empty());
}

TEST_F(Folder, TwoHosts) {
  write("mesh.yaml", kTwoHosts, 0644);
  write("private/mesh.secret", kSecret);
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->plan.connections.size(), 1u);
  EXPECT_EQ(loaded->plan.connections[0].name, "bender-flexo");

  const auto network = make_host_network(loaded->plan);
  ASSERT_EQ(network.pairs.size(), 1u);
  EXPECT_EQ(network.pairs[0].source4->to_string(), "192.0.2.1");
  EXPECT_EQ(network.own_subnets.size(), 1u);
  // 1500 - IPv6 40 - UDP 8 - ESP 8 - IV 16 - ICV 16 and padding to AES blocks: the worst default
  // suite.
  EXPECT_GE(network.mtu, 1280u);
  EXPECT_LE(network.mtu, 1420u);
}

TEST_F(Folder, ASecretThatOthersMayReadIsRefusedWithTheChmod) {
  write("mesh.yaml", kTwoHosts, 0644);
  write("private/mesh.secret", kSecret, 0640);
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadInput);  // exit 65, of `reload` too
  EXPECT_THAT(loaded.error().message, HasSubstr("chmod 600 " + path_ + "/private/mesh.secret"));
  EXPECT_THAT(loaded.error().message, ::testing::Not(HasSubstr("q8kS0xw2")));
}

TEST_F(Folder, AMissingSecretIsNamed) {
  write("mesh.yaml", kTwoHosts, 0644);
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadInput);
  EXPECT_THAT(loaded.error().message, HasSubstr("private/mesh.secret does not exist"));
  EXPECT_THAT(loaded.error().message, HasSubstr("espalier secret new"));
}

TEST_F(Folder, ABadSecretIsNamedByItsFile) {
  write("mesh.yaml", kTwoHosts, 0644);
  for (const char* secret : {"", "\n", "0xabz\n", "0s!!!\n", "one\ntwo\n"}) {
    write("private/mesh.secret", secret);
    const auto loaded = load_configuration(path_, "bender");
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().message, HasSubstr(path_ + "/private/mesh.secret: "));
  }
}

TEST_F(Folder, ABadCertificateIsNamedByItsFile) {
  write("mesh.yaml", std::string("defaults: {auth: cert}\n") + kTwoHosts, 0644);
  std::filesystem::create_directory(path_ + "/x509");
  write("x509/bender.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  write("private/bender.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr(path_ + "/"));
  EXPECT_THAT(loaded.error().message, HasSubstr("/bender.pem: "));
}

class CertificateFolder : public Folder {
 protected:
  void SetUp() override {
    Folder::SetUp();
    write("mesh.yaml", std::string("defaults: {auth: cert}\n") + kTwoHosts, 0644);
    for (const char* name : {"x509", "x509ca", "x509crl"})
      std::filesystem::create_directory(path_ + "/" + name);
    put("x509ca/root.pem", {root_.certificate});
    key("bender");
  }
  void put(const std::string& file, const std::vector<Bytes>& chain) {
    std::string text;
    for (const Bytes& der : chain) {
      text += "-----BEGIN CERTIFICATE-----\n" + to_base64(der) + "\n-----END CERTIFICATE-----\n";
    }
    write(file, text, 0644);
  }
  void key(const std::string& name) {
    write("private/" + name + ".pem", crypto::test::TestAuthority::private_pem(name));
  }
  Bytes host(const crypto::test::TestAuthority& ca, std::int64_t until = crypto::test::kPkiEnd,
             std::int64_t from = crypto::test::kPkiStart, const char* key_of = "bender") {
    return ca.issue("bender", {false, {{NID_subject_alt_name, "DNS:bender"}}, from, until, key_of});
  }
  std::string warnings() {
    const auto loaded = load_configuration(path_, "bender");
    EXPECT_TRUE(loaded) << loaded.error().message;
    std::string all;
    if (!loaded) return all;
    CertificateWatch watch;
    watch.use(*loaded);
    for (const auto& one : watch.notices(ike::Endpoint(), std::time(nullptr)))
      all += one.text + "\n";
    return all;
  }
  std::string refusal() {
    const auto loaded = load_configuration(path_, "bender");
    EXPECT_FALSE(loaded);
    return loaded ? std::string() : loaded.error().message;
  }
  crypto::test::TestAuthority root_{"Root"}, sub_{"Sub", &root_};
};

TEST_F(CertificateFolder, ChainsAreCompletedFromTheCas) {
  put("x509/bender.pem", {host(sub_)});
  put("x509ca/sub.pem", {sub_.certificate});
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const policy::Connection& connection = loaded->plan.connections[0];
  ASSERT_EQ(connection.certificates.size(), 1u);
  EXPECT_EQ(connection.certificates[0].chain, (std::vector<Bytes>{host(sub_), sub_.certificate}));
  EXPECT_EQ(connection.certificates[0].authorities.size(), 2u);
  EXPECT_EQ(connection.authorities.size(), 40u);
  EXPECT_NE(loaded->keys.find(connection.certificates[0].private_key), nullptr);
  EXPECT_EQ(warnings(), "");
}

TEST_F(CertificateFolder, SeveralCertificatesEachWithItsKey) {
  put("x509/bender.pem", {host(root_)});
  put("x509/bender.new.pem", {host(sub_, crypto::test::kPkiEnd, crypto::test::kPkiStart, "new")});
  put("x509/benders.pem", {host(root_)});  // of somebody else
  EXPECT_THAT(refusal(), HasSubstr("private/bender.new.pem"));
  write("private/bender.new.pem", crypto::test::TestAuthority::private_pem("bender"));
  EXPECT_THAT(refusal(), HasSubstr("private/bender.new.pem is not the key of the certificate "
                                   "x509/bender.new.pem"));
  write("private/bender.new.pem", crypto::test::TestAuthority::private_pem("new"));
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_EQ(loaded->plan.connections[0].certificates.size(), 2u);
  EXPECT_EQ(loaded->plan.connections[0].certificates[1].private_key, "private/bender.new.pem");
}

TEST_F(CertificateFolder, DatesAreLookedAt) {
  const std::int64_t now = std::time(nullptr);
  put("x509/bender.pem", {host(root_, now - 10)});
  EXPECT_THAT(warnings(), HasSubstr("x509/bender.pem: the certificate 'CN=bender,O=Test' was valid "
                                    "until"));
  put("x509/bender.pem", {host(root_, crypto::test::kPkiEnd, now + 3600)});
  EXPECT_THAT(warnings(), HasSubstr("is valid only from"));
  put("x509/bender.pem", {host(root_, now + 3600)});
  EXPECT_THAT(warnings(), HasSubstr("is valid only until"));
}

TEST_F(CertificateFolder, RevocationLists) {
  put("x509/bender.pem", {host(root_)});
  const Bytes list = root_.revoke({{sub_.certificate}});
  write("x509crl/root.crl", to_text(list), 0644);
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_NE(loaded->keys.revocations(), nullptr);
  EXPECT_EQ(loaded->keys.revocations()->size(), 1u);
  write("x509crl/sub.der", to_text(sub_.revoke({})), 0644);
  EXPECT_THAT(refusal(), HasSubstr("the revocation list " + path_ +
                                   "/x509crl/sub.der is of the CA "
                                   "'CN=Sub,O=Test', whose certificate is not in x509ca"));
  put("x509ca/sub.pem", {sub_.certificate});
  EXPECT_EQ(warnings(), "");
  write("x509crl/sub.der", to_text(sub_.revoke({{}, 1, 2})), 0644);
  EXPECT_THAT(warnings(), HasSubstr("the revocation list of 'CN=Sub,O=Test' was valid until"));
}

struct Lines final : public Logger {
  std::vector<LogLine> lines;
  void log(const LogLine& line) override { lines.push_back(line); }
};

// The daemon runs on while its certificate ages: each step is said once, and again each day.
TEST_F(CertificateFolder, TheWatchSaysEachStepOnceAndAgainEachDay) {
  constexpr std::int64_t kDay = 86400;
  const std::int64_t end = crypto::test::kPkiStart + 400 * kDay;
  put("x509/bender.pem", {host(root_, end)});
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_TRUE(loaded) << loaded.error().message;
  CertificateWatch watch;
  watch.use(*loaded);
  Lines log;
  const ike::Endpoint engine;
  const auto said_at = [&](std::int64_t utc) {
    log.lines.clear();
    watch.look(watch.next(), utc, engine, log);
    return log.lines.size();
  };
  const Instant first = watch.next();
  EXPECT_EQ(said_at(end - 60 * kDay), 0u);
  EXPECT_GT(watch.next(), first);
  EXPECT_EQ(said_at(end - 30 * kDay), 1u);
  EXPECT_EQ(said_at(end - 30 * kDay + 60), 0u);
  EXPECT_EQ(said_at(end - 29 * kDay), 1u) << "a day later";
  EXPECT_EQ(said_at(end - 7 * kDay - 600), 1u);
  EXPECT_EQ(said_at(end - 7 * kDay + 1), 1u) << "seven days are left now";
  EXPECT_EQ(said_at(end - 7 * kDay + 61), 0u);
  EXPECT_EQ(said_at(end + 1), 1u);
  EXPECT_EQ(log.lines.front().level, LogLevel::kError);
  EXPECT_THAT(log.lines.front().text, HasSubstr("issue a new one"));
  EXPECT_EQ(said_at(end + 2), 0u);
  watch.use(*loaded);
  EXPECT_EQ(said_at(end + 3), 1u) << "after a reload";
}

TEST_F(Folder, AFileThatIsTooLargeIsBadInput) {
  write("mesh.yaml", std::string(9 << 20, '#'), 0644);
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadInput);
}

TEST_F(Folder, AFaultInTheInventoryHasItsPlace) {
  write("mesh.yaml", "mesh: test\nhosts:\n  bender: 192.0.2.1\n  flexo: 192.0.2.1\n", 0644);
  const auto loaded = load_configuration(path_, "bender");
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr(path_ + "/mesh.yaml:4:"));
}

TEST_F(Folder, AnUnknownSelfNamesTheHosts) {
  write("mesh.yaml", kTwoHosts, 0644);
  write("private/mesh.secret", kSecret);
  const auto loaded = load_configuration(path_, "fry");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::kBadInput);
}

}  // namespace
}  // namespace espalier::daemon
