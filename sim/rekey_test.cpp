// Rekeys and deletes: each end, both at once, across each other, under loss.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/seeds.hpp"
#include "sim/traffic.hpp"
#include "sim/two.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

struct Mesh {
  World world;
  explicit Mesh(std::uint64_t seed, const std::function<void(policy::Connection&)>& change = {})
      : world(seed) {
    world.add_host("bender", "10.0.0.1");
    world.add_host("flexo", "10.0.0.2");
    world.connect("bender", "flexo", change);
    world.configure_all();
    up = world.run_until([&] { return world.all_up(); }, 20s);
  }
  bool up = false;
  std::string log() {
    std::string text = fmt::format("seed {}\n", world.seed());
    for (const char* name : {"bender", "flexo"}) {
      for (const ike::Event& event : world.host(name).events) {
        text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
      }
    }
    return text;
  }
  std::uint64_t count(const char* host, ike::Counter counter) {
    return world.host(host).engine.counter(counter);
  }
};

TEST(Rekey, ChildFromEitherEnd) {
  for (const char* end : {"bender", "flexo"}) {
    Mesh mesh(3);
    ASSERT_TRUE(mesh.up) << mesh.log();
    const Spi before =
        mesh.world.host("bender").engine.snapshot().front().children.front().spec.spi_in;
    mesh.world.command(
        end, ike::Rekey{std::string(end) + (end[0] == 'b' ? "-flexo" : "-bender"), false});
    mesh.world.run_for(10s);
    EXPECT_EQ(mesh.world.fault(), "") << mesh.log();
    EXPECT_NE(mesh.world.host("bender").engine.snapshot().front().children.front().spec.spi_in,
              before);
    EXPECT_EQ(mesh.count("bender", ike::Counter::kChildRekeyed), 1u);
    EXPECT_EQ(mesh.count("flexo", ike::Counter::kChildRekeyed), 1u);
    EXPECT_EQ(mesh.count("bender", ike::Counter::kInitiated) +
                  mesh.count("flexo", ike::Counter::kInitiated),
              1u);
  }
}

TEST(Rekey, IkeFromEitherEndKeepsTheChildren) {
  for (const char* end : {"bender", "flexo"}) {
    Mesh mesh(4);
    ASSERT_TRUE(mesh.up);
    const auto before = mesh.world.host("bender").engine.snapshot().front();
    mesh.world.command(end,
                       ike::Rekey{std::string(end) + (end[0] == 'b' ? "-flexo" : "-bender"), true});
    mesh.world.run_for(10s);
    const auto after = mesh.world.host("bender").engine.snapshot().front();
    EXPECT_EQ(mesh.world.fault(), "") << mesh.log();
    EXPECT_NE(after.ike->spi_local, before.ike->spi_local);
    EXPECT_EQ(after.children.front().spec.spi_in, before.children.front().spec.spi_in);
    EXPECT_EQ(mesh.count("bender", ike::Counter::kIkeRekeyed), 1u) << mesh.log();
  }
}

// A peer that has its new child and says nothing of the old one (libreswan does so): what it sends
// shows that it has our answer.
TEST(Rekey, TheResponderFollowsThePeersTraffic) {
  for (const bool foreign : {false, true}) {
    for (const std::uint64_t seed : seeds(20)) {
      Mesh mesh(seed, [foreign](policy::Connection& connection) {
        connection.foreign = foreign && connection.name == "bender-flexo";
      });
      ASSERT_TRUE(mesh.up) << mesh.log();
      Traffic traffic(mesh.world);
      mesh.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
        return from.name != "flexo" ||
               !is_request(datagram, wire::ike::ExchangeType::kInformational);
      };
      mesh.world.command("flexo", ike::Rekey{"flexo-bender", false});
      traffic.run_for(1s, 10ms);
      const auto child = mesh.world.host("bender").engine.snapshot().front().children.back();
      EXPECT_TRUE(mesh.world.host("bender").twin.outbound.contains(
          {child.spec.spi_out, child.spec.path.remote.ip}))
          << mesh.log();
      EXPECT_EQ(mesh.count("bender", ike::Counter::kFollowedTraffic), 1u) << mesh.log();
      EXPECT_EQ(traffic.strays(), 0u);
      mesh.world.filter = nullptr;
      traffic.run_for(60s, 100ms);
      EXPECT_EQ(mesh.world.fault(), "") << mesh.log();
    }
  }
}

// Each pair of operations started at both ends within the same round trip, on a network that may
// lose, repeat and reorder.
void collide(std::uint64_t seed, const ike::Command& a, const ike::Command& b, double loss) {
  Mesh mesh(seed);
  ASSERT_TRUE(mesh.up) << mesh.log();
  mesh.world.network = {loss, loss / 2, 5ms, 15ms};
  mesh.world.command("bender", a);
  mesh.world.run_for(Duration(std::chrono::microseconds(seed * 977 % 25000)));
  mesh.world.command("flexo", b);
  mesh.world.run_for(60s);
  mesh.world.network = {};
  mesh.world.run_for(90s);
  ASSERT_EQ(mesh.world.fault(), "") << mesh.log();
}

