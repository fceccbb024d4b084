// What a network and a peer may do to an engine beyond losing datagrams: floods, wrong groups,
// other addresses, disagreement about what was configured.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;

struct Two {
  World world;
  explicit Two(std::uint64_t seed) : world(seed) {
    world.add_host("bender", "10.0.0.1");
    world.add_host("flexo", "10.0.0.2");
    world.connect("bender", "flexo");
  }
  policy::Connection& of(const char* host) { return world.host(host).connections.front(); }
  std::uint64_t count(const char* host, Counter counter) {
    return world.host(host).engine.counter(counter);
  }
  bool start() {
    world.configure_all();
    return world.run_until([&] { return world.all_up(); }, 20s);
  }
  ike::PairSnapshot pair(const char* host) { return world.host(host).engine.snapshot().front(); }
  std::string log() {
    std::string text = fmt::format("seed {}\n", world.seed());
    for (const char* name : {"bender", "flexo"}) {
      for (const ike::Event& event : world.host(name).events) {
        text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
      }
    }
    return text;
  }
};

// The first message of a stranger who sends from an address of his own.
Bytes init_request(const policy::Connection& like, std::uint64_t spi) {
  crypto::SeededRng rng(spi);
  wire::ike::Header header;
  header.spi_i = IkeSpi(spi);
  header.flags = wire::ike::kFlagInitiator;
  const auto dh = crypto::dh_generate(like.proposals.front().dh.front(), rng).value();
  return wire::ike::encode_message(
      header, {wire::ike::SaPayload{policy::to_wire(like.proposals, ByteView())},
               wire::ike::KePayload{static_cast<std::uint16_t>(dh.group), dh.public_key},
               wire::ike::NoncePayload{rng.bytes(32)}});
}

TEST(Flood, CookiesAreDemandedAndARealPeerStillGetsIn) {
  Two two(1);
  Host& flexo = two.world.host("flexo");
  // The peer may come from anywhere, so that a stranger's request gets an answer at all.
  two.of("flexo").behind_nat = true;
  two.world.command("flexo", ike::Configure{flexo.connections});
  for (std::uint64_t i = 1; i <= ike::kCookieThreshold; ++i) {
    const ike::Path path{{flexo.address, 500},
                         {IpAddress::v4(0xc6336401u + (static_cast<std::uint32_t>(i) << 8)), 500}};
    flexo.engine.handle_datagram(two.world.now(), flexo.rng, path,
                                 init_request(two.of("flexo"), i));
    two.world.command("flexo", ike::Configure{flexo.connections});  // drains
  }
  EXPECT_EQ(flexo.engine.core().half_open.size(), ike::kCookieThreshold);
  EXPECT_EQ(two.count("flexo", Counter::kCookiesDemanded), 0u);
  two.world.command("bender", ike::Configure{two.world.host("bender").connections});
  ASSERT_TRUE(two.world.run_until([&] { return two.world.all_up(); }, 10s)) << two.log();
  EXPECT_EQ(two.count("flexo", Counter::kCookiesDemanded), 1u);
  EXPECT_EQ(two.count("flexo", Counter::kDropCookie), 0u);
  two.world.run_for(ike::kHalfOpenLifetime);
  EXPECT_EQ(flexo.engine.core().half_open.size(), 0u) << "the flood is over";
  EXPECT_EQ(two.world.fault(), "") << two.log();
}

// A flood with the source addresses of a mesh's own prefix, as fast as the hosts can be reached,
// while all 200 of them start at once with one of them.
TEST(Flood, FromItsOwnPrefixDoesNotKeepAMeshFromStarting) {
  World world(4);
  ike::Settings settings;
  settings.election = false;
  world.add_host("hub", "10.0.0.1", settings);
  for (int i = 2; i <= 201; ++i) {
    const std::string name = fmt::format("h{}", i);
    world.add_host(name, fmt::format("10.0.0.{}", i), settings);
    world.connect("hub", name);
  }
  Host& hub = world.host("hub");
  for (auto& connection : hub.connections) connection.start = policy::Start::kNone;
  Bytes flood = init_request(hub.connections.front(), 1);
  const Instant begun = world.now();
  std::uint32_t sent = 0;
  const auto a_moment_of_flood = [&] {
    for (int i = 0; i < 20; ++i) {
      ++sent;
      for (int octet = 0; octet < 4; ++octet)
        flood[static_cast<std::size_t>(octet)] = static_cast<std::uint8_t>(sent >> (8 * octet));
      const ike::Path path{{hub.address, 500},
                           {IpAddress::v4(0x0a000002u + sent % 200),
                            static_cast<std::uint16_t>(1024 + sent % 50000)}};
      hub.engine.handle_datagram(world.now(), hub.rng, path, flood);
    }
    world.command("hub", ike::Rekey{"nobody", false});  // drains
    world.run_for(10ms);
  };
  world.command("hub", ike::Configure{hub.connections});
  for (int i = 0; i < 50; ++i) a_moment_of_flood();  // half a second before the others start
  world.configure_all();
  while (!world.all_up() && world.now() - begun < 30s) {
    a_moment_of_flood();
    ASSERT_LE(hub.engine.core().half_open.size(), ike::kCookiePrefixThreshold + 200);
  }
  EXPECT_TRUE(world.all_up());
  EXPECT_LT(seconds(world.now() - begun), 5.0);
  EXPECT_GE(hub.engine.counter(Counter::kCookiesDemanded), 1000u);
  world.run_for(60s);
  EXPECT_EQ(world.fault(), "");
  EXPECT_EQ(hub.engine.core().half_open.size(), 0u);
}

