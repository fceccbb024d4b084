#include "mesh/secret.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::mesh {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SecretBytes secret(std::string_view text) { return SecretBytes(as_bytes(text)); }

std::string parsed(std::string_view text) {
  const auto got = parse_secret(text);
  return got ? to_text(got.value().reveal()) : "error";
}

TEST(SecretFile, OneLine) {
  EXPECT_EQ(parsed("correct horse\n"), "correct horse");
  EXPECT_EQ(parsed("correct horse"), "correct horse");
  EXPECT_EQ(parsed("correct horse\r\n"), "correct horse");
  EXPECT_EQ(parsed(" spaces stay \n"), " spaces stay ");
  EXPECT_EQ(parsed("0x6d657368\n"), "mesh");
  EXPECT_EQ(parsed("0x6D657368"), "mesh");
  EXPECT_EQ(parsed("0sbWVzaA==\n"), "mesh");
  EXPECT_EQ(parsed("0X6d65"), "0X6d65") << "only 0x and 0s are prefixes";
}

TEST(SecretFile, RefusalsDoNotShowIt) {
  for (const char* bad : {"", "\n", "\r\n", "0x", "0s\n", "hunter2\nhunter2\n", "hunter2\n\n",
                          "0xhunter2", "0x123", "0shunter2!!"}) {
    const auto got = parse_secret(bad);
    ASSERT_FALSE(got.ok()) << bad;
    EXPECT_EQ(got.error().code, ErrorCode::kBadInput);
    EXPECT_THAT(got.error().message, Not(HasSubstr("hunter2")));
  }
  EXPECT_FALSE(parse_secret(std::string(5000, 'x')).ok());
}

TEST(MeshSecret, WeakOnesAreRefused) {
  for (const auto& [weak, why] : std::vector<std::pair<const char*, const char*>>{
           {"", "has 0 octets"},
           {"secret", "has 6 octets"},
           {"badpassword", "has 11 octets"},
           {"0123456789abcde", "has 15 octets"},
           {"aaaaaaaaaaaaaaaaaaaaaaaa", "repeats one pattern"},
           {"secretsecretsecret", "repeats one pattern"},
           {"abababcabcaabacbbcca", "fewer than six different"},
           {"0123456789abcdef", "plain sequence"},
           {"abcdefghijklmnopqrst", "plain sequence"},
           {"This is a secret, not a key!", "examples"},
           {"correct-horse-battery-staple", "examples"},
           {"my-strongswan-example-psk", "examples"}}) {
    const Status got = check_mesh_secret(secret(weak));
    ASSERT_FALSE(got.ok()) << weak;
    EXPECT_THAT(got.error().message, HasSubstr(why)) << weak;
    EXPECT_THAT(got.error().message, HasSubstr("espalier secret new"));
  }
  Bytes counting(32);
  for (std::size_t i = 0; i < counting.size(); ++i) counting[i] = static_cast<std::uint8_t>(i);
  EXPECT_FALSE(check_mesh_secret(SecretBytes(counting)).ok());
  EXPECT_FALSE(check_mesh_secret(SecretBytes(Bytes(32, 0))).ok());
}

TEST(MeshSecret, GoodOnesPass) {
  EXPECT_TRUE(check_mesh_secret(secret("k7#QzP!v02_xLm9w")).ok());
  EXPECT_TRUE(
      check_mesh_secret(parse_secret("0sE4/3kD1mPpZ0j4Q1kYc4mL2o1S8cVbN0aHtqW7y5uR8=\n").value())
          .ok());
}

config::Inventory inventory() {
  return *config::load_inventory(
              "mesh: prod\nhosts: {bender: 192.0.2.1, flexo: 192.0.2.2}\n"
              "foreign: {attic: {address: 192.0.2.9, id: attic.example.net, secret: \"file:a\"}}\n",
              "m")
              .inventory;
}

// The key is the published derivation (docs/pair-key.md), whichever side asks.
TEST(PairSecret, SameOnBothSidesAndDifferentPerPair) {
  const SecretBytes mesh = secret("k7#QzP!v02_xLm9w");
  const auto a = pair_secret(inventory(), "bender", "flexo", mesh);
  const auto b = pair_secret(inventory(), "flexo", "bender", mesh);
  const auto c = pair_secret(inventory(), "bender", "attic", mesh);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_EQ(a.value().text(), b.value().text());
  EXPECT_NE(a.value().text(), c.value().text());
  EXPECT_EQ(a.value().key.size(), 32u);
  EXPECT_EQ(a.value().text().size(), 66u);
  EXPECT_EQ(a.value().text().substr(0, 2), "0x");
  EXPECT_EQ(parse_secret(a.value().text()).value(), a.value().key);
}

TEST(PairSecret, Refusals) {
  const SecretBytes mesh = secret("k7#QzP!v02_xLm9w");
  EXPECT_THAT(pair_secret(inventory(), "bender", "flexi", mesh).error().message,
              HasSubstr("did you mean 'flexo'?"));
  EXPECT_EQ(pair_secret(inventory(), "bender", "bender", mesh).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(pair_secret(inventory(), "bender", "flexo", secret("secret")).error().code,
            ErrorCode::kBadInput);
}

}  // namespace
}  // namespace espalier::mesh
