// MOBIKE (RFC 4555): hosts that change their addresses, at either end, at both, under loss and in
// the middle of rekeys.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "ike/v2/mobike.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;

constexpr const char* kHosts[] = {"bender", "flexo"};

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }

// A pair that `initiator` (of kHosts) starts.
std::function<void(policy::Connection&)> started_by(std::size_t initiator) {
  return [initiator](policy::Connection& c) {
    c.mobike = true;
    if (c.peer == kHosts[initiator]) c.start = policy::Start::kNone;
  };
}

ike::Settings no_election() {
  ike::Settings settings;
  settings.election = false;
  return settings;
}

bool owns(const Host& host, const IpAddress& address) {
  return host.address == address ||
         std::find(host.other_addresses.begin(), host.other_addresses.end(), address) !=
             host.other_addresses.end();
}

// Empty when both ends' IKE SA and children go between addresses that the hosts have, the same at
// both ends.
std::string misplaced(Two& two) {
  const ike::Path a = two.sa("bender").path;
  const ike::Path b = two.sa("flexo").path;
  if (a.local.ip != b.remote.ip || a.remote.ip != b.local.ip) {
    return fmt::format("the ends disagree: {} to {}, {} to {}", a.local.to_string(),
                       a.remote.to_string(), b.local.to_string(), b.remote.to_string());
  }
  for (const char* name : kHosts) {
    const Host& near = two.world.host(name);
    const Host& far = two.world.host(name == kHosts[0] ? kHosts[1] : kHosts[0]);
    std::vector<ike::Path> paths{two.sa(name).path};
    for (const auto& [spi, sa] : near.twin.inbound) paths.push_back(sa.path);
    for (const auto& [key, sa] : near.twin.outbound) {
      paths.push_back(sa.path);
      if (key.second != sa.path.remote.ip) return "an SA under another address than its own";
    }
    for (const ike::Path& path : paths) {
      if (!owns(near, path.local.ip) || !owns(far, path.remote.ip)) {
        return fmt::format("{} has {} to {}", name, path.local.to_string(),
                           path.remote.to_string());
      }
    }
  }
  return "";
}

bool follows(Two& two, Duration limit) {
  return two.world.run_until(
      [&] { return two.world.all_up() && two.world.fault().empty() && misplaced(two).empty(); },
      limit);
}

std::string state(Two& two) { return misplaced(two) + "\n" + two.log(); }

const NetworkOptions kBad{0.2, 0.1, 5ms, 100ms};

TEST(Mobike, EitherEndMovesAndNothingIsMadeAnew) {
  for (const std::size_t initiator : {0u, 1u}) {
    for (const std::size_t mover : {0u, 1u}) {
      Two two(1, started_by(initiator), no_election());
      ASSERT_TRUE(two.start()) << two.log();
      const IkeSpi before = two.sa("bender").local_spi();
      const Spi child = two.sa("bender").children.front().spec.spi_in;
      two.world.readdress(two.world.host(kHosts[mover]));
      EXPECT_NE(misplaced(two), "");
      ASSERT_TRUE(follows(two, 200ms)) << initiator << mover << state(two);
      EXPECT_EQ(two.sa("bender").local_spi(), before);
      EXPECT_EQ(two.sa("bender").children.front().spec.spi_in, child);
      EXPECT_GE(two.count("bender", Counter::kMobikeUpdates), 1u);
      EXPECT_GE(two.count("flexo", Counter::kMobikeUpdates), 1u);
    }
  }
}

TEST(Mobike, WithoutItAPairDoesNotFollow) {
  Two two(1, [](policy::Connection& c) { c.mobike = c.name == "flexo-bender"; });
  ASSERT_TRUE(two.start());
  two.world.readdress(two.world.host("flexo"));
  EXPECT_FALSE(follows(two, 10s));
  EXPECT_EQ(two.count("flexo", Counter::kMobikeUpdates), 0u);
}

