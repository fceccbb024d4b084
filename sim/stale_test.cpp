// One end lost its state: how soon the pair heals, and that nobody who only pretends it can do harm
// (RFC 7296 sections 1.5 and 2.21.4, RFC 6290).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "sim/seeds.hpp"
#include "sim/traffic.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;
using wire::ike::ExchangeType;
using wire::ike::NotifyType;

ike::Settings with_secret() {
  ike::Settings settings;
  settings.qcd_secret = SecretBytes(as_bytes("thirty-two octets of the host's."));
  return settings;
}

std::string other(const std::string& name) { return name == "bender" ? "flexo" : "bender"; }

// Traffic flows until `condition`; how long it took, or `limit`.
double traffic_until(Two& two, Traffic& traffic, const std::function<bool()>& condition,
                     Duration limit) {
  const Instant begun = two.world.now();
  while (!condition() && two.world.now() - begun < limit) traffic.run_for(50ms, 50ms);
  return seconds(two.world.now() - begun);
}

bool is_whole(Two& two) { return two.world.all_up() && two.world.fault().empty(); }

// The rebooted host never initiates: only its peer's traffic brings the pair back.
struct Reboot : Two {
  Reboot(std::uint64_t seed, const ike::Settings& settings) : Two(seed, {}, settings) {
    rebooted = seed % 2 == 0 ? "bender" : "flexo";
    of(rebooted).start = policy::Start::kNone;
  }
  void reboot() {
    world.crash(rebooted);
    world.run_for(2s);
    world.start(rebooted);
  }
  std::string rebooted;
};

