// The invariants themselves: what they find, and faults of engines that they found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "sim/repair.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// An IKE SA that is being deleted and whose Delete is not answered for long must not put its
// outbound SA back: the key was used (found by the mesh of twenty under loss).
TEST(Watch, AChildOfADyingIkeSaNeverSendsAgain) {
  Two two(1);
  ASSERT_TRUE(two.start());
  two.world.filter = [](const Host&, const Host&, ByteView) { return false; };
  two.world.command("bender", ike::Terminate{"bender-flexo"});
  for (int second = 0; second < 30; ++second) {
    two.world.run_for(1s);
    EXPECT_TRUE(two.world.host("bender").twin.outbound.empty()) << second;
  }
  EXPECT_EQ(two.world.watch.violation_count(), 0u) << two.world.watch.violations().front();
}

// The peer's rekey made a child, which we delete; the peer's Delete of the one before must not put
// the outbound SA of ours back (found by a random mesh).
TEST(Watch, AChildThatIsBeingDeletedNeverSendsAgain) {
  Two two(7);
  ASSERT_TRUE(two.start());
  Host& bender = two.world.host("bender");
  const auto informational = [](ByteView datagram) {
    return is_request(datagram, wire::ike::ExchangeType::kInformational);
  };
  two.world.filter = [&](const Host&, const Host&, ByteView d) { return !informational(d); };
  const Spi old = bender.twin.inbound.begin()->first;
  two.world.command("flexo", ike::Rekey{"flexo-bender", false});
  two.world.run_for(6s);
  ASSERT_EQ(bender.twin.inbound.size(), 2u);
  for (const auto& [spi, sa] : std::map(bender.twin.inbound)) {
    if (spi == old) continue;
    two.world.complete(bender, ike::HardExpired{ike::Direction::kIn, spi, sa.path.remote.ip});
  }
  two.world.run_for(100ms);
  const std::size_t left = bender.twin.outbound.size();
  two.world.filter = [&](const Host& from, const Host&, ByteView d) {
    return from.name == "flexo" || !informational(d);
  };
  two.world.run_for(5s);
  EXPECT_LT(bender.twin.outbound.size(), left);
  EXPECT_EQ(two.world.watch.violation_count(), 0u) << two.world.watch.violations().front();
}

TEST(Watch, AKeyInstalledTwiceIsFound) {
  Two two(2);
  ASSERT_TRUE(two.start());
  Host& bender = two.world.host("bender");
  const ike::InstallSa again{ike::Direction::kOut, bender.twin.outbound.begin()->second};
  two.world.watch.installed(two.world, bender, again);
  EXPECT_THAT(two.world.fault(), HasSubstr("a child key a second time"));
}

TEST(Watch, AnIvUsedTwiceIsFound) {
  Two two(3);
  ASSERT_TRUE(two.start());
  --two.inside("bender").sas.begin()->second.iv_counter;
  two.world.command("bender", ike::Rekey{"bender-flexo", false});
  two.world.run_for(1s);
  EXPECT_THAT(two.world.fault(), HasSubstr("one key and IV protect two different messages"));
}

TEST(Watch, ANonceUsedTwiceIsFound) {
  Two two(4);
  Host& bender = two.world.host("bender");
  ASSERT_TRUE(two.start());
  two.world.crash("bender");
  bender.rng = crypto::SeededRng(1);
  two.world.start("bender");
  two.world.run_for(5s);
  two.world.crash("bender");
  bender.rng = crypto::SeededRng(1);  // a snapshot restored
  two.world.start("bender");
  two.world.run_for(5s);
  EXPECT_GT(two.world.watch.violation_count(), 0u);
}

// An SA that the engine still believes in while its peer has forgotten it, for longer than a
// liveness check and its repetitions take.
TEST(Watch, AHalflingIsFound) {
  Two two(5, [](policy::Connection& connection) { connection.dpd = 30s; });
  ASSERT_TRUE(two.start());
  two.world.vanish(two.world.host("bender"), 1.0);
  ASSERT_TRUE(two.world.host("bender").twin.inbound.empty());
  two.world.run_for(*halfling_bound(30s) + 5s);
  EXPECT_THAT(two.world.fault(), HasSubstr("is known to one end only"));
}

