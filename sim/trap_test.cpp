// start: trap: nothing until traffic asks, then at once and until it is up; nothing again when the
// SAs are gone and nobody asks.
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

void trapped(policy::Connection& connection) { connection.start = policy::Start::kTrap; }

void traffic(Two& two, const std::string& host) {
  two.world.complete(two.world.host(host),
                     ike::Acquired{host == "bender" ? "bender-flexo" : "flexo-bender"});
}

TEST(Trap, NothingIsSentUntilTrafficAsks) {
  Two two(1, trapped);
  two.world.configure_all();
  two.world.run_for(10min);
  EXPECT_EQ(two.world.messages, 0u);
  EXPECT_EQ(two.pair("bender").state, "waiting");
  EXPECT_EQ(two.pair("bender").ike_sas, 0u);
}

// Either end, or both at once, over a network that loses, doubles and reorders.
TEST(Trap, TrafficBringsItUpOnceWhicheverEndAsks) {
  for (const std::uint64_t seed : seeds(60)) {
    Two two(seed, trapped);
    two.world.network = {0.2, 0.05, 5ms, 30ms};
    two.world.configure_all();
    two.world.run_for(5s);
    if (seed % 3 != 0) traffic(two, "bender");
    if (seed % 3 != 1) traffic(two, "flexo");
    ASSERT_TRUE(two.heals(120s)) << "seed " << seed << two.log();
    // What the kernel says again and again changes nothing.
    const auto before = two.pair("bender").ike->spi_local;
    for (int i = 0; i < 5; ++i) traffic(two, i % 2 == 0 ? "bender" : "flexo");
    two.world.network = {};
    two.world.run_for(5s);
    EXPECT_EQ(two.pair("bender").ike->spi_local, before);
    EXPECT_EQ(two.pair("bender").ike_sas, 1u);
    EXPECT_EQ(two.world.fault(), "") << "seed " << seed;
  }
}

TEST(Trap, WhatTrafficAsksForIsTriedUntilItIsThere) {
  for (const std::uint64_t seed : seeds(20)) {
    Two two(seed, trapped);
    two.world.configure_all();
    two.world.crash("flexo");
    traffic(two, "bender");
    two.world.run_for(100s);
    EXPECT_GT(two.pair("bender").attempts, 1u);
    two.world.start("flexo");
    ASSERT_TRUE(two.heals(90s)) << "seed " << seed << two.log();
  }
}

TEST(Trap, NobodyIsCalledWhenTrafficDoesNotAsk) {
  for (const std::uint64_t seed : seeds(10)) {
    Two two(seed, trapped);
    two.world.configure_all();
    traffic(two, "bender");
    ASSERT_TRUE(two.heals(30s)) << two.log();
    two.world.crash("flexo");
    // The peer is found dead, and asked for no more when the demand is over.
    ASSERT_TRUE(two.world.run_until([&] { return two.pair("bender").ike_sas == 0; }, 10min));
    two.world.run_for(ike::kDemandLifetime + ike::kRetryMax + 60s);
    const std::uint64_t sent = two.world.messages;
    two.world.run_for(30min);
    EXPECT_EQ(two.world.messages, sent) << "seed " << seed;
    EXPECT_EQ(two.pair("bender").state, "waiting");
    two.world.start("flexo");
    two.world.run_for(60s);
    EXPECT_EQ(two.world.messages, sent) << "seed " << seed;
    traffic(two, "bender");
    ASSERT_TRUE(two.heals(60s)) << "seed " << seed << two.log();
  }
}

// A peer that closes the child for want of traffic gets no other until there is some.
TEST(Trap, AChildThatThePeerClosesStaysClosed) {
  for (const std::uint64_t seed : seeds(10)) {
    Two two(seed, trapped);
    two.world.configure_all();
    traffic(two, "bender");
    ASSERT_TRUE(two.heals(30s)) << two.log();
    two.world.run_for(ike::kDemandLifetime);
    two.world.expire(two.world.host("flexo"), 1.0, true);
    two.world.run_for(30s);
    EXPECT_TRUE(two.pair("bender").children.empty()) << two.log();
    EXPECT_EQ(two.pair("bender").state, "waiting");
    traffic(two, seed % 2 == 0 ? "bender" : "flexo");
    ASSERT_TRUE(two.heals(60s)) << "seed " << seed << two.log();
  }
}

TEST(Trap, TheOperatorNeedsNoTraffic) {
  Two two(1, trapped);
  two.world.configure_all();
  two.world.command("flexo", ike::Initiate{"flexo-bender"});
  EXPECT_TRUE(two.heals(30s)) << two.log();
}

}  // namespace
}  // namespace espalier::sim
