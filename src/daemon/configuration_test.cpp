// The configuration folder: what is read, what is refused, and with which words.
#include "daemon/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

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