// ---- what both ends have, compared: each difference is made by hand and found

TEST(Watch, ASecondIkeSaOfAPairIsFound) {
  Two two(10);
  ASSERT_TRUE(two.start());
  ike::Core& core = two.inside("bender");
  ike::v2::IkeSa twin = core.sas.begin()->second;
  (twin.role == ike::v2::Role::kInitiator ? twin.spi_i : twin.spi_r) = IkeSpi(77);
  core.sas.emplace(IkeSpi(77), twin);
  core.pairs.begin()->second.sas.insert(IkeSpi(77));
  EXPECT_THAT(two.world.fault(), HasSubstr("bender-flexo has 2 IKE SAs"));
}

TEST(Watch, IkeSasThatDifferAreFound) {
  const auto changed = [](std::uint64_t seed, auto change) {
    Two two(seed);
    EXPECT_TRUE(two.start());
    change(two.inside("flexo").sas.begin()->second);
    return two.world.fault();
  };
  EXPECT_THAT(changed(11, [](auto& sa) { sa.keys.d = SecretBytes(as_bytes("x")); }),
              HasSubstr("other IKE keys"));
  EXPECT_THAT(changed(12, [](auto& sa) { sa.suite.prf = crypto::PrfId::kHmacSha2_512; }),
              HasSubstr("another IKE suite"));
  EXPECT_THAT(changed(13,
                      [](auto& sa) {
                        (sa.role == ike::v2::Role::kInitiator ? sa.spi_r : sa.spi_i) = IkeSpi(7);
                      }),
              HasSubstr("with other SPIs"));
}

TEST(Watch, ChildrenThatDifferAreFound) {
  const auto changed = [](std::uint64_t seed, auto change) {
    Two two(seed);
    EXPECT_TRUE(two.start());
    Twin& twin = two.world.host("flexo").twin;
    change(twin, twin.inbound.begin()->second);
    return two.world.fault();
  };
  EXPECT_THAT(changed(21, [](auto&, auto& sa) { sa.encr_in = SecretBytes(as_bytes("x")); }),
              HasSubstr("other keys"));
  EXPECT_THAT(changed(22, [](auto&, auto& sa) { sa.local_ts.clear(); }),
              HasSubstr("other selectors"));
  EXPECT_THAT(changed(23, [](auto&, auto& sa) { sa.suite.esn = !sa.suite.esn; }),
              HasSubstr("another suite"));
  EXPECT_THAT(changed(24, [](auto&, auto& sa) { sa.mode = policy::Mode::kTransport; }),
              HasSubstr("another mode"));
  EXPECT_THAT(changed(25, [](auto&, auto& sa) { sa.spi_out = Spi(9); }),
              HasSubstr("another inbound SPI"));
  EXPECT_THAT(changed(26, [](auto& twin, auto&) { twin.inbound.clear(); }),
              HasSubstr("an SA that the peer does not have"));
  EXPECT_THAT(changed(27, [](auto& twin, auto&) { twin.outbound.clear(); }),
              HasSubstr("no outbound SA in its dataplane"));
  EXPECT_THAT(changed(28, [](auto& twin, auto&) { twin.policies.clear(); }),
              HasSubstr("has no policy"));
  EXPECT_THAT(
      changed(29, [](auto& twin, const ike::ChildSaSpec& sa) { twin.inbound.emplace(Spi(9), sa); }),
      HasSubstr("2 inbound and 1 outbound SAs for 1 children"));
}

// ---- bounds

TEST(Watch, MoreChildrenOfOneSelectorThanARekeyNeedsAreFound) {
  Two two(31);
  ASSERT_TRUE(two.start());
  Host& bender = two.world.host("bender");
  ike::InstallSa more{ike::Direction::kOut, bender.twin.outbound.begin()->second};
  for (std::uint32_t i = 1; i <= 2; ++i) {
    bender.twin.newest[more.sa.reqid].push_back(Spi(i));
    more.sa.encr_out = SecretBytes(Bytes{static_cast<std::uint8_t>(i)});
    two.world.watch.installed(two.world, bender, more);
  }
  EXPECT_EQ(two.world.watch.violation_count(), 0u) << two.world.watch.violations().front();
  two.world.run_for(*halfling_bound(two.of("bender").dpd) + 5s);
  EXPECT_THAT(two.world.watch.violations(), Contains(HasSubstr("more than 2 child pairs")));
}

