// Starts: one end, both ends at once, with and without loss, and after crashes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <algorithm>

#include "policy/selectors.hpp"
#include "sim/seeds.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

World two_hosts(std::uint64_t seed, bool election) {
  World world(seed);
  ike::Settings settings;
  settings.election = election;
  world.add_host("bender", "10.0.0.1", settings);
  world.add_host("flexo", "10.0.0.2", settings);
  world.connect("bender", "flexo");
  return world;
}

std::string log_of(World& world) {
  std::string text = fmt::format("seed {}\n", world.seed());
  for (const char* name : {"bender", "flexo"}) {
    for (const ike::Event& event : world.host(name).events) {
      text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
    }
  }
  return text;
}

TEST(Start, TwoHostsComeUp) {
  World world = two_hosts(1, true);
  world.configure_all();
  EXPECT_TRUE(world.run_until([&] { return world.all_up(); }, 10s)) << log_of(world);
  EXPECT_EQ(world.fault(), "") << log_of(world);
  EXPECT_LT(seconds(world.now() - Instant()), 1.0);
}

TEST(Start, BothAtOnceEndInOne) {
  for (const std::uint64_t seed : seeds(200)) {
    World world = two_hosts(seed, false);
    world.network.jitter = 20ms;
    world.configure_all();
    ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 30s))
        << world.fault() << "\n"
        << log_of(world);
    world.run_for(15s);
    ASSERT_EQ(world.fault(), "") << log_of(world);
  }
}

// A network without any delay: everything begins and ends in one instant (found by a random mesh).
TEST(Start, BothAtOnceInNoTimeAtAll) {
  for (const std::uint64_t seed : seeds(50)) {
    World world = two_hosts(seed, false);
    world.network.latency = 0ms;
    world.configure_all();
    world.run_for(30s);
    ASSERT_EQ(world.fault(), "") << log_of(world);
  }
}

// Both ends lose a child and make it anew, at once. A foreign peer is refused nothing, so that the
// end whose exchange was answered before the other's request came has to remember it (found by a
// random mesh).
TEST(Start, AChildThatBothEndsMakeAgainAtOnceIsOne) {
  for (const bool foreign : {false, true}) {
    for (const std::uint64_t seed : seeds(60)) {
      World world(seed);
      world.add_host("bender", "10.0.0.1");
      world.add_host("flexo", "10.0.0.2");
      world.connect("bender", "flexo", [&](auto& connection) { connection.foreign = foreign; });
      world.network = {0.2, 0.1, 50ms, 200ms};
      world.configure_all();
      ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 300s));
      world.expire(world.host("flexo"), 1.0, true);
      world.run_for(60s);
      world.network = {};
      world.run_for(60s);
      ASSERT_EQ(world.fault(), "") << foreign << "\n" << log_of(world);
    }
  }
}

TEST(Start, BothAtOnceUnderLossDuplicationAndReordering) {
  for (const std::uint64_t seed : seeds(200)) {
    World world = two_hosts(seed, false);
    world.network = {0.2, 0.1, 5ms, 200ms};
    world.configure_all();
    ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 300s))
        << world.fault() << "\n"
        << log_of(world);
    world.network.loss = 0;
    world.run_for(60s);
    ASSERT_EQ(world.fault(), "") << log_of(world);
  }
}

TEST(Start, ARebootedHostIsBackInSeconds) {
  for (const std::uint64_t seed : seeds(50)) {
    World world = two_hosts(seed, true);
    world.configure_all();
    ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 10s));
    world.run_for(5s);
    const std::string crashed = seed % 2 == 0 ? "bender" : "flexo";
    world.crash(crashed);
    world.run_for(3s);
    world.start(crashed);
    ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 10s))
        << world.fault() << "\n"
        << log_of(world);
    world.run_for(15s);
    ASSERT_EQ(world.fault(), "") << log_of(world);
  }
}

TEST(Start, AWrongKeyIsNamedAndTriedAgain) {
  World world = two_hosts(1, true);
  world.host("flexo").connections.front().psk = SecretBytes(as_bytes("another"));
  world.configure_all();
  world.run_for(20s);
  const auto pair = world.host("flexo").engine.snapshot().front();
  EXPECT_EQ(pair.state, "waiting") << log_of(world);
  EXPECT_TRUE(pair.retry_at.has_value());
  EXPECT_NE(log_of(world).find("the pre-shared keys differ"), std::string::npos) << log_of(world);
}

