#include "ike/v2/negotiate.hpp"

#include <fmt/format.h>

#include "ike/v2/lifecycle.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::SaPayload;
using wire::ike::TsPayload;

Bytes spi_octets(Spi spi) {
  Writer writer;
  writer.u32(spi.value);
  return writer.take();
}

Result<Spi> spi_of(const Bytes& octets) {
  Reader reader(octets);
  const auto value = reader.u32();
  if (!value || !reader.empty() || *value < 256) {
    return make_error(ErrorCode::kInvalidSyntax,
                      "the peer's ESP SPI is not one of 4 octets above 255");
  }
  return Spi(*value);
}

Error missing_payloads() {
  return make_error(ErrorCode::kInvalidSyntax, "the SA or a traffic selector payload is missing");
}

}  // namespace

const wire::ike::NotifyPayload* find_error(const Message& message) {
  for (const Payload& payload : message.payloads) {
    const auto* notify = std::get_if<wire::ike::NotifyPayload>(&payload);
    if (notify != nullptr && wire::ike::is_error(notify->type)) return notify;
  }
  return nullptr;
}

Result<NegotiatedChild> negotiate_child(const policy::Connection& connection,
                                        const Message& request, bool with_dh,
                                        crypto::DhId prefer_group, const std::string& only) {
  const auto* sa = request.find<SaPayload>();
  const TsPayload* tsi = request.ts(PayloadType::kTsi);
  const TsPayload* tsr = request.ts(PayloadType::kTsr);
  if (sa == nullptr || tsi == nullptr || tsr == nullptr) return missing_payloads();
  Error last =
      make_error(ErrorCode::kTsUnacceptable,
                 fmt::format("the peer wants {} === {}, and no child of ours covers any of it: "
                             "compare 'subnets' on both sides",
                             policy::to_string(tsr->selectors), policy::to_string(tsi->selectors)));
  for (const policy::ChildConfig& config : connection.children) {
    if (!only.empty() && config.name != only) continue;
    policy::SelectorList local = policy::narrow(tsr->selectors, config.local_ts);
    policy::SelectorList remote = policy::narrow(tsi->selectors, config.remote_ts);
    if (local.empty() || remote.empty()) continue;
    auto selected = policy::select_esp(config.proposals, sa->proposals, with_dh, prefer_group);
    if (!selected) {
      last = selected.error();
      continue;
    }
    auto spi = spi_of(selected->peer_spi);
    if (!spi) return spi.error();
    return NegotiatedChild{config, std::move(*selected), std::move(local), std::move(remote), *spi};
  }
  return last;
}

Result<NegotiatedChild> accept_child(const policy::ChildConfig& config,
                                     const policy::SelectorList& local_ts,
                                     const policy::SelectorList& remote_ts, const Message& response,
                                     bool with_dh) {
  if (const auto* error = find_error(response)) {
    return make_error(ErrorCode::kPeerRefused,
                      fmt::format("the peer refused the child SA {} ({} === {}) with {}",
                                  config.name, policy::to_string(local_ts),
                                  policy::to_string(remote_ts), wire::ike::name(error->type)));
  }
  const auto* sa = response.find<SaPayload>();
  const TsPayload* tsi = response.ts(PayloadType::kTsi);
  const TsPayload* tsr = response.ts(PayloadType::kTsr);
  if (sa == nullptr || tsi == nullptr || tsr == nullptr) return missing_payloads();
  TRY_ASSIGN(auto selected, policy::accept_esp(config.proposals, sa->proposals, with_dh));
  TRY_ASSIGN(const Spi spi, spi_of(selected.peer_spi));
  if (tsi->selectors.empty() || tsr->selectors.empty() ||
      !policy::contains(local_ts, tsi->selectors) || !policy::contains(remote_ts, tsr->selectors)) {
    return make_error(
        ErrorCode::kTsUnacceptable,
        fmt::format("the peer answered with selectors wider than ours: {} === {}",
                    policy::to_string(tsi->selectors), policy::to_string(tsr->selectors)));
  }
  return NegotiatedChild{config, std::move(selected), tsi->selectors, tsr->selectors, spi};
}