TEST(Watch, MoreThanItsLimitsIsFound) {
  const auto found = [](std::uint64_t seed, auto change) {
    Two two(seed);
    EXPECT_TRUE(two.start());
    Host& bender = two.world.host("bender");
    change(two.inside("bender"));
    ike::InstallSa fresh{ike::Direction::kIn, bender.twin.inbound.begin()->second};
    fresh.sa.encr_in = SecretBytes(as_bytes("fresh"));
    two.world.watch.installed(two.world, bender, fresh);
    return two.world.watch.violations();
  };
  EXPECT_THAT(found(32,
                    [](ike::Core& core) {
                      for (std::uint64_t spi = 1; spi <= ike::kIkeSasPerPairMax; ++spi) {
                        core.pairs.begin()->second.sas.insert(IkeSpi(spi));
                      }
                    }),
              Contains(HasSubstr("9 IKE SAs")));
  EXPECT_THAT(found(33,
                    [](ike::Core& core) {
                      auto& children = core.sas.begin()->second.children;
                      children.resize(200, children.front());
                    }),
              Contains(HasSubstr("200 children")));
  EXPECT_THAT(found(34,
                    [](ike::Core& core) {
                      core.sas.begin()->second.tasks.resize(ike::kQueuedTasksMax + 1);
                    }),
              Contains(HasSubstr("65 tasks wait")));
  EXPECT_THAT(found(35, [](ike::Core&) {}), IsEmpty());
}

TEST(Watch, ATimerWithoutAReasonAndOneThatNeverRestsAreFound) {
  Two two(41);
  ASSERT_TRUE(two.start());
  Watch& watch = two.world.watch;
  Host& bender = two.world.host("bender");
  const Instant now = two.world.now();
  watch.woke(bender, now, "");
  EXPECT_THAT(watch.violations(), ElementsAre(HasSubstr("a timer without a reason")));
  bender.wakeup = now;
  for (int i = 0; i < 10'100; ++i) watch.woke(bender, now, "retransmission");
  EXPECT_THAT(watch.violations(), Contains(HasSubstr("'retransmission' fires for ever")));
}

// ---- dataplanes that fail

TEST(Watch, WhatVanishedFromADataplaneIsMissedAndMadeAgain) {
  Two two(51);
  ASSERT_TRUE(two.start());
  Host& bender = two.world.host("bender");
  EXPECT_TRUE(difference(bender).empty());
  two.world.vanish(bender, 1.0);
  EXPECT_EQ(difference(bender).renew.size(), 2u);
  EXPECT_EQ(repair(two.world, bender), 2u);
  EXPECT_TRUE(two.heals(30s)) << two.log();
  two.world.run_for(10s);
  EXPECT_TRUE(difference(bender).empty());
  EXPECT_EQ(two.world.fault(), "");
}

TEST(Watch, WhatNoEngineKnowsIsTakenOutOfTheDataplane) {
  Two two(52);
  ASSERT_TRUE(two.start());
  Host& bender = two.world.host("bender");
  const ike::ChildSaSpec known = bender.twin.inbound.begin()->second;
  bender.twin.inbound.emplace(Spi(9), known);
  bender.twin.outbound.emplace(std::pair(Spi(8), known.path.remote.ip), known);
  bender.twin.policies.clear();
  EXPECT_NE(two.world.fault(), "");
  EXPECT_EQ(repair(two.world, bender), 3u);
  EXPECT_EQ(two.world.fault(), "");
  EXPECT_TRUE(difference(bender).empty());
}

TEST(Watch, AHostThatStaysAwayLeavesNoHalfling) {
  Two two(6);
  ASSERT_TRUE(two.start());
  two.world.crash("bender");
  two.world.run_for(600s);
  EXPECT_EQ(two.world.watch.violation_count(), 0u);
  EXPECT_TRUE(two.world.host("flexo").twin.inbound.empty());
}

}  // namespace
}  // namespace espalier::sim