TEST(Start, APairThatOnlyThePeerStartsSaysWhyItIsNotUp) {
  World world = two_hosts(1, false);
  world.host("bender").connections.front().start = policy::Start::kNone;
  world.host("flexo").connections.front().psk = SecretBytes(as_bytes("another"));
  world.configure_all();
  world.run_for(20s);
  const auto pair = world.host("bender").engine.snapshot().front();
  EXPECT_EQ(pair.state, "down") << log_of(world);
  EXPECT_NE(pair.last_error.find("the pre-shared keys differ"), std::string::npos) << log_of(world);
}

TEST(Start, APeerThatNarrowsIsNamed) {
  const auto network = [](const char* text) {
    return policy::from_prefix(Prefix::parse(text).value());
  };
  World world = two_hosts(1, false);
  auto& ours = world.host("bender").connections.front().children.front();
  ours.local_ts.push_back(network("10.1.0.0/24"));
  world.host("flexo").connections.front().start = policy::Start::kNone;
  world.configure_all();
  EXPECT_TRUE(world.run_until([&] { return world.all_up(); }, 10s)) << log_of(world);
  EXPECT_NE(log_of(world).find("the peer narrowed child SA net to 10.0.0.1/32 === 10.0.0.2/32, of "
                               "10.0.0.1/32 10.1.0.0/24 === 10.0.0.2/32"),
            std::string::npos)
      << log_of(world);
}

TEST(Start, TwentyHostsAtOnceAtTwentyPercentLoss) {
  for (const std::uint64_t seed : seeds(3)) {
    World world(seed);
    ike::Settings settings;
    settings.election = false;
    for (int i = 1; i <= 20; ++i)
      world.add_host(fmt::format("h{:02}", i), fmt::format("10.0.0.{}", i), settings);
    for (int i = 1; i <= 20; ++i) {
      for (int k = i + 1; k <= 20; ++k)
        world.connect(fmt::format("h{:02}", i), fmt::format("h{:02}", k));
    }
    world.network = {0.2, 0.02, 5ms, 50ms};
    world.configure_all();
    ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 300s)) << world.fault();
    world.network.loss = 0;
    world.run_for(60s);
    ASSERT_EQ(world.fault(), "") << "seed " << seed;
  }
}

// A peer with a child for each pair of networks answers our one child with its first; we ask for
// the rest.
TEST(Start, APeerWithAChildForEachPairOfNetworksGetsThemAll) {
  World world = two_hosts(12, true);
  const auto selector = [](const char* text) {
    return policy::from_prefix(Prefix::parse(text).value());
  };
  policy::ChildConfig& whole = world.host("bender").connections.front().children.front();
  whole.local_ts.push_back(selector("10.1.0.0/24"));
  whole.remote_ts.push_back(selector("10.2.0.0/24"));
  policy::Connection& parts = world.host("flexo").connections.front();
  parts.children.push_back(parts.children.front());
  parts.children.back().name = "networks";
  parts.children.back().local_ts = {selector("10.2.0.0/24")};
  parts.children.back().remote_ts = {selector("10.1.0.0/24")};
  parts.start = policy::Start::kNone;
  world.configure_all();
  ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 20s)) << log_of(world);
  world.run_for(20s);
  std::vector<std::string> covered;
  const auto pairs = world.host("bender").engine.snapshot();
  for (const auto& child : pairs.front().children) {
    covered.push_back(policy::to_string(child.spec.local_ts) +
                      " === " + policy::to_string(child.spec.remote_ts));
  }
  std::sort(covered.begin(), covered.end());
  EXPECT_EQ(covered, (std::vector<std::string>{"10.0.0.1/32 === 10.0.0.2/32",
                                               "10.1.0.0/24 === 10.2.0.0/24"}))
      << log_of(world);
  EXPECT_NE(log_of(world).find("stays blocked"), std::string::npos);  // the two mixed ones
}

TEST(Start, AnEngineIsAValue) {
  World world = two_hosts(7, true);
  world.configure_all();
  world.run_for(1s);
  ike::Endpoint& engine = world.host("bender").engine;
  const ike::Endpoint copy = engine;
  EXPECT_TRUE(copy == engine);
  world.command("bender", ike::Rekey{"bender-flexo", false});
  EXPECT_FALSE(copy == engine);
}

}  // namespace
}  // namespace espalier::sim
