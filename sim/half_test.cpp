// Halflings: SAs that one end has and the other has not, and children of which a part is missing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;
using wire::ike::ExchangeType;

policy::TrafficSelector network(const char* text) {
  return policy::from_prefix(Prefix::parse(text).value());
}

void use(ike::v2::IkeSa& sa, const std::function<void(policy::Connection&)>& change) {
  policy::Connection other = *sa.connection;
  change(other);
  sa.connection.ptr = std::make_shared<const policy::Connection>(other);
}

// bender finds the responder's answer to IKE_AUTH wider than what it asked for.
TEST(Halfling, AChildThatTheInitiatorOfIkeAuthRejectsIsDeletedAtThePeer) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed);
    two.of("flexo").start = policy::Start::kNone;
    if (seed % 2 == 0) two.world.network = {0.2, 0.1, 5ms, 30ms};
    bool tampered = false;
    two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
      if (from.name == "bender" && is_request(datagram, ExchangeType::kIkeAuth) && !tampered) {
        tampered = true;
        for (auto& [spi, sa] : two.inside("bender").sas) {
          use(sa, [](policy::Connection& connection) {
            connection.children.front().remote_ts = {network("10.0.0.200/32")};
          });
        }
      }
      return true;
    };
    two.world.configure_all();
    ASSERT_TRUE(
        two.world.run_until([&] { return two.count("flexo", Counter::kChildInstalled) == 1; }, 60s))
        << two.log();
    ASSERT_TRUE(
        two.world.run_until([&] { return two.world.host("flexo").twin.inbound.empty(); }, 60s))
        << two.log();
    ASSERT_TRUE(two.world.host("bender").twin.inbound.empty());
    ASSERT_EQ(two.count("bender", Counter::kChildInstalled), 0u) << two.log();
  }
}

TEST(Halfling, AChildThatTheInitiatorOfCreateChildSaRejectsIsDeletedAtThePeer) {
  for (const std::uint64_t seed : seeds(60)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    if (seed % 2 == 0) two.world.network = {0.2, 0.1, 5ms, 30ms};
    const std::string end = seed % 3 == 0 ? "bender" : "flexo";
    const std::string other = end == "bender" ? "flexo" : "bender";
    two.world.command(end, ike::Rekey{end + "-" + other, false});
    auto& active = two.sa(end).active;
    ASSERT_TRUE(active);
    // The lost ones may be asked for anew: only this one answer is spoilt.
    active->remote_ts = {network("10.0.0.200/32")};
    ASSERT_TRUE(
        two.world.run_until([&] { return two.world.host(other).twin.inbound.size() == 2; }, 60s))
        << two.log();
    ASSERT_TRUE(
        two.world.run_until([&] { return two.world.host(other).twin.inbound.size() == 1; }, 60s))
        << two.log();
    two.world.network = {};
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
    ASSERT_TRUE(two.world.all_up());
    ASSERT_EQ(two.inside(end).inbound_spis.size(), 1u) << "no SPI stays reserved";
  }
}

TEST(Halfling, ASuccessorThatTheInitiatorRejectsIsReplacedInSeconds) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    const std::string end = seed % 2 == 0 ? "bender" : "flexo";
    const std::string other = end == "bender" ? "flexo" : "bender";
    two.world.command(end, ike::Rekey{end + "-" + other, true});
    use(two.sa(end), [](policy::Connection& connection) {
      connection.proposals = {policy::parse_ike_proposal("aes128-sha256-ecp256").value()};
    });
    two.world.run_for(100ms);
    ASSERT_TRUE(two.heals(15s)) << two.log();
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

// bender has one child for two networks; flexo, not one of ours, has a child for each.
struct Parts : Two {
  explicit Parts(std::uint64_t seed) : Two(seed) {
    auto& whole = of("bender").children.front();
    whole.local_ts = {network("10.1.0.0/24")};
    whole.remote_ts = {network("10.2.0.0/24"), network("10.3.0.0/24")};
    policy::Connection& parts = of("flexo");
    parts.children.push_back(parts.children.front());
    parts.children[0].local_ts = {network("10.2.0.0/24")};
    parts.children[1].name = "second";
    parts.children[1].local_ts = {network("10.3.0.0/24")};
    for (auto& child : parts.children) child.remote_ts = {network("10.1.0.0/24")};
    parts.start = policy::Start::kNone;
    of("bender").foreign = true;
    // flexo makes nothing by itself.
    world.filter = [](const Host& from, const Host&, ByteView datagram) {
      return from.name != "flexo" || !is_request(datagram, ExchangeType::kCreateChildSa);
    };
  }
  std::vector<std::string> covered() {
    std::vector<std::string> all;
    for (const auto& child : pair("bender").children)
      all.push_back(policy::to_string(child.spec.remote_ts));
    std::sort(all.begin(), all.end());
    return all;
  }
  // flexo deletes the child of that network.
  void remove(const char* local) {
    for (const auto& child : pair("flexo").children) {
      if (policy::to_string(child.spec.local_ts) != local) continue;
      Host& flexo = world.host("flexo");
      flexo.engine.handle_completion(
          world.now(), flexo.rng,
          ike::HardExpired{ike::Direction::kIn, child.spec.spi_in, child.spec.path.remote.ip});
    }
    world.command("flexo", ike::Rekey{"nobody", false});  // drains
  }
};