TEST(Mobike, MovesUnderLossDuplicationAndReordering) {
  for (const std::uint64_t seed : seeds(40)) {
    for (const std::size_t initiator : {0u, 1u}) {
      for (const std::size_t mover : {0u, 1u}) {
        Two two(seed, started_by(initiator), no_election());
        two.world.network = kBad;
        two.world.configure_all();
        ASSERT_TRUE(two.heals(120s)) << two.log();
        for (int move = 0; move < 3; ++move) {
          two.world.readdress(two.world.host(kHosts[mover]));
          ASSERT_TRUE(follows(two, 200s)) << initiator << mover << state(two);
        }
      }
    }
  }
}

TEST(Mobike, ManyMovesFasterThanTheirAnswers) {
  for (const std::uint64_t seed : seeds(40)) {
    for (const std::size_t mover : {0u, 1u}) {
      Two two(seed, started_by(seed % 2), no_election());
      two.world.network = {0.2, 0.1, 30ms, 100ms};
      two.world.configure_all();
      ASSERT_TRUE(two.heals(120s)) << two.log();
      for (int move = 0; move < 10; ++move) {
        two.world.readdress(two.world.host(kHosts[mover]));
        two.world.run_for(Duration(20ms) * (seed % 7 + 1));
      }
      ASSERT_TRUE(follows(two, 200s)) << mover << state(two);
    }
  }
}

TEST(Mobike, AMoveInTheMiddleOfRekeysOfBothEnds) {
  for (const std::uint64_t seed : seeds(60)) {
    for (const std::size_t mover : {0u, 1u}) {
      Two two(seed, started_by(seed % 2), no_election());
      two.world.network = seed % 3 == 0 ? kBad : NetworkOptions{};
      two.world.configure_all();
      ASSERT_TRUE(two.heals(120s)) << two.log();
      const bool ike = seed % 4 < 2;
      two.world.command("bender", ike::Rekey{"bender-flexo", ike});
      if (seed % 5 < 3) two.world.command("flexo", ike::Rekey{"flexo-bender", !ike});
      two.world.run_for(Duration(1ms) * (seed % 30));
      two.world.readdress(two.world.host(kHosts[mover]));
      two.world.run_for(Duration(1ms) * (seed % 11));
      two.world.command("flexo", ike::Rekey{"flexo-bender", ike});
      ASSERT_TRUE(follows(two, 200s)) << mover << state(two);
      // And it still moves after the rekeys: the roles of MOBIKE outlive them.
      two.world.readdress(two.world.host(kHosts[1 - mover]));
      ASSERT_TRUE(follows(two, 200s)) << mover << state(two);
    }
  }
}

// Each host has two addresses; the one in use goes at both ends in the same moment.
TEST(Mobike, BothEndsLoseTheirAddressAtOnce) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed, started_by(seed % 2), no_election());
    two.world.set_addresses(two.world.host("bender"), {ip("10.0.0.1"), ip("10.0.1.1")});
    two.world.set_addresses(two.world.host("flexo"), {ip("10.0.0.2"), ip("10.0.1.2")});
    two.of("bender").local_addresses.push_back(ip("10.0.1.1"));
    two.of("flexo").local_addresses.push_back(ip("10.0.1.2"));
    two.world.network = seed % 2 == 0 ? kBad : NetworkOptions{};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(120s)) << two.log();
    const IkeSpi before = two.sa("bender").local_spi();
    two.world.set_addresses(two.world.host("bender"), {ip("10.0.1.1")});
    two.world.set_addresses(two.world.host("flexo"), {ip("10.0.1.2")});
    ASSERT_TRUE(follows(two, 200s)) << state(two);
    if (seed % 2 != 0) {
      EXPECT_EQ(two.sa("bender").local_spi(), before);
    }
  }
}

// The path breaks and no address changes: the initiator finds another one (section 3.10).
TEST(Mobike, APathThatBreaksIsReplaced) {
  for (const std::uint64_t seed : seeds(10)) {
    Two two(seed, started_by(seed % 2), no_election());
    for (const char* name : kHosts) two.of(name).dpd = 5s;
    two.world.set_addresses(two.world.host("bender"), {ip("10.0.0.1"), ip("10.0.1.1")});
    two.of("bender").local_addresses.push_back(ip("10.0.1.1"));
    ASSERT_TRUE(two.start()) << two.log();
    const IkeSpi before = two.sa("bender").local_spi();
    // What goes there is lost, and nobody says so.
    two.world.set_addresses(two.world.host("bender"), {ip("10.0.1.1")}, false);
    ASSERT_TRUE(follows(two, 60s)) << state(two);
    EXPECT_EQ(two.sa("bender").local_spi(), before);
  }
}

