#include "daemon/standing_policies.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/inventory.hpp"
#include "dataplane/kernel/xfrm_policy.hpp"
#include "dataplane/kernel/xfrm_sa.hpp"
#include "policy/selectors.hpp"

namespace espalier::daemon {
namespace {

using dataplane::PolicySpec;

mesh::HostPlan plan_of(const std::string& settings, const std::string& more = "") {
  const auto loaded = config::load_inventory(
      "mesh: p\ndefaults: {" + settings + "}\nhosts:\n  a: 192.0.2.1\n  b: 192.0.2.2\n" + more, "m",
      config::kKernelPlane);
  for (const auto& fault : loaded.diagnostics) ADD_FAILURE() << to_string(fault);
  mesh::Credentials credentials;
  credentials.mesh_secret = SecretBytes(to_vector(as_bytes("k7#QzP!v02_xLm9w")));
  credentials.manual_keys["k"] = SecretBytes(to_vector(
      as_bytes("encr: 0x8f1d6a0c5be4237790ad41c2f6831be717c9e24b80f65d3a9941ab07ce52d883\n"
               "integ: 0x52d8831f64b7a09941ab07cef65d3a17c9e24b80c2f6831be790ad418f1d6a0c\n")));
  auto plan = mesh::compile(*loaded.inventory, "a", credentials);
  EXPECT_TRUE(plan.ok());
  return std::move(*plan);
}

std::size_t count(const std::vector<PolicySpec>& list, bool clear) {
  return static_cast<std::size_t>(std::count_if(
      list.begin(), list.end(), [&](const PolicySpec& one) { return one.clear == clear; }));
}

TEST(StandingPolicies, ClosedAndExceptions) {
  StandingPolicies standing;
  const auto list = standing.of(plan_of("except: ssh"));
  ASSERT_EQ(list.size(), 3u);  // closed, and ssh at either end
  EXPECT_EQ(count(list, true), 2u);
  for (const PolicySpec& one : list) {
    EXPECT_NE(one.closed, one.clear);
    EXPECT_TRUE(dataplane::kernel::is_ours(one.reqid.value));
    EXPECT_EQ(one.pair, "a-b");
  }
  EXPECT_FALSE(list.front().connects);
  // With ICMP outside it is closed in the way that lets ping find its source address, and with no
  // selectors but a child's: the child's policy takes its place.
  const auto pings = standing.of(plan_of("except: icmp"));
  EXPECT_EQ(count(pings, true), 1u);
  ASSERT_EQ(count(pings, false), 1u);
  EXPECT_TRUE(pings.front().closed && pings.front().connects);
  EXPECT_EQ(pings.front().local_ts.front().protocol, 0);
}

TEST(StandingPolicies, ManualTunnelsAreClosedWhateverTheLevel) {
  StandingPolicies standing;
  const auto list = standing.of(plan_of("protect: use, except: ssh",
                                        "  c: 192.0.2.3\nmanual:\n  a-b: {spi: 256, secret: "
                                        "\"file:k\"}\n"));
  std::size_t closed = 0, clear = 0;
  for (const PolicySpec& one : list) {
    if (one.pair != "a-b") continue;
    closed += one.closed ? 1 : 0;
    clear += one.clear ? 1 : 0;
  }
  EXPECT_EQ(closed, 1u);
  EXPECT_EQ(clear, 2u);
}

// The kernel would ask a closed policy without an interface before a packet comes to its own.
TEST(StandingPolicies, WhatIsBoundIsClosedInwards) {
  StandingPolicies standing;
  for (const char* bound : {"if_id: 7", "mark: 7"}) {
    const auto list = standing.of(plan_of(bound));
    ASSERT_EQ(list.size(), 1u) << bound;
    EXPECT_TRUE(list[0].closed && list[0].inbound_only);
    EXPECT_EQ(list[0].binding, policy::Binding());
  }
  const auto traps = standing.of(plan_of("if_id: 7, start: trap"));
  ASSERT_EQ(traps.size(), 2u);
  EXPECT_TRUE(traps[0].inbound_only && !traps[0].trap);
  EXPECT_TRUE(traps[1].trap && !traps[1].inbound_only);
  EXPECT_EQ(traps[1].binding.if_id_out, 7u);
  EXPECT_NE(traps[0].reqid, traps[1].reqid);
  EXPECT_EQ(standing.of(plan_of("if_id: 7, except: icmp")).size(), 2u);
  const auto only = standing.of(plan_of("if_id: 7, only: {proto: tcp, port: 8140}"));
  ASSERT_EQ(only.size(), 1u);
  EXPECT_TRUE(only[0].inbound_only);
}

TEST(StandingPolicies, UseClosesNothing) {
  StandingPolicies standing;
  EXPECT_TRUE(standing.of(plan_of("protect: use")).empty());
  EXPECT_EQ(standing.of(plan_of("protect: use, except: [icmp, ssh]")).size(), 3u);
  EXPECT_TRUE(standing.of(plan_of("protect: off")).empty());
}

TEST(StandingPolicies, OnlyClosesTheWhole) {
  StandingPolicies standing;
  const auto list = standing.of(plan_of("only: {proto: tcp, port: 8140}"));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(policy::to_string(list[0].remote_ts), "192.0.2.2/32");
}

// A reload touches what changed: what stands in both plans has one reqid.
TEST(StandingPolicies, ReqidsStay) {
  StandingPolicies standing;
  const auto before = standing.of(plan_of("except: [ssh, icmp]"));
  const auto after = standing.of(plan_of("except: [ssh, icmp]", "  a0: 192.0.2.9\n"));
  EXPECT_EQ(after.size(), 2 * before.size());
  for (const PolicySpec& one : before) {
    EXPECT_NE(std::find(after.begin(), after.end(), one), after.end());
  }
  std::set<ReqId> reqids;
  for (const PolicySpec& one : after) EXPECT_TRUE(reqids.insert(one.reqid).second);
  const auto back = standing.of(plan_of("except: [ssh, icmp]"));
  EXPECT_EQ(back, before);
}

}  // namespace
}  // namespace espalier::daemon
