// What two ends agree on: extended sequence numbers, several selectors, protocols and ports; and
// that repeating everything that was said changes nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/seal.hpp"
#include "policy/selectors.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;

policy::TrafficSelector selector(const char* network, std::uint8_t protocol = 0,
                                 std::uint16_t first = 0, std::uint16_t last = 65535) {
  auto one = policy::from_prefix(Prefix::parse(network).value());
  one.protocol = protocol;
  one.start_port = first;
  one.end_port = last;
  return one;
}

void set_esn(policy::ChildConfig& child, bool esn, bool no_esn) {
  std::vector<policy::EspProposal> proposals = child.proposals;
  for (auto& proposal : proposals) {
    proposal.esn = esn;
    proposal.no_esn = no_esn;
  }
  child.proposals = std::move(proposals);
}

// Everything that was sent arrives a second and a third time; nothing changes.
struct Replayed : Two {
  explicit Replayed(std::uint64_t seed) : Two(seed) {
    world.filter = [this](const Host&, const Host& to, ByteView datagram) {
      sent.emplace_back(to.name, to_vector(datagram));
      return true;
    };
  }
  std::vector<std::pair<Spi, Spi>> children() {
    std::vector<std::pair<Spi, Spi>> spis;
    for (const auto& child : pair("bender").children) {
      spis.emplace_back(child.spec.spi_in, child.spec.spi_out);
    }
    return spis;
  }
  void replay() {
    const auto all = sent;
    EXPECT_TRUE(heals(60s)) << log();
    const auto before = children();
    for (int round = 0; round < 2; ++round) {
      for (const auto& [to, datagram] : all) {
        Host& host = world.host(to);
        host.engine.handle_datagram(world.now(), host.rng, sa(to).path, datagram);
        world.command(to, ike::Rekey{"nobody", false});
      }
    }
    EXPECT_TRUE(heals(60s)) << log();
    EXPECT_EQ(children(), before) << log();
  }
  std::vector<std::pair<std::string, Bytes>> sent;
};

TEST(Esn, EveryCombinationInBothRoles) {
  struct Side {
    bool esn, no_esn;
  };
  const std::vector<Side> sides{{true, false}, {false, true}, {true, true}};
  for (const char* initiator : {"bender", "flexo"}) {
    const std::string responder = std::string(initiator) == "bender" ? "flexo" : "bender";
    for (const Side& a : sides) {
      for (const Side& b : sides) {
        Replayed two(7);
        two.of(responder).start = policy::Start::kNone;
        for (const auto& [name, side] :
             {std::pair(std::string(initiator), a), std::pair(responder, b)}) {
          set_esn(two.of(name).children.front(), side.esn, side.no_esn);
        }
        const std::string what = fmt::format("{} offers {}{}, {} has {}{}", initiator, a.esn,
                                             a.no_esn, responder, b.esn, b.no_esn);
        const bool possible = (a.esn && b.esn) || (a.no_esn && b.no_esn);
        ASSERT_EQ(two.start(), possible) << what << two.log();
        if (!possible) {
          EXPECT_NE(two.log().find("NO_PROPOSAL_CHOSEN"), std::string::npos) << two.log();
          continue;
        }
        for (int rekeyed = 0; rekeyed < 2; ++rekeyed) {
          const bool esn = two.world.host("bender").twin.inbound.begin()->second.suite.esn;
          EXPECT_EQ(esn, two.world.host("flexo").twin.inbound.begin()->second.suite.esn) << what;
          // Both would do: the better one.
          EXPECT_EQ(esn, a.esn && b.esn) << what;
          two.replay();
          two.world.command(responder, ike::Rekey{responder + "-" + initiator, false});
          two.world.run_for(10s);
          EXPECT_EQ(two.world.fault(), "") << two.log();
        }
      }
    }
  }
}

TEST(Selectors, SeveralWithProtocolsAndPortsAreNarrowed) {
  struct Case {
    policy::SelectorList offered, configured;
    const char* agreed;
  };
  const std::vector<Case> cases{
      {{selector("10.2.0.0/16")}, {selector("10.2.7.0/24")}, "10.2.7.0/24"},
      {{selector("10.2.7.0/24")}, {selector("10.2.0.0/16")}, "10.2.7.0/24"},
      {{selector("10.2.0.0/16", 6)}, {selector("10.2.0.0/16")}, "10.2.0.0/16[tcp]"},
      {{selector("10.2.0.0/16")}, {selector("10.2.0.0/16", 17, 53, 53)}, "10.2.0.0/16[udp/53]"},
      {{selector("10.2.0.0/16", 6, 1, 1000)},
       {selector("10.2.0.0/16", 6, 443, 2000)},
       "10.2.0.0/16[tcp/443-1000]"},
      {{selector("10.2.0.0/16", 6, 443, 443), selector("10.3.0.0/16", 17)},
       {selector("10.0.0.0/8")},
       "10.2.0.0/16[tcp/443] 10.3.0.0/16[udp]"},
      {{selector("10.0.0.0/8")},
       {selector("10.2.0.0/16", 6, 443, 443), selector("10.3.0.0/16", 17)},
       "10.2.0.0/16[tcp/443] 10.3.0.0/16[udp]"},
      {{selector("10.2.0.0/16", 6)}, {selector("10.2.0.0/16", 17)}, nullptr},
      {{selector("10.2.0.0/16", 6, 1, 10)}, {selector("10.2.0.0/16", 6, 11, 20)}, nullptr},
  };
  for (const Case& one : cases) {
    for (const char* initiator : {"bender", "flexo"}) {
      const std::string responder = std::string(initiator) == "bender" ? "flexo" : "bender";
      Replayed two(5);
      two.of(responder).start = policy::Start::kNone;
      two.of(initiator).children.front().remote_ts = one.offered;
      two.of(responder).children.front().local_ts = one.configured;
      const bool up = two.start();
      ASSERT_EQ(up, one.agreed != nullptr) << two.log();
      if (!up) {
        EXPECT_NE(two.log().find("TS_UNACCEPTABLE"), std::string::npos);
        continue;
      }
      ASSERT_TRUE(two.heals(60s)) << two.log();
      ASSERT_EQ(two.pair(initiator).children.size(), 1u) << two.log();
      const ike::ChildSaSpec child = two.pair(initiator).children.front().spec;
      EXPECT_EQ(policy::to_string(child.remote_ts), one.agreed) << two.log();
      two.world.command(responder, ike::Rekey{responder + "-" + initiator, false});
      two.world.run_for(10s);
      EXPECT_TRUE(two.heals(60s)) << two.log();
      EXPECT_EQ(policy::to_string(two.pair(initiator).children.front().spec.remote_ts), one.agreed);
      two.replay();
    }
  }
}