// A peer that is gone is found gone over several paths as soon as over one.
TEST(Mobike, SeveralPathsDoNotMakeADeadPeerLiveLonger) {
  for (const std::uint64_t seed : seeds(10)) {
    Two two(seed, started_by(seed % 2), no_election());
    for (const char* name : kHosts) two.of(name).dpd = 5s;
    two.world.set_addresses(two.world.host("bender"), {ip("10.0.0.1"), ip("10.0.1.1")});
    two.of("bender").local_addresses.push_back(ip("10.0.1.1"));
    ASSERT_TRUE(two.start()) << two.log();
    two.world.crash(two.world.host("flexo"));
    // The check begins after 5 s and a quarter at most; with one path it has 39.5 s and a tenth.
    const Host& bender = two.world.host("bender");
    EXPECT_TRUE(two.world.run_until([&] { return bender.twin.policies.empty(); }, 50s))
        << two.log();
  }
}

// Section 3.7: children go to an unknown address only when COOKIE2 came back from there.
TEST(Mobike, ReturnRoutabilityComesBeforeTheChildren) {
  Two two(3, started_by(0), no_election());
  ASSERT_TRUE(two.start());
  const IpAddress old = two.world.host("bender").address;
  // The answers reach bender at its new address, flexo's own requests do not.
  bool deaf = true;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    return !deaf || from.name != "flexo" ||
           !is_request(datagram, wire::ike::ExchangeType::kInformational);
  };
  two.world.readdress(two.world.host("bender"));
  two.world.run_for(3s);
  EXPECT_EQ(two.sa("flexo").path.remote.ip, two.world.host("bender").address);
  for (const auto& [key, sa] : two.world.host("flexo").twin.outbound) EXPECT_EQ(key.second, old);
  deaf = false;
  EXPECT_TRUE(follows(two, 20s)) << state(two);
}

TEST(Mobike, AWrongCookieClosesTheIkeSa) {
  Two two(3, started_by(0), no_election());
  ASSERT_TRUE(two.start());
  const IkeSpi before = two.sa("flexo").local_spi();
  two.world.filter = [&](const Host& from, const Host&, ByteView) {
    auto& sa = two.sa("flexo");
    if (from.name == "bender" && sa.active && !sa.active->cookie2.empty()) {
      sa.active->cookie2[0] ^= 1;
    }
    return true;
  };
  two.world.readdress(two.world.host("bender"));
  two.world.run_for(100ms);
  two.world.filter = nullptr;
  EXPECT_FALSE(two.inside("flexo").sas.contains(before)) << two.log();
  EXPECT_TRUE(follows(two, 60s)) << state(two);  // made anew, from the new address
}

TEST(Mobike, ARefusedAddressEndsInANewIkeSa) {
  Two two(3, started_by(0), no_election());
  ASSERT_TRUE(two.start());
  const IkeSpi before = two.sa("flexo").local_spi();
  // flexo takes the new address for one of its own.
  two.inside("flexo").own_addresses = {ip("10.0.0.2"), ip("10.9.9.9")};
  two.world.set_addresses(two.world.host("bender"), {ip("10.9.9.9")});
  EXPECT_TRUE(two.world.run_until([&] { return !two.inside("flexo").sas.contains(before); }, 60s))
      << two.log();
  EXPECT_GE(two.count("flexo", Counter::kMobikeRefused), 8u);
  EXPECT_GE(two.count("bender", Counter::kMobikeRefused), 8u);
}

