// Transport mode through NAT, the whole picture of RFC 7296 section 2.23.1: a client behind a
// translator (IP1 seen as IPN1), a server behind another (IP2 reached as IPN2).
#include <gtest/gtest.h>

#include "policy/selectors.hpp"
#include "sim/seeds.hpp"
#include "sim/traffic.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using policy::Mode;

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }
policy::SelectorList hosts(const char* prefix) {
  return {policy::from_prefix(Prefix::parse(prefix).value())};
}

struct Translated : Two {
  explicit Translated(std::uint64_t seed, bool force_encap, bool server_too)
      : Two(seed, {}, settings(force_encap)), far(server_too ? "198.51.100.2" : "10.0.0.2") {
    world.put_behind_nat(world.host("bender"), address("203.0.113.1"));
    if (server_too) world.put_behind_nat(world.host("flexo"), address("198.51.100.2"));
    policy::Connection& client = of("bender");
    client.remote_addresses = {address(far)};
    client.children.front().mode = Mode::kTransport;
    client.children.front().remote_ts = hosts((std::string(far) + "/32").c_str());
    policy::Connection& server = of("flexo");
    server.start = policy::Start::kNone;
    server.remote_addresses.clear();
    server.children.front().mode = Mode::kTransport;
    server.children.front().remote_ts = hosts("0.0.0.0/0");
  }
  static ike::Settings settings(bool force_encap) {
    ike::Settings settings;
    settings.force_encap = force_encap;
    return settings;
  }
  const char* far;

  void check() {
    ASSERT_EQ(world.fault(), "") << log();
    const ike::ChildSaSpec client = pair("bender").children.front().spec;
    const ike::ChildSaSpec server = pair("flexo").children.front().spec;
    EXPECT_EQ(client.mode, Mode::kTransport);
    EXPECT_TRUE(client.udp_encap);
    EXPECT_EQ(client.local_ts, hosts("10.0.0.1/32"));
    EXPECT_EQ(client.remote_ts, hosts((std::string(far) + "/32").c_str()));
    EXPECT_EQ(server.local_ts, hosts("10.0.0.2/32"));
    EXPECT_EQ(server.remote_ts, hosts("203.0.113.1/32"));
    // What the checksums of the other end are made with.
    ASSERT_TRUE(client.nat_original && server.nat_original);
    EXPECT_EQ(*client.nat_original,
              (ike::NatOriginal{address("203.0.113.1"), address("10.0.0.2")}));
    EXPECT_EQ(*server.nat_original, (ike::NatOriginal{address(far), address("10.0.0.1")}));
  }
};

TEST(TransportNat, BothRolesRekeyAndAgreeOnWhatEachSees) {
  for (const std::uint64_t seed : seeds(60)) {
    Translated two(seed, seed % 2 == 0, seed % 3 != 0);
    two.world.network = {seed % 4 == 0 ? 0.2 : 0.0, 0.05, 5ms, 30ms};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(120s)) << two.log();
    two.check();
    Traffic traffic(two.world);
    for (const char* who : {"flexo", "bender", "flexo"}) {
      const std::string other = std::string(who) == "flexo" ? "bender" : "flexo";
      two.world.command(who, ike::Rekey{std::string(who) + "-" + other, false});
      traffic.run_for(20s, 50ms);
      two.world.command(who, ike::Rekey{std::string(who) + "-" + other, true});
      traffic.run_for(20s, 50ms);
    }
    two.world.network = {};
    ASSERT_TRUE(two.heals(60s)) << two.log();
    two.check();
    EXPECT_EQ(traffic.strays(), 0u) << two.log();
    EXPECT_EQ(traffic.blocked(), 0u) << two.log();
    if (HasFailure()) return;
  }
}

// Without a NAT nobody may ask for an address that it does not have.
TEST(TransportNat, AnotherAddressThanThatOfTheIkeSaIsRefused) {
  ike::Settings settings;
  settings.force_encap = false;
  Two two(1, {}, settings);
  two.of("flexo").start = policy::Start::kNone;
  two.of("flexo").children.front().mode = Mode::kTransport;
  two.of("flexo").children.front().remote_ts = hosts("0.0.0.0/0");
  two.of("bender").children.front().mode = Mode::kTransport;
  two.of("bender").children.front().local_ts = hosts("192.0.2.99/32");
  EXPECT_FALSE(two.start());
  EXPECT_NE(two.log().find("192.0.2.99/32 is not 10.0.0.1"), std::string::npos) << two.log();
  EXPECT_NE(two.log().find("TS_UNACCEPTABLE"), std::string::npos);
}

}  // namespace
}  // namespace espalier::sim
