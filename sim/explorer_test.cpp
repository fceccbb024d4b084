// The explorer's bounded part: every collision with one fault anywhere. ./run explore runs two, and
// so does this with ESPALIER_SIM_SEEDS (./run test --long).
#include "sim/explorer.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace espalier::sim {
namespace {

bool is_long() {
  const char* factor = std::getenv("ESPALIER_SIM_SEEDS");
  return factor != nullptr && std::strtoul(factor, nullptr, 10) > 1;
}

const Scenario& scenario(std::string_view name) {
  static const std::vector<Scenario> all = all_scenarios();
  for (const Scenario& each : all) {
    if (each.name == name) return each;
  }
  ADD_FAILURE() << "no scenario '" << name << "'";
  return all.front();
}

TEST(Explorer, EveryCollisionIsWholeAgainWhateverTheNetworkDoes) {
  Budget budget;
  budget.faults = is_long() ? 2 : 1;
  budget.crashes = is_long();
  std::size_t states = 0;
  for (const Scenario& each : all_scenarios()) {
    const Report report = explore(each, budget);
    EXPECT_EQ(report.violation, "") << each.name << "\nsteps: " << report.path << "\n"
                                    << report.story;
    EXPECT_TRUE(report.exhaustive) << each.name;
    EXPECT_GT(report.quiet, 0u) << each.name;
    states += report.states;
  }
  // Fewer would mean that it looks at less than it did: 27 scenarios.
  EXPECT_GT(states, 50000u);
  RecordProperty("states", std::to_string(states));
}

TEST(Explorer, CrashesAreAmongTheFaults) {
  Budget budget;
  budget.faults = 1;
  for (const char* name : {"start", "child rekey against child rekey", "IKE rekey by bender"}) {
    const Report report = explore(scenario(name), budget);
    EXPECT_EQ(report.violation, "") << name << "\nsteps: " << report.path << "\n" << report.story;
    Budget calm = budget;
    calm.crashes = false;
    EXPECT_GT(report.states, explore(scenario(name), calm).states) << name;
  }
}

// What decides how two engines go on is in the fingerprint: of states that look alike, the ways on
// look alike too.
TEST(Explorer, StatesThatLookAlikeGoOnAlike) {
  Budget budget;
  budget.faults = 1;
  budget.crashes = false;
  budget.check_merges = 3;
  for (const char* name : {"start", "child rekey against IKE rekey", "IKE rekey against IKE rekey",
                           "child delete against child delete"}) {
    const Report report = explore(scenario(name), budget);
    EXPECT_EQ(report.violation, "") << name << "\nsteps: " << report.path;
  }
}

TEST(Explorer, IsDeterministicAndReplays) {
  Budget budget;
  budget.faults = 1;
  const Scenario& two = scenario("child rekey against child rekey");
  const Report first = explore(two, budget), second = explore(two, budget);
  EXPECT_EQ(first.states, second.states);
  EXPECT_EQ(first.transitions, second.transitions);
  EXPECT_EQ(first.slowest, second.slowest);
  const auto story = replay(two, budget, "a0 s0 t0");
  ASSERT_TRUE(story) << story.error().message;
  EXPECT_NE(story->find("goes astray"), std::string::npos) << *story;
  EXPECT_NE(story->find("timer: retransmission"), std::string::npos) << *story;
  EXPECT_FALSE(replay(two, budget, "a0 a0")) << "there is one thing to do, not two";
}

// The nonces decide a collision, and both outcomes are explored.
TEST(Explorer, NoncesFallBothWays) {
  Budget budget;
  budget.faults = 0;
  const std::string path = "a0 a1 d0 d0 d0 d0";
  const auto rise = replay(scenario("child rekey against child rekey"), budget, path);
  const auto fall = replay(scenario("child rekey against child rekey, nonces fall"), budget, path);
  ASSERT_TRUE(rise && fall);
  EXPECT_NE(*rise, *fall);
}

}  // namespace
}  // namespace espalier::sim
