// Lifetimes: whatever is rekeyed or authenticated anew, under loss, repetition and reordering, no
// packet finds its receiver without the SA.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"
#include "sim/seeds.hpp"
#include "sim/traffic.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;

std::string first_fault(const Traffic& traffic) {
  return traffic.faults().empty() ? std::string() : traffic.faults().front();
}

TEST(Lifetimes, ThousandsOfRekeysUnderLossDropNoPacket) {
  std::uint64_t rekeys = 0;
  for (const std::uint64_t seed : seeds(250)) {
    Two two(seed, [](policy::Connection& connection) {
      connection.lifetimes.ike = 31s;
      connection.lifetimes.child = 10s;
      connection.lifetimes.jitter_percent = 30;
    });
    ASSERT_TRUE(two.start()) << two.log();
    two.world.network = {0.1, 0.1, 5ms, seed % 2 == 0 ? 100ms : 0ms};
    Traffic traffic(two.world);
    traffic.run_for(60s, 20ms);
    ASSERT_EQ(traffic.strays(), 0u) << first_fault(traffic) << "\n" << two.log();
    ASSERT_EQ(traffic.blocked(), 0u) << two.log();
    two.world.network = {};
    ASSERT_TRUE(two.heals(60s)) << two.log();
    rekeys += two.count("bender", Counter::kChildRekeyed);
    rekeys += two.count("bender", Counter::kIkeRekeyed);
  }
  if (seeds(1).size() == 1 && std::getenv("ESPALIER_SIM_SEED") == nullptr) {
    EXPECT_GT(rekeys, 2000u);
  }
}

TEST(Lifetimes, AuthenticationIsRepeatedMakeBeforeBreak) {
  for (const std::uint64_t seed : seeds(60)) {
    Two two(seed, [&](policy::Connection& connection) {
      connection.lifetimes.reauth = 60s;
      if (seed % 3 == 0) {  // crossing rekeys
        connection.lifetimes.ike = 23s;
        connection.lifetimes.child = 9s;
      }
      if (seed % 3 == 1) {  // several children
        connection.children.push_back(connection.children.front());
        connection.children.back().name = "more";
        for (auto* list :
             {&connection.children.back().local_ts, &connection.children.back().remote_ts}) {
          list->front().start_port = list->front().end_port = 53;
          list->front().protocol = 17;
        }
      }
    });
    ASSERT_TRUE(two.start()) << two.log();
    if (seed % 2 == 0) two.world.network = {0.1, 0.1, 5ms, 50ms};
    Traffic traffic(two.world);
    traffic.run_for(400s, 50ms);
    ASSERT_EQ(traffic.strays(), 0u) << first_fault(traffic) << "\n" << two.log();
    ASSERT_EQ(traffic.blocked(), 0u) << two.log();
    ASSERT_GE(two.count("bender", Counter::kReauthentications) +
                  two.count("flexo", Counter::kReauthentications),
              6u);
    two.world.network = {};
    ASSERT_TRUE(two.heals(60s)) << two.log();
    ASSERT_EQ(two.count("bender", Counter::kAttemptsFailed), 0u) << two.log();
    ASSERT_EQ(two.pair("bender").ike_sas, 1u);
  }
}

// RFC 4478: the responder alone wants it.
TEST(Lifetimes, TheInitiatorObeysAnAuthLifetime) {
  Two two(1);
  two.of("flexo").lifetimes.reauth = 6min;
  ASSERT_TRUE(two.start());
  ASSERT_TRUE(two.sa("bender").began);
  Traffic traffic(two.world);
  traffic.run_for(15min, 100ms);
  EXPECT_EQ(two.count("bender", Counter::kReauthentications), 3u) << two.log();
  EXPECT_EQ(two.count("flexo", Counter::kReauthentications), 0u);
  EXPECT_EQ(traffic.strays() + traffic.blocked(), 0u) << first_fault(traffic);
}

TEST(Lifetimes, AnAuthLifetimeOfSecondsIsNotObeyedToTheLetter) {
  Two two(1);
  two.of("flexo").lifetimes.reauth = 10s;
  ASSERT_TRUE(two.start());
  ASSERT_TRUE(two.sa("bender").reauth_by.has_value());
  EXPECT_GE(*two.sa("bender").reauth_by, two.sa("bender").established_at + ike::kReauthMin);
}

