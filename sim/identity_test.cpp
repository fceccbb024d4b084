// Identities of each kind, and wildcards, at both ends of a pair.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/identity.hpp"
#include "sim/seeds.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

policy::Identity id(const char* text) { return policy::parse_identity_pattern(text).value(); }

std::string log_of(World& world, std::initializer_list<const char*> names) {
  std::string text = fmt::format("seed {}\n", world.seed());
  for (const char* name : names) {
    for (const ike::Event& event : world.host(name).events) {
      text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
    }
  }
  return text;
}

// bender calls itself `bender`; flexo knows it as `known`. flexo is "flexo" to both.
World two_hosts(std::uint64_t seed, const char* bender, const char* known, bool bender_starts) {
  World world(seed);
  ike::Settings settings;
  settings.election = false;
  world.add_host("bender", "10.0.0.1", settings);
  world.add_host("flexo", "10.0.0.2", settings);
  world.connect("bender", "flexo");
  world.host("bender").connections.front().local_id = id(bender);
  world.host("flexo").connections.front().remote_id = id(known);
  world.host(bender_starts ? "flexo" : "bender").connections.front().start = policy::Start::kNone;
  return world;
}

struct Case {
  const char* says;
  const char* known;
};

TEST(Identities, OfEachKindAreFoundInBothRoles) {
  constexpr Case kCases[] = {
      {"gw.example.net", "GW.example.NET"},
      {"amy@Example.net", "amy@example.net"},
      {"192.0.2.7", "192.0.2.7"},
      {"2001:db8::7", "ipv6:2001:db8::7"},
      {"@#00ff2a", "keyid:#00ff2a"},
      {"CN=gw.example.net, O=Example, C=DE", "CN=GW.example.net,O=example, C=DE"},
      {"gw.example.net", "*.example.net"},
      {"a.b.example.net", "*.net"},
      {"amy@example.net", "*@example.net"},
      {"CN=gw, O=Example", "CN=*, O=Example"},
      {"@#01", "%any"},
  };
  for (const Case& one : kCases) {
    for (const bool bender_starts : {true, false}) {
      for (const std::uint64_t seed : seeds(4)) {
        World world = two_hosts(seed, one.says, one.known, bender_starts);
        world.network = {0.2, 0.1, 5ms, 100ms};
        world.configure_all();
        ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 300s))
            << one.says << " known as " << one.known << "\n"
            << world.fault() << "\n"
            << log_of(world, {"bender", "flexo"});
        const auto pair = world.host("flexo").engine.snapshot().front();
        EXPECT_TRUE(policy::same_identity(pair.peer_id, id(one.says)));
      }
    }
  }
}

TEST(Identities, AnotherIsRefusedByName) {
  constexpr Case kCases[] = {
      {"gw.example.net", "*.example.org"},
      {"amy@example.net", "*.example.net"},
      {"CN=gw, O=Other", "CN=*, O=Example"},
      {"CN=gw, O=Example, C=DE", "CN=*, O=Example"},
      {"@#01", "@#02"},
      {"192.0.2.7", "192.0.2.8"},
  };
  for (const Case& one : kCases) {
    for (const bool bender_starts : {true, false}) {
      World world = two_hosts(1, one.says, one.known, bender_starts);
      world.configure_all();
      world.run_for(10s);
      EXPECT_FALSE(world.all_up()) << one.says << " known as " << one.known;
      const std::string log = log_of(world, {"flexo", "bender"});
      EXPECT_NE(log.find(policy::to_string(id(one.says))), std::string::npos) << log;
    }
  }
}

TEST(Identities, AWildcardIsNobodysIdentity) {
  World world = two_hosts(1, "*.example.net", "%any", true);
  world.configure_all();
  world.run_for(5s);
  EXPECT_FALSE(world.all_up());
  const std::string log = log_of(world, {"flexo"});
  EXPECT_NE(log.find("a wildcard is nobody's identity"), std::string::npos) << log;
}

// hub has several entries that cover the same peer: the most specific one gets it.
TEST(Identities, TheMostSpecificPatternIsTaken) {
  const char* const order[] = {"a.b.net", "*.b.net", "*.net", "%any"};
  for (std::size_t skip = 0; skip < std::size(order); ++skip) {
    World world(skip + 1);
    world.add_host("hub", "10.0.0.1");
    world.add_host("peer", "10.0.0.2");
    world.connect("hub", "peer");
    world.host("peer").connections.front().local_id = id("a.b.net");
    const policy::Connection made = world.host("hub").connections.front();
    world.host("hub").connections.clear();
    for (std::size_t i = std::size(order); i-- > skip;) {
      policy::Connection one = made;
      one.name = fmt::format("hub-{}", i);
      one.remote_id = id(order[i]);
      one.start = policy::Start::kNone;
      world.host("hub").connections.push_back(one);
    }
    world.configure_all();
    world.run_for(5s);
    for (const ike::PairSnapshot& pair : world.host("hub").engine.snapshot()) {
      EXPECT_EQ(pair.state == "up", pair.name == fmt::format("hub-{}", skip))
          << pair.name << " " << log_of(world, {"hub", "peer"});
    }
  }
}

// A pair is one peer: while one holds it another that the wildcard covers too is told no, and gets
// in when the first has gone. The same peer after a reboot is no other.
TEST(Identities, AWildcardLetsOnePeerInAtATime) {
  for (const std::uint64_t seed : seeds(20)) {
    World world(seed);
    world.add_host("hub", "10.0.0.1");
    world.add_host("one", "10.0.0.2");
    world.add_host("two", "10.0.0.3");
    world.connect("hub", "one");
    world.connect("two", "hub",
                  [](policy::Connection& c) { c.psk = SecretBytes(as_bytes("of hub and one")); });
    Host& hub = world.host("hub");
    hub.connections.resize(1);
    hub.connections.front().remote_id = id("*.example.net");
    hub.connections.front().remote_addresses.clear();
    hub.connections.front().start = policy::Start::kNone;
    hub.connections.front().dpd = 5s;
    world.host("one").connections.front().local_id = id("one.example.net");
    auto& two = world.host("two").connections.front();
    two.local_id = id("two.example.net");
    two.children.front().local_ts = world.host("one").connections.front().children.front().local_ts;
    world.network = {0.1, 0.1, 5ms, 50ms};
    world.start("hub");
    world.start("one");
    const auto holder = [&] {
      const auto pair = hub.engine.snapshot().front();
      return pair.state == "up" ? policy::to_string(pair.peer_id) : std::string();
    };
    ASSERT_TRUE(world.run_until([&] { return holder() == "one.example.net"; }, 60s))
        << log_of(world, {"hub", "one"});
    world.start("two");
    world.run_for(20s);
    ASSERT_EQ(holder(), "one.example.net");
    ASSERT_NE(log_of(world, {"hub"})
                  .find("'two.example.net' matches the wildcard '*.example.net', "
                        "but 'one.example.net' holds this pair"),
              std::string::npos);
    world.crash("one");
    world.run_for(1s);
    world.start("one");
    world.run_for(1s);
    world.crash("one");
    ASSERT_TRUE(world.run_until([&] { return holder() == "two.example.net"; }, 300s))
        << log_of(world, {"hub", "two"});
  }
}

}  // namespace
}  // namespace espalier::sim
