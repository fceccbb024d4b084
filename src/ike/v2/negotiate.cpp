#include "ike/v2/negotiate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/transport.hpp"
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

// RFC 7296 section 1.3.1: asked for by the initiator, granted by the responder's own.
void add_mode(const policy::ChildConfig& config, std::vector<Payload>& payloads) {
  if (config.mode == policy::Mode::kTransport) {
    payloads.push_back(make_notify(NotifyType::kUseTransportMode));
  }
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

namespace {

// How well a child of ours fits what the peer asks for; the best one is taken, not the first.
enum class Fit {
  kNone,
  kPart,
  kFirst,   // with the first selectors of the peer, those of the packet that it wants to send
  kCovers,  // all of it
  kExact,
};

struct Candidate {
  const policy::ChildConfig* config = nullptr;
  Fit fit = Fit::kNone;
  policy::SelectorList local, remote;
  bool granted = false;  // it has the mode that was asked for
};

// What the peer asks for, in our own addresses.
struct Wanted {
  policy::Mode mode = policy::Mode::kTunnel;
  policy::SelectorList local, remote;  // as the peer wrote them
  SeenSelectors seen;                  // transport mode
};

Candidate try_child(const policy::ChildConfig& config, const Wanted& wanted) {
  const bool transport = wanted.mode == policy::Mode::kTransport && config.mode == wanted.mode;
  const policy::SelectorList& local = transport ? wanted.seen.local : wanted.local;
  const policy::SelectorList& remote = transport ? wanted.seen.remote : wanted.remote;
  Candidate one{&config, Fit::kNone, policy::narrow(local, config.local_ts),
                policy::narrow(remote, config.remote_ts), config.mode == wanted.mode};
  if (one.local.empty() || one.remote.empty()) return one;
  one.fit = Fit::kPart;
  if (policy::contains(one.local, local) && policy::contains(one.remote, remote)) {
    const bool exact =
        policy::contains(local, config.local_ts) && policy::contains(remote, config.remote_ts);
    one.fit = exact ? Fit::kExact : Fit::kCovers;
  } else if (policy::contains(one.local, policy::SelectorList{local.front()}) &&
             policy::contains(one.remote, policy::SelectorList{remote.front()})) {
    // RFC 7296 section 2.9: the answer "MUST" have the initiator's first choices if it may.
    one.fit = Fit::kFirst;
  }
  return one;
}

// Whether `one`, which stands after `other`, is taken before it: of two that fit alike the narrower
// one is meant.
bool is_better(const Candidate& one, const Candidate& other) {
  if (one.granted != other.granted) return one.granted;
  if (one.fit != other.fit) return one.fit > other.fit;
  return one.fit == Fit::kCovers &&
         policy::contains(other.config->local_ts, one.config->local_ts) &&
         policy::contains(other.config->remote_ts, one.config->remote_ts);
}

// Whether another child of ours would give some of what this one leaves out.
bool gives_more(const Candidate& best, const std::vector<Candidate>& others) {
  return std::any_of(others.begin(), others.end(), [&](const Candidate& other) {
    return other.granted && !(policy::contains(best.local, other.local) &&
                              policy::contains(best.remote, other.remote));
  });
}

Error no_child_fits(const policy::Connection& connection, const Wanted& asked,
                    const Candidate& other_mode) {
  const policy::Lines& lines = connection.lines;
  std::string ours;
  for (const policy::ChildConfig& child : connection.children) {
    ours += (ours.empty() ? "" : ", ") + policy::to_string(child.local_ts) +
            " === " + policy::to_string(child.remote_ts);
  }
  const std::string wanted =
      policy::to_string(asked.local) + " === " + policy::to_string(asked.remote);
  if (other_mode.fit == Fit::kNone) {
    return make_error(ErrorCode::kTsUnacceptable,
                      fmt::format("the peer wants {}, and no child of ours covers any of it: "
                                  "compare 'subnets' on both sides{}; ours: {}",
                                  wanted, policy::where(lines, policy::Setting::kPeer), ours));
  }
  const policy::Mode mode = other_mode.config->mode;
  const policy::Mode theirs =
      mode == policy::Mode::kTunnel ? policy::Mode::kTransport : policy::Mode::kTunnel;
  return make_error(ErrorCode::kNoProposalChosen,
                    fmt::format("the peer wants {} in {} mode, our child {} for it is in {} mode: "
                                "set the same 'mode' on both sides{}",
                                wanted, policy::name(theirs), other_mode.config->name,
                                policy::name(mode), policy::where(lines, policy::Setting::kMode)));
}

}  // namespace

Result<NegotiatedChild> negotiate_child(const IkeSa& sa, const Message& request, bool with_dh,
                                        crypto::DhId prefer_group, const std::string& only) {
  const auto* offer = request.find<SaPayload>();
  const TsPayload* tsi = request.ts(PayloadType::kTsi);
  const TsPayload* tsr = request.ts(PayloadType::kTsr);
  if (offer == nullptr || tsi == nullptr || tsr == nullptr || tsi->selectors.empty() ||
      tsr->selectors.empty()) {
    return missing_payloads();
  }
  const policy::Connection& connection = *sa.connection;
  Wanted wanted{policy::Mode::kTunnel, tsr->selectors, tsi->selectors, {}};
  if (request.notify(NotifyType::kUseTransportMode) != nullptr) {
    wanted.mode = policy::Mode::kTransport;
    auto seen = as_we_see(sa, wanted.local, wanted.remote);
    if (!seen && !connection.foreign) return seen.error();
    if (seen) wanted.seen = std::move(*seen);
  }
  Candidate other_mode;
  std::vector<Candidate> candidates;
  for (const policy::ChildConfig& config : connection.children) {
    if (!only.empty() && config.name != only) continue;
    Candidate one = try_child(config, wanted);
    if (one.fit == Fit::kNone) continue;
    // RFC 7296 section 1.3.1: who does not want transport mode answers in tunnel mode. Not between
    // our own: both ends have one file, and the initiator would not take it.
    const bool declined = connection.foreign && config.mode == policy::Mode::kTunnel;
    if (one.granted || declined) {
      candidates.push_back(std::move(one));
    } else if (is_better(one, other_mode)) {
      other_mode = std::move(one);
    }
  }
  std::optional<Error> why;
  while (!candidates.empty()) {
    auto best = candidates.begin();
    for (auto at = best; at != candidates.end(); ++at) {
      if (is_better(*at, *best)) best = at;
    }
    auto selected =
        policy::select_esp(best->config->proposals, offer->proposals, with_dh, prefer_group);
    if (selected) {
      TRY_ASSIGN(const Spi spi, spi_of(selected->peer_spi));
      const bool more = best->fit < Fit::kCovers && gives_more(*best, candidates);
      NegotiatedChild child{*best->config,
                            std::move(*selected),
                            std::move(best->local),
                            std::move(best->remote),
                            spi,
                            {},
                            more};
      if (child.config.mode == policy::Mode::kTransport) child.original = wanted.seen.original;
      return child;
    }
    if (!why) {
      why = selected.error();
      why->message = "child " + best->config->name + ": " + why->message +
                     policy::where(connection.lines, policy::Setting::kEspProposals);
    }
    candidates.erase(best);
  }
  return why ? *why : no_child_fits(connection, wanted, other_mode);
}

std::string place_of(const IkeSa& sa, NotifyType refusal) {
  if (refusal == NotifyType::kTsUnacceptable) {
    return policy::where(sa.connection->lines, policy::Setting::kPeer);
  }
  if (refusal != NotifyType::kNoProposalChosen) return "";
  return policy::where(sa.connection->lines, policy::Setting::kEspProposals) +
         policy::where(sa.connection->lines, policy::Setting::kMode);
}

Result<NegotiatedChild> accept_child(const IkeSa& ike, const policy::ChildConfig& config,
                                     const policy::SelectorList& local_ts,
                                     const policy::SelectorList& remote_ts, const Message& response,
                                     bool with_dh) {
  if (const auto* error = find_error(response)) {
    return make_error(ErrorCode::kPeerRefused,
                      fmt::format("the peer refused the child SA {} ({} === {}) with {}{}",
                                  config.name, policy::to_string(local_ts),
                                  policy::to_string(remote_ts), wire::ike::name(error->type),
                                  detail_of(ike, response) + place_of(ike, error->type)));
  }
  const auto* sa = response.find<SaPayload>();
  const TsPayload* tsi = response.ts(PayloadType::kTsi);
  const TsPayload* tsr = response.ts(PayloadType::kTsr);
  if (sa == nullptr || tsi == nullptr || tsr == nullptr) return missing_payloads();
  const bool transport = response.notify(NotifyType::kUseTransportMode) != nullptr;
  if (transport != (config.mode == policy::Mode::kTransport)) {
    // RFC 7296 section 1.3.1: "If this is unacceptable to the initiator, the initiator MUST delete
    // the SA"; the caller does.
    return make_error(
        ErrorCode::kNoProposalChosen,
        fmt::format("we asked for the child SA {} in {} mode, and the peer answered in {} mode: "
                    "set the same 'mode' on both sides",
                    config.name, policy::name(config.mode), transport ? "transport" : "tunnel"));
  }
  TRY_ASSIGN(auto selected, policy::accept_esp(config.proposals, sa->proposals, with_dh));
  TRY_ASSIGN(const Spi spi, spi_of(selected.peer_spi));
  SeenSelectors seen{tsi->selectors, tsr->selectors, {}};
  if (transport) {
    TRY_ASSIGN(seen, as_we_see(ike, tsi->selectors, tsr->selectors));
  }
  if (seen.local.empty() || seen.remote.empty() || !policy::contains(local_ts, seen.local) ||
      !policy::contains(remote_ts, seen.remote)) {
    return make_error(ErrorCode::kTsUnacceptable,
                      fmt::format("the peer answered with selectors wider than ours: {} === {}",
                                  policy::to_string(seen.local), policy::to_string(seen.remote)));
  }
  return NegotiatedChild{config,
                         std::move(selected),
                         std::move(seen.local),
                         std::move(seen.remote),
                         spi,
                         std::move(seen.original),
                         false};
}

void tell_what_was_narrowed(Context& ctx, const IkeSa& sa, const NegotiatedChild& child) {
  const policy::ChildConfig& config = child.config;
  if (config.mode == policy::Mode::kTransport) return;  // the addresses of the IKE SA are all of it
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
  add_mode(config, payloads);
}

void add_child_answer(std::vector<Payload>& payloads, const NegotiatedChild& child, Spi spi_in) {
  wire::ike::Proposal reply = child.selected.reply;
  reply.spi = spi_octets(spi_in);
  payloads.push_back(SaPayload{{std::move(reply)}});
  payloads.push_back(TsPayload{PayloadType::kTsi, child.remote_ts});
  payloads.push_back(TsPayload{PayloadType::kTsr, child.local_ts});
  add_mode(child.config, payloads);
  if (child.more) payloads.push_back(make_notify(NotifyType::kAdditionalTsPossible));
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
  spec.nat_original = child.original;
  spec.replay_window = child.config.replay_window;
  spec.outer = child.config.outer;
  spec.binding = child.config.binding;
  spec.encr_out = exchange_initiator ? std::move(keys.encr_i) : std::move(keys.encr_r);
  spec.integ_out = exchange_initiator ? std::move(keys.integ_i) : std::move(keys.integ_r);
  spec.encr_in = exchange_initiator ? std::move(keys.encr_r) : std::move(keys.encr_i);
  spec.integ_in = exchange_initiator ? std::move(keys.integ_r) : std::move(keys.integ_i);
  return made;
}

void add_detail(const IkeSa& sa, const std::string& why, std::vector<Payload>& payloads) {
  if (sa.connection->foreign) return;
  payloads.push_back(make_notify(NotifyType::kEspalierDetail,
                                 as_bytes(std::string_view(why).substr(0, kDiagnosisOctetsMax))));
}

std::string detail_of(const IkeSa& sa, const Message& message) {
  const auto* detail = message.notify(NotifyType::kEspalierDetail);
  if (detail == nullptr || sa.connection->foreign) return "";
  std::string text = to_text(detail->data).substr(0, kDiagnosisOctetsMax);
  for (char& one : text) {
    if (one < 0x20 || one > 0x7e) one = '?';
  }
  return "; it says: " + text;
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