// More real peers than there is room for, none of which goes on to IKE_AUTH.
TEST(Flood, WhoReturnsCookiesAndGoesNoFurtherMakesRoom) {
  Two two(3);
  Host& flexo = two.world.host("flexo");
  two.of("flexo").behind_nat = true;
  two.world.command("flexo", ike::Configure{flexo.connections});
  ike::Core& core = const_cast<ike::Core&>(flexo.engine.core());
  const Bytes request = init_request(two.of("flexo"), 7);
  const auto parsed = wire::ike::parse_message(request).value();
  std::uint64_t spi = 0;
  const auto one_more = [&] {
    ++spi;
    wire::ike::Header header = parsed.header;
    header.spi_i = IkeSpi(spi);
    const ike::Path path{{flexo.address, 500}, {IpAddress::v4(0xc6336401u), 500}};
    ike::Context ctx{core, two.world.now(), flexo.rng};
    const Bytes& nonce = parsed.find<wire::ike::NoncePayload>()->data;
    std::vector<wire::ike::Payload> payloads{
        wire::ike::NotifyPayload{wire::ike::ProtocolId::kNone,
                                 wire::ike::NotifyType::kCookie,
                                 {},
                                 ike::make_cookie(ctx, nonce, path.remote, header.spi_i)}};
    payloads.insert(payloads.end(), parsed.payloads.begin(), parsed.payloads.end());
    flexo.engine.handle_datagram(two.world.now(), flexo.rng, path,
                                 wire::ike::encode_message(header, payloads));
    while (flexo.engine.poll_transmit() || flexo.engine.poll_event() || flexo.engine.poll_effect())
      continue;
  };
  for (std::size_t i = 0; i < ike::kHalfOpenMax; ++i) one_more();
  EXPECT_EQ(core.half_open.size(), ike::kHalfOpenMax);
  one_more();
  EXPECT_EQ(two.count("flexo", Counter::kDropHalfOpen), 1u) << "all had too little time yet";
  two.world.run_for(ike::kHalfOpenFairTime + 1s);
  two.of("bender").start = policy::Start::kNow;
  two.world.command("bender", ike::Configure{two.world.host("bender").connections});
  // bender is not asked for a cookie: nobody without one is there.
  ASSERT_TRUE(two.world.run_until([&] { return two.world.all_up(); }, 10s)) << two.log();
  one_more();
  EXPECT_GE(two.count("flexo", Counter::kHalfOpenEvicted), 1u);
  EXPECT_LE(core.half_open.size(), ike::kHalfOpenMax + ike::kCookieThreshold);
}

TEST(Flood, FailedAuthenticationsCountAsHalfOpen) {
  Two two(2);
  two.of("flexo").psk = SecretBytes(as_bytes("another"));
  two.world.configure_all();
  two.world.run_for(1s);
  EXPECT_GE(two.count("flexo", Counter::kAuthFailed), 1u) << two.log();
  EXPECT_GE(two.world.host("flexo").engine.core().half_open.size(), 1u)
      << "who fails is kept a while to repeat the answer, and that room is bounded";
  two.world.crash("bender");
  two.world.run_for(60s);
  EXPECT_EQ(two.world.host("flexo").engine.core().half_open.size(), 0u);
}