// RFC 7296 section 2.9: a peer that wants an SA for each pair of addresses says so, and gets
// requests for one pair of networks at a time.
TEST(Selectors, SinglePairRequiredIsFollowed) {
  Two two(3, [](policy::Connection& connection) {
    policy::ChildConfig more = connection.children.front();
    more.name = "more";
    more.local_ts = more.remote_ts = {selector("10.2.0.0/16"), selector("10.3.0.0/16")};
    connection.children.push_back(std::move(more));
  });
  bool answered = false;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    return answered || from.name != "bender" ||
           !is_request(datagram, wire::ike::ExchangeType::kCreateChildSa);
  };
  two.world.configure_all();
  ASSERT_TRUE(two.world.run_until(
      [&] {
        const auto& sa = two.sa("bender");
        return sa.is_up() && sa.outstanding &&
               sa.outstanding->exchange == wire::ike::ExchangeType::kCreateChildSa;
      },
      10s));
  Host& bender = two.world.host("bender");
  auto& sa = two.sa("bender");
  wire::ike::Header header;
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  header.exchange = wire::ike::ExchangeType::kCreateChildSa;
  header.flags = wire::ike::kFlagResponse;
  header.message_id = sa.outstanding->id;
  ASSERT_EQ(sa.role, ike::v2::Role::kInitiator);
  std::uint64_t counter = std::uint64_t{1} << 62;
  const wire::ike::NotifyPayload single{
      wire::ike::ProtocolId::kNone, wire::ike::NotifyType::kSinglePairRequired, {}, {}};
  const auto sealed = ike::seal(header, {single}, {sa.suite.cipher, sa.keys.er, sa.keys.ar},
                                {counter, bender.rng}, 0);
  two.sa("flexo").expected_request = MessageId(header.message_id.value + 1);
  answered = true;
  const ike::Path path = sa.path;
  bender.engine.handle_datagram(two.world.now(), bender.rng, path, sealed.front());
  two.world.run_for(30s);
  EXPECT_EQ(two.pair("bender").state, "up") << two.log();
  ASSERT_EQ(two.pair("bender").children.size(), 5u) << two.log();
  for (const auto& child : two.pair("bender").children) {
    EXPECT_EQ(child.spec.local_ts.size(), 1u);
    EXPECT_EQ(child.spec.remote_ts.size(), 1u);
  }
}

// RFC 7296 section 2.3: a larger window is an offer. We take it note of nothing: one at a time.
TEST(Window, ALargerOneOfThePeerIsAcceptedAndNotUsed) {
  Two two(3);
  ASSERT_TRUE(two.start());
  two.world.run_for(5s);
  Host& flexo = two.world.host("flexo");
  auto& sa = two.sa("flexo");
  wire::ike::Header header;
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  header.exchange = wire::ike::ExchangeType::kInformational;
  const bool we_initiated = sa.role == ike::v2::Role::kInitiator;
  header.flags = we_initiated ? 0 : wire::ike::kFlagInitiator;
  header.message_id = sa.expected_request;
  const ike::SealKeys keys = we_initiated ? ike::SealKeys{sa.suite.cipher, sa.keys.er, sa.keys.ar}
                                          : ike::SealKeys{sa.suite.cipher, sa.keys.ei, sa.keys.ai};
  std::uint64_t counter = std::uint64_t{1} << 62;
  const wire::ike::NotifyPayload window{
      wire::ike::ProtocolId::kNone, wire::ike::NotifyType::kSetWindowSize, {}, {0, 0, 0, 8}};
  const ike::Path path = sa.path;
  const auto sealed = ike::seal(header, {window}, keys, {counter, flexo.rng}, 0);
  flexo.engine.handle_datagram(two.world.now(), flexo.rng, path, sealed.front());
  std::size_t answers = 0;
  while (flexo.engine.poll_transmit()) ++answers;
  EXPECT_EQ(answers, 1u);
  EXPECT_TRUE(sa.is_up());
  // Three exchanges that are ready at once go one after another.
  two.world.filter = [](const Host&, const Host&, ByteView) { return false; };
  const std::uint64_t before = two.count("flexo", Counter::kMessagesOut);
  two.world.command("flexo", ike::Rekey{"flexo-bender", false});
  two.world.command("flexo", ike::Rekey{"flexo-bender", true});
  two.world.command("flexo", ike::Terminate{"flexo-bender"});
  two.world.run_for(100ms);
  EXPECT_EQ(two.count("flexo", Counter::kMessagesOut), before + 1);
}

}  // namespace
}  // namespace espalier::sim
