// One end lost its state and the other does not know yet: INVALID_IKE_SPI and INVALID_SPI as hints
// (RFC 7296 sections 1.5, 2.4, 2.21.4), and Quick Crash Detection, which makes the first of them
// proof (RFC 6290).
//
// What arrives without protection changes no SA; it may only bring a liveness check forward. The
// one exception is a message with the token that the peer gave us inside the SA itself.
#include <fmt/format.h>

#include <algorithm>

#include "crypto/prf.hpp"
#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::Header;
using wire::ike::NotifyPayload;
using wire::ike::ProtocolId;

// RFC 6290 section 5.1, with HMAC in place of a hash over secret and SPIs.
Bytes make_token(Context& ctx, IkeSpi spi_i, IkeSpi spi_r) {
  Core& core = ctx.core;
  if (core.settings.qcd_secret.empty() && core.qcd_secret.empty()) {
    // Good for as long as this engine lives: it may lose a single SA, too.
    core.qcd_secret = SecretBytes(ctx.rng.bytes(32));
  }
  const SecretBytes& secret =
      core.settings.qcd_secret.empty() ? core.qcd_secret : core.settings.qcd_secret;
  Writer spis;
  spis.u64(spi_i.value);
  spis.u64(spi_r.value);
  const auto token = crypto::prf(crypto::PrfId::kHmacSha2_256, secret.reveal(), {spis.view()});
  ASSERT(token);
  return to_vector(token->reveal());
}

bool token_matches(const IkeSa& sa, const Message& message) {
  if (sa.peer_token.empty()) return false;
  unsigned looked_at = 0;
  for (const Payload& payload : message.payloads) {
    const auto* notify = std::get_if<NotifyPayload>(&payload);
    if (notify == nullptr || notify->type != NotifyType::kQcdToken) continue;
    if (constant_time_equal(notify->data, sa.peer_token)) return true;
    // Section 4.5: a taker looks at four at least.
    if (++looked_at == kQcdTokensMax) return false;
  }
  return false;
}

// The pair is to be made anew at once, by whichever end can.
void bring_up_at_once(Context& ctx, const std::string& name) {
  const auto found = ctx.core.pairs.find(name);
  if (found == ctx.core.pairs.end()) return;
  Pair& pair = found->second;
  ctx.touch(name);
  const policy::Connection& connection = *pair.connection;
  const bool ours = connection.start == policy::Start::kNow && !connection.behind_nat &&
                    !connection.remote_addresses.empty();
  if (pair.disabled || !ours) return;
  pair.backoff = kRetryFirst;
  pair.retry_at = ctx.now + ctx.jitter(kStartJitter);
}

// A check of the peer, on a hint that may be forged: at most one in kHintInterval.
void check_on_hint(Context& ctx, IkeSa& sa) {
  if (sa.state != IkeState::kEstablished || has_task(sa, TaskKind::kLiveness)) {
    if (sa.outstanding) sa.outstanding->quick = true;
    return;
  }
  if (ctx.now < sa.next_hint) return ctx.count(Counter::kHintsIgnored);
  sa.next_hint = ctx.now + kHintInterval;
  if (sa.outstanding) {
    // That request is the check; it only has to end sooner if nothing comes.
    sa.outstanding->quick = true;
    return;
  }
  ctx.count(Counter::kHintChecks);
  Task check{TaskKind::kLiveness, Spi(), "", ctx.now};
  check.quick = true;
  add_task(ctx, sa, std::move(check));
  run_tasks(ctx, sa);
}

std::optional<Spi> spi_in(const NotifyPayload& notify) {
  Reader reader(notify.data);
  const auto value = reader.u32();
  if (!value || !reader.empty()) return std::nullopt;
  return Spi(*value);
}

// The established IKE SA with a peer at that address, if any; the address may be several pairs'.
IkeSa* established_with(Context& ctx, const IpAddress& address) {
  const auto names = ctx.core.pairs_at.find(address);
  if (names == ctx.core.pairs_at.end()) return nullptr;
  std::size_t looked_at = 0;
  for (const std::string& name : names->second) {
    if (++looked_at > kPairsAtAddressMax) break;
    for (const IkeSpi spi : ctx.core.pairs.at(name).sas) {
      IkeSa* sa = ctx.find(spi);
      if (sa != nullptr && sa->state == IkeState::kEstablished && sa->path.remote.ip == address) {
        return sa;
      }
    }
  }
  return nullptr;
}