const std::vector<std::string> kBoth{"10.2.0.0/24", "10.3.0.0/24"};

TEST(Parts, OneThatThePeerDeletesIsMissedAndAskedFor) {
  for (const std::uint64_t seed : seeds(40)) {
    Parts two(seed);
    ASSERT_TRUE(two.start()) << two.log();
    two.world.run_for(20s);
    ASSERT_EQ(two.covered(), kBoth) << two.log();
    if (seed % 2 == 0) two.world.network = {0.2, 0.1, 5ms, 30ms};
    two.remove(seed % 4 < 2 ? "10.2.0.0/24" : "10.3.0.0/24");
    ASSERT_TRUE(two.world.run_until([&] { return two.pair("bender").state != "up"; }, 60s))
        << two.log();
    ASSERT_TRUE(two.pair("bender").retry_at.has_value());
    ASSERT_TRUE(two.world.run_until([&] { return two.pair("bender").state == "up"; }, 60s))
        << two.log();
    two.world.network = {};
    two.world.run_for(60s);
    ASSERT_EQ(two.covered(), kBoth) << two.log();
  }
}

TEST(Parts, OneThatThePeerRefusesForGoodIsNoStorm) {
  Parts two(1);
  ASSERT_TRUE(two.start());
  two.world.run_for(20s);
  ASSERT_EQ(two.covered(), kBoth);
  use(two.sa("flexo"), [](policy::Connection& connection) { connection.children.pop_back(); });
  two.remove("10.3.0.0/24");
  two.world.run_for(60s);
  EXPECT_EQ(two.pair("bender").state, "waiting") << two.log();
  EXPECT_NE(two.pair("bender").last_error.find("10.3.0.0/24"), std::string::npos)
      << two.pair("bender").last_error;
  const std::uint64_t before = two.count("flexo", Counter::kTsRefused);
  two.world.run_for(50min);
  EXPECT_LE(two.count("flexo", Counter::kTsRefused) - before, 10u) << "in fifty minutes";
  EXPECT_GE(two.count("flexo", Counter::kTsRefused) - before, 4u) << "but never given up";
  EXPECT_EQ(two.covered(), std::vector<std::string>{"10.2.0.0/24"}) << two.log();
}

TEST(Parts, APeerThatNarrowsWithinANetworkGetsNoDuplicates) {
  Two two(3);
  two.of("bender").children.front().remote_ts = {network("10.2.0.0/16")};
  two.of("flexo").children.front().local_ts = {network("10.2.7.0/24")};
  two.of("flexo").start = policy::Start::kNone;
  ASSERT_TRUE(two.start()) << two.log();
  two.world.run_for(30min);
  EXPECT_EQ(two.pair("bender").state, "up") << two.log();
  EXPECT_EQ(two.pair("bender").children.size(), 1u) << two.log();
  EXPECT_EQ(two.world.host("flexo").twin.inbound.size(), 1u) << two.log();
}

// Both ends miss a child in the same moment and both make it.
TEST(Parts, BothEndsMakingTheSameChildAtOnceEndInOne) {
  std::size_t crossed = 0;
  for (const std::uint64_t seed : seeds(300)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    const double loss = seed % 2 == 0 ? 0.2 : 0.0;
    two.world.network = {loss, loss / 2, 30ms, 30ms};
    const std::uint64_t before = two.count("bender", Counter::kChildInstalled);
    // Both ends lose the child in the same moment; each makes it anew after about a second.
    for (const char* name : {"bender", "flexo"}) {
      Host& host = two.world.host(name);
      const ike::ChildSaSpec child = two.pair(name).children.front().spec;
      host.engine.handle_completion(
          two.world.now(), host.rng,
          ike::HardExpired{ike::Direction::kIn, child.spi_in, child.path.remote.ip});
      two.world.command(name, ike::Rekey{"nobody", false});
    }
    two.world.run_for(60s);
    two.world.network = {};
    two.world.run_for(60s);
    crossed += two.count("bender", Counter::kChildInstalled) - before > 1 ? 1 : 0;
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
  EXPECT_GT(crossed, 10u) << "the test reached what it is for";
}

// Section 2.25: several minutes of TEMPORARY_FAILURE mean that the ends do not agree any more.
TEST(TemporaryFailure, ForMinutesClosesTheSa) {
  Two two(5);
  ASSERT_TRUE(two.start());
  two.world.run_for(5s);
  const IkeSpi before = two.pair("bender").ike->spi_local;
  // flexo believes for ever that it is rekeying the IKE SA.
  auto& sa = two.sa("flexo");
  sa.active = ike::v2::ActiveTask{};
  sa.active->task.kind = ike::v2::TaskKind::kRekeyIke;
  two.world.command("bender", ike::Rekey{"bender-flexo", false});
  two.world.run_for(100s);
  EXPECT_EQ(two.pair("bender").ike->spi_local, before) << "not after one minute";
  ASSERT_TRUE(two.world.run_until(
      [&] { return two.world.all_up() && two.pair("bender").ike->spi_local != before; }, 5min))
      << two.log();
  two.world.run_for(60s);
  EXPECT_EQ(two.world.fault(), "") << two.log();
}

}  // namespace
}  // namespace espalier::sim
