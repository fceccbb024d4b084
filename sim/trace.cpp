#include "sim/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ike/core/seal.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::sim {
namespace {

using ike::v2::IkeSa;
using ike::v2::Role;
using wire::ike::Message;

const IkeSa* find_sa(const Host& holder, bool sent, const wire::ike::Header& header) {
  // The Initiator flag is the sender's: of what we sent, it says that the initiator's SPI is ours.
  const bool ours_is_i = header.from_initiator() == sent;
  const auto& sas = holder.engine.core().sas;
  const auto found = sas.find(ours_is_i ? header.spi_i : header.spi_r);
  return found == sas.end() ? nullptr : &found->second;
}

std::string_view fate_text(Fate fate) {
  switch (fate) {
    case Fate::kSent: return "";
    case Fate::kLost: return "  LOST";
    case Fate::kCutOff: return "  CUT OFF";
    case Fate::kNobody: return "  NOBODY THERE";
  }
  return "";
}

std::string sa_text(const ike::ChildSaSpec& sa) {
  return fmt::format("{} SPIs {} in, {} out, {} === {}, {}", sa.child, to_string(sa.spi_in),
                     to_string(sa.spi_out), policy::to_string(sa.local_ts),
                     policy::to_string(sa.remote_ts), policy::words(sa.suite));
}

std::string_view direction_text(ike::Direction direction) {
  return direction == ike::Direction::kIn ? "inbound" : "outbound";
}

}  // namespace

std::string readable(const Host& holder, bool sent, ByteView datagram) {
  const auto message = wire::ike::parse_message(datagram);
  if (!message) return fmt::format("{} octets that do not parse", datagram.size());
  const std::string spis =
      fmt::format("{}_i {}_r", to_string(message->header.spi_i), to_string(message->header.spi_r));
  if (message->payloads.empty()) return wire::ike::describe(*message) + " " + spis;
  const auto* sk = std::get_if<wire::ike::SkPayload>(&message->payloads.back());
  const IkeSa* sa = find_sa(holder, sent, message->header);
  if (sk == nullptr || sa == nullptr || sa->keys.ei.empty()) {
    return wire::ike::describe(*message) + " " + spis;
  }
  const bool by_initiator = message->header.from_initiator();
  const ike::SealKeys keys = by_initiator
                                 ? ike::SealKeys{sa->suite.cipher, sa->keys.ei, sa->keys.ai}
                                 : ike::SealKeys{sa->suite.cipher, sa->keys.er, sa->keys.ar};
  auto inner = ike::open_sk(datagram, *sk, keys);
  if (!inner) return wire::ike::describe(*message) + " " + spis;
  return wire::ike::describe(Message{message->header, std::move(*inner)}) + " " + spis;
}

bool Trace::is_left_out(const std::string& host, const std::string* peer) const {
  if (only_.empty()) return false;
  const auto named = [&](const std::string& name) {
    return std::find(only_.begin(), only_.end(), name) != only_.end();
  };
  return !named(host) || peer == nullptr || !named(*peer);
}

bool Trace::is_left_out_pair(const Host& host, const std::string& pair) const {
  if (only_.empty()) return false;
  const auto& pairs = host.engine.core().pairs;
  const auto found = pairs.find(pair);
  return is_left_out(host.name, found == pairs.end() ? nullptr : &found->second.connection->peer);
}

void Trace::write(const std::string& who, const std::string& what) {
  if (!line_) return;
  if (!timer_.empty()) {
    const std::string timer = std::exchange(timer_, {});
    if (timer_of_ == std::pair(who, world_.now())) write(who, timer);
  }
  line_(fmt::format("{:12.6f}  {:<12}  {}\n", seconds(world_.now().time_since_epoch()), who, what));
}

void Trace::on_send(const Host& from, const Host* to, const ike::Transmit& transmit, Fate fate) {
  if (!line_ || is_left_out(from.name, to != nullptr ? &to->name : nullptr)) return;
  write(from.name, fmt::format("-> {}  {}  ({} octets, {} to {}){}",
                               to != nullptr ? to->name : transmit.path.remote.ip.to_string(),
                               readable(from, true, transmit.datagram), transmit.datagram.size(),
                               transmit.path.local.to_string(), transmit.path.remote.to_string(),
                               fate_text(fate)));
}

void Trace::on_deliver(const Host& to, const Packet& packet) {
  if (!line_) return;
  const Host* from = world_.owner(packet.path.remote.ip);
  if (is_left_out(to.name, from != nullptr ? &from->name : nullptr)) return;
  write(to.name, fmt::format("<- {}  {}  (from {})", from != nullptr ? from->name : "nobody",
                             readable(to, false, packet.datagram), packet.path.remote.to_string()));
}

void Trace::on_timer(const Host& host, std::string_view reason) {
  if (!line_) return;
  const std::string text = fmt::format("timer: {}", reason);
  if (only_.empty()) return write(host.name, text);
  timer_ = text;
  timer_of_ = {host.name, world_.now()};
}

void Trace::on_effect(const Host& host, const ike::Effect& effect) {
  if (!line_) return;
  const std::string* pair = nullptr;
  if (const auto* one = std::get_if<ike::InstallSa>(&effect)) pair = &one->sa.pair;
  if (const auto* one = std::get_if<ike::DeleteSa>(&effect)) pair = &one->pair;
  if (const auto* one = std::get_if<ike::UpdateSa>(&effect)) pair = &one->pair;
  if (pair == nullptr || is_left_out_pair(host, *pair)) return;
  if (const auto* install = std::get_if<ike::InstallSa>(&effect)) {
    write(host.name, fmt::format("dataplane: install {} {} {}", direction_text(install->direction),
                                 install->sa.pair, sa_text(install->sa)));
  } else if (const auto* removal = std::get_if<ike::DeleteSa>(&effect)) {
    write(host.name,
          fmt::format("dataplane: delete {} {} SPI {}", direction_text(removal->direction),
                      removal->pair, to_string(removal->spi)));
  } else if (const auto* update = std::get_if<ike::UpdateSa>(&effect)) {
    write(host.name,
          fmt::format("dataplane: move {} {} SPI {} to {}", direction_text(update->direction),
                      update->pair, to_string(update->spi), update->path.remote.to_string()));
  }
}

void Trace::on_event(const Host& host, const ike::Event& event) {
  if (!line_ || is_left_out_pair(host, event.pair)) return;
  write(host.name, fmt::format("{} {}: {}", ike::name(event.kind), event.pair, event.text));
}

void Trace::on_fault(const std::string& what) { write("*", what); }

}  // namespace espalier::sim
