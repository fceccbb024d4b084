// Two real engines and a hostile network between them. The input's octets are orders: deliver,
// lose, repeat, change or invent datagrams, let time pass, command, hold back slow work; and, as
// the peer itself gone mad, seal any chain of payloads with the true keys.
//
// Held against it: no assertion, bounded memory, SAs in the dataplane that match those of the
// engine, and after the noise both ends are up again.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>

#include "ike/core/endpoint.hpp"
#include "ike/core/limits.hpp"
#include "ike/core/seal.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike {
namespace {

using wire::ike::ExchangeType;
using wire::ike::NotifyType;
using wire::ike::Payload;
using wire::ike::PayloadType;
using wire::ike::ProtocolId;

constexpr std::size_t kOrdersMax = 120;
constexpr std::size_t kInFlightMax = 48;
constexpr std::size_t kTimersPerOrder = 150;
constexpr Duration kRecovery = 900s;

class Orders {
 public:
  explicit Orders(ByteView bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t u8() {
    if (bytes_.empty()) return 0;
    const std::uint8_t octet = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return octet;
  }
  std::uint16_t u16() { return static_cast<std::uint16_t>(u8() << 8 | u8()); }
  std::size_t below(std::size_t count) { return count == 0 ? 0 : u8() % count; }
  Bytes take(std::size_t count) {
    const ByteView part = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(part.size());
    return to_vector(part);
  }

 private:
  ByteView bytes_;
};

struct Packet {
  std::size_t to = 0;
  Path path;
  Bytes datagram;
};

struct End {
  Endpoint engine;
  crypto::SeededRng rng{0};
  std::vector<policy::Connection> connections;
  std::deque<StartJob> jobs;
  std::set<Spi> inbound;
  std::set<std::pair<Spi, IpAddress>> outbound;
};

class NoKeys final : public KeyStore {
 public:
  std::shared_ptr<const crypto::PrivateKey> find(const std::string&) const override {
    return nullptr;
  }
};

struct World {
  std::array<End, 2> ends;
  std::deque<Packet> flight;
  Instant now{};
  bool hold_jobs = false;
  bool forged = false;  // an end was told things that its peer never said
  bool moved = false;   // outbound SAs were given other addresses