// Nothing is up with a configured peer that sends us ESP: it has an SA that we lost.
void start_pairs_at(Context& ctx, const IpAddress& address) {
  std::size_t looked_at = 0;
  for (const std::string& name : ctx.core.pairs_at.at(address)) {
    if (++looked_at > kPairsAtAddressMax) return;
    Pair& pair = ctx.core.pairs.at(name);
    if (pair.up || ctx.now < pair.next_hint) continue;
    const bool under_way = std::any_of(pair.sas.begin(), pair.sas.end(), [&](IkeSpi spi) {
      const auto found = ctx.core.sas.find(spi);
      return found != ctx.core.sas.end() &&
             (found->second.state == IkeState::kInit || found->second.state == IkeState::kAuth);
    });
    if (under_way) continue;
    pair.next_hint = ctx.now + kHintInterval;
    bring_up_at_once(ctx, name);
  }
}

void send_invalid_spi(Context& ctx, const SocketAddress& to, Spi spi) {
  // Section 1.5: no SPIs that would mean anything, the Initiator flag set, no answer expected.
  Header header;
  header.spi_i = IkeSpi(ctx.rng.u64() | 1);
  header.exchange = ExchangeType::kInformational;
  header.flags = wire::ike::kFlagInitiator;
  Writer data;
  data.u32(spi.value);
  const Path path{
      {IpAddress::any(to.ip.family()),
       to.port == ctx.core.settings.port ? ctx.core.settings.port : ctx.core.settings.nat_port},
      to};
  transmit(
      ctx, path,
      {wire::ike::encode_message(header, {make_notify(NotifyType::kInvalidSpi, data.view())})});
}

}  // namespace

void add_qcd_token(Context& ctx, IkeSpi spi_i, IkeSpi spi_r, std::vector<Payload>& payloads) {
  payloads.push_back(
      NotifyPayload{ProtocolId::kIke, NotifyType::kQcdToken, {}, make_token(ctx, spi_i, spi_r)});
}

void read_qcd_token(IkeSa& sa, const Message& message) {
  const NotifyPayload* token = message.notify(NotifyType::kQcdToken);
  if (token == nullptr || token->data.size() < kQcdTokenMin || token->data.size() > kQcdTokenMax) {
    return;
  }
  sa.peer_token = token->data;
}

void answer_unknown_ike_spi(Context& ctx, const Path& path, const Message& message) {
  ctx.count(Counter::kDropUnknownSpi);
  const Header& header = message.header;
  const bool is_protected =
      !message.payloads.empty() &&
      (std::holds_alternative<wire::ike::SkPayload>(message.payloads.back()) ||
       std::holds_alternative<wire::ike::SkfPayload>(message.payloads.back()));
  if (header.is_response() || !is_protected) return;
  // RFC 6290 section 9.2: never for an SA that exists, whichever end of it is made believe here,
  // nor for one that the peer has already and whose answer is still on its way to us.
  for (const IkeSpi spi : {header.spi_i, header.spi_r}) {
    if (ctx.core.sas.contains(spi) || ctx.core.spis_to_be.contains(spi)) return;
  }
  if (!ctx.core.answers.take(ctx.now, path.remote.ip, kStatelessAnswersPerSecond)) return;
  ctx.count(Counter::kInvalidIkeSpiSent);
  send_stateless(ctx, path, header,
                 {make_notify(NotifyType::kInvalidIkeSpi),
                  NotifyPayload{ProtocolId::kIke,
                                NotifyType::kQcdToken,
                                {},
                                make_token(ctx, header.spi_i, header.spi_r)}});
}