TEST(Reboot, WithCrashDetectionThePeersTrafficHealsThePairInTwoSeconds) {
  for (const std::uint64_t seed : seeds(60)) {
    Reboot two(seed, with_secret());
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    if (seed % 3 == 0) {  // the token of a rekeyed SA, by either end
      const std::string end = seed % 4 < 2 ? "bender" : "flexo";
      two.world.command(end, ike::Rekey{end + "-" + other(end), true});
      two.world.run_for(5s);
    }
    two.reboot();
    Traffic traffic(two.world);
    const double took = traffic_until(
        two, traffic, [&] { return is_whole(two); }, 60s);
    ASSERT_LT(took, 2.0) << two.log();
    ASSERT_EQ(two.count(other(two.rebooted), Counter::kQcdAccepted), 1u) << two.log();
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

TEST(Reboot, WithCrashDetectionUnderLossToo) {
  for (const std::uint64_t seed : seeds(60)) {
    Reboot two(seed, with_secret());
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    two.reboot();
    two.world.network = {0.2, 0.1, 5ms, 30ms};
    Traffic traffic(two.world);
    const double took = traffic_until(
        two, traffic, [&] { return is_whole(two); }, 120s);
    ASSERT_LT(took, 45.0) << two.log();
    two.world.network = {};
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

// A peer that knows nothing of RFC 6290 but says INVALID_SPI and INVALID_IKE_SPI.
TEST(Reboot, WithHintsAloneWithinTheQuickCheck) {
  for (const std::uint64_t seed : seeds(40)) {
    Reboot two(seed, {});  // a random secret at each start: no token ever fits
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    two.reboot();
    Traffic traffic(two.world);
    const double took = traffic_until(
        two, traffic, [&] { return is_whole(two); }, 120s);
    ASSERT_LT(took, 18.0) << two.log();
    ASSERT_EQ(two.count(other(two.rebooted), Counter::kQcdAccepted), 0u);
    ASSERT_GE(two.count(other(two.rebooted), Counter::kQcdRefused), 1u);
  }
}

// A peer that says nothing at all: the liveness check finds out, sooner because ESP was sent and
// none came back.
TEST(Reboot, WithoutAnyHintWithinTheLivenessBound) {
  for (const std::uint64_t seed : seeds(20)) {
    Reboot two(seed, {});
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    two.world.crash(two.rebooted);
    const std::string up = other(two.rebooted);
    Traffic traffic(two.world);
    double took = traffic_until(
        two, traffic, [&] { return two.pair(up).state != "up"; }, 120s);
    ASSERT_LT(took, 30 * 1.25 + 15.0) << two.log();
    two.world.start(two.rebooted);
    took = traffic_until(
        two, traffic, [&] { return is_whole(two); }, 120s);
    ASSERT_LT(took, 100.0) << two.log();
  }
}

// The rebooted host would initiate by itself, but its next attempt is far away.
TEST(Reboot, StrayEspOfAConfiguredPeerBeginsAnAttemptAtOnce) {
  for (const std::uint64_t seed : seeds(20)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    two.world.filter = [](const Host&, const Host&, ByteView) { return false; };
    two.world.crash("flexo");
    two.world.start("flexo");
    two.world.run_for(3s);
    auto& pair = two.inside("flexo").pairs.at("flexo-bender");
    ASSERT_FALSE(pair.up);
    for (const IkeSpi spi : std::set<IkeSpi>(pair.sas)) two.inside("flexo").sas.erase(spi);
    pair.sas.clear();
    two.inside("flexo").sa_timers.clear();
    pair.retry_at = two.world.now() + 500s;
    two.inside("flexo").pair_timers = {{*pair.retry_at, "flexo-bender"}};
    pair.armed = pair.retry_at;
    two.world.filter = nullptr;
    Traffic traffic(two.world);
    traffic.senders = {"bender"};
    const double took = traffic_until(
        two, traffic, [&] { return is_whole(two); }, 60s);
    ASSERT_LT(took, 1.0) << two.log();
  }
}

// One end lost a child only; the IKE SA is as before.
TEST(Halfling, AChildThatOneEndLostIsMadeAnewInSeconds) {
  for (const std::uint64_t seed : seeds(40)) {
    Two two(seed);
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    const std::string loser = seed % 2 == 0 ? "bender" : "flexo";
    Host& host = two.world.host(loser);
    ike::Core& core = two.inside(loser);
    ike::Context ctx{core, two.world.now(), host.rng};
    auto& sa = two.sa(loser);
    ike::v2::remove_child(ctx, sa, sa.children.front().spec.spi_in, false);
    // It does not make another by itself.
    core.pairs.at(loser + "-" + other(loser)).disabled = true;
    core.touched.clear();
    two.world.command(loser, ike::Rekey{"nobody", false});
    ASSERT_TRUE(host.twin.inbound.empty());
    Traffic traffic(two.world);
    traffic.senders = {other(loser)};
    traffic_until(
        two, traffic, [&] { return !host.twin.inbound.empty(); }, 60s);
    core.pairs.at(loser + "-" + other(loser)).disabled = false;
    const double took = traffic_until(
        two, traffic, [&] { return is_whole(two); }, 60s);
    ASSERT_LT(took, 5.0) << two.log();
  }
}

// ---- who only pretends
// ---------------------------------------------------------------------------------

Bytes clear_message(const ike::v2::IkeSa& sa, bool response,
                    const std::vector<wire::ike::Payload>& payloads) {
  wire::ike::Header header;
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  header.exchange = ExchangeType::kInformational;
  header.message_id = sa.next_request;
  // As from the other end.
  header.flags = static_cast<std::uint8_t>(
      (response ? wire::ike::kFlagResponse : 0) |
      (sa.role == ike::v2::Role::kResponder ? wire::ike::kFlagInitiator : 0));
  return wire::ike::encode_message(header, payloads);
}

wire::ike::NotifyPayload notify(NotifyType type, Bytes data) {
  return {wire::ike::ProtocolId::kIke, type, {}, std::move(data)};
}

TEST(Forged, HintsAndTokensNeverTakeAnSaDownAndCostLittle) {
  for (const std::uint64_t seed : seeds(20)) {
    Two two(seed, {}, with_secret());
    ASSERT_TRUE(two.start());
    two.world.run_for(5s);
    if (seed % 2 == 0) two.world.network.loss = 0.1;
    Host& victim = two.world.host("bender");
    const IkeSpi before = two.sa("bender").local_spi();
    const std::uint64_t messages = two.world.messages;
    Traffic traffic(two.world);
    crypto::SeededRng rng(seed);
    for (int i = 0; i < 1200; ++i) {  // a minute
      const auto& sa = two.sa("bender");
      Writer spi;
      spi.u32(sa.children.front().spec.spi_out.value);
      const std::size_t octets = static_cast<std::size_t>(i) % 140;
      const Bytes forged = i % 5 == 0 ? Bytes() : rng.bytes(octets);
      const std::vector<Bytes> datagrams{
          clear_message(sa, true, {notify(NotifyType::kInvalidIkeSpi, {})}),
          clear_message(
              sa, true,
              {notify(NotifyType::kInvalidIkeSpi, {}), notify(NotifyType::kQcdToken, rng.bytes(32)),
               notify(NotifyType::kQcdToken, forged)}),
          clear_message(sa, false, {notify(NotifyType::kInvalidSpi, spi.take())})};
      for (const Bytes& datagram : datagrams) {
        victim.engine.handle_datagram(two.world.now(), victim.rng, sa.path, datagram);
      }
      two.world.command("bender", ike::Rekey{"nobody", false});  // drains
      traffic.run_for(50ms, 50ms);
      ASSERT_TRUE(two.pair("bender").state == "up") << two.log();
    }
    ASSERT_EQ(two.sa("bender").local_spi(), before) << two.log();
    ASSERT_EQ(two.count("bender", Counter::kQcdAccepted), 0u);
    ASSERT_LE(two.count("bender", Counter::kHintChecks), 60u / 10 + 1);
    // At most a check in ten seconds, its answer and its repetitions.
    ASSERT_LE(two.world.messages - messages, 60u);
    ASSERT_EQ(traffic.strays(), 0u);
  }
}

// RFC 6290 section 9.2: whatever is asked in the name of an SA that exists.
TEST(Forged, TheTokenOfAnSaThatLivesIsNeverTold) {
  Two two(1, {}, with_secret());
  ASSERT_TRUE(two.start());
  two.world.run_for(5s);
  for (const char* name : {"bender", "flexo"}) {
    Host& host = two.world.host(name);
    const auto& sa = two.sa(name);
    for (int flags = 0; flags < 256; flags += 8) {
      for (const auto& [spi_i, spi_r] :
           {std::pair(sa.spi_i, sa.spi_r), std::pair(sa.spi_r, sa.spi_i),
            std::pair(sa.spi_i, IkeSpi(7)), std::pair(IkeSpi(7), sa.spi_r)}) {
        Bytes datagram(28 + 40, 0);
        Writer writer;
        writer.u64(spi_i.value);
        writer.u64(spi_r.value);
        const Bytes spis = writer.take();
        std::copy(spis.begin(), spis.end(), datagram.begin());
        datagram[16] = 46;  // SK
        datagram[17] = 0x20;
        datagram[18] = 37;
        datagram[19] = static_cast<std::uint8_t>(flags);
        datagram[27] = 68;
        datagram[31] = 40;
        host.engine.handle_datagram(two.world.now(), host.rng, sa.path, datagram);
      }
    }
    while (auto transmit = host.engine.poll_transmit()) {
      const auto message = wire::ike::parse_message(transmit->datagram).value();
      const bool of_the_sa = message.header.spi_i == sa.spi_i && message.header.spi_r == sa.spi_r;
      EXPECT_FALSE(of_the_sa && message.notify(NotifyType::kQcdToken) != nullptr);
    }
    EXPECT_TRUE(sa.is_up());
  }
}

TEST(Forged, AnswersToUnknownSpisAreLimitedPerAddress) {
  Two two(1, {}, with_secret());
  ASSERT_TRUE(two.start());
  Host& host = two.world.host("bender");
  Bytes datagram(28 + 40, 1);
  datagram[16] = 46;
  datagram[17] = 0x20;
  datagram[18] = 37;
  datagram[19] = 8;
  datagram[24] = datagram[25] = datagram[26] = 0;
  datagram[27] = 68;
  datagram[28] = datagram[29] = datagram[30] = 0;
  datagram[31] = 40;
  const auto ask = [&](const char* from) {
    datagram[0]++;
    const ike::Path path{{host.address, 500}, {IpAddress::parse(from).value(), 500}};
    host.engine.handle_datagram(two.world.now(), host.rng, path, datagram);
  };
  for (int i = 0; i < 1000; ++i) ask("10.0.0.99");
  EXPECT_EQ(two.count("bender", Counter::kInvalidIkeSpiSent), ike::kStatelessAnswersPerSecond);
  ask("10.0.0.2");
  EXPECT_EQ(two.count("bender", Counter::kInvalidIkeSpiSent), ike::kStatelessAnswersPerSecond + 1u)
      << "another address is not held up";
  std::size_t octets = 0;
  while (auto transmit = host.engine.poll_transmit()) octets = transmit->datagram.size();
  EXPECT_LE(octets, 76u) << "a reflector gains little";
}

// ---- liveness
// ---------------------------------------------------------------------------------

TEST(Liveness, AnUnansweredCheckNeverMakesASecondSa) {
  Two two(3);
  ASSERT_TRUE(two.start());
  two.world.run_for(5s);
  two.world.filter = [](const Host&, const Host&, ByteView) { return false; };
  for (int i = 0; i < 1200; ++i) {
    two.world.run_for(1s);
    for (const char* name : {"bender", "flexo"}) {
      ASSERT_LE(two.pair(name).ike_sas, 1u) << two.log();
      ASSERT_TRUE(two.pair(name).state == "up" || two.pair(name).retry_at ||
                  two.pair(name).state == "connecting");
    }
  }
  EXPECT_LE(two.count("bender", Counter::kInitiated), 20u) << "in twenty minutes";
  two.world.filter = nullptr;
  EXPECT_TRUE(two.heals(120s)) << two.log();
}

TEST(Liveness, ChecksOfManySasAreSpread) {
  World world(5);
  ike::Settings settings;
  settings.election = false;
  world.add_host("hub", "10.1.0.0", settings);
  for (int i = 1; i <= 400; ++i) {
    const std::string name = fmt::format("h{}", i);
    world.add_host(name, fmt::format("10.0.{}.{}", i / 200, i % 200 + 1), settings);
    // Only the hub checks.
    world.connect("hub", name);
    world.host(name).connections.front().dpd = 0s;
  }
  for (auto& connection : world.host("hub").connections) connection.start = policy::Start::kNone;
  world.configure_all();
  ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 60s));
  std::uint64_t before = world.host("hub").engine.counter(Counter::kLivenessChecks);
  for (int i = 0; i < 1200; ++i) {
    world.run_for(100ms);
    const std::uint64_t now = world.host("hub").engine.counter(Counter::kLivenessChecks);
    ASSERT_LE(now - before, 21u) << "in a tenth of a second";
    before = now;
  }
  EXPECT_GE(before, 400u * 3) << "each is checked all the same";
}

TEST(Liveness, InboundEspIsLife) {
  Two two(6);
  ASSERT_TRUE(two.start());
  Traffic traffic(two.world);
  traffic.run_for(300s, 1s);
  EXPECT_EQ(two.count("bender", Counter::kLivenessChecks), 0u);
  EXPECT_EQ(two.count("flexo", Counter::kLivenessChecks), 0u);
  EXPECT_EQ(traffic.strays(), 0u);
  EXPECT_EQ(traffic.blocked(), 0u);
}

// A request in the new IKE SA may overtake the answer that makes it at our end: we have lost
// nothing, and say nothing (RFC 6290 section 9.2).
TEST(Qcd, NotForAnIkeSaThatARekeyIsMaking) {
  Two two(7, {}, with_secret());
  ASSERT_TRUE(two.start());
  two.world.run_for(2s);
  bool late = true;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    const bool answer = from.name == "flexo" && (datagram[19] & wire::ike::kFlagResponse) != 0;
    return !late || !answer;
  };
  two.world.command("bender", ike::Rekey{"bender-flexo", true});
  two.world.run_for(100ms);
  ASSERT_EQ(two.count("flexo", Counter::kIkeRekeyed), 1u) << two.log();
  two.world.command("flexo", ike::Rekey{"flexo-bender", false});
  two.world.run_for(100ms);
  late = false;
  two.world.run_for(10s);
  EXPECT_EQ(two.world.fault(), "") << two.log();
  EXPECT_EQ(two.count("bender", Counter::kInvalidIkeSpiSent), 0u);
  EXPECT_EQ(two.count("flexo", Counter::kEstablished), 1u) << two.log();
  EXPECT_TRUE(two.inside("bender").spis_to_be.empty());
}

}  // namespace
}  // namespace espalier::sim
