// Dataplanes that lose SAs and policies, or have some that nobody wants: compared and repaired.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/repair.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;

std::set<Spi> spis_of(const Twin& twin) {
  std::set<Spi> spis;
  for (const auto& [spi, sa] : twin.inbound) spis.insert(spi);
  return spis;
}

// What the daemon does every 30 seconds, here every second, at both ends.
void keep_comparing(Two& two, Duration every) {
  for (const char* name : {"bender", "flexo"}) {
    Host& host = two.world.host(name);
    if (host.running) repair(two.world, host);
  }
  two.world.at(two.world.now() + every, [&two, every] { keep_comparing(two, every); });
}

TEST(Reconcile, LostSasAreKeyedAnewAndNeverInstalledAgain) {
  for (const std::uint64_t seed : seeds(100)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.run_for(6s);
    if (seed % 2 == 0) two.world.network = {0.2, 0.1, 5ms, 30ms};
    Host& host = two.world.host(seed % 4 < 2 ? "bender" : "flexo");
    const auto before = spis_of(host.twin);
    // All of them, or each with an even chance.
    const std::size_t gone = two.world.vanish(host, seed % 3 == 0 ? 1.0 : 0.5);
    ASSERT_EQ(difference(host).renew.size(), gone);
    ASSERT_EQ(repair(two.world, host), gone);
    keep_comparing(two, 1s);
    ASSERT_TRUE(two.heals(60s)) << two.log();
    two.world.network = {};
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
    ASSERT_EQ(two.count(host.name, Counter::kSasLost), gone == 0 ? 0u : 1u) << two.log();
    if (gone == 0) continue;
    for (const Spi spi : spis_of(host.twin)) ASSERT_FALSE(before.contains(spi)) << two.log();
  }
}

// Nothing is taken for a fault while both ends rekey, delete and start at once under loss.
TEST(Reconcile, FindsNothingWhereNothingIsWrong) {
  for (const std::uint64_t seed : seeds(40)) {
    ike::Settings settings;
    settings.election = false;
    Two two(seed, {}, settings);
    two.world.network = {0.2, 0.1, 5ms, 100ms};
    two.world.configure_all();
    const auto step = [&](Duration time) {
      for (Duration passed{}; passed < time; passed += 37ms) {
        two.world.run_for(37ms);
        for (const char* name : {"bender", "flexo"}) {
          const auto repairs = difference(two.world.host(name));
          ASSERT_TRUE(repairs.empty())
              << name << ": " << repairs.renew.size() << " lost, " << repairs.remove.size()
              << " orphans, " << repairs.set.size() << " policies missing\n"
              << two.log();
        }
      }
    };
    step(10s);
    for (int round = 0; round < 4; ++round) {
      const bool ike = (seed + static_cast<std::uint64_t>(round)) % 2 == 0;
      two.world.command("bender", ike::Rekey{"bender-flexo", ike});
      two.world.command("flexo", ike::Rekey{"flexo-bender", false});
      step(6s);
    }
    two.world.command("bender", ike::Terminate{"bender-flexo"});
    step(8s);
    if (HasFailure()) return;
  }
}

TEST(Reconcile, OrphansGoAndStrangersStay) {
  Two two(1);
  ASSERT_TRUE(two.start());
  two.world.run_for(6s);
  Host& bender = two.world.host("bender");
  ike::ChildSaSpec spec = bender.twin.inbound.begin()->second;
  spec.spi_in = Spi(0x1234);
  spec.reqid = ReqId(0xE5004242);  // ours, of an engine that is gone
  bender.twin.inbound[spec.spi_in] = spec;
  bender.twin.policies[spec.reqid] = {spec.pair,      spec.reqid, spec.local_ts,
                                      spec.remote_ts, spec.mode,  spec.path};
  spec.spi_in = Spi(0x5678);
  spec.reqid = ReqId(42);  // another program's
  bender.twin.inbound[spec.spi_in] = spec;
  const auto wrong = difference(bender);
  EXPECT_EQ(wrong.remove.size(), 1u);
  EXPECT_EQ(wrong.remove_policies.size(), 1u);
  EXPECT_TRUE(wrong.renew.empty());
  EXPECT_EQ(repair(two.world, bender), 2u);
  EXPECT_FALSE(bender.twin.inbound.contains(Spi(0x1234)));
  EXPECT_TRUE(bender.twin.inbound.contains(Spi(0x5678)));
  bender.twin.inbound.erase(Spi(0x5678));
  EXPECT_TRUE(difference(bender).empty());
  EXPECT_EQ(two.world.fault(), "");
}

TEST(Reconcile, PoliciesAreSetAgain) {
  Two two(2);
  ASSERT_TRUE(two.start());
  Host& flexo = two.world.host("flexo");
  flexo.twin.policies.clear();
  EXPECT_NE(two.world.fault(), "");
  EXPECT_EQ(difference(flexo).set.size(), 1u);
  EXPECT_EQ(repair(two.world, flexo), 1u);
  EXPECT_EQ(two.world.fault(), "");
  EXPECT_EQ(two.count("flexo", Counter::kSasLost), 0u);
}

}  // namespace
}  // namespace espalier::sim