void handle_invalid_ike_spi(Context& ctx, IkeSa& sa, const Message& message) {
  const bool has_keys = sa.state == IkeState::kEstablished || sa.state == IkeState::kReplaced ||
                        sa.state == IkeState::kDeleting;
  if (!has_keys) return ctx.count(Counter::kHintsIgnored);
  if (!token_matches(sa, message)) {
    if (message.notify(NotifyType::kQcdToken) != nullptr) ctx.count(Counter::kQcdRefused);
    return check_on_hint(ctx, sa);
  }
  ctx.count(Counter::kQcdAccepted);
  const std::string name = sa.pair();
  const bool was_wanted = sa.state == IkeState::kEstablished;
  const std::string why = "the peer has lost it, which its token proves (RFC 6290)";
  if (Pair* pair = ctx.pair_of(sa); pair != nullptr && was_wanted) {
    pair->last_error = "the peer restarted and lost its SAs; they are made anew";
  }
  destroy(ctx, sa, why);
  if (was_wanted) bring_up_at_once(ctx, name);
}

void handle_invalid_spi_hint(Context& ctx, const Path& path, const NotifyPayload& notify) {
  const auto spi = spi_in(notify);
  // The SPI is one that we send to, at the address that the hint came from.
  auto [sa, child] =
      spi ? ctx.find_child(Direction::kOut, *spi, path.remote.ip) : std::pair<IkeSa*, ChildSa*>{};
  if (sa == nullptr || path.remote.ip.is_unspecified()) return ctx.count(Counter::kHintsIgnored);
  check_on_hint(ctx, *sa);
}

void peer_lacks_child(Context& ctx, IkeSa& sa, const NotifyPayload& notify) {
  const auto spi = spi_in(notify);
  const ChildSa* child = spi ? sa.child_out(*spi) : nullptr;
  if (child == nullptr || child->state != ChildState::kInstalled || ctx.now < sa.next_hint) {
    return ctx.count(Counter::kHintsIgnored);
  }
  // No SA changes by this message (section 2.21.4). A rekey finds out: the peer that lacks the
  // child answers CHILD_SA_NOT_FOUND, and one that has it makes a successor.
  sa.next_hint = ctx.now + kHintInterval;
  ctx.count(Counter::kHintChecks);
  add_task(ctx, sa, {TaskKind::kRekeyChild, child->spec.spi_in, "", ctx.now});
}

void start_invalid_spi(Context& ctx, IkeSa& sa, const Task& task) {
  if (sa.state != IkeState::kEstablished) return;
  sa.active = ActiveTask{};
  sa.active->task = task;
  ctx.count(Counter::kInvalidSpiSent);
  Writer data;
  data.u32(task.child.value);
  send_request(ctx, sa, ExchangeType::kInformational,
               {make_notify(NotifyType::kInvalidSpi, data.view())});
}

void start_qcd_token(Context& ctx, IkeSa& sa, const Task& task) {
  if (sa.state != IkeState::kEstablished) return;
  sa.active = ActiveTask{};
  sa.active->task = task;
  std::vector<Payload> payloads;
  add_qcd_token(ctx, sa.spi_i, sa.spi_r, payloads);
  send_request(ctx, sa, ExchangeType::kInformational, payloads);
}

void unknown_spi_arrived(Context& ctx, Spi spi, const SocketAddress& from) {
  ctx.count(Counter::kUnknownEsp);
  // Ours after all: it is being made, or lingers after its child, or arrives before the dataplane
  // has it.
  if (ctx.core.inbound_spis.contains(spi)) return;
  if (IkeSa* sa = established_with(ctx, from.ip)) {
    if (ctx.now < sa->next_told || has_task(*sa, TaskKind::kInvalidSpi, spi)) return;
    sa->next_told = ctx.now + kHintInterval;
    add_task(ctx, *sa, {TaskKind::kInvalidSpi, spi, "", ctx.now});
    return run_tasks(ctx, *sa);
  }
  if (!ctx.core.pairs_at.contains(from.ip)) return;
  start_pairs_at(ctx, from.ip);
  if (!ctx.core.answers.take(ctx.now, from.ip, kStatelessAnswersPerSecond)) return;
  ctx.count(Counter::kInvalidSpiSent);
  send_invalid_spi(ctx, from, spi);
}

}  // namespace espalier::ike::v2
