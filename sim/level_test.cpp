// `protect` and `except` change on a live pair: its SAs stay, and its policies say the new level.
#include <gtest/gtest.h>

#include "ike/core/wanted.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using policy::Protect;

std::set<Spi> spis_of(const Twin& twin) {
  std::set<Spi> spis;
  for (const auto& [spi, sa] : twin.inbound) spis.insert(spi);
  return spis;
}

bool all_optional(const Twin& twin, bool wanted) {
  for (const auto& [reqid, policy] : twin.policies) {
    if (policy.optional != wanted) return false;
  }
  return !twin.policies.empty();
}

void set_level(Two& two, const char* name, Protect level) {
  two.of(name).protect = level;
  two.world.command(name, ike::Configure{two.world.host(name).connections});
}

TEST(Level, ChangesOnALivePairAndNoSaIsTouched) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed);
    two.world.network = {0.2, 0.2, 5ms, 50ms};
    ASSERT_TRUE(two.start());
    two.world.run_for(20s);
    for (const Protect level : {Protect::kUse, Protect::kRequire, Protect::kUse}) {
      for (const char* name : {"bender", "flexo"}) {
        const auto before = spis_of(two.world.host(name).twin);
        set_level(two, name, level);
        ASSERT_TRUE(all_optional(two.world.host(name).twin, level == Protect::kUse)) << two.log();
        ASSERT_EQ(spis_of(two.world.host(name).twin), before) << two.log();
      }
      two.world.run_for(1s);
    }
    two.world.network = {};
    // What is made later has the level too, and the next rekey takes nothing away.
    two.world.run_for(2h);
    for (const char* name : {"bender", "flexo"}) {
      ASSERT_TRUE(all_optional(two.world.host(name).twin, true)) << two.log();
    }
    ASSERT_TRUE(two.heals(60s)) << two.log();
  }
}

TEST(Level, AnExceptionIsNoReasonToNegotiate) {
  Two two(3);
  ASSERT_TRUE(two.start());
  const auto before = spis_of(two.world.host("bender").twin);
  two.of("bender").except = {policy::Service{policy::kProtocolIcmp}};
  two.world.command("bender", ike::Configure{two.world.host("bender").connections});
  two.world.run_for(10s);
  EXPECT_EQ(spis_of(two.world.host("bender").twin), before);
  EXPECT_EQ(two.sa("bender").connection->except.size(), 1u);
  // What makes another SA does need a negotiation.
  two.of("bender").children.front().replay_window = 64;
  two.world.command("bender", ike::Configure{two.world.host("bender").connections});
  two.world.run_for(60s);
  ASSERT_TRUE(two.heals(60s));
  EXPECT_NE(spis_of(two.world.host("bender").twin), before);
}

// While an attempt is under way.
TEST(Level, ChangesDuringTheHandshake) {
  for (const std::uint64_t seed : seeds(60)) {
    Two two(seed);
    two.world.network = {0.2, 0.2, 5ms, 200ms};
    two.world.configure_all();
    two.world.run_for(Duration(seed * 17ms));
    set_level(two, seed % 2 == 0 ? "bender" : "flexo", Protect::kUse);
    set_level(two, seed % 2 == 0 ? "flexo" : "bender", Protect::kUse);
    ASSERT_TRUE(two.heals(120s)) << two.log();
    for (const char* name : {"bender", "flexo"}) {
      ASSERT_TRUE(all_optional(two.world.host(name).twin, true)) << two.log();
    }
  }
}

// The peer has gone and does not answer the Delete: what is under `use` passes meanwhile.
TEST(Level, UnderUseNothingWaitsForADelete) {
  for (const Protect level : {Protect::kUse, Protect::kRequire}) {
    Two two(1);
    ASSERT_TRUE(two.start()) << two.log();
    set_level(two, "bender", level);
    two.world.crash(two.world.host("flexo"));
    two.world.command("bender", ike::Terminate{"bender-flexo"});
    const Host& bender = two.world.host("bender");
    EXPECT_EQ(bender.twin.policies.empty(), level == Protect::kUse) << two.log();
    EXPECT_EQ(ike::wanted(bender.engine.core()).policies.empty(), level == Protect::kUse);
    EXPECT_FALSE(bender.twin.inbound.empty()) << "what is on its way is taken";
    two.world.run_for(60s);
    EXPECT_TRUE(bender.twin.policies.empty()) << two.log();
  }
}

}  // namespace
}  // namespace espalier::sim