TEST(Start, AnotherGroupIsFollowed) {
  Two two(3);
  two.of("bender").proposals = {
      policy::parse_ike_proposal("aes256gcm16-prfsha256-x25519-ecp256").value()};
  two.of("flexo").proposals = {policy::parse_ike_proposal("aes256gcm16-prfsha256-ecp256").value()};
  ASSERT_TRUE(two.start()) << two.log();
  EXPECT_EQ(two.pair("bender").ike->suite.dh, crypto::DhId::kEcp256);
  EXPECT_EQ(two.count("bender", Counter::kInitiated), 1u) << "followed within one attempt";
  EXPECT_EQ(two.count("bender", Counter::kAttemptsFailed), 0u);
}

TEST(Start, DisjointProposalsAreNamedAtBothEnds) {
  Two two(4);
  two.of("bender").proposals = {policy::parse_ike_proposal("aes256gcm16-prfsha384-x25519").value()};
  two.of("flexo").proposals = {policy::parse_ike_proposal("aes128-sha256-ecp256").value()};
  EXPECT_FALSE(two.start());
  const auto bender = two.pair("bender");
  EXPECT_NE(bender.state, "up");
  EXPECT_NE(bender.last_error.find("accepts none of our IKE proposals (aes256gcm16"),
            std::string::npos)
      << bender.last_error;
  EXPECT_TRUE(bender.retry_at.has_value()) << "it never gives up";
  EXPECT_NE(two.log().find("flexo dropped"), std::string::npos) << two.log();
  EXPECT_NE(two.log().find("aes128"), std::string::npos) << two.log();
}

TEST(Start, DisjointSelectorsAreNamedAtBothEnds) {
  Two two(5);
  two.of("flexo").children.front().local_ts = {
      policy::from_prefix(Prefix::parse("192.0.2.0/24").value())};
  EXPECT_FALSE(two.start());
  EXPECT_NE(two.pair("bender").last_error.find("TS_UNACCEPTABLE"), std::string::npos)
      << two.pair("bender").last_error;
  EXPECT_NE(two.log().find("compare 'subnets' on both sides"), std::string::npos) << two.log();
  EXPECT_GE(two.count("flexo", Counter::kTsRefused), 1u);
  EXPECT_TRUE(two.world.host("bender").twin.inbound.empty());
  EXPECT_TRUE(two.world.host("flexo").twin.inbound.empty());
}

TEST(Down, ThePeerIsRefusedUntilUp) {
  Two two(6);
  ASSERT_TRUE(two.start());
  two.world.command("flexo", ike::Terminate{"flexo-bender"});
  two.world.run_for(120s);
  EXPECT_EQ(two.pair("flexo").state, "disabled");
  EXPECT_NE(two.pair("bender").state, "up");
  EXPECT_NE(two.pair("bender").last_error.find("TEMPORARY_FAILURE"), std::string::npos)
      << two.pair("bender").last_error;
  EXPECT_GE(two.count("bender", Counter::kAttemptsFailed), 2u) << "it goes on trying";
  two.world.command("flexo", ike::Initiate{"flexo-bender"});
  EXPECT_TRUE(two.world.run_until([&] { return two.world.all_up(); }, 5s)) << two.log();
  two.world.run_for(20s);
  EXPECT_EQ(two.world.fault(), "") << two.log();
}

// 'down' while a rekey of the IKE SA is under way means its successor too.
TEST(Down, DuringAnIkeRekey) {
  for (const char* rekeying : {"bender", "flexo"}) {
    for (int after = 0; after < 25; ++after) {
      Two two(7);
      ASSERT_TRUE(two.start());
      const std::string pair = std::string(rekeying) == "bender" ? "bender-flexo" : "flexo-bender";
      two.world.command(rekeying, ike::Rekey{pair, true});
      two.world.run_for(std::chrono::milliseconds(after));
      two.world.command("bender", ike::Terminate{"bender-flexo"});
      two.world.run_for(20s);
      EXPECT_EQ(two.pair("bender").state, "disabled") << after << " ms\n" << two.log();
      EXPECT_EQ(two.pair("bender").ike_sas, 0u) << after;
      EXPECT_TRUE(two.world.host("bender").twin.inbound.empty());
      EXPECT_TRUE(two.world.host("flexo").twin.outbound.empty());
    }
  }
}

