// Meshes and faults that nobody thought of: every pair is whole in the end, every invariant held.
#include "sim/scenario.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/mesh_run.hpp"
#include "sim/seeds.hpp"

namespace espalier::sim {
namespace {

constexpr config::Features kAll{true, true};

std::string told(const Scenario& scenario, const RunOutcome& outcome) {
  std::string out = fmt::format("{}espalier simulate FILE --seed {}{}\n", scenario.inventory,
                                scenario.seed, arguments(scenario.options));
  for (const auto& one : outcome.violations) out += one + "\n";
  for (const auto& pair : outcome.down) {
    if (!pair.broken.empty()) out += pair.a + "-" + pair.b + ": " + pair.broken + "\n";
  }
  return out;
}

TEST(Scenario, EveryRandomMeshIsWholeInTheEnd) {
  int bad = 0;
  for (const std::uint64_t seed : seeds(60)) {
    const Scenario scenario = random_scenario(seed);
    const auto loaded = config::load_inventory(scenario.inventory, "mesh.yaml", kAll);
    ASSERT_TRUE(loaded.ok()) << scenario.inventory
                             << (loaded.diagnostics.empty()
                                     ? ""
                                     : config::to_string(loaded.diagnostics.front()));
    const auto outcome = run_mesh(*loaded.inventory, scenario.options, seed, {});
    ASSERT_TRUE(outcome.ok()) << scenario.inventory << outcome.error().message;
    EXPECT_TRUE(outcome->good()) << told(scenario, *outcome);
    if (!outcome->good() && ++bad == 20) return;
  }
}

TEST(Scenario, FollowsFromTheSeedAndVaries) {
  EXPECT_EQ(random_scenario(7).inventory, random_scenario(7).inventory);
  EXPECT_EQ(arguments(random_scenario(7).options), arguments(random_scenario(7).options));
  EXPECT_NE(random_scenario(7).inventory, random_scenario(8).inventory);
}

}  // namespace
}  // namespace espalier::sim