  void drain(std::size_t who);
  void apply(std::size_t who, const Effect& effect);
  void send(std::size_t who, Transmit transmit);
  void run_jobs(std::size_t who);
  void deliver(std::size_t index);
  void command(std::size_t who, const Command& command);
  bool next_timer(Instant limit);
  void run(Duration time, const std::function<bool()>& done);
  bool all_up() const;
  void check() const;
};

void World::apply(std::size_t who, const Effect& effect) {
  End& end = ends[who];
  if (const auto* install = std::get_if<InstallSa>(&effect)) {
    if (install->direction == Direction::kIn) {
      ASSERT(end.inbound.insert(install->sa.spi_in).second);
    } else {
      const bool fresh =
          end.outbound.insert({install->sa.spi_out, install->sa.path.remote.ip}).second;
      ASSERT(fresh || forged || moved);
    }
  } else if (const auto* removal = std::get_if<DeleteSa>(&effect)) {
    if (removal->direction == Direction::kIn) {
      ASSERT(end.inbound.erase(removal->spi) == 1);
    } else {
      ASSERT(end.outbound.erase({removal->spi, removal->peer}) == 1 || forged || moved);
    }
  } else if (const auto* job = std::get_if<StartJob>(&effect)) {
    end.jobs.push_back(*job);
  } else if (const auto* query = std::get_if<QueryUse>(&effect)) {
    end.engine.handle_completion(now, end.rng, UseReport{query->sa, std::nullopt});
  }
}

void World::send(std::size_t who, Transmit transmit) {
  if (transmit.keepalive) return;
  SocketAddress source = transmit.path.local;
  flight.push_back({1 - who, {transmit.path.remote, source}, std::move(transmit.datagram)});
  if (flight.size() > kInFlightMax) flight.pop_front();
}

void World::drain(std::size_t who) {
  End& end = ends[who];
  for (;;) {
    if (auto effect = end.engine.poll_effect()) {
      apply(who, *effect);
    } else if (auto transmit = end.engine.poll_transmit()) {
      send(who, std::move(*transmit));
    } else if (!end.engine.poll_event()) {
      break;
    }
  }
  if (!hold_jobs) run_jobs(who);
}

void World::run_jobs(std::size_t who) {
  End& end = ends[who];
  while (!end.jobs.empty()) {
    const StartJob job = std::move(end.jobs.front());
    end.jobs.pop_front();
    end.engine.handle_completion(now, end.rng,
                                 JobDone{job.id, run_job(job.job, end.rng, NoKeys(), 0)});
    drain(who);
  }
}

void World::deliver(std::size_t index) {
  if (index >= flight.size()) return;
  const Packet packet = std::move(flight[index]);
  flight.erase(flight.begin() + static_cast<std::ptrdiff_t>(index));
  End& end = ends[packet.to];
  end.engine.handle_datagram(now, end.rng, packet.path, packet.datagram);
  drain(packet.to);
}

void World::command(std::size_t who, const Command& command) {
  End& end = ends[who];
  // Refused commands are a matter of course here.
  static_cast<void>(end.engine.handle_command(now, end.rng, command).ok());
  drain(who);
}

// Fires the next timer if one is due by `limit`.
bool World::next_timer(Instant limit) {
  std::optional<std::size_t> first;
  Instant at = limit;
  for (std::size_t who = 0; who < 2; ++who) {
    const auto wakeup = ends[who].engine.poll_timeout();
    if (wakeup && wakeup->at <= at) {
      at = wakeup->at;
      first = who;
    }
  }
  if (!first) return false;
  now = std::max(now, at);
  ends[*first].engine.handle_timeout(now, ends[*first].rng);
  drain(*first);
  return true;
}

// A network without faults.
void World::run(Duration time, const std::function<bool()>& done) {
  const Instant limit = now + time;
  while (!done()) {
    if (!flight.empty()) {
      now += 1ms;
      deliver(0);
    } else if (!next_timer(limit)) {
      break;
    }
  }
  if (!done()) now = limit;
}

bool World::all_up() const {
  return std::all_of(ends.begin(), ends.end(), [](const End& end) {
    return std::all_of(end.engine.core().pairs.begin(), end.engine.core().pairs.end(),
                       [](const auto& pair) { return pair.second.up; });
  });
}

void World::check() const {
  for (const End& end : ends) {
    const Core& core = end.engine.core();
    ASSERT(core.sas.size() <= kHalfOpenMax + kCookieThreshold);
    std::size_t half_open = 0;
    for (const auto& [spi, sa] : core.sas) {
      ASSERT(sa.children.size() <= 2 * kChildrenPerIkeSaMax + 1);
      ASSERT(sa.tasks.size() <= kQueuedTasksMax);
      if (sa.half_open) ++half_open;
    }
    ASSERT(half_open == core.half_open.size());
    for (const auto& [name, pair] : core.pairs) ASSERT(pair.sas.size() <= kIkeSasPerPairMax + 2);
    ASSERT(core.init_requests.size() <= core.sas.size());
    ASSERT(core.jobs.size() <= core.sas.size());
    ASSERT(end.inbound.size() <= core.inbound_spis.size());
  }
}

// ---- the mad peer: any payloads, sealed with the keys by which the victim knows it

Bytes spi_octets(Orders& orders, const End& victim, bool theirs) {
  std::vector<Spi> known;
  for (const auto& [local, sa] : victim.engine.core().sas) {
    for (const v2::ChildSa& child : sa.children) {
      known.push_back(theirs ? child.spec.spi_out : child.spec.spi_in);
    }
  }
  Writer writer;
  const std::uint8_t choice = orders.u8();
  writer.u32(known.empty() || choice >= 0xf0 ? choice * 0x01010101u
                                             : known[choice % known.size()].value);
  return writer.take();
}

Payload proposal_payload(Orders& orders, const policy::Connection& connection) {
  const std::uint8_t kind = orders.u8();
  const Bytes spi = orders.take(kind & 0x10 ? orders.below(9) : (kind & 1 ? 8 : 4));
  wire::ike::SaPayload sa;
  sa.proposals = (kind & 1) != 0
                     ? policy::to_wire(connection.proposals, spi)
                     : policy::to_wire(connection.children.front().proposals, spi, (kind & 2) != 0);
  if ((kind & 4) != 0 && sa.proposals.size() > 1) sa.proposals.resize(1);
  if ((kind & 8) != 0 && !sa.proposals.front().transforms.empty()) {
    sa.proposals.front().transforms.erase(
        sa.proposals.front().transforms.begin() +
        static_cast<std::ptrdiff_t>(orders.below(sa.proposals.front().transforms.size())));
  }
  return sa;
}

Payload ke_payload(Orders& orders) {
  static const std::array<crypto::DhKeyPair, 2> pairs = [] {
    crypto::SeededRng rng(99);
    return std::array<crypto::DhKeyPair, 2>{
        crypto::dh_generate(crypto::DhId::kX25519, rng).value(),
        crypto::dh_generate(crypto::DhId::kEcp256, rng).value()};
  }();
  const std::uint8_t kind = orders.u8();
  if (kind >= 0xc0) return wire::ike::KePayload{orders.u16(), orders.take(32)};
  const crypto::DhKeyPair& pair = pairs[kind % 8 == 7 ? 1 : 0];
  return wire::ike::KePayload{static_cast<std::uint16_t>(pair.group), pair.public_key};
}

Payload make_payload(Orders& orders, const End& victim, const policy::Connection& connection) {
  static constexpr std::array kNotifies = {
      NotifyType::kRekeySa,          NotifyType::kTemporaryFailure,
      NotifyType::kChildSaNotFound,  NotifyType::kNoProposalChosen,
      NotifyType::kInvalidKePayload, NotifyType::kTsUnacceptable,
      NotifyType::kInitialContact,   NotifyType::kCookie,
      NotifyType::kNoAdditionalSas,  NotifyType::kAuthenticationFailed,
      NotifyType::kInvalidSpi,       NotifyType::kInvalidIkeSpi,
      NotifyType::kQcdToken,         NotifyType::kUsePpk,
      NotifyType::kPpkIdentity,      NotifyType::kNoPpkAuth,
      NotifyType::kUseTransportMode, NotifyType::kIntermediateExchangeSupported,
      NotifyType::kAuthLifetime,     NotifyType::kAdditionalKeyExchange,
      NotifyType::kInvalidSyntax,    NotifyType::kChildlessIkev2Supported};
  const policy::ChildConfig& child = connection.children.front();
  switch (orders.below(14)) {
    case 0:
    case 1: return proposal_payload(orders, connection);
    case 2: return wire::ike::NoncePayload{Bytes(16 + orders.below(32), orders.u8())};
    case 3: return ke_payload(orders);
    case 4: return wire::ike::TsPayload{PayloadType::kTsi, child.remote_ts};
    case 5: return wire::ike::TsPayload{PayloadType::kTsr, child.local_ts};
    case 6: {
      auto selectors = child.local_ts;
      selectors.resize(1 + orders.below(200), selectors.front());
      for (auto& selector : selectors) selector.start_port = orders.u8();
      return wire::ike::TsPayload{orders.u8() % 2 == 0 ? PayloadType::kTsi : PayloadType::kTsr,
                                  std::move(selectors)};
    }
    case 7: {
      const NotifyType type = kNotifies[orders.below(kNotifies.size())];
      if (type != NotifyType::kRekeySa) {
        return wire::ike::NotifyPayload{ProtocolId::kNone, type, {}, orders.take(orders.below(5))};
      }
      return wire::ike::NotifyPayload{ProtocolId::kEsp, type, spi_octets(orders, victim, true), {}};
    }
    case 8: {
      Bytes octets = spi_octets(orders, victim, orders.u8() % 4 != 0);
      Reader spi(octets);
      return wire::ike::DeletePayload{ProtocolId::kEsp, {Spi(spi.u32().value())}};
    }
    case 9: return wire::ike::DeletePayload{ProtocolId::kIke, {}};
    case 10: {
      const auto& id = orders.u8() % 4 != 0 ? connection.remote_id : connection.local_id;
      const PayloadType role = orders.u8() % 2 == 0 ? PayloadType::kIdi : PayloadType::kIdr;
      return wire::ike::IdPayload{role, id.type, id.data, {}};
    }
    case 11: return wire::ike::AuthPayload{orders.u8(), orders.take(orders.below(40))};
    case 12: return wire::ike::CertPayload{orders.u8(), orders.take(orders.below(40))};
    default:
      return wire::ike::OtherPayload{static_cast<PayloadType>(54 + orders.below(100)),
                                     orders.u8() % 2 == 0, orders.take(orders.below(8))};
  }
}

void forge(World& world, Orders& orders, bool raw) {
  const std::size_t who = orders.below(2);
  End& victim = world.ends[who];
  const auto& sas = victim.engine.core().sas;
  if (sas.empty()) return;
  const v2::IkeSa& sa =
      std::next(sas.begin(), static_cast<std::ptrdiff_t>(orders.below(sas.size())))->second;
  if (sa.keys.d.empty()) return;
  const std::uint8_t kind = orders.u8();
  std::vector<Payload> payloads;
  Bytes octets;  // raw: anything at all inside
  auto first = PayloadType::kNone;
  if (raw) {
    first = static_cast<PayloadType>(orders.u8());
    octets = orders.take(orders.u8());
  } else {
    const std::size_t count = orders.below(10);
    for (std::size_t i = 0; i < count; ++i) {
      payloads.push_back(make_payload(orders, victim, victim.connections.front()));
    }
  }
  wire::ike::Header header;
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  const bool response = (kind & 4) != 0;
  // IKE_SA_INIT to INFORMATIONAL, or IKE_INTERMEDIATE and IKE_FOLLOWUP_KE (RFC 9242, RFC 9370).
  header.exchange = static_cast<ExchangeType>((kind & 0x20) != 0 ? 43 + kind % 2 : 34 + kind % 4);
  if (response && sa.outstanding && (kind & 8) == 0) header.exchange = sa.outstanding->exchange;
  const bool we_initiated = sa.role == v2::Role::kInitiator;
  header.flags = static_cast<std::uint8_t>((we_initiated ? 0 : wire::ike::kFlagInitiator) |
                                           (response ? wire::ike::kFlagResponse : 0));
  header.message_id = response && sa.outstanding ? sa.outstanding->id : sa.expected_request;
  const SealKeys keys = we_initiated ? SealKeys{sa.suite.cipher, sa.keys.er, sa.keys.ar}
                                     : SealKeys{sa.suite.cipher, sa.keys.ei, sa.keys.ai};
  std::uint64_t counter = std::uint64_t{1} << 63 | orders.u16();
  const Path path = sa.path;
  const std::vector<Bytes> datagrams =
      raw ? std::vector<Bytes>{seal_octets(header, first, octets, keys, {counter, victim.rng})}
          : seal(header, payloads, keys, {counter, victim.rng}, (kind & 0x40) != 0 ? 300 : 0);
  world.forged = true;
  for (const Bytes& datagram : datagrams) {
    victim.engine.handle_datagram(world.now, victim.rng, path, datagram);
    world.drain(who);
  }
}

// ---- orders

void pass_time(World& world, Orders& orders) {
  static constexpr std::array<Duration, 10> kSteps = {1ms, 50ms, 600ms, 2s,    5s,
                                                      11s, 40s,  600s,  3600s, 15000s};
  const std::uint8_t choice = orders.u8();
  const Instant limit = world.now + kSteps[choice % kSteps.size()];
  // Late timers: a host that slept finds datagrams first.
  const std::size_t timers = choice >= 0xc0 ? 0 : kTimersPerOrder;
  for (std::size_t i = 0; i < timers && world.next_timer(limit); ++i) {
  }
  world.now = std::max(world.now, limit);
}

void give_command(World& world, Orders& orders) {
  const std::size_t who = orders.below(2);
  const std::string name = world.ends[who].connections.front().name;
  switch (orders.below(8)) {
    case 0:
    case 1: return world.command(who, Rekey{name, false});
    case 2:
    case 3: return world.command(who, Rekey{name, true});
    case 4: return world.command(who, Terminate{name});
    case 5: return world.command(who, Initiate{name});
    case 6: return world.command(who, Configure{});
    default: {
      auto connections = world.ends[who].connections;
      if (orders.u8() % 2 == 0) connections.front().dpd += 1s;
      return world.command(who, Configure{std::move(connections)});
    }
  }
}

void complete(World& world, Orders& orders) {
  const std::size_t who = orders.below(2);
  End& end = world.ends[who];
  const Direction direction = orders.u8() % 2 == 0 ? Direction::kIn : Direction::kOut;
  const Bytes octets = spi_octets(orders, end, direction == Direction::kOut);
  Reader reader(octets);
  const Spi spi(reader.u32().value());
  const IpAddress peer = end.connections.front().remote_addresses.front();
  switch (orders.below(7)) {
    case 0:
      end.engine.handle_completion(world.now, end.rng, SoftExpired{direction, spi, peer});
      break;
    case 6: end.engine.handle_completion(world.now, end.rng, FirstInbound{spi}); break;
    case 4: end.engine.handle_completion(world.now, end.rng, SaLost{direction, spi, peer}); break;
    case 5: end.engine.handle_completion(world.now, end.rng, UnknownSpi{spi, {peer, 4500}}); break;
    case 1:
      end.engine.handle_completion(world.now, end.rng, HardExpired{direction, spi, peer});
      break;
    case 2:
      end.engine.handle_completion(world.now, end.rng,
                                   InstallFailed{direction, spi, IpAddress(), "refused"});
      break;
    default:
      world.moved = true;
      end.engine.handle_completion(
          world.now, end.rng, PeerMoved{spi, {peer, static_cast<std::uint16_t>(orders.u16() | 1)}});
  }
  world.drain(who);
}

void tamper(World& world, Orders& orders) {
  if (world.flight.empty()) return;
  Packet& packet = world.flight[orders.below(world.flight.size())];
  const std::uint8_t kind = orders.u8();
  if (kind >= 0xc0) {  // a NAT gave the sender another port
    packet.path.remote.port = static_cast<std::uint16_t>(1024 + kind);
    world.moved = true;
  } else if (!packet.datagram.empty()) {
    packet.datagram[orders.u16() % packet.datagram.size()] ^=
        static_cast<std::uint8_t>(orders.u8() | 1);
  }
}

void inject(World& world, Orders& orders) {
  const std::size_t who = orders.below(2);
  End& end = world.ends[who];
  const policy::Connection& connection = end.connections.front();
  const std::uint16_t port = orders.u8() % 2 == 0 ? 500 : 4500;
  const Path path{{connection.local_addresses.front(), port},
                  {connection.remote_addresses.front(), port}};
  end.engine.handle_datagram(world.now, end.rng, path, orders.take(orders.u8()));
  world.drain(who);
}

void obey(World& world, Orders& orders) {
  std::deque<Packet>& flight = world.flight;
  switch (orders.u8() % 20) {
    case 0:
    case 1:
    case 2: return world.deliver(0);
    case 3: return world.deliver(orders.below(flight.size()));
    case 4:
      if (!flight.empty()) flight.pop_front();
      return;
    case 5:
      if (!flight.empty()) flight.push_back(flight[orders.below(flight.size())]);
      return;
    case 6: return tamper(world, orders);
    case 7: return inject(world, orders);
    case 8:
    case 9: return pass_time(world, orders);
    case 10:
    case 11: return give_command(world, orders);
    case 12:
    case 13:
    case 14: return forge(world, orders, false);
    case 15: return forge(world, orders, true);
    case 16: world.hold_jobs = !world.hold_jobs; return;
    case 17: return world.run_jobs(orders.below(2));
    case 18: return complete(world, orders);
    default:
      for (std::size_t i = 0; i < kInFlightMax && !flight.empty(); ++i) world.deliver(0);
  }
}

// ---- beginnings

policy::Connection connection_of(std::size_t who, const char* ike, const char* esp) {
  static constexpr std::array kNames = {"bender", "flexo"};
  const auto address = [](std::size_t i) {
    return IpAddress::v4(0x0a000001u + static_cast<std::uint32_t>(i));
  };
  policy::Connection connection;
  connection.name = std::string(kNames[who]) + "-" + kNames[1 - who];
  connection.peer = kNames[1 - who];
  connection.local_addresses = {address(who)};
  connection.remote_addresses = {address(1 - who)};
  connection.local_id = policy::parse_identity(kNames[who]).value();
  connection.remote_id = policy::parse_identity(kNames[1 - who]).value();
  connection.psk = SecretBytes(as_bytes("of bender and flexo"));
  connection.proposals = {policy::parse_ike_proposal(ike).value()};
  policy::ChildConfig child;
  child.name = "net";
  child.local_ts = {policy::from_prefix(Prefix::host(address(who)))};
  child.remote_ts = {policy::from_prefix(Prefix::host(address(1 - who)))};
  child.proposals = {policy::parse_esp_proposal(esp).value()};
  connection.children = {child};
  connection.resumption = true;
  connection.childless = who == 0 ? policy::Childless::kPrefer : policy::Childless::kAllow;
  policy::Redirect redirect;
  redirect.accept = {Prefix::host(address(1 - who))};
  connection.redirect = redirect;
  return connection;
}

World begin(const char* ike, const char* esp, bool established) {
  World world;
  for (std::size_t who = 0; who < 2; ++who) {
    Settings settings;
    settings.election = established;
    End& end = world.ends[who];
    end.engine = Endpoint(settings);
    end.rng = crypto::SeededRng(who + 1);
    end.connections = {connection_of(who, ike, esp)};
    world.command(who, Configure{end.connections});
  }
  if (established) {
    world.run(20s, [&] { return world.all_up() && world.flight.empty(); });
    ASSERT(world.all_up());
  }
  return world;
}

void recover(World& world) {
  world.hold_jobs = false;
  for (std::size_t who = 0; who < 2; ++who) {
    world.run_jobs(who);
    world.command(who, Configure{world.ends[who].connections});
    world.command(who, Initiate{world.ends[who].connections.front().name});
  }
  world.run(kRecovery, [&] { return world.all_up(); });
  ASSERT(world.all_up());
  world.check();
}

}  // namespace
}  // namespace espalier::ike

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace espalier::ike;
  static const std::array<World, 5> beginnings = {
      begin("aes256gcm16-prfsha256-x25519", "aes256gcm16-x25519", true),
      begin("aes128-sha256-x25519-ecp256", "aes128-sha256-x25519-ecp256-modpnone", true),
      begin("aes256gcm16-prfsha256-x25519", "aes256gcm16", true),
      begin("aes256gcm16-prfsha256-x25519", "aes256gcm16-x25519", false),
      begin("aes256gcm16-prfsha256-x25519-ke1_ecp256", "aes256gcm16-x25519", true),
  };
  Orders orders({data, size});
  World world = beginnings[orders.below(beginnings.size())];
  for (std::size_t i = 0; i < kOrdersMax && !orders.empty(); ++i) {
    obey(world, orders);
    world.check();
  }
  recover(world);
  return 0;
}
