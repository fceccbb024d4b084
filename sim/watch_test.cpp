// The invariants themselves: what they find, and faults of engines that they found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ::testing::HasSubstr;

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
