// Whole meshes from inventories, under faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/mesh_run.hpp"
#include "sim/seeds.hpp"

namespace espalier::sim {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

config::Inventory inventory(const std::string& text) {
  auto loaded = config::load_inventory(text, "mesh.yaml");
  EXPECT_TRUE(loaded.ok()) << (loaded.diagnostics.empty()
                                   ? ""
                                   : config::to_string(loaded.diagnostics.front()));
  return *loaded.inventory;
}

config::Inventory mesh_of(int hosts, const std::string& more = "") {
  std::string text = "mesh: prod\n" + more + "hosts:\n";
  for (int i = 1; i <= hosts; ++i) {
    text += fmt::format("  h{:03}: 10.0.{}.{}\n", i, i / 200, i % 200 + 1);
  }
  return inventory(text);
}

std::string text(const RunOutcome& outcome) {
  std::string out = fmt::format("seed {}: {} broken, {} violations\n", outcome.seed,
                                outcome.broken_pairs, outcome.violation_count);
  for (const auto& one : outcome.violations) out += one + "\n";
  for (const auto& pair : outcome.down) out += pair.a + "-" + pair.b + ": " + pair.broken + "\n";
  return out;
}

RunOutcome run(const config::Inventory& mesh, const Options& options, std::uint64_t seed) {
  auto outcome = run_mesh(mesh, options, seed, {});
  EXPECT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_TRUE(outcome->good()) << text(*outcome);
  return *outcome;
}

// The figure of the project: twenty hosts in the same millisecond, a fifth of everything lost, both
// ends initiating every pair. `espalier simulate --loss 20 --seeds 10000` is the long form.
TEST(MeshRun, TwentyHostsInTheSameMillisecondAtTwentyPercentLoss) {
  const config::Inventory mesh = mesh_of(20);
  Options options;
  options.network.loss = 0.2;
  for (const std::uint64_t seed : seeds(200)) {
    const RunOutcome outcome = run(mesh, options, seed);
    ASSERT_EQ(outcome.pairs, 190u);
    ASSERT_TRUE(outcome.whole.has_value());
    // What came up stays up: no duplicate is deleted before the other stands at both ends.
    EXPECT_TRUE(outcome.down.empty()) << text(outcome);
    if (HasFailure()) return;
  }
}

TEST(MeshRun, EveryFaultAtOnce) {
  const config::Inventory mesh = mesh_of(8);
  Options options;
  options.network = {0.1, 0.05, 5ms, 30ms, 0.02};
  options.reboots = {{"h001", 10s}, {"h002", 12s}, {"h001", 40s}};
  options.netsplits = {{"h003", "h004", 5s, 100s, false}, {"h005", "h006", 15s, 90s, true}};
  options.kills = {{10, 60s}};
  options.rebinds = {{"h007", 20s}, {"h007", 50s}};
  options.moves = {{"h006", 25s}, {"h006", 55s}};
  options.expires = {{"h008", 100, 30s, true}, {"h006", 50, 70s, false}};
  options.drift_ppm = 200;
  for (const std::uint64_t seed : seeds(30)) {
    const RunOutcome outcome = run(mesh, options, seed);
    ASSERT_EQ(outcome.killed.size(), 1u);
    ASSERT_EQ(outcome.pairs, 21u);
    if (HasFailure()) return;
  }
}

TEST(MeshRun, ADataplaneThatRefusesSasAndIsFull) {
  const config::Inventory mesh = mesh_of(5);
  Options options;
  options.refuse = 0.1;
  for (const std::uint64_t seed : seeds(20)) run(mesh, options, seed);
  options.refuse = 0;
  options.sad_limit = 4;  // of 8 that a host needs
  options.run_for = 30s;
  for (const std::uint64_t seed : seeds(5)) run(mesh, options, seed);
}

TEST(MeshRun, RekeysForHoursUnderLoss) {
  const config::Inventory mesh =
      mesh_of(4, "defaults: {lifetimes: {ike: 20m, child: 5m}, dpd: 30s}\n");
  Options options;
  options.network.loss = 0.1;
  options.run_for = 2h;
  for (const std::uint64_t seed : seeds(4)) {
    const RunOutcome outcome = run(mesh, options, seed);
    EXPECT_GE(outcome.child_sas, 6u * 20);
    EXPECT_GE(outcome.ike_sas, 6u * 5);
  }
}

// Three times the jitter is taken off the time until authentication is repeated: of a large one
// nothing was left, and it was repeated for ever (found by a random mesh).
TEST(MeshRun, RepeatedAuthenticationWithMuchJitterIsNoStorm) {
  const config::Inventory mesh =
      mesh_of(3, "defaults: {lifetimes: {reauth: 100s, jitter: 50%}, dpd: 20s}\n");
  Options options;
  options.network.loss = 0.1;
  options.run_for = 1000s;
  for (const std::uint64_t seed : seeds(10)) {
    const RunOutcome outcome = run(mesh, options, seed);
    EXPECT_GE(outcome.ike_sas, 3u * 9);
    EXPECT_LE(outcome.ike_sas, 3u * 30);
  }
}

TEST(MeshRun, WhatAnInventoryMayHave) {
  const config::Inventory mesh = inventory(
      "mesh: prod\n"
      "hosts:\n"
      "  bender: {address: [192.0.2.11, \"2001:db8::11\"], subnets: [10.1.0.0/16]}\n"
      "  flexo: {address: [\"2001:db8::12\", 192.0.2.12], start: none}\n"
      "  amy: 192.0.2.13\n"
      "  leela: {address: [192.0.2.14, \"2001:db8::14\"], auth: cert, start: none}\n"
      "foreign:\n"
      "  attic: {address: 198.51.100.7, id: attic.example.net, secret: \"file:attic\"}\n"
      "  cellar: {nat: true, id: cellar.example.net, secret: \"file:cellar\", "
      "subnets: [10.9.0.0/24]}\n");
  const RunOutcome outcome = run(mesh, {}, 1);
  EXPECT_EQ(outcome.hosts, 6u);
  EXPECT_THAT(outcome.notes, Contains(HasSubstr("2 foreign peers are simulated")));
  EXPECT_THAT(outcome.notes, Contains(HasSubstr("auth: cert")));
  EXPECT_THAT(outcome.notes, Contains(HasSubstr("1 pair that neither end starts")));
}

TEST(MeshRun, ElectionSavesMessages) {
  const config::Inventory mesh = mesh_of(10);
  Options storm, production;
  production.election = true;
  const RunOutcome a = run(mesh, storm, 3), b = run(mesh, production, 3);
  EXPECT_LT(b.messages, a.messages);
  EXPECT_EQ(b.ike_sas, 45u);
}

// The same seed gives the same run, whatever ran before; simulated and real cryptography agree in
// what matters.
TEST(MeshRun, FollowsFromTheSeed) {
  const config::Inventory mesh = mesh_of(6);
  Options options;
  options.network.loss = 0.3;
  const RunOutcome one = run(mesh, options, 5), other = run(mesh, options, 6);
  const RunOutcome again = run(mesh, options, 5);
  EXPECT_EQ(one.messages, again.messages);
  EXPECT_EQ(one.whole, again.whole);
  EXPECT_NE(one.whole, other.whole);
  options.crypto = Crypto::kReal;
  EXPECT_TRUE(run(mesh, options, 5).real_crypto);
}

TEST(MeshRun, ALongSplitIsOverInTheEnd) {
  const config::Inventory mesh = mesh_of(2);
  Options options;
  options.netsplits = {{"h001", "h002", 0s, 20min, false}};
  const RunOutcome outcome = run(mesh, options, 1);
  EXPECT_GE(*outcome.whole, 1200.0);
  EXPECT_LE(*outcome.whole, 1300.0);
}

// Hosts from which nobody can come up: named, with the reason, and the run fails.
TEST(MeshRun, ABrokenPairIsFound) {
  const config::Inventory mesh = mesh_of(3);
  Options options;
  options.network.latency = 60s;  // longer than any exchange is repeated
  const auto outcome = run_mesh(mesh, options, 1, {});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->broken_pairs, 3u);
  EXPECT_FALSE(outcome->good());
  ASSERT_EQ(outcome->down.size(), 3u);
  EXPECT_THAT(outcome->down.front().broken, HasSubstr("did not answer"));
}

}  // namespace
}  // namespace espalier::sim
