#include "mesh/lockout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/inventory.hpp"
#include "policy/selectors.hpp"

namespace espalier::mesh {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

HostPlan plan_of(const std::string& settings) {
  const auto loaded = config::load_inventory(
      "mesh: p\nhosts: {a: {address: [192.0.2.1, \"2001:db8::1\"]}, b: {address: [192.0.2.2, "
      "\"2001:db8::2\"]}}\n" +
          settings,
      "m");
  for (const auto& fault : loaded.diagnostics) ADD_FAILURE() << to_string(fault);
  Credentials credentials;
  credentials.mesh_secret = SecretBytes(to_vector(as_bytes("k7#QzP!v02_xLm9w")));
  credentials.stand_ins = true;
  auto plan = compile(*loaded.inventory, "a", credentials);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return std::move(*plan);
}

std::vector<Login> from(const std::string& text) {
  const auto login = parse_ssh_connection(text);
  EXPECT_TRUE(login);
  return login ? std::vector<Login>{*login} : std::vector<Login>{};
}

const char* const kFromB = "192.0.2.2 50000 192.0.2.1 22";

TEST(Lockout, ReadsWhatSshdSays) {
  const auto login = from("2001:db8::2 50000 2001:db8::1 2222").front();
  EXPECT_EQ(login.local.to_string(), "2001:db8::1[2222]");
  EXPECT_EQ(login.remote.to_string(), "2001:db8::2[50000]");
  EXPECT_EQ(from("::ffff:192.0.2.2 1 ::ffff:192.0.2.1 22").front().remote.ip.to_string(),
            "192.0.2.2");
  for (const char* wrong :
       {"", "a b c d", "192.0.2.2 50000 192.0.2.1", "192.0.2.2 70000 192.0.2.1 22"}) {
    EXPECT_FALSE(parse_ssh_connection(wrong)) << wrong;
  }
}

TEST(Lockout, ReadsTheKernelsTables) {
  const auto v4 = parse_ssh_sockets(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
      "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
      "   1: 010200C0:0016 020200C0:C350 01 00000000:00000000 00:00000000 00000000     0\n"
      "   2: 010200C0:0050 020200C0:C350 01 00000000:00000000 00:00000000 00000000     0\n"
      "   3: 010200C0:00zz\n");
  EXPECT_EQ(v4, from(kFromB));
  const auto v6 = parse_ssh_sockets(
      "   1: 0000000000000000FFFF0000010200C0:0016 0000000000000000FFFF0000020200C0:C350 01 0 0\n"
      "   2: B80D0120000000000000000001000000:0016 B80D0120000000000000000002000000:C350 01 0 0\n");
  ASSERT_EQ(v6.size(), 2u);
  EXPECT_EQ(v6[0], from(kFromB).front());
  EXPECT_EQ(v6[1].remote.to_string(), "2001:db8::2[50000]");
}

TEST(Lockout, APlanWithoutAnExceptionForTheLogin) {
  const auto why = lockout(plan_of(""), nullptr, from(kFromB));
  ASSERT_TRUE(why);
  EXPECT_THAT(*why, HasSubstr("logged in from 192.0.2.2"));
  EXPECT_THAT(*why, HasSubstr("the pair a-b"));
  EXPECT_THAT(*why, HasSubstr("defaults: {except: [ssh]}"));
  EXPECT_TRUE(lockout(plan_of(""), nullptr, from("2001:db8::2 50000 2001:db8::1 22")));
  const auto other = lockout(plan_of("defaults: {except: [ssh]}\n"), nullptr,
                             from("192.0.2.2 50000 192.0.2.1 2222"));
  ASSERT_TRUE(other);
  EXPECT_THAT(*other, HasSubstr("{proto: tcp, port: 2222}"));
}

TEST(Lockout, AManualTunnelClosesToo) {
  const policy::ManualTunnel tunnel = [] {
    policy::ManualTunnel one;
    one.name = "a-b";
    one.local = IpAddress::parse("192.0.2.1").value();
    one.remote = IpAddress::parse("192.0.2.2").value();
    one.local_ts = {policy::from_prefix(Prefix::host(one.local))};
    one.remote_ts = {policy::from_prefix(Prefix::host(one.remote))};
    return one;
  }();
  HostPlan plan;
  plan.manual = {tunnel};
  const auto why = lockout(plan, nullptr, from(kFromB));
  ASSERT_TRUE(why);
  EXPECT_THAT(*why, HasSubstr("the pair a-b"));
  EXPECT_FALSE(lockout(plan, &plan, from(kFromB))) << "it is inside already";
  plan.manual[0].except =
      std::vector<policy::Service>{{policy::kProtocolTcp, 22, 22, policy::Side::kLocal, {}}};
  EXPECT_FALSE(lockout(plan, nullptr, from(kFromB)));
}

TEST(Lockout, WhatKeepsALogin) {
  EXPECT_FALSE(lockout(plan_of("defaults: {except: [ssh]}\n"), nullptr, from(kFromB)));
  EXPECT_FALSE(lockout(plan_of("defaults: {except: {proto: tcp, port: 22, side: local}}\n"),
                       nullptr, from(kFromB)));
  EXPECT_FALSE(lockout(plan_of("defaults: {protect: use}\n"), nullptr, from(kFromB)));
  EXPECT_FALSE(lockout(plan_of("defaults: {protect: off}\n"), nullptr, from(kFromB)));
  EXPECT_FALSE(lockout(plan_of(""), nullptr, from("198.51.100.1 50000 192.0.2.1 22")));
  EXPECT_FALSE(lockout(plan_of(""), nullptr, {}));
  // It goes inside IPsec already.
  const HostPlan running = plan_of("");
  EXPECT_FALSE(lockout(plan_of("defaults: {dpd: 5s}\n"), &running, from(kFromB)));
  const HostPlan open = plan_of("defaults: {protect: use}\n");
  EXPECT_TRUE(lockout(plan_of(""), &open, from(kFromB)));
}

}  // namespace
}  // namespace espalier::mesh
