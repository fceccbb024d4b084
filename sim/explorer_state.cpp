#include "sim/explorer_state.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/core/seal.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::sim {
namespace {

constexpr std::array kNames{"bender", "flexo"};
// Later than any path: what a check of liveness mends shows as slow.
constexpr Duration kLiveness = 10min;
constexpr Duration kLatency = 5ms;  // of the network without faults, at the end

policy::Connection connection_of(std::size_t who) {
  const auto address = [](std::size_t i) {
    return IpAddress::v4(0x0a000001u + static_cast<std::uint32_t>(i));
  };
  policy::Connection connection;
  connection.name = fmt::format("{}-{}", kNames[who], kNames[1 - who]);
  connection.peer = kNames[1 - who];
  connection.local_addresses = {address(who)};
  connection.remote_addresses = {address(1 - who)};
  connection.local_id = policy::parse_identity(kNames[who]).value();
  connection.remote_id = policy::parse_identity(kNames[1 - who]).value();
  connection.psk = SecretBytes(as_bytes("of bender and flexo"));
  connection.proposals = {policy::parse_ike_proposal("aes256gcm16-prfsha256-x25519").value()};
  policy::ChildConfig child;
  child.name = "net";
  child.local_ts = {policy::from_prefix(Prefix::host(address(who)))};
  child.remote_ts = {policy::from_prefix(Prefix::host(address(1 - who)))};
  child.proposals = {policy::parse_esp_proposal("aes256gcm16-x25519").value()};
  connection.children = {child};
  connection.dpd = kLiveness;
  return connection;
}

const policy::Connection& connection(std::size_t who) {
  static const std::array<policy::Connection, 2> kConnections{connection_of(0), connection_of(1)};
  return kConnections[who];
}

// Diffie-Hellman for two ends that draw from the same order: what one public value and another make
// is a function of both, and no one else's.
ike::JobResult answer(const ike::Job& job, std::uint64_t& serial) {
  const auto fresh = [&](crypto::DhId group) {
    Writer octets;
    octets.u64(++serial);
    octets.u64(0x6b65796b65796b65u);
    octets.u64(serial * 0x9e3779b97f4a7c15u);
    octets.u64(~serial);
    return crypto::DhKeyPair{group, SecretBytes(octets.view()), octets.take()};
  };
  const auto shared = [](ByteView a, ByteView b) {
    Bytes low = to_vector(a), high = to_vector(b);
    if (high < low) std::swap(low, high);
    low.insert(low.end(), high.begin(), high.end());
    return SecretBytes(std::move(low));
  };
  ike::JobResult result;
  if (const auto* generate = std::get_if<ike::DhGenerateJob>(&job)) {
    result.key_pair = fresh(generate->group);
  } else if (const auto* respond = std::get_if<ike::DhRespondJob>(&job)) {
    result.key_pair = fresh(respond->group);
    result.shared = shared(result.key_pair.public_key, respond->peer_public);
  } else if (const auto* both = std::get_if<ike::DhSharedJob>(&job)) {
    result.shared = shared(both->own.public_key, both->peer_public);
  } else {
    result.error = make_error(ErrorCode::kUnsupported, "the explorer signs nothing");
  }
  return result;
}

// The message as its sender sealed it; nothing when the sender's SA went with it.
std::shared_ptr<const wire::ike::Message> decrypt(const ike::Core& sender, ByteView datagram) {
  auto message = wire::ike::parse_message(datagram);
  if (!message) return nullptr;
  if (message->payloads.empty()) return std::make_shared<const wire::ike::Message>(*message);
  const auto* sk = std::get_if<wire::ike::SkPayload>(&message->payloads.back());
  if (sk == nullptr) return std::make_shared<const wire::ike::Message>(*message);
  const bool initiator = message->header.from_initiator();
  const auto sa = sender.sas.find(initiator ? message->header.spi_i : message->header.spi_r);
  if (sa == sender.sas.end()) return nullptr;
  const ike::v2::IkeKeys& keys = sa->second.keys;
  const ike::SealKeys seal{sa->second.suite.cipher, initiator ? keys.ei : keys.er,
                           initiator ? keys.ai : keys.ar};
  auto payloads = ike::open_sk(datagram, *sk, seal);
  if (!payloads) return nullptr;
  return std::make_shared<const wire::ike::Message>(
      wire::ike::Message{message->header, std::move(*payloads)});
}

}  // namespace

std::string_view name(Act act) {
  switch (act) {
    case Act::kStart: return "start";
    case Act::kRekeyChild: return "child rekey";
    case Act::kRekeyIke: return "IKE rekey";
    case Act::kDeleteChild: return "child delete";
    case Act::kCloseIke: return "IKE delete";
    case Act::kOpenIke: return "up";
  }
  return "";
}

std::string Step::token() const { return fmt::format("{}{}", "adtslx"[int(kind)], index); }