TEST(Lifetimes, TheResponderRepeatsItIfTheInitiatorDoesNot) {
  Two two(1);
  two.of("flexo").lifetimes.reauth = 6min;
  ASSERT_TRUE(two.start());
  two.sa("bender").reauth_at.reset();
  two.sa("bender").reauth_by.reset();
  Traffic traffic(two.world);
  traffic.run_for(7min, 100ms);
  EXPECT_EQ(two.count("flexo", Counter::kReauthentications), 1u) << two.log();
  EXPECT_EQ(traffic.strays() + traffic.blocked(), 0u) << first_fault(traffic);
  EXPECT_EQ(two.world.fault(), "") << two.log();
}

TEST(Lifetimes, AnAuthenticationThatNobodyRepeatsEnds) {
  Two two(1);
  two.of("flexo").lifetimes.reauth = 6min;
  ASSERT_TRUE(two.start());
  const IkeSpi before = two.sa("flexo").local_spi();
  for (const char* name : {"bender", "flexo"}) two.sa(name).reauth_at.reset();
  two.sa("bender").reauth_by.reset();
  two.world.run_for(6min + 5s);
  EXPECT_NE(two.sa("flexo").local_spi(), before);
  EXPECT_NE(two.log().find("its authentication is too old"), std::string::npos) << two.log();
  EXPECT_TRUE(two.heals(60s)) << "and a new one is made";
}

TEST(Lifetimes, ByBytesAndPacketsWithJitter) {
  std::set<std::uint64_t> bytes, packets;
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    Two two(seed, [](policy::Connection& connection) {
      connection.lifetimes.child_bytes = 10'000'000;
      connection.lifetimes.child_packets = 1'000'000;
      connection.lifetimes.jitter_percent = 20;
    });
    ASSERT_TRUE(two.start());
    for (const char* name : {"bender", "flexo"}) {
      const ike::ChildSaSpec& child = two.world.host(name).twin.inbound.begin()->second;
      EXPECT_GT(*child.soft_bytes, 8'000'000u - 1);
      EXPECT_LE(*child.soft_bytes, 10'000'000u);
      EXPECT_EQ(*child.hard_bytes, 11'000'000u);
      EXPECT_GT(*child.soft_packets, 800'000u - 1);
      EXPECT_LE(*child.soft_packets, 1'000'000u);
      bytes.insert(*child.soft_bytes);
      packets.insert(*child.soft_packets);
    }
  }
  EXPECT_EQ(bytes.size(), 16u);
  EXPECT_EQ(packets.size(), 16u);
}

TEST(Lifetimes, SoftExpiryRekeysWithoutLoss) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.network = {0.1, 0.1, 5ms, 30ms};
    Traffic traffic(two.world);
    for (int i = 0; i < 5; ++i) {
      traffic.run_for(5s, 20ms);
      // Both ends at once, in both directions: the same child four times.
      for (const char* name : {"bender", "flexo"}) two.world.expire(two.world.host(name), 1, false);
    }
    traffic.run_for(20s, 20ms);
    ASSERT_EQ(traffic.strays(), 0u) << first_fault(traffic) << "\n" << two.log();
    ASSERT_EQ(traffic.blocked(), 0u);
    ASSERT_GE(two.count("bender", Counter::kChildRekeyed), 5u);
  }
}

TEST(Lifetimes, WithoutExtendedSequenceNumbersAChildEndsWithItsNumbers) {
  Two two(1, [](policy::Connection& connection) {
    std::vector<policy::EspProposal> proposals = connection.children.front().proposals;
    for (auto& proposal : proposals) proposal.esn = false;
    connection.children.front().proposals = std::move(proposals);
  });
  ASSERT_TRUE(two.start());
  const ike::ChildSaSpec& child = two.world.host("flexo").twin.outbound.begin()->second;
  ASSERT_FALSE(child.suite.esn);
  ASSERT_TRUE(child.soft_packets && child.hard_packets);
  EXPECT_LT(*child.soft_packets, *child.hard_packets);
  EXPECT_LT(*child.hard_packets, std::uint64_t{1} << 32);
}

}  // namespace
}  // namespace espalier::sim
