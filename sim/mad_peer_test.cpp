// A peer that holds the true keys and keeps to no rule: it gets no more than a pair may have.
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "ike/core/seal.hpp"
#include "policy/proposal.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

using wire::ike::Payload;

struct MadPeer {
  World world{1};
  std::uint64_t counter = std::uint64_t{1} << 63;

  MadPeer() {
    world.add_host("bender", "10.0.0.1");
    world.add_host("flexo", "10.0.0.2");
    world.connect("bender", "flexo");
    world.configure_all();
    EXPECT_TRUE(world.run_until([&] { return world.all_up(); }, 20s));
    world.run_for(10s);
  }
  Host& victim() { return world.host("flexo"); }
  const ike::Core& core() { return victim().engine.core(); }
  const ike::v2::IkeSa& youngest() {
    const ike::v2::IkeSa* found = nullptr;
    for (const auto& [spi, sa] : core().sas) {
      if (sa.is_up() && (found == nullptr || sa.begun >= found->begun)) found = &sa;
    }
    EXPECT_NE(found, nullptr);
    return *found;
  }
  // A request in the peer's name, sealed with the keys that the victim knows.
  void request(const ike::v2::IkeSa& sa, wire::ike::ExchangeType exchange,
               const std::vector<Payload>& payloads) {
    const bool we_initiated = sa.role == ike::v2::Role::kInitiator;
    wire::ike::Header header;
    header.spi_i = sa.spi_i;
    header.spi_r = sa.spi_r;
    header.exchange = exchange;
    header.flags = we_initiated ? 0 : wire::ike::kFlagInitiator;
    header.message_id = sa.expected_request;
    const ike::SealKeys keys = we_initiated
                                   ? ike::SealKeys{sa.suite.cipher, sa.keys.er, sa.keys.ar}
                                   : ike::SealKeys{sa.suite.cipher, sa.keys.ei, sa.keys.ai};
    const ike::Path path = sa.path;
    const auto sealed = ike::seal(header, payloads, keys, {counter, victim().rng}, 0);
    victim().engine.handle_datagram(world.now(), victim().rng, path, sealed.front());
    // An unknown pair: nothing but the engine's queues being drained.
    world.command("flexo", ike::Rekey{"nobody", false});
  }
  std::vector<Payload> offer(bool of_ike, std::uint32_t spi) {
    const policy::Connection& connection = victim().connections.front();
    Writer writer;
    writer.u32(spi);
    if (of_ike) writer.u32(spi);
    const auto dh = crypto::dh_generate(crypto::DhId::kX25519, victim().rng).value();
    std::vector<Payload> payloads;
    payloads.push_back(wire::ike::SaPayload{
        of_ike ? policy::to_wire(connection.proposals, writer.view())
               : policy::to_wire(connection.children.front().proposals, writer.view(), true)});
    payloads.push_back(wire::ike::NoncePayload{victim().rng.bytes(32)});
    payloads.push_back(wire::ike::KePayload{static_cast<std::uint16_t>(dh.group), dh.public_key});
    if (of_ike) return payloads;
    const auto& child = connection.children.front();
    payloads.push_back(wire::ike::TsPayload{wire::ike::PayloadType::kTsi, child.remote_ts});
    payloads.push_back(wire::ike::TsPayload{wire::ike::PayloadType::kTsr, child.local_ts});
    return payloads;
  }
};

constexpr auto kCreate = wire::ike::ExchangeType::kCreateChildSa;

TEST(MadPeer, RekeysOneChildForEver) {
  MadPeer mad;
  const ike::v2::IkeSa& sa = mad.youngest();
  const Spi old = sa.children.front().spec.spi_out;
  Writer spi;
  spi.u32(old.value);
  for (std::uint32_t i = 0; i < 300; ++i) {
    auto payloads = mad.offer(false, 0x10000 + i);
    payloads.insert(payloads.begin(),
                    wire::ike::NotifyPayload{wire::ike::ProtocolId::kEsp,
                                             wire::ike::NotifyType::kRekeySa,
                                             Bytes(spi.view().begin(), spi.view().end()),
                                             {}});
    mad.request(sa, kCreate, payloads);
  }
  EXPECT_EQ(sa.children.size(), 2u) << "it is replaced once, and then to be deleted";
}

TEST(MadPeer, MakesChildrenForEver) {
  MadPeer mad;
  const ike::v2::IkeSa& sa = mad.youngest();
  for (std::uint32_t i = 0; i < 100; ++i) mad.request(sa, kCreate, mad.offer(false, 0x10000 + i));
  EXPECT_EQ(sa.children.size(), ike::kChildrenPerIkeSaMax);
  // Closing the SA is possible whatever waits.
  mad.world.command("flexo", ike::Terminate{"flexo-bender"});
  mad.world.run_for(60s);
  EXPECT_TRUE(mad.victim().twin.inbound.empty());
}

TEST(MadPeer, RekeysTheIkeSaForEver) {
  MadPeer mad;
  for (std::uint32_t i = 0; i < 50; ++i) {
    mad.request(mad.youngest(), kCreate, mad.offer(true, 0x10000 + i));
    mad.world.run_for(1ms);
  }
  EXPECT_EQ(mad.core().pairs.at("flexo-bender").sas.size(), ike::kIkeSasPerPairMax);
}

TEST(MadPeer, RekeysTheIkeSaWhileWeDo) {
  MadPeer mad;
  const ike::v2::IkeSa& sa = mad.youngest();
  mad.world.filter = [](const Host& from, const Host&, ByteView) { return from.name != "flexo"; };
  mad.world.command("flexo", ike::Rekey{"flexo-bender", true});
  for (std::uint32_t i = 0; i < 20; ++i) mad.request(sa, kCreate, mad.offer(true, 0x10000 + i));
  EXPECT_EQ(mad.core().pairs.at("flexo-bender").sas.size(), 2u) << "ours and the first of theirs";
}

TEST(MadPeer, PairsComeBackAfterIt) {
  MadPeer mad;
  mad.request(mad.youngest(), wire::ike::ExchangeType::kInformational,
              {wire::ike::DeletePayload{wire::ike::ProtocolId::kIke, {}}});
  EXPECT_FALSE(mad.core().pairs.at("flexo-bender").up);
  EXPECT_TRUE(mad.world.run_until([&] { return mad.world.all_up(); }, 90s));
  mad.world.run_for(60s);
  EXPECT_EQ(mad.world.fault(), "");
}

}  // namespace
}  // namespace espalier::sim
