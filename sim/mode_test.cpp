// Transport mode beside tunnel mode: the child that is meant, the mode that was asked for.
#include <gtest/gtest.h>

#include "policy/selectors.hpp"
#include "sim/mesh_run.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using policy::Mode;

constexpr const char* kMesh = R"(
mesh: prod
defaults:
  mode: transport
  except: [ssh, icmp]
hosts:
  bender: 192.0.2.11
  flexo:  {address: [192.0.2.12, "2001:db8::12"]}
  amy:    {address: 192.0.2.13, subnets: [10.3.0.0/16]}
  hermes: {address: 192.0.2.14, subnets: [10.4.0.0/16, 10.5.0.0/16]}
)";

config::Features all() { return {true, true}; }

TEST(Mode, HostsInTransportModeTheirNetworksInTunnelMode) {
  const auto loaded = config::load_inventory(kMesh, "mesh.yaml", all());
  ASSERT_TRUE(loaded.ok());
  Options options;
  options.network = {0.2, 0.05, 5ms, 30ms, 0.02};
  options.reboots = {{"amy", 20s}};
  for (const std::uint64_t seed : seeds(60)) {
    const auto outcome = run_mesh(*loaded.inventory, options, seed, {});
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    EXPECT_EQ(outcome->pairs, 6u);
    ASSERT_TRUE(outcome->good()) << "seed " << seed << ": "
                                 << (outcome->violations.empty() ? "" : outcome->violations[0]);
  }
}

// Two children: "host" in transport mode between the addresses, "net" in tunnel mode for all.
void host_and_net(policy::Connection& connection) {
  policy::ChildConfig net = connection.children.front();
  connection.children.front().name = "host";
  connection.children.front().mode = Mode::kTransport;
  net.name = "net";
  // The same on both ends: whichever end it is, both networks are in both lists.
  for (auto* list : {&net.local_ts, &net.remote_ts}) {
    list->push_back(policy::from_prefix(Prefix::parse("10.3.0.0/16").value()));
  }
  connection.children.push_back(std::move(net));
}

TEST(Mode, EachRequestGetsTheChildThatIsMeantAndRekeysStay) {
  for (const std::uint64_t seed : seeds(60)) {
    Two two(seed, host_and_net);
    two.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.05, 5ms, 30ms};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(120s)) << two.log();
    for (int i = 0; i < 3; ++i) {
      two.world.command("bender", ike::Rekey{"bender-flexo", false});
      two.world.command("flexo", ike::Rekey{"flexo-bender", i == 2});
      two.world.run_for(10s);
    }
    two.world.network = {};
    ASSERT_TRUE(two.heals(60s)) << two.log();
    for (const char* name : {"bender", "flexo"}) {
      for (const auto& child : two.pair(name).children) {
        const bool host = child.spec.child == "host";
        EXPECT_EQ(child.spec.mode, host ? Mode::kTransport : Mode::kTunnel);
        EXPECT_EQ(child.spec.local_ts.size(), host ? 1u : 2u);
      }
    }
  }
}

TEST(Mode, ADifferenceIsRefusedByNameAtBothEnds) {
  for (const char* initiator : {"bender", "flexo"}) {
    for (const Mode mode : {Mode::kTransport, Mode::kTunnel}) {
      const std::string responder = std::string(initiator) == "bender" ? "flexo" : "bender";
      Two two(4);
      two.of(responder).start = policy::Start::kNone;
      two.of(initiator).children.front().mode = mode;
      two.of(responder).children.front().mode =
          mode == Mode::kTunnel ? Mode::kTransport : Mode::kTunnel;
      EXPECT_FALSE(two.start());
      EXPECT_NE(two.pair(initiator).last_error.find("NO_PROPOSAL_CHOSEN"), std::string::npos);
      EXPECT_NE(two.log().find("set the same 'mode' on both sides"), std::string::npos)
          << two.log();
      EXPECT_TRUE(two.world.host(initiator).twin.inbound.empty());
      EXPECT_TRUE(two.world.host(responder).twin.inbound.empty());
    }
  }
}

// RFC 7296 section 1.3.1: a responder that declines makes the SA in tunnel mode; an initiator that
// does not want that deletes it.
TEST(Mode, WhatAForeignPeerDeclinesIsDeleted) {
  Two two(4);
  two.of("flexo").start = policy::Start::kNone;
  two.of("flexo").foreign = true;
  two.of("bender").children.front().mode = Mode::kTransport;
  EXPECT_FALSE(two.start());
  EXPECT_NE(two.log().find("the peer answered in tunnel mode"), std::string::npos) << two.log();
  EXPECT_NE(two.log().find("the peer deleted child SA"), std::string::npos) << two.log();
  two.world.filter = [](const Host&, const Host&, ByteView) { return false; };
  EXPECT_TRUE(two.world.host("bender").twin.inbound.empty());
}

}  // namespace
}  // namespace espalier::sim
