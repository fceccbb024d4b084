#include "mesh/manual.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::mesh {
namespace {

using ::testing::HasSubstr;

const crypto::CipherSuite kSuite{crypto::EncrId::kAesCbc, 128, crypto::IntegId::kHmacSha1_96};
const std::string kKeys =
    "# attic\nencr-in: 0x8f1d6a0c5be4237790ad41c2f6831be7\n"
    "integ-in: 0x17c9e24b80f65d3a9941ab07ce52d8831f64b7a0\r\n"
    "encr-out: 0x3bd0f72a96c81e4455fa0793be216cd8\n"
    "integ-out: 0xd84c1f73a00b965e2277e81c3ab94f60c57d1290\n";

config::Inventory load(const std::string& text) {
  config::LoadOutcome outcome = config::load_inventory(text, "mesh.yaml", config::kKernelPlane);
  EXPECT_TRUE(outcome.ok()) << config::to_error(outcome.diagnostics).message;
  return std::move(*outcome.inventory);
}

const std::string kInventory =
    "mesh: m\nhosts:\n  a: {address: 192.0.2.1, subnets: [10.1.0.0/16]}\n  b: 192.0.2.2\n  c: "
    "192.0.2.3\nmanual:\n  b-a: {suite: aes128-sha1, spi: {in: 300, out: 400}, secret: "
    "\"file:k\"}\n";

TEST(ManualKeyFile, all_four_and_in_one) {
  const auto keys = parse_manual_keys(kKeys, "k", kSuite).value();
  EXPECT_NE(keys.encr_in, keys.encr_out);
  EXPECT_EQ(keys.integ_in.size(), 20u);
  EXPECT_EQ(parse_manual_keys(manual_keys_text(keys, false, false), "k", kSuite).value(), keys);
  const auto one = parse_manual_keys(manual_keys_text(keys, true, false), "k", kSuite).value();
  EXPECT_EQ(one.encr_in, one.encr_out);
  EXPECT_EQ(one.integ_in, keys.integ_in);
}

TEST(ManualKeyFile, faults_name_line_and_column_and_no_key) {
  const auto message = [](const std::string& text) {
    return parse_manual_keys(text, "k", kSuite).error().message;
  };
  EXPECT_THAT(message("\n\nencr-in: 0x6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b\n"),
              HasSubstr("k:3:10: the key 'encr-in' is one pattern"));
  EXPECT_THAT(message("8f1d6a0c5be4237790ad41c2f6831be7\n"), HasSubstr("k:1:1: this is no line"));
  EXPECT_EQ(message("8f1d6a0c5be4237790ad41c2f6831be7\n").find("8f1d"), std::string::npos);
  EXPECT_THAT(message(kKeys + "encr: 0x3bd0f72a96c81e4455fa0793be216cd8\n"),
              HasSubstr("a second time"));
  EXPECT_THAT(message(""), HasSubstr("'encr-in' is missing"));
}

TEST(ManualPlan, two_hosts_mirror_each_other_and_have_no_ike) {
  const config::Inventory inventory = load(kInventory);
  Credentials credentials;
  credentials.mesh_secret = SecretBytes(as_bytes("kD8}wq-Z0;mB!x7RJ2^vT5e_hPq~9sLw"));
  credentials.manual_keys["k"] = SecretBytes(as_bytes(kKeys));
  const HostPlan a = compile(inventory, "a", credentials).value();
  const HostPlan b = compile(inventory, "b", credentials).value();
  ASSERT_EQ(a.manual.size(), 1u);
  ASSERT_EQ(b.manual.size(), 1u);
  EXPECT_EQ(a.manual[0].name, "a-b");
  EXPECT_EQ(b.manual[0].name, "b-a");
  EXPECT_EQ(b.manual[0].keys[0].spi_in, Spi(300));
  EXPECT_EQ(a.manual[0].keys[0].spi_out, Spi(300));
  policy::ManualTunnel other = policy::mirrored(a.manual[0]);
  other.name = "b-a";
  other.peer = "a";
  EXPECT_EQ(other, b.manual[0]);
  // c still has IKE with both.
  ASSERT_EQ(a.connections.size(), 1u);
  EXPECT_EQ(a.connections[0].name, "a-c");
  EXPECT_TRUE(compile(inventory, "c", credentials).value().manual.empty());
}

TEST(ManualPlan, a_change_is_one_change) {
  Credentials credentials;
  credentials.mesh_secret = SecretBytes(as_bytes("kD8}wq-Z0;mB!x7RJ2^vT5e_hPq~9sLw"));
  credentials.manual_keys["k"] = SecretBytes(as_bytes(kKeys));
  std::string other = kInventory;
  other.replace(other.find("out: 400"), 8, "out: 401");
  const PlanDiff diff = plan_diff(compile(load(kInventory), "a", credentials).value(),
                                  compile(load(other), "a", credentials).value());
  EXPECT_EQ(diff.changed, std::vector<std::string>{"a-b"});
  EXPECT_EQ(diff.unchanged, 1u);
}

// What stays outside IPsec on this host does so beside a manual tunnel too.
TEST(ManualPlan, exceptions_hold_and_only_is_refused) {
  Credentials credentials;
  credentials.stand_ins = true;
  const std::string settings = "defaults: {except: [{proto: tcp, port: 22, side: local}]}\n";
  const auto a = compile_manual(load(settings + kInventory), "a", credentials).value();
  const auto b = compile_manual(load(settings + kInventory), "b", credentials).value();
  ASSERT_EQ(a.at(0).except.size(), 2u);  // of defaults: at either end
  EXPECT_EQ(policy::mirrored(a[0]).except.size(), 2u);
  EXPECT_TRUE(std::is_permutation(b[0].except.begin(), b[0].except.end(), a[0].except.begin()));
  const std::string box =
      "mesh: m\nhosts:\n  a: {address: 192.0.2.1, except: ssh}\nmanual:\n"
      "  a-box: {address: 192.0.2.9, spi: 300, secret: \"file:k\"}\n";
  EXPECT_EQ(compile_manual(load(box), "a", credentials).value().at(0).except.size(), 1u);
  const auto refused =
      compile_manual(load("defaults: {only: ssh}\n" + kInventory), "a", credentials);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("'only' is not supported yet"));
  for (const char* bound : {"if_id: 7", "mark: 7", "interface: x0"}) {
    const auto none = compile_manual(load("defaults: {" + std::string(bound) + "}\n" + kInventory),
                                     "a", credentials);
    ASSERT_FALSE(none.ok()) << bound;
    EXPECT_THAT(none.error().message, HasSubstr("'if_id', 'mark' and 'interface' are not"));
  }
}

TEST(ManualPlan, a_missing_file_is_named) {
  const config::Inventory inventory = load(kInventory);
  bool listed = false;
  for (const RequiredFile& file : required_files(inventory, "b")) {
    listed = listed || file.path == "private/k";
  }
  EXPECT_TRUE(listed);
  EXPECT_THAT(compile_manual(inventory, "a", {}).error().message, HasSubstr("private/k"));
}

}  // namespace
}  // namespace espalier::mesh
