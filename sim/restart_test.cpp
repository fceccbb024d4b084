// A daemon that is killed and starts again goes on with its IKE SAs, at whatever moment that is:
// its journal has what the peer has seen (ike/journal/journal.hpp).
#include <gtest/gtest.h>

#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;

struct Restarted : Two {
  explicit Restarted(std::uint64_t seed,
                     const std::function<void(policy::Connection&)>& change = {})
      : Two(seed, change, settings()) {
    world.check_journals = true;
  }
  static ike::Settings settings() {
    ike::Settings settings;
    settings.journal = true;
    settings.qcd_secret = SecretBytes(as_bytes("of this host"));
    return settings;
  }
  ike::journal::Restored restart(const std::string& name, Duration away = 2s) {
    Host& host = world.host(name);
    world.end_daemon(host);
    world.run_for(away);
    world.power_on(host);
    world.command(host, ike::Configure{host.connections});
    return world.resume(host);
  }
  // First exchanges that were completed, at both ends.
  std::size_t established() {
    std::size_t count = 0;
    for (const char* name : {"bender", "flexo"}) {
      for (const ike::Event& event : world.host(name).events) {
        count += event.kind == ike::EventKind::kIkeEstablished ? 1 : 0;
      }
    }
    return count;
  }
  // Both ends' SPIs, and how often the pair was negotiated.
  std::string state() {
    std::string text;
    for (const char* name : {"bender", "flexo"}) {
      for (const auto& [spi, sa] : world.host(name).engine.core().sas) {
        text += to_string(sa.spi_i) + to_string(sa.spi_r);
        for (const auto& child : sa.children) text += " " + to_string(child.spec.spi_in);
      }
      text += "\n";
    }
    return text;
  }
};

TEST(Restart, AnIdlePairIsAsItWas) {
  for (const char* who : {"bender", "flexo"}) {
    Restarted two(7);
    ASSERT_TRUE(two.start()) << two.log();
    two.world.run_for(5s);
    const std::string before = two.state();
    const ike::v2::IkeSa sa = two.sa(who);
    const auto restored = two.restart(who);
    EXPECT_EQ(restored.kept, 1u);
    EXPECT_EQ(restored.changed + restored.unreadable, 0u);
    ike::v2::IkeSa now = two.sa(who);
    now.armed = sa.armed;
    EXPECT_EQ(now, sa) << "a member is missing in its journal";
    two.world.run_for(120s);  // liveness checks among it
    EXPECT_EQ(two.state(), before) << two.log();
    EXPECT_EQ(two.world.fault(), "") << two.log();
    EXPECT_TRUE(two.world.all_up());
  }
}

