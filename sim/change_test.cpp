// A live pair whose configuration changes: a new IKE SA takes over from the old one, and at every
// moment each end has an SA to send on that the other end knows.
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "ike/core/wanted.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using Edit = std::function<void(policy::Connection&)>;

void edit(Two& two, const std::string& host, const Edit& change) {
  change(two.of(host));
  two.world.command(host, ike::Configure{two.world.host(host).connections});
}

// The newest outbound SA of the pair, and whether the other end takes what comes by it.
bool carries(Two& two, const std::string& from, const std::string& to) {
  const Twin& here = two.world.host(from).twin;
  const Twin& there = two.world.host(to).twin;
  for (const auto& [reqid, policy] : here.policies) {
    const auto newest = here.newest.find(reqid);
    if (newest == here.newest.end() || newest->second.empty()) continue;
    if (there.inbound.contains(newest->second.back())) return true;
  }
  return false;
}

// Runs, and says when traffic would have been lost.
void run_watched(Two& two, Duration time, const std::string& what) {
  const Instant end = two.world.now() + time;
  while (two.world.now() < end) {
    two.world.run_for(20ms);
    ASSERT_TRUE(carries(two, "bender", "flexo")) << what << two.log();
    ASSERT_TRUE(carries(two, "flexo", "bender")) << what << two.log();
  }
}

void other_proposals(policy::Connection& connection) {
  connection.proposals = {policy::parse_ike_proposal("aes128gcm16-prfsha256-ecp256").value()};
}
// What nobody has by default.
void strange_proposals(policy::Connection& connection) {
  connection.proposals = {policy::parse_ike_proposal("aes192gcm16-prfsha512-ecp521").value()};
}
void other_life(policy::Connection& connection) { connection.lifetimes.child = 20min; }

TEST(Change, ANewIkeSaTakesOverWhicheverEndLearnsFirst) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed);
    ASSERT_TRUE(two.start()) << two.log();
    const IkeSpi before = two.pair("bender").ike->spi_local;
    two.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.05, 5ms, 30ms};
    const char* first = seed % 4 < 2 ? "bender" : "flexo";
    const char* second = seed % 4 < 2 ? "flexo" : "bender";
    edit(two, first, other_proposals);
    run_watched(two, seed % 3 == 0 ? 0s : 40s, "one end has changed");
    if (HasFatalFailure()) return;
    edit(two, second, other_proposals);
    run_watched(two, 120s, "both have changed");
    if (HasFatalFailure()) return;
    two.world.network = {};
    ASSERT_TRUE(two.heals(120s)) << two.world.fault() << two.log();
    EXPECT_NE(two.pair("bender").ike->spi_local, before) << two.log();
    EXPECT_EQ(two.pair("bender").ike_sas, 1u) << two.log();
    for (const char* host : {"bender", "flexo"}) {
      EXPECT_EQ(two.pair(host).ike->suite.dh, crypto::DhId::kEcp256);
    }
  }
}

TEST(Change, WhatNeedsNoOtherSaMakesNone) {
  Two two(1);
  ASSERT_TRUE(two.start()) << two.log();
  const IkeSpi before = two.pair("bender").ike->spi_local;
  const std::uint64_t sent = two.world.messages;
  edit(two, "bender", other_life);
  edit(two, "flexo", other_life);
  two.world.run_for(10s);
  EXPECT_EQ(two.world.messages, sent);
  EXPECT_EQ(two.pair("bender").ike->spi_local, before);
  // ... and holds from the next rekey on.
  two.world.command("bender", ike::Rekey{"bender-flexo", false});
  two.world.run_for(10s);
  const auto rekeyed = two.pair("bender").children.front();
  EXPECT_LE(rekeyed.rekey_at - rekeyed.installed_at, 20min);
}

// The other end never learns of it: what stands goes when its time is over, and not before.
TEST(Change, TheOldOneEndsWhenThePeerNeverLearns) {
  for (const std::uint64_t seed : seeds(5)) {
    Two two(seed);
    ASSERT_TRUE(two.start()) << two.log();
    edit(two, "bender", strange_proposals);
    run_watched(two, ike::kChangeGrace - 10s, "within the grace");
    if (HasFatalFailure()) return;
    EXPECT_EQ(two.pair("bender").state, "up");
    two.world.run_for(60s);
    EXPECT_FALSE(carries(two, "bender", "flexo")) << two.log();
    EXPECT_NE(two.pair("bender").state, "up");
    edit(two, "flexo", strange_proposals);
    ASSERT_TRUE(two.heals(120s)) << two.log();
  }
}

TEST(Change, BackAndForthEndsWhereItBegan) {
  for (const std::uint64_t seed : seeds(20)) {
    Two two(seed);
    ASSERT_TRUE(two.start()) << two.log();
    two.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.05, 5ms, 30ms};
    const policy::Connection first = two.of("bender"), other = two.of("flexo");
    for (int i = 0; i < 6; ++i) {
      for (const char* host : {"bender", "flexo"}) {
        edit(two, host, [&](policy::Connection& one) {
          if (i % 2 == 0) return other_proposals(one);
          one = std::string(host) == "bender" ? first : other;
        });
        run_watched(two, Duration(20ms) * (seed % 7), "between two changes");
        if (HasFatalFailure()) return;
      }
    }
    run_watched(two, 100s, "after them");
    if (HasFatalFailure()) return;
    two.world.network = {};
    ASSERT_TRUE(two.heals(120s)) << two.world.fault() << two.log();
    two.world.run_for(ike::kChangeGrace + 60s);
    EXPECT_EQ(two.world.fault(), "");
    EXPECT_EQ(two.pair("flexo").state, "up");
  }
}

// The selectors of a child change: the old policies stay until the new child is there.
TEST(Change, OtherNetworks) {
  for (const std::uint64_t seed : seeds(20)) {
    Two two(seed);
    ASSERT_TRUE(two.start()) << two.log();
    two.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.05, 5ms, 30ms};
    const auto network = policy::from_prefix(Prefix::parse("10.9.0.0/16").value());
    edit(two, "bender", [&](auto& one) { one.children.front().local_ts.push_back(network); });
    edit(two, "flexo", [&](auto& one) { one.children.front().remote_ts.push_back(network); });
    run_watched(two, 60s, "the networks have changed");
    if (HasFatalFailure()) return;
    two.world.network = {};
    ASSERT_TRUE(two.heals(120s)) << two.world.fault() << two.log();
    EXPECT_EQ(two.pair("bender").children.front().spec.local_ts.size(), 2u);
  }
}

// The peer has gone and does not answer the Delete: packets to it are nobody's to keep meanwhile.
TEST(Change, ARemovedPairKeepsNoPackets) {
  Two two(1);
  ASSERT_TRUE(two.start()) << two.log();
  two.world.crash(two.world.host("flexo"));
  Host& bender = two.world.host("bender");
  two.world.command("bender", ike::Configure{{}});
  EXPECT_TRUE(bender.twin.policies.empty());
  EXPECT_FALSE(bender.twin.inbound.empty()) << "what is on its way is taken";
  EXPECT_TRUE(ike::wanted(bender.engine.core()).policies.empty());
  two.world.run_for(60s);
  EXPECT_TRUE(bender.twin.inbound.empty()) << two.log();
}

}  // namespace
}  // namespace espalier::sim