void tell_what_was_narrowed(Context& ctx, const IkeSa& sa, const NegotiatedChild& child) {
  const policy::ChildConfig& config = child.config;
  if (policy::contains(child.local_ts, config.local_ts) &&
      policy::contains(child.remote_ts, config.remote_ts)) {
    return;
  }
  ctx.event(EventKind::kNote, LogLevel::kWarning, sa.pair(),
            fmt::format("the peer narrowed child SA {} to {} === {}, of {} === {}: asking for the "
                        "rest, one pair of networks at a time",
                        config.name, policy::to_string(child.local_ts),
                        policy::to_string(child.remote_ts), policy::to_string(config.local_ts),
                        policy::to_string(config.remote_ts)));
}

void add_child_offer(std::vector<Payload>& payloads, const policy::ChildConfig& config,
                     const policy::SelectorList& local_ts, const policy::SelectorList& remote_ts,
                     Spi spi_in, bool with_dh) {
  payloads.push_back(SaPayload{policy::to_wire(config.proposals, spi_octets(spi_in), with_dh)});
  payloads.push_back(TsPayload{PayloadType::kTsi, local_ts});
  payloads.push_back(TsPayload{PayloadType::kTsr, remote_ts});
}

void add_child_answer(std::vector<Payload>& payloads, const NegotiatedChild& child, Spi spi_in) {
  wire::ike::Proposal reply = child.selected.reply;
  reply.spi = spi_octets(spi_in);
  payloads.push_back(SaPayload{{std::move(reply)}});
  payloads.push_back(TsPayload{PayloadType::kTsi, child.remote_ts});
  payloads.push_back(TsPayload{PayloadType::kTsr, child.local_ts});
}

Result<ChildSa> make_child(const IkeSa& sa, const NegotiatedChild& child, Spi spi_in,
                           bool exchange_initiator, const ChildSecrets& secrets, ByteView nonce_i,
                           ByteView nonce_r) {
  TRY_ASSIGN(ChildKeys keys,
             derive_child_keys(child.selected.suite, sa.suite.prf, sa.keys.d.reveal(),
                               secrets.shared, nonce_i, nonce_r, secrets.more));
  ChildSa made;
  made.initiator = exchange_initiator;
  ChildSaSpec& spec = made.spec;
  spec.pair = sa.connection->name;
  spec.child = child.config.name;
  spec.spi_in = spi_in;
  spec.spi_out = child.peer_spi;
  spec.suite = child.selected.suite;
  spec.mode = child.config.mode;
  spec.path = sa.path;
  spec.udp_encap = sa.encap;
  spec.local_ts = child.local_ts;
  spec.remote_ts = child.remote_ts;
  spec.replay_window = child.config.replay_window;
  spec.encr_out = exchange_initiator ? std::move(keys.encr_i) : std::move(keys.encr_r);
  spec.integ_out = exchange_initiator ? std::move(keys.integ_i) : std::move(keys.integ_r);
  spec.encr_in = exchange_initiator ? std::move(keys.encr_r) : std::move(keys.encr_i);
  spec.integ_in = exchange_initiator ? std::move(keys.integ_r) : std::move(keys.integ_i);
  const policy::Lifetimes& lifetimes = sa.connection->lifetimes;
  if (lifetimes.child_bytes) {
    spec.soft_bytes = lifetimes.child_bytes;
    spec.hard_bytes = *lifetimes.child_bytes + *lifetimes.child_bytes / 10;
  }
  if (lifetimes.child_packets) {
    spec.soft_packets = lifetimes.child_packets;
    spec.hard_packets = *lifetimes.child_packets + *lifetimes.child_packets / 10;
  }
  return made;
}

NotifyType notify_for(const Error& error) {
  switch (error.code) {
    case ErrorCode::kTsUnacceptable: return NotifyType::kTsUnacceptable;
    case ErrorCode::kNoProposalChosen: return NotifyType::kNoProposalChosen;
    case ErrorCode::kInvalidKe: return NotifyType::kInvalidSyntax;
    case ErrorCode::kLimit: return NotifyType::kNoAdditionalSas;
    case ErrorCode::kAuthentication: return NotifyType::kAuthenticationFailed;
    default: return NotifyType::kInvalidSyntax;
  }
}

void count_refusal(Context& ctx, const Error& error) {
  if (error.code == ErrorCode::kTsUnacceptable) ctx.count(Counter::kTsRefused);
  if (error.code == ErrorCode::kNoProposalChosen) ctx.count(Counter::kNoProposal);
}

}  // namespace espalier::ike::v2
