#include "mesh/tunnel_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mesh/plan.hpp"

namespace espalier::mesh {
namespace {

using ::testing::HasSubstr;

// What compile() says of a host with two peers; empty: it has a plan.
std::string refusal(const std::string& settings, const std::string& more = "") {
  const auto loaded = config::load_inventory(
      "mesh: p\ndefaults: {" + settings +
          "}\nhosts:\n  a: 192.0.2.1\n  b: 192.0.2.2\n  c: 192.0.2.3\n" + more,
      "m", config::kKernelPlane);
  for (const auto& fault : loaded.diagnostics) ADD_FAILURE() << to_string(fault);
  if (!loaded.ok()) return "?";
  Credentials credentials;
  credentials.mesh_secret = SecretBytes(to_vector(as_bytes("k7#QzP!v02_xLm9w")));
  const auto plan = compile(*loaded.inventory, "a", credentials);
  return plan ? std::string() : plan.error().message;
}

TEST(TunnelDevice, WhatItNeeds) {
  EXPECT_EQ(refusal("interface: ipsec0, if_id: 7"), "");
  EXPECT_EQ(refusal("interface: none"), "");
  EXPECT_THAT(refusal("interface: ipsec0"), HasSubstr("a-b has 'interface: ipsec0' without"));
  EXPECT_THAT(refusal("interface: ipsec0, if_id_in: 7"), HasSubstr("write if_id: NUMBER"));
  EXPECT_THAT(refusal("interface: ipsec0, if_id_in: 7, if_id_out: 8"), HasSubstr("write if_id"));
  EXPECT_THAT(refusal("interface: ipsec0, if_id: 7, mode: transport"), HasSubstr("mode: tunnel"));
  EXPECT_THAT(refusal("interface: ipsec0, if_id: 7, protect: use"), HasSubstr("protect: require"));
  EXPECT_THAT(refusal("interface: ipsec0, if_id: 7, set_mark_out: 1"), HasSubstr("set_mark_out"));
  EXPECT_EQ(refusal("interface: ipsec0, if_id: 7, start: trap"), "");
  EXPECT_EQ(refusal("interface: ipsec0, if_id: 7, protect: off"), "");
}

TEST(TunnelDevice, AVtiDeviceServesOnePair) {
  const std::string pairs = "pairs:\n  a-b: {interface: {name: v0, type: vti}, mark: 1}\n";
  EXPECT_EQ(refusal("", pairs), "");
  EXPECT_EQ(refusal("", pairs + "  a-c: {interface: {name: v1, type: vti}, mark: 2}\n"), "");
  EXPECT_THAT(refusal("encap: always", pairs), HasSubstr("with 'encap: always'"));
  EXPECT_THAT(refusal("interface: {name: v0, type: vti}, mark: 1"),
              HasSubstr("each pair needs one of its own"));
  for (const char* wrong :
       {"", "mark: 1/0xff, ", "mark_in: 1, mark_out: 2, ", "mark: 0, ", "mark: 1, if_id: 7, "}) {
    EXPECT_THAT(refusal("", std::string("pairs:\n  a-b: {") + wrong +
                                "interface: {name: v0, type: vti}}\n"),
                HasSubstr("which needs a key"))
        << wrong;
  }
}

TEST(TunnelDevice, AVtiDeviceIsForIpv4) {
  const auto loaded = config::load_inventory(
      "mesh: p\ndefaults: {mark: 1, interface: {name: v0, type: vti}}\nhosts:\n"
      "  a: {address: 192.0.2.1, subnets: [\"2001:db8:1::/48\"]}\n"
      "  b: {address: 192.0.2.2, subnets: [\"2001:db8:2::/48\"]}\n",
      "m", config::kKernelPlane);
  ASSERT_TRUE(loaded.ok());
  Credentials credentials;
  credentials.mesh_secret = SecretBytes(to_vector(as_bytes("k7#QzP!v02_xLm9w")));
  const auto plan = compile(*loaded.inventory, "a", credentials);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(plan.error().message, HasSubstr("IPv4 in IPv4 alone"));
}

TEST(TunnelDevice, WhatTwoPairsWantOfOne) {
  const auto two = [](const char* one, const char* other) {
    return std::string("pairs:\n  a-b: {") + one + "}\n  a-c: {" + other + "}\n";
  };
  EXPECT_THAT(refusal("", two("interface: x0, if_id: 7", "interface: x0, if_id: 8")),
              HasSubstr("a-c has 'interface: x0' and so has a-b, with another if_id"));
  EXPECT_THAT(refusal("", two("interface: x0, if_id: 7", "interface: x1, if_id: 7")),
              HasSubstr("with the if_id 7 of x0 of a-b"));
  EXPECT_THAT(
      refusal("", two("interface: x0, if_id: 7", "interface: {name: x0, mtu: 1300}, if_id: 7")),
      HasSubstr("another if_id, type, device or mtu"));
}

}  // namespace
}  // namespace espalier::mesh