TEST(Collision, ChildRekeyAgainstChildRekey) {
  for (const std::uint64_t seed : seeds(250)) {
    collide(seed, ike::Rekey{"bender-flexo", false}, ike::Rekey{"flexo-bender", false},
            seed % 2 == 0 ? 0.2 : 0.0);
    if (HasFatalFailure()) return;
  }
}

TEST(Collision, IkeRekeyAgainstIkeRekey) {
  for (const std::uint64_t seed : seeds(250)) {
    collide(seed, ike::Rekey{"bender-flexo", true}, ike::Rekey{"flexo-bender", true},
            seed % 2 == 0 ? 0.2 : 0.0);
    if (HasFatalFailure()) return;
  }
}

TEST(Collision, ChildRekeyAgainstIkeRekey) {
  for (const std::uint64_t seed : seeds(250)) {
    collide(seed, ike::Rekey{"bender-flexo", false}, ike::Rekey{"flexo-bender", true},
            seed % 2 == 0 ? 0.2 : 0.0);
    if (HasFatalFailure()) return;
  }
}

TEST(Delete, DownAndUpAgain) {
  Mesh mesh(5);
  ASSERT_TRUE(mesh.up);
  mesh.world.command("bender", ike::Terminate{"bender-flexo"});
  mesh.world.run_for(20s);
  EXPECT_EQ(mesh.world.host("bender").engine.snapshot().front().state, "disabled") << mesh.log();
  EXPECT_NE(mesh.world.host("flexo").engine.snapshot().front().state, "up");
  EXPECT_TRUE(mesh.world.host("bender").twin.inbound.empty());
  EXPECT_TRUE(mesh.world.host("flexo").twin.outbound.empty());
  mesh.world.command("bender", ike::Initiate{"bender-flexo"});
  EXPECT_TRUE(mesh.world.run_until([&] { return mesh.world.all_up(); }, 10s)) << mesh.log();
  mesh.world.run_for(15s);
  EXPECT_EQ(mesh.world.fault(), "") << mesh.log();
}

TEST(Lifetimes, RekeyByThemselvesForAVirtualDay) {
  Mesh mesh(6);
  ASSERT_TRUE(mesh.up);
  mesh.world.run_for(24h);
  EXPECT_EQ(mesh.world.fault(), "") << mesh.log();
  EXPECT_GE(mesh.count("bender", ike::Counter::kChildRekeyed), 23u);
  EXPECT_GE(mesh.count("bender", ike::Counter::kIkeRekeyed), 5u);
  EXPECT_EQ(mesh.count("bender", ike::Counter::kAttemptsFailed), 0u);
}

TEST(Liveness, ADeadPeerIsNoticedAndFoundAgain) {
  Mesh mesh(8);
  ASSERT_TRUE(mesh.up);
  mesh.world.crash("flexo");
  EXPECT_TRUE(mesh.world.run_until(
      [&] { return mesh.world.host("bender").engine.snapshot().front().state != "up"; }, 120s));
  mesh.world.run_for(600s);
  EXPECT_EQ(mesh.world.host("bender").twin.inbound.size(), 0u);
  mesh.world.start("flexo");
  EXPECT_TRUE(mesh.world.run_until([&] { return mesh.world.all_up(); }, 90s)) << mesh.log();
}

TEST(Reload, OtherPairsAreNotTouched) {
  World world(9);
  for (const char* name : {"amy", "bender", "flexo"})
    world.add_host(name, std::string("10.0.0.") + std::to_string(name[0] - 'a' + 1));
  world.connect("amy", "bender");
  world.connect("bender", "flexo");
  world.connect("amy", "flexo");
  world.configure_all();
  ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 20s));
  const auto before = world.host("bender").twin.inbound;
  auto fewer = world.host("bender").connections;
  fewer.erase(fewer.begin());  // amy goes
  world.command("bender", ike::Configure{fewer});
  world.run_for(10s);
  ASSERT_EQ(world.host("bender").twin.inbound.size(), 1u);
  EXPECT_EQ(world.host("bender").twin.inbound.begin()->second.pair, "bender-flexo");
  EXPECT_TRUE(before.contains(world.host("bender").twin.inbound.begin()->first));
  world.command("bender", ike::Configure{world.host("bender").connections});
  EXPECT_TRUE(world.run_until([&] { return world.all_up(); }, 90s));
  EXPECT_TRUE(world.host("bender").twin.inbound.contains(before.begin()->first) ||
              world.host("bender").twin.inbound.contains(std::next(before.begin())->first));
}

}  // namespace
}  // namespace espalier::sim