// Rekeys of both kinds from both ends, and a restart somewhere in their messages.
void restart_among_rekeys(std::uint64_t seed,
                          const std::function<void(policy::Connection&)>& change = {}) {
  Restarted two(seed, change);
  ASSERT_TRUE(two.start()) << two.log();
  two.world.network = {0.2, 0.1, 5ms, 15ms};
  const std::string who = seed % 2 == 0 ? "bender" : "flexo";
  two.world.command("bender", ike::Rekey{"bender-flexo", seed % 3 == 0});
  two.world.run_for(Duration(std::chrono::microseconds(seed * 977 % 25'000)));
  two.world.command("flexo", ike::Rekey{"flexo-bender", seed % 5 < 2});
  two.world.run_for(Duration(std::chrono::microseconds(seed * 7'919 % 60'000)));
  two.restart(who, Duration(std::chrono::milliseconds(seed * 31 % 4'000)));
  two.world.run_for(Duration(std::chrono::microseconds(seed * 104'729 % 3'000'000)));
  two.restart(seed % 7 < 4 ? "bender" : "flexo", 100ms);
  two.world.run_for(20s);
  two.world.network = {};
  ASSERT_TRUE(two.heals(240s)) << two.log();
  // No pair began anew: the one first exchange is the one from the start.
  ASSERT_EQ(two.established(), 2u) << two.log();
}

TEST(Restart, AtAnyMomentOfRekeysUnderLoss) {
  for (const std::uint64_t seed : seeds(400)) {
    restart_among_rekeys(seed);
    if (HasFatalFailure()) return;
  }
}

// With additional key exchanges a rekey takes five messages and more.
TEST(Restart, AtAnyMomentOfRekeysWithSeveralKeyExchanges) {
  for (const std::uint64_t seed : seeds(100)) {
    restart_among_rekeys(seed, [](policy::Connection& connection) {
      policy::IkeProposal ike = connection.proposals.front();
      ike.additional = {{1, crypto::DhId::kEcp256}};
      connection.proposals = {ike};
      policy::EspProposal esp = connection.children.front().proposals.front();
      esp.dh = {crypto::DhId::kX25519};
      esp.additional = {{1, crypto::DhId::kEcp256}};
      connection.children.front().proposals = {esp};
    });
    if (HasFatalFailure()) return;
  }
}

// At every moment of the start itself: what is not established begins anew.
TEST(Restart, AtAnyMomentOfTheStart) {
  for (const std::uint64_t seed : seeds(200)) {
    Restarted two(seed);
    two.world.network = {0.2, 0.1, 5ms, 15ms};
    two.world.configure_all();
    two.world.run_for(Duration(std::chrono::microseconds(seed * 7'919 % 400'000)));
    two.restart(seed % 2 == 0 ? "bender" : "flexo", 500ms);
    two.world.run_for(5s);
    two.world.network = {};
    ASSERT_TRUE(two.heals(240s)) << two.log();
  }
}

// With no exchange under way a restart costs nothing: no first exchange, no child, no packet.
TEST(Restart, NothingIsNegotiatedAnew) {
  for (const std::uint64_t seed : seeds(20)) {
    Restarted two(seed);
    ASSERT_TRUE(two.start()) << two.log();
    const auto initiated = [&] {
      return two.count("bender", Counter::kInitiated) + two.count("flexo", Counter::kInitiated);
    };
    const std::string before = two.state();
    two.world.run_for(3s);
    const std::uint64_t first = initiated();
    for (int i = 0; i < 5; ++i) {
      const std::string who = (seed + i) % 2 == 0 ? "bender" : "flexo";
      two.restart(who, 1s);
      EXPECT_EQ(two.count(who, Counter::kInitiated), 0u) << two.log();
      EXPECT_EQ(two.count(who, Counter::kChildInstalled), 0u) << two.log();
      two.world.run_for(10s);
    }
    EXPECT_LE(initiated(), first);
    EXPECT_EQ(two.state(), before) << two.log();
    EXPECT_EQ(two.world.fault(), "") << two.log();
  }
}

// SAs that the dataplane lost while the daemon was away are found at its start.
TEST(Restart, WhatTheDataplaneLostMeanwhileIsRekeyed) {
  Restarted two(11);
  ASSERT_TRUE(two.start()) << two.log();
  const std::string before = two.state();
  Host& bender = two.world.host("bender");
  two.world.end_daemon(bender);
  ASSERT_GT(two.world.vanish(bender, 1.0), 0u);
  two.world.power_on(bender);
  two.world.command(bender, ike::Configure{bender.connections});
  EXPECT_EQ(two.world.resume(bender).kept, 1u);
  ASSERT_TRUE(two.heals(10s)) << two.log();
  EXPECT_NE(two.state(), before);
  EXPECT_EQ(two.count("bender", Counter::kInitiated), 0u) << two.log();
}

// The connection is another one than the journal's: the peer is told, and the pair keyed anew.
TEST(Restart, AChangedConnectionBeginsAnew) {
  for (const bool gone : {false, true}) {
    Restarted two(12);
    ASSERT_TRUE(two.start()) << two.log();
    Host& bender = two.world.host("bender");
    two.world.end_daemon(bender);
    two.world.power_on(bender);
    if (gone) {
      bender.connections.clear();
    } else {
      bender.connections.front().encap = policy::Encap::kAlways;
    }
    two.world.command(bender, ike::Configure{bender.connections});
    const auto restored = two.world.resume(bender);
    EXPECT_EQ(restored.kept, 0u);
    EXPECT_EQ(restored.changed, 1u);
    two.world.run_for(100ms);
    if (gone) {
      EXPECT_EQ(two.pair("flexo").ike_sas, 0u) << two.log();
    } else {
      EXPECT_EQ(two.pair("flexo").ike_sas, 1u) << two.log();
      ASSERT_TRUE(two.heals(30s)) << two.log();
    }
  }
}

// A reload before the restart: the journal knows the connection as it is now.
TEST(Restart, AReloadedConnectionGoesOn) {
  for (const bool soft : {false, true}) {
    Restarted two(14);
    ASSERT_TRUE(two.start()) << two.log();
    Host& bender = two.world.host("bender");
    policy::Connection& connection = bender.connections.front();
    if (soft) {
      connection.dpd = 17s;
    } else {
      connection.encap = policy::Encap::kAlways;
    }
    two.world.command(bender, ike::Configure{bender.connections});
    two.world.run_for(60s);
    ASSERT_TRUE(two.world.all_up()) << two.log();
    const auto restored = two.restart("bender");
    EXPECT_GE(restored.kept, 1u) << two.log();
    if (soft) {
      EXPECT_EQ(restored.changed, 0u) << two.log();
    }
    two.world.run_for(60s);
    EXPECT_TRUE(two.world.all_up()) << two.log();
    EXPECT_EQ(two.world.fault(), "") << two.log();
  }
}

TEST(Restart, ARecordThatMakesNoSenseIsLeftOut) {
  Restarted two(13);
  ASSERT_TRUE(two.start()) << two.log();
  Host& bender = two.world.host("bender");
  const Bytes good = to_vector(bender.journal.begin()->second.reveal());
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    ASSERT_FALSE(ike::journal::load(ByteView(good).first(cut))) << cut;
  }
  two.world.end_daemon(bender);
  bender.journal.begin()->second = SecretBytes(ByteView(good).first(good.size() / 2));
  two.world.power_on(bender);
  two.world.command(bender, ike::Configure{bender.connections});
  EXPECT_EQ(two.world.resume(bender).unreadable, 1u);
  ASSERT_TRUE(two.heals(60s)) << two.log();
}

}  // namespace
}  // namespace espalier::sim