TEST(Replay, OldRequestsAreAnsweredFromTheCacheOrNotAtAll) {
  Two two(8);
  std::vector<Bytes> from_bender;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    if (from.name == "bender") from_bender.push_back(to_vector(datagram));
    return true;
  };
  ASSERT_TRUE(two.start());
  two.world.command("bender", ike::Rekey{"bender-flexo", false});
  two.world.run_for(10s);
  ASSERT_EQ(two.world.fault(), "");
  Host& flexo = two.world.host("flexo");
  const auto before = flexo.engine.snapshot().front();
  const std::uint64_t installed = two.count("flexo", Counter::kChildInstalled);
  const std::uint64_t repeated = two.count("flexo", Counter::kResponsesRepeated);
  const std::uint64_t outside = two.count("flexo", Counter::kDropMessageId);
  const ike::Path path = flexo.engine.snapshot().front().ike->path;
  ASSERT_GE(from_bender.size(), 4u);  // INIT, AUTH, CREATE_CHILD_SA, Delete
  for (int round = 0; round < 3; ++round) {
    for (const Bytes& datagram : from_bender) {
      flexo.engine.handle_datagram(two.world.now(), flexo.rng, path, datagram);
    }
  }
  two.world.run_for(1s);
  EXPECT_GE(two.count("flexo", Counter::kResponsesRepeated), repeated + 3) << "the last one";
  EXPECT_GE(two.count("flexo", Counter::kDropMessageId), outside + 6) << "the ones before";
  EXPECT_EQ(two.count("flexo", Counter::kChildInstalled), installed);
  EXPECT_EQ(flexo.engine.snapshot().front().children.front().spec.spi_in,
            before.children.front().spec.spi_in);
  two.world.run_for(60s);
  EXPECT_EQ(two.world.fault(), "") << two.log();
}

TEST(Nat, ARequestFromAnotherPortMovesThePath) {
  Two two(9);
  ASSERT_TRUE(two.start());
  two.world.run_for(1s);
  Host& flexo = two.world.host("flexo");
  // The next request of bender arrives from another port; what is forged or old moves nothing.
  Bytes request;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    if (from.name != "bender") return true;
    if (request.empty()) request = to_vector(datagram);
    return false;
  };
  two.world.command("bender", ike::Rekey{"bender-flexo", false});
  two.world.run_for(100ms);
  ASSERT_FALSE(request.empty());
  two.world.filter = nullptr;
  ike::Path path = flexo.engine.snapshot().front().ike->path;
  path.remote.port = 61234;
  Bytes forged = request;
  forged.back() ^= 1;
  flexo.engine.handle_datagram(two.world.now(), flexo.rng, path, forged);
  EXPECT_NE(flexo.engine.snapshot().front().ike->path, path);
  flexo.engine.handle_datagram(two.world.now(), flexo.rng, path, request);
  EXPECT_EQ(flexo.engine.snapshot().front().ike->path, path);
  const ike::PairSnapshot moved = flexo.engine.snapshot().front();
  ASSERT_EQ(moved.children.size(), 1u);
  for (const auto& child : moved.children) {
    EXPECT_EQ(child.spec.path, path);
  }
  bool told = false;
  while (auto effect = flexo.engine.poll_effect()) {
    const auto* update = std::get_if<ike::UpdateSa>(&*effect);
    told = told || (update != nullptr && update->path == path);
  }
  EXPECT_TRUE(told) << "the dataplane";
}

// A host that slept finds datagrams before its timers.
TEST(Timers, LateOnesDoNotMatter) {
  Two two(10);
  ASSERT_TRUE(two.start());
  two.world.run_for(30s);
  two.world.command("bender", ike::Rekey{"bender-flexo", false});
  // flexo answered the rekey and waits with its outbound SA; bender's Delete is lost.
  int sent = 0;
  two.world.filter = [&](const Host& from, const Host&, ByteView) {
    return from.name != "bender" || ++sent < 1;
  };
  two.world.run_for(100ms);
  two.world.filter = nullptr;
  Host& flexo = two.world.host("flexo");
  ASSERT_FALSE(flexo.twin.inbound.empty());
  Spi waiting;
  for (const auto& [spi, sa] : flexo.engine.core().sas) {
    for (const auto& child : sa.children) {
      if (!child.outbound_installed) waiting = child.spec.spi_in;
    }
  }
  ASSERT_NE(waiting.value, 0u) << two.log();
  const Instant late = two.world.now() + ike::kOutboundGrace * 3;
  flexo.engine.handle_completion(
      late, flexo.rng,
      ike::SoftExpired{ike::Direction::kIn, waiting, two.world.host("bender").address});
  bool installed = false;
  while (auto effect = flexo.engine.poll_effect()) {
    const auto* install = std::get_if<ike::InstallSa>(&*effect);
    installed = installed || (install != nullptr && install->direction == ike::Direction::kOut &&
                              install->sa.spi_in == waiting);
  }
  EXPECT_TRUE(installed);
}

}  // namespace
}  // namespace espalier::sim