void OrderedRng::fill(MutableByteView out) {
  // 7200 s in nanoseconds: a multiple of every jitter range of the engine.
  constexpr std::uint64_t kCommonMultiple = 7'200'000'000'000u;
  const std::uint64_t number = next_++;
  std::uint64_t value = number * kCommonMultiple;
  if (out.size() == ike::kNonceOctets) {
    // Bender's are the lower ones: of the two that it draws, the first or the second is the lowest.
    value = fall_ ? (std::uint64_t{end_} + 1) << 40 | (~number & 0xffffffffu) : number;
    out[8] = end_;
  }
  for (std::size_t i = 0; i < out.size() && i < 8; ++i) {
    out[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  }
}

PairState::PairState(const Scenario& scenario, const Budget& budget)
    : scenario_(&scenario), faults_left_(budget.faults), crashes_(budget.crashes) {
  for (std::size_t who = 0; who < 2; ++who) {
    ike::Settings settings;
    settings.election = scenario.established;
    settings.qcd_secret = SecretBytes(as_bytes(kNames[who]));
    ends_[who].engine = ike::Endpoint(settings);
    ends_[who].rng = OrderedRng(static_cast<std::uint8_t>(who), scenario.nonces_fall);
  }
  if (!scenario.established) return;
  for (std::size_t who = 0; who < 2; ++who) {
    ASSERT(
        ends_[who].engine.handle_command(now_, ends_[who].rng, ike::Configure{{connection(who)}}));
    drain(who);
  }
  ASSERT(run_until_whole(15s));
  for (ExplorerEnd& end : ends_) end.chance.reset();
  was_up_ = true;
}

crypto::Rng& PairState::rng(std::size_t who) {
  if (ends_[who].chance) return *ends_[who].chance;
  return ends_[who].rng;
}

void PairState::install(ExplorerEnd& end, const ike::InstallSa& install) {
  const ike::ChildSaSpec& sa = install.sa;
  if (install.direction == ike::Direction::kIn) {
    if (!end.inbound.emplace(sa.spi_in, sa.encr_in).second) broken_ = "an inbound SA stands twice";
    return;
  }
  for (const OutboundSa& other : end.outbound) {
    if (other.spi == sa.spi_out) broken_ = "an outbound SA stands twice";
  }
  end.outbound.push_back({sa.reqid, sa.spi_out, sa.path.remote.ip, sa.encr_out});
}

void PairState::remove(ExplorerEnd& end, const ike::DeleteSa& removal) {
  const bool done = removal.direction == ike::Direction::kIn
                        ? end.inbound.erase(removal.spi) == 1
                        : std::erase_if(end.outbound, [&](const OutboundSa& sa) {
                            return sa.spi == removal.spi && sa.peer == removal.peer;
                          }) == 1;
  if (!done) broken_ = "an SA is deleted that is not there";
}

void PairState::apply(std::size_t who, const ike::Effect& effect) {
  ExplorerEnd& end = ends_[who];
  if (const auto* added = std::get_if<ike::InstallSa>(&effect)) install(end, *added);
  if (const auto* removal = std::get_if<ike::DeleteSa>(&effect)) remove(end, *removal);
  if (const auto* set = std::get_if<ike::SetPolicy>(&effect)) end.policies[set->reqid] = *set;
  if (const auto* gone = std::get_if<ike::DeletePolicy>(&effect)) end.policies.erase(gone->reqid);
  if (const auto* job = std::get_if<ike::StartJob>(&effect)) {
    end.engine.handle_completion(now_, rng(who), ike::JobDone{job->id, answer(job->job, dh_)});
  }
  if (const auto* query = std::get_if<ike::QueryUse>(&effect)) {
    end.engine.handle_completion(now_, rng(who), ike::UseReport{query->sa, std::nullopt});
  }
}

void PairState::send(std::size_t who, ike::Transmit transmit) {
  if (transmit.keepalive) return;
  Letter letter;
  letter.to = 1 - who;
  letter.path = {transmit.path.remote, transmit.path.local};
  letter.plain = decrypt(ends_[who].engine.core(), transmit.datagram);
  if (!letter.plain) letter.plain = decrypt(ends_[1 - who].engine.core(), transmit.datagram);
  letter.datagram = std::make_shared<const Bytes>(std::move(transmit.datagram));
  letters_.push_back(std::move(letter));
}

void PairState::drain(std::size_t who) {
  ExplorerEnd& end = ends_[who];
  for (;;) {
    if (auto effect = end.engine.poll_effect()) {
      apply(who, *effect);
    } else if (auto transmit = end.engine.poll_transmit()) {
      send(who, std::move(*transmit));
    } else if (auto event = end.engine.poll_event()) {
      if (logging_) log_.push_back(fmt::format("    {}: {}", kNames[who], event->text));
    } else {
      return;
    }
  }
}

void PairState::act(std::size_t who) {
  ExplorerEnd& end = ends_[who];
  const Act act = scenario_->acts[who][end.acts_done++];
  const std::string& pair = connection(who).name;
  // A command that finds nothing to do (no SA to rekey: the peer just closed it) is refused; that
  // is all right here.
  const auto command = [&](const ike::Command& wanted) {
    static_cast<void>(end.engine.handle_command(now_, rng(who), wanted).ok());
  };
  switch (act) {
    case Act::kStart: command(ike::Configure{{connection(who)}}); break;
    case Act::kRekeyChild: command(ike::Rekey{pair, false}); break;
    case Act::kRekeyIke: command(ike::Rekey{pair, true}); break;
    case Act::kCloseIke: command(ike::Terminate{pair}); break;
    case Act::kOpenIke: command(ike::Initiate{pair}); break;
    case Act::kDeleteChild:
      if (!end.outbound.empty()) {
        const OutboundSa sa = end.outbound.back();
        end.engine.handle_completion(now_, rng(who),
                                     ike::HardExpired{ike::Direction::kOut, sa.spi, sa.peer});
      }
      break;
  }
  drain(who);
}

void PairState::crash(std::size_t who) {
  ExplorerEnd fresh;
  fresh.engine = ike::Endpoint(ends_[who].engine.core().settings);
  fresh.rng = ends_[who].rng;
  fresh.acts_done = scenario_->acts[who].size();
  fresh.crashed = true;
  ends_[who] = std::move(fresh);
  ASSERT(ends_[who].engine.handle_command(now_, rng(who), ike::Configure{{connection(who)}}));
  drain(who);
}

void PairState::deliver(std::size_t index) {
  const Letter letter = letters_[index];
  letters_.erase(letters_.begin() + static_cast<std::ptrdiff_t>(index));
  ends_[letter.to].engine.handle_datagram(now_, rng(letter.to), letter.path, *letter.datagram);
  drain(letter.to);
}

void PairState::fire(std::size_t who) {
  const auto wakeup = ends_[who].engine.poll_timeout();
  ASSERT(wakeup);
  now_ = std::max(now_, wakeup->at);
  ends_[who].engine.handle_timeout(now_, rng(who));
  drain(who);
}

void PairState::take(const Step& step) {
  now_ += kStepTime;
  switch (step.kind) {
    case Step::Kind::kAct: act(step.index); break;
    case Step::Kind::kDeliver: deliver(step.index); break;
    case Step::Kind::kTimer: fire(step.index); break;
    case Step::Kind::kStray:
      --faults_left_;
      letters_[step.index].stray = true;
      break;
    case Step::Kind::kDouble: {
      --faults_left_;
      Letter copy = letters_[step.index];
      copy.stray = true;
      letters_.push_back(std::move(copy));
      deliver(step.index);
      break;
    }
    case Step::Kind::kCrash:
      --faults_left_;
      crash(step.index);
      break;
  }
  forget_dead_strays();
  was_up_ = was_up_ || (works(0) && works(1));
}

// A stray that nobody can take any more: its SA is gone, or the window went past it for good.
void PairState::forget_dead_strays() {
  std::erase_if(letters_, [&](const Letter& letter) {
    if (!letter.stray) return false;
    const auto header = wire::ike::parse_header(*letter.datagram);
    if (!header) return true;
    if (header->exchange == wire::ike::ExchangeType::kIkeSaInit && !header->is_response()) {
      return false;
    }
    const auto& sas = ends_[letter.to].engine.core().sas;
    const auto sa = sas.find(header->from_initiator() ? header->spi_r : header->spi_i);
    if (sa == sas.end()) return true;
    const std::uint32_t id = header->message_id.value;
    if (header->is_response()) return id + 1 < sa->second.next_request.value;
    return id + 1 < sa->second.expected_request.value;
  });
}

std::optional<Duration> PairState::run_until_whole(Duration limit) {
  const Instant start = now_;
  std::erase_if(letters_, [](const Letter& letter) { return letter.stray; });
  for (std::size_t who = 0; who < 2; ++who) ends_[who].chance.emplace(who + 1);
  Instant broken = now_;
  std::string fault = unwhole();
  while (now_ < start + limit) {
    if (!letters_.empty()) {
      now_ += kLatency;
      deliver(0);
    } else {
      std::optional<std::size_t> first;
      Instant at = start + limit;
      for (std::size_t who = 0; who < 2; ++who) {
        const auto wakeup = ends_[who].engine.poll_timeout();
        if (wakeup && wakeup->at < at) {
          at = wakeup->at;
          first = who;
        }
      }
      if (!first) break;
      if (!fault.empty()) broken = at;
      fire(*first);
    }
    fault = unwhole();
    if (!fault.empty()) broken = now_;
  }
  now_ = std::max(now_, start + limit);
  if (!fault.empty() || !broken_.empty()) return std::nullopt;
  return broken - start;
}

}  // namespace espalier::sim