// A translator before either end forgets its ports (section 3.8).
TEST(Mobike, NatsThatForget) {
  for (const std::uint64_t seed : seeds(20)) {
    for (const std::size_t initiator : {0u, 1u}) {
      for (const std::size_t behind : {0u, 1u}) {
        Two two(seed, started_by(initiator), no_election());
        for (const char* name : kHosts) two.of(name).dpd = 10s;
        two.world.rebind(two.world.host(kHosts[behind]));
        two.world.network = seed % 2 == 0 ? kBad : NetworkOptions{};
        two.world.configure_all();
        // A responder behind a translator cannot be called at the port of the configuration.
        if (initiator != behind) two.world.host(kHosts[behind]).nat.outside.clear();
        ASSERT_TRUE(two.heals(120s)) << two.log();
        two.world.rebind(two.world.host(kHosts[behind]));
        const auto reached = [&] {
          const auto& mapped = two.world.host(kHosts[behind]).nat.outside;
          const auto& far = two.sa(kHosts[1 - behind]).path.remote;
          return two.world.all_up() && two.world.fault().empty() && far.port == mapped.at(4500);
        };
        ASSERT_TRUE(two.world.run_until(reached, 120s)) << initiator << behind << two.log();
      }
    }
  }
}

// The responder loses its address while the translator before the initiator forgets its ports and
// both ends rekey: neither can tell the other, until the initiator tries what it was told before.
// Where the answer to the responder's rekey of the IKE SA was lost too, the initiator tells it on
// one that the responder has not got; then a new one heals the pair.
TEST(Mobike, AMoveARebindingAndRekeysAtOnce) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed, started_by(0), no_election());
    two.world.set_addresses(two.world.host("flexo"), {ip("10.0.0.2"), ip("10.0.1.2")});
    two.of("flexo").local_addresses.push_back(ip("10.0.1.2"));
    two.of("bender").remote_addresses.push_back(ip("10.0.1.2"));
    for (const char* name : kHosts) two.of(name).dpd = 10s;
    two.world.rebind(two.world.host("bender"));
    two.world.network = seed % 4 == 0 ? NetworkOptions{} : kBad;
    two.world.configure_all();
    ASSERT_TRUE(two.heals(120s)) << two.log();
    two.world.command("bender", ike::Rekey{"bender-flexo", seed % 3 == 0});
    two.world.command("flexo", ike::Rekey{"flexo-bender", seed % 5 == 0});
    two.world.run_for(Duration(std::chrono::microseconds(seed * 977 % 25000)));
    two.world.rebind(two.world.host("bender"));
    two.world.set_addresses(two.world.host("flexo"), {ip("10.0.1.2")});
    ASSERT_TRUE(follows(two, 300s)) << state(two);
  }
}

// Section 4.2.6: source, destination, source port, destination port, as the sender sees them.
TEST(Mobike, NoNatsAllowedIsChecked) {
  const ike::Path path{{ip("10.0.0.2"), 500}, {ip("10.0.0.1"), 4500}};
  const auto untouched = [&](const Bytes& data) {
    wire::ike::Message message;
    message.payloads.push_back(ike::v2::make_notify(wire::ike::NotifyType::kNoNatsAllowed, data));
    return ike::v2::addresses_are_untouched(message, path);
  };
  EXPECT_TRUE(untouched({10, 0, 0, 1, 10, 0, 0, 2, 0x11, 0x94, 0x01, 0xF4}));
  EXPECT_FALSE(untouched({10, 0, 0, 1, 10, 0, 0, 2, 0x11, 0x95, 0x01, 0xF4}));
  EXPECT_FALSE(untouched({10, 0, 0, 3, 10, 0, 0, 2, 0x11, 0x94, 0x01, 0xF4}));
  EXPECT_FALSE(untouched({10, 0, 0, 1, 10, 0, 0, 2}));
  EXPECT_FALSE(untouched({}));
  EXPECT_TRUE(ike::v2::addresses_are_untouched({}, path));
}

TEST(Mobike, ARunIsTheSameTwice) {
  const auto run = [] {
    Two two(9, started_by(0), no_election());
    two.world.network = kBad;
    Bytes all;
    two.world.filter = [&](const Host&, const Host&, ByteView datagram) {
      all.insert(all.end(), datagram.begin(), datagram.end());
      return true;
    };
    two.world.configure_all();
    two.world.run_for(20s);
    two.world.readdress(two.world.host("bender"));
    two.world.run_for(20s);
    return all;
  };
  EXPECT_TRUE(run() == run());
}

}  // namespace
}  // namespace espalier::sim
