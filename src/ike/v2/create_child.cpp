// CREATE_CHILD_SA for children: new ones and rekeys, with the collisions of RFC 7296 sections 2.8.1
// and 2.25.1.
//
//   HDR, SK {[N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr} -->
//                                                <-- HDR, SK {SA, Nr, [KEr,] TSi, TSr | N(error)}
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/negotiate.hpp"
#include "ike/v2/transport.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::KePayload;
using wire::ike::NoncePayload;
using wire::ike::NotifyPayload;
using wire::ike::SaPayload;

const policy::ChildConfig* find_config(const IkeSa& sa, const std::string& name) {
  for (const policy::ChildConfig& config : sa.connection->children) {
    if (config.name == name) return &config;
  }
  return nullptr;
}

// The group of the KE payload: the IKE SA's own if the child's proposals have it (the peer has it
// for sure), else the first.
crypto::DhId pfs_group(const IkeSa& sa, const policy::ChildConfig& config) {
  crypto::DhId first = crypto::DhId::kNone;
  for (const policy::EspProposal& proposal : config.proposals) {
    for (const crypto::DhId group : proposal.dh) {
      if (group == crypto::DhId::kNone) continue;
      if (group == sa.suite.dh) return group;
      if (first == crypto::DhId::kNone) first = group;
    }
  }
  return first;
}

const NotifyPayload* rekey_notify(const Message& message) {
  return message.notify(NotifyType::kRekeySa);
}

Spi notify_spi(const NotifyPayload& notify) {
  Reader reader(notify.spi);
  const auto value = reader.u32();
  return value ? Spi(*value) : Spi();
}

NotifyPayload spi_notify(NotifyType type, Spi spi) {
  Writer writer;
  writer.u32(spi.value);
  return {wire::ike::ProtocolId::kEsp, type, writer.take(), {}};
}

const Bytes& lower(const Bytes& a, const Bytes& b) { return a < b ? a : b; }

// ---- initiator
// ----------------------------------------------------------------------------------------------

void send_create_child(Context& ctx, IkeSa& sa) {
  ActiveTask& active = *sa.active;
  std::vector<Payload> payloads;
  if (active.task.kind == TaskKind::kRekeyChild) {
    // Section 1.3.3: the SPI is the one its sender expects in inbound packets.
    payloads.push_back(spi_notify(NotifyType::kRekeySa, active.task.child));
  }
  std::vector<Payload> offer;
  add_child_offer(offer, active.child, active.local_ts, active.remote_ts, active.new_spi, true);
  payloads.push_back(std::move(offer[0]));
  payloads.push_back(NoncePayload{active.nonce});
  if (active.dh.group != crypto::DhId::kNone) {
    payloads.push_back(
        KePayload{static_cast<std::uint16_t>(active.dh.group), active.dh.public_key});
  }
  std::move(offer.begin() + 1, offer.end(), std::back_inserter(payloads));
  send_request(ctx, sa, ExchangeType::kCreateChildSa, payloads);
}

// Whether the peer has a child for the exchange that came to nothing.
enum class Remains { kNothing, kHalf };

// The exchange came to nothing. The old child, if any, is as before.
void create_child_failed(Context& ctx, IkeSa& sa, const std::string& why,
                         Remains remains = Remains::kNothing) {
  const Task task = sa.active->task;
  const Spi offered = sa.active->new_spi;
  ctx.core.inbound_spis.erase(sa.active->new_spi);
  const bool superseded = sa.active->collision.has_value();
  if (ChildSa* old = sa.child_in(task.child);
      old != nullptr && old->state == ChildState::kRekeying) {
    // The peer's, if it still waits for its key exchanges, has replaced nothing yet.
    const bool made = superseded && sa.active->collision->child.value != 0;
    old->state = ChildState::kInstalled;
    if (made) supersede(ctx, *old);
  }
  const bool part = !task.local_ts.empty();
  Pair* pair = ctx.pair_of(sa);
  if (pair != nullptr && task.kind == TaskKind::kCreateChild && !part) pair->last_error = why;
  if (part) {
    ctx.event(
        EventKind::kNote, LogLevel::kWarning, sa.pair(),
        fmt::format("{}: traffic between {} and {} stays blocked until the peer has a child "
                    "SA for it",
                    why, policy::to_string(task.local_ts), policy::to_string(task.remote_ts)));
  } else if (!superseded) {
    ctx.event(
        task.kind == TaskKind::kRekeyChild ? EventKind::kRekeyFailed : EventKind::kAttemptFailed,
        LogLevel::kWarning, sa.pair(), why);
  }
  ctx.touch(sa.pair());
  finish_task(ctx, sa);
  if (part) part_refused(ctx, sa.pair(), task, why);
  if (remains == Remains::kHalf) delete_orphan(ctx, sa, offered);
}

void follow_error(Context& ctx, IkeSa& sa, const NotifyPayload& error, const Message& response) {
  ActiveTask& active = *sa.active;
  const Task task = active.task;
  Reader reader(error.data);
  if (error.type == NotifyType::kInvalidKePayload && active.group_retries++ < 2) {
    if (const auto wanted = reader.u16()) {
      const auto group = static_cast<crypto::DhId>(*wanted);
      active.dh = crypto::DhKeyPair();
      ctx.start_job(sa, JobPurpose::kChildGenerate, DhGenerateJob{group});
      return;
    }
  }
  if (error.type == NotifyType::kInvalidSyntax) {
    // Section 2.21.3: the end of the SA at both ends, without a Delete.
    const std::string why =
        fmt::format("the peer answered our request to {} with INVALID_SYNTAX", name(task.kind));
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
    return destroy(ctx, sa, why);
  }
  if (error.type == NotifyType::kTemporaryFailure && !active.collision) {
    if (ChildSa* old = sa.child_in(task.child)) old->state = ChildState::kInstalled;
    ctx.core.inbound_spis.erase(active.new_spi);
    return retry_task_later(ctx, sa, task);
  }
  if (error.type == NotifyType::kChildSaNotFound && task.kind == TaskKind::kRekeyChild) {
    // Section 2.25: the peer has no such SA; ours is half of nothing. A new one replaces it.
    const ChildSa* old = sa.child_in(task.child);
    const std::string name = old != nullptr ? old->spec.child : std::string();
    create_child_failed(
        ctx, sa, "the peer no longer has the child SA that was to be rekeyed; it is made anew");
    // Not silently: the peer may get to know the SA yet (our request overtook the response that
    // makes it).
    add_task(ctx, sa, {TaskKind::kDeleteChild, task.child, "", ctx.now});
    if (!name.empty()) add_task(ctx, sa, {TaskKind::kCreateChild, Spi(), name, ctx.now});
    return;
  }
  if (error.type == NotifyType::kSinglePairRequired && task.kind == TaskKind::kCreateChild &&
      task.local_ts.empty() && split_into_pairs(ctx, sa.pair(), active.child.name)) {
    ctx.core.inbound_spis.erase(active.new_spi);
    return finish_task(ctx, sa);
  }
  create_child_failed(
      ctx, sa,
      fmt::format("the peer refused to {} {} with {}{}", name(task.kind), active.child.name,
                  wire::ike::name(error.type), detail_of(sa, response) + place_of(sa, error.type)));
}

void delete_own_loser(Context& ctx, IkeSa& sa, Spi spi_in) {
  add_task(ctx, sa, {TaskKind::kDeleteChild, spi_in, "", ctx.now});
}

}  // namespace

void fail_create_child(Context& ctx, IkeSa& sa, const std::string& why, bool half) {
  create_child_failed(ctx, sa, why, half ? Remains::kHalf : Remains::kNothing);
}

void yield_create_child(Context& ctx, IkeSa& sa) {
  const Spi old_in = sa.active->task.child;
  const bool made = sa.active->collision && sa.active->collision->child.value != 0;
  ctx.core.inbound_spis.erase(sa.active->new_spi);
  if (ChildSa* old = sa.child_in(old_in); old != nullptr && old->state == ChildState::kRekeying) {
    old->state = ChildState::kInstalled;
    if (made) supersede(ctx, *old);
  }
  finish_task(ctx, sa);
}

void complete_create_child(Context& ctx, IkeSa& sa, const Message& response, ByteView shared) {
  ActiveTask& active = *sa.active;
  if (active.collision && active.collision->child.value == 0) {
    // The peer's exchange still waits for its key exchanges: ours, which is complete, goes before.
    active.collision.reset();
    drop_pending(ctx, sa);
  }
  auto negotiated =
      accept_child(sa, active.child, active.local_ts, active.remote_ts, response, true);
  if (!negotiated) return create_child_failed(ctx, sa, negotiated.error().message, Remains::kHalf);
  if ((negotiated->selected.suite.dh != crypto::DhId::kNone) == shared.empty()) {
    return create_child_failed(ctx, sa,
                               "the peer's answer has a KE payload that does not fit its proposal",
                               Remains::kHalf);
  }
  const ChildSecrets secrets{shared, active.followup ? active.followup->more.reveal() : ByteView()};
  auto made =
      make_child(sa, *negotiated, active.new_spi, true, secrets, active.nonce, active.peer_nonce);
  if (!made) return create_child_failed(ctx, sa, made.error().message, Remains::kHalf);
  const bool part = active.task.kind == TaskKind::kCreateChild && !active.task.local_ts.empty();
  if (part && !active.collision &&
      is_covered(sa, negotiated->config.name, negotiated->local_ts, negotiated->remote_ts)) {
    return create_child_failed(
        ctx, sa,
        fmt::format("the peer narrowed it to {} === {}, which another child SA has",
                    policy::to_string(negotiated->local_ts),
                    policy::to_string(negotiated->remote_ts)),
        Remains::kHalf);
  }
  if (active.deleted_by_peer.contains(negotiated->peer_spi)) {
    create_child_failed(ctx, sa, "the peer deleted the child SA before its answer reached us");
    return;
  }
  const Task task = active.task;
  const auto collision = active.collision;
  const Bytes lowest = lower(active.nonce, active.peer_nonce);
  finish_task(ctx, sa);
  // Section 2.8.1: of two SAs made by a collision, the one created with the lowest of the four
  // nonces is closed by the end that created it.
  const bool ours_loses = collision && lowest < collision->lowest_nonce;
  const Spi new_spi = made->spec.spi_in;
  if (task.kind == TaskKind::kRekeyChild) made->predecessor = task.child;
  if (task.kind == TaskKind::kCreateChild && sa.connection->foreign && !collision) {
    made->lowest_nonce = lowest;
  }
  install_child(ctx, sa, std::move(*made), !ours_loses);
  ChildSa* old = task.kind == TaskKind::kRekeyChild ? sa.child_in(task.child) : nullptr;
  if (ours_loses) {
    supersede(ctx, *sa.child_in(new_spi));
    if (old != nullptr) supersede(ctx, *old);
    return delete_own_loser(ctx, sa, new_spi);
  }
  if (task.kind == TaskKind::kCreateChild && collision && !sa.connection->foreign) {
    // The peer's creation ran beside ours and is the one that goes; the peer, which has the lowest
    // nonce, deletes it.
    if (ChildSa* theirs = sa.child_in(collision->child)) supersede(ctx, *theirs);
  }
  if (task.kind == TaskKind::kCreateChild && task.local_ts.empty()) {
    tell_what_was_narrowed(ctx, sa, *negotiated);
  }
  if (old == nullptr) return;
  supersede(ctx, *old);
  old->successor = new_spi;
  ctx.count(Counter::kChildRekeyed);
  ctx.event(EventKind::kChildRekeyed, LogLevel::kInfo, sa.pair(),
            fmt::format("child SA {} rekeyed: SPI {} in after {}", old->spec.child,
                        to_string(new_spi), to_string(old->spec.spi_in)));
  add_task(ctx, sa, {TaskKind::kDeleteChild, task.child, "", ctx.now});
}

namespace {

// ---- responder
// ----------------------------------------------------------------------------------------------

struct Refusal {
  NotifyPayload notify;
  std::string why;
};

// Between our own: both ends made the same child at once, and ours was first. The peer tries again
// later, and finds that it has one.
bool crosses_ours(const Context& ctx, const IkeSa& sa, const Message& request,
                  const NegotiatedChild& asked) {
  if (sa.connection->foreign) return false;
  const bool as_written = asked.config.mode == policy::Mode::kTunnel;
  const auto& remote = as_written ? request.ts(PayloadType::kTsi)->selectors : asked.remote_ts;
  const auto& local = as_written ? request.ts(PayloadType::kTsr)->selectors : asked.local_ts;
  return std::any_of(sa.children.begin(), sa.children.end(), [&](const ChildSa& child) {
    const bool stays =
        child.state == ChildState::kInstalled || child.state == ChildState::kRekeying;
    return child.initiator && stays && child.spec.child == asked.config.name &&
           ctx.now - child.installed_at < kCrossingTime &&
           policy::contains(child.spec.local_ts, local) &&
           policy::contains(child.spec.remote_ts, remote);
  });
}

std::optional<Refusal> refuse_by_state(const IkeSa& sa, const Message& request,
                                       const ChildSa* old) {
  const NotifyPayload* rekey = rekey_notify(request);
  const bool making_one = sa.active && (sa.active->task.kind == TaskKind::kCreateChild ||
                                        sa.active->task.kind == TaskKind::kRekeyChild);
  if (rekey != nullptr && old == nullptr && making_one) {
    return Refusal{make_notify(NotifyType::kTemporaryFailure),
                   "it may rekey the child SA that an exchange of ours is making"};
  }
  if (rekey != nullptr && old == nullptr) {
    return Refusal{spi_notify(NotifyType::kChildSaNotFound, notify_spi(*rekey)),
                   "it rekeys a child SA that we do not have"};
  }
  const bool ike_rekey = sa.active && sa.active->task.kind == TaskKind::kRekeyIke;
  // Our own rekey of the same child is past its CREATE_CHILD_SA (RFC 9370 section 2.2.4).
  if (old != nullptr && sa.active && sa.active->followup &&
      sa.active->task.child == old->spec.spi_in) {
    return Refusal{make_notify(NotifyType::kTemporaryFailure),
                   "the additional key exchanges of our own rekey are under way"};
  }
  // Or about to: a rekey of ours is done, and the peer, whose own ran beside it, has to take ours.
  const bool closing = old != nullptr &&
                       (old->state == ChildState::kDeleting || old->state == ChildState::kReplaced);
  const bool leaving = has_task(sa, TaskKind::kDeleteIke);
  if (sa.state != IkeState::kEstablished || ike_rekey || closing || leaving) {
    return Refusal{make_notify(NotifyType::kTemporaryFailure),
                   "we are rekeying or closing the SA ourselves"};
  }
  // A rekey adds one for a while, and each may be rekeyed at once; a peer that rekeys without ever
  // deleting ends here too.
  const std::size_t room = rekey == nullptr ? kChildrenPerIkeSaMax : 2 * kChildrenPerIkeSaMax;
  if (sa.children.size() >= room) {
    return Refusal{make_notify(NotifyType::kNoAdditionalSas),
                   "the IKE SA has as many children as it may have"};
  }
  return std::nullopt;
}

void send_refusal(Context& ctx, IkeSa& sa, const Message& request, NotifyPayload notify,
                  const std::string& why) {
  ctx.event(
      EventKind::kNote, LogLevel::kInfo, sa.pair(),
      fmt::format("{} of the peer refused with {}: {}", wire::ike::name(request.header.exchange),
                  wire::ike::name(notify.type), why));
  if (notify.type == NotifyType::kInvalidSyntax)
    return answer_invalid_syntax(ctx, sa, request.header, why);
  std::vector<Payload> payloads{notify};
  const bool differs =
      notify.type == NotifyType::kNoProposalChosen || notify.type == NotifyType::kTsUnacceptable;
  if (differs) {
    refused_peer(ctx, sa.pair(), why);
    add_detail(sa, why, payloads);
  }
  send_response(ctx, sa, request.header.exchange, request.header.message_id, payloads);
}

void link_rekeyed(Context& ctx, IkeSa& sa, Spi old_in, ChildSa& made, const Bytes& nonce_i,
                  const Bytes& nonce_r) {
  ChildSa* old = sa.child_in(old_in);
  if (old == nullptr) return;
  made.predecessor = old_in;
  old->successor = made.spec.spi_in;
  if (sa.active && sa.active->task.kind == TaskKind::kRekeyChild &&
      sa.active->task.child == old_in) {
    sa.active->collision = Collision{lower(nonce_i, nonce_r), made.spec.spi_in, IkeSpi()};
  } else {
    supersede(ctx, *old);
    std::erase_if(sa.tasks, [&](const Task& task) {
      return task.kind == TaskKind::kRekeyChild && task.child == old_in;
    });
  }
  ctx.count(Counter::kChildRekeyed);
  ctx.event(EventKind::kChildRekeyed, LogLevel::kInfo, sa.pair(),
            fmt::format("child SA {} rekeyed by the peer: SPI {} in after {}", old->spec.child,
                        to_string(made.spec.spi_in), to_string(old_in)));
}

// What of ours the peer gets; nothing when it was refused, in `answered`'s exchange.
std::optional<NegotiatedChild> choose_child(Context& ctx, IkeSa& sa, const Message& request,
                                            const Message& answered, const ChildSa* old) {
  const auto* ke = request.find<KePayload>();
  const crypto::DhId group =
      ke != nullptr ? static_cast<crypto::DhId>(ke->group) : crypto::DhId::kNone;
  const std::string only = old != nullptr ? old->spec.child : std::string();
  auto child = negotiate_child(sa, request, true, group, only);
  if (!child) {
    count_refusal(ctx, child.error());
    send_refusal(ctx, sa, answered, make_notify(notify_for(child.error())), child.error().message);
    return std::nullopt;
  }
  if (old == nullptr && crosses_ours(ctx, sa, request, *child)) {
    send_refusal(ctx, sa, answered, make_notify(NotifyType::kTemporaryFailure),
                 "an exchange of ours has just made this child SA");
    return std::nullopt;
  }
  return std::move(*child);
}

// The peer's request once more: what it asks for, if we may give it now.
struct Asked {
  NegotiatedChild child;
  Spi old_in;
};

// Answers with a refusal, in `answered`'s exchange, and gives nothing when it may not.
std::optional<Asked> look_again(Context& ctx, IkeSa& sa, const Message& request,
                                const Message& answered) {
  const NotifyPayload* rekey = rekey_notify(request);
  const ChildSa* old = rekey != nullptr ? sa.child_out(notify_spi(*rekey)) : nullptr;
  if (auto refusal = refuse_by_state(sa, request, old)) {
    send_refusal(ctx, sa, answered, std::move(refusal->notify), refusal->why);
    return std::nullopt;
  }
  auto child = choose_child(ctx, sa, request, answered, old);
  if (!child) return std::nullopt;
  return Asked{std::move(*child), old != nullptr ? old->spec.spi_in : Spi()};
}

// A foreign peer is not refused what it asks for: its child and ours were made at once, and of two
// exchanges that cross the one with the lowest nonce loses, as with rekeys. Ours was answered
// already, and goes if it is the one; the peer knows whether its own is.
void resolve_late_crossing(Context& ctx, IkeSa& sa, const ChildSa& theirs, const Bytes& lowest) {
  for (ChildSa& child : sa.children) {
    if (!child.lowest_nonce || child.state != ChildState::kInstalled ||
        ctx.now - child.installed_at >= kCrossingTime || child.spec.spi_in == theirs.spec.spi_in ||
        child.spec.child != theirs.spec.child ||
        !policy::contains(child.spec.local_ts, theirs.spec.local_ts) ||
        !policy::contains(child.spec.remote_ts, theirs.spec.remote_ts)) {
      continue;
    }
    const bool ours_loses = *child.lowest_nonce < lowest;
    child.lowest_nonce.reset();
    if (!ours_loses) return;
    child.state = ChildState::kReplaced;
    return delete_own_loser(ctx, sa, child.spec.spi_in);
  }
}

// Makes the child that the peer asked for.
void install_asked(Context& ctx, IkeSa& sa, const Message& request, const Asked& asked, Spi spi,
                   const ChildSecrets& secrets, const Bytes& nonce_r) {
  const Bytes& nonce_i = request.find<NoncePayload>()->data;
  auto made = make_child(sa, asked.child, spi, false, secrets, nonce_i, nonce_r);
  ASSERT(made);
  // The initiator can receive on the new SA only when it has our answer: we go on sending on the
  // old one, the one that is rekeyed or that of the IKE SA before.
  const bool wait = asked.old_in.value != 0 || is_carried(ctx, made->spec);
  ChildSa& installed = install_child(ctx, sa, std::move(*made), !wait);
  if (asked.old_in.value != 0) {
    link_rekeyed(ctx, sa, asked.old_in, installed, nonce_i, nonce_r);
  } else if (sa.active && sa.active->task.kind == TaskKind::kCreateChild &&
             sa.active->child.name == installed.spec.child &&
             policy::contains(installed.spec.local_ts, sa.active->local_ts) &&
             policy::contains(installed.spec.remote_ts, sa.active->remote_ts)) {
    // Both ends make the same child at once: as with rekeys, the lowest nonce loses.
    sa.active->collision = Collision{lower(nonce_i, nonce_r), installed.spec.spi_in, IkeSpi()};
  } else {
    resolve_late_crossing(ctx, sa, installed, lower(nonce_i, nonce_r));
  }
}

void answer_create_child(Context& ctx, IkeSa& sa, const Message& request, const JobResult* dh) {
  const auto asked = look_again(ctx, sa, request, request);
  if (!asked) return;
  const Bytes nonce_r = ctx.rng.bytes(kNonceOctets);
  const Spi spi = ctx.allocate_spi();
  std::vector<Payload> answer;
  add_child_answer(answer, asked->child, spi);
  std::vector<Payload> payloads;
  payloads.push_back(std::move(answer[0]));
  payloads.push_back(NoncePayload{nonce_r});
  if (dh != nullptr) {
    payloads.push_back(KePayload{request.find<KePayload>()->group, dh->key_pair.public_key});
  }
  std::move(answer.begin() + 1, answer.end(), std::back_inserter(payloads));
  const policy::AdditionalKes& methods = asked->child.selected.suite.additional;
  if (dh != nullptr && policy::has_additional(methods)) {
    PendingExchange pending{request, nonce_r, spi, IkeSpi(), {methods, 0, {}, dh->shared, {}, {}},
                            {}};
    keep_for_followup(ctx, sa, std::move(pending), payloads);
    if (sa.active && sa.active->task.kind == TaskKind::kRekeyChild && asked->old_in.value != 0 &&
        sa.active->task.child == asked->old_in) {
      sa.active->collision =
          Collision{lower(request.find<NoncePayload>()->data, nonce_r), Spi(), IkeSpi()};
    }
  } else {
    const ChildSecrets secrets{dh != nullptr ? dh->shared.reveal() : ByteView(), ByteView()};
    install_asked(ctx, sa, request, *asked, spi, secrets, nonce_r);
  }
  send_response(ctx, sa, ExchangeType::kCreateChildSa, request.header.message_id, payloads);
}

void handle_child_request(Context& ctx, IkeSa& sa, const Message& message) {
  const NotifyPayload* rekey = rekey_notify(message);
  const ChildSa* old = rekey != nullptr ? sa.child_out(notify_spi(*rekey)) : nullptr;
  if (auto refusal = refuse_by_state(sa, message, old)) {
    return send_refusal(ctx, sa, message, std::move(refusal->notify), refusal->why);
  }
  const auto* ke = message.find<KePayload>();
  const crypto::DhId group =
      ke != nullptr ? static_cast<crypto::DhId>(ke->group) : crypto::DhId::kNone;
  auto child = choose_child(ctx, sa, message, message, old);
  if (!child) return;
  const crypto::DhId wanted = child->selected.suite.dh;
  if (wanted == crypto::DhId::kNone) return answer_create_child(ctx, sa, message, nullptr);
  if (wanted != group) {
    Writer data;
    data.u16(static_cast<std::uint16_t>(wanted));
    return send_refusal(ctx, sa, message, make_notify(NotifyType::kInvalidKePayload, data.view()),
                        "its KE payload is of another group");
  }
  sa.responding = Responding{message};
  ctx.start_job(sa, JobPurpose::kChildRespond, DhRespondJob{group, ke->data});
}

}  // namespace

void finish_create_child(Context& ctx, IkeSa& sa, const Message& last, Payload ke) {
  PendingExchange pending = std::move(*sa.pending);
  sa.pending.reset();
  const auto asked = look_again(ctx, sa, pending.request, last);
  if (!asked) {
    ctx.core.inbound_spis.erase(pending.spi);
    return;
  }
  const Followup& followup = pending.followup;
  install_asked(ctx, sa, pending.request, *asked, pending.spi,
                {followup.first.reveal(), followup.more.reveal()}, pending.nonce_r);
  send_response(ctx, sa, ExchangeType::kIkeFollowupKe, last.header.message_id, {std::move(ke)});
}

void start_create_child(Context& ctx, IkeSa& sa, const Task& task) {
  ActiveTask active;
  active.task = task;
  std::string name = task.child_name;
  if (task.kind == TaskKind::kRekeyChild) {
    ChildSa* old = sa.child_in(task.child);
    if (old == nullptr || old->state != ChildState::kInstalled) return;
    const Instant due = old->installed_at + outbound_grace(sa);
    if (!old->outbound_installed && due <= ctx.now) install_outbound(ctx, *old);  // a late timer
    if (!old->outbound_installed) {
      // The peer made it by a rekey and may not have our answer yet: it would not know what we
      // rekey.
      Task later = task;
      later.not_before = due + 1ms;
      return add_task(ctx, sa, std::move(later));
    }
    name = old->spec.child;
    // Section 2.9.2: the scope of a rekeyed SA is the one in use.
    active.local_ts = old->spec.local_ts;
    active.remote_ts = old->spec.remote_ts;
  }
  const policy::ChildConfig* config = find_config(sa, name);
  if (config == nullptr) return;
  if (task.kind == TaskKind::kCreateChild) {
    if (is_covered(sa, name, task.local_ts, task.remote_ts)) return;
    const auto& local = task.local_ts.empty() ? config->local_ts : task.local_ts;
    const auto& remote = task.remote_ts.empty() ? config->remote_ts : task.remote_ts;
    active.local_ts = offered_local(sa, *config, local);
    active.remote_ts = offered_remote(sa, *config, remote);
  }
  active.child = *config;
  active.nonce = ctx.rng.bytes(kNonceOctets);
  active.new_spi = ctx.allocate_spi();
  if (task.kind == TaskKind::kRekeyChild) sa.child_in(task.child)->state = ChildState::kRekeying;
  const crypto::DhId group = pfs_group(sa, *config);
  sa.active = std::move(active);
  if (group == crypto::DhId::kNone) return send_create_child(ctx, sa);
  ctx.start_job(sa, JobPurpose::kChildGenerate, DhGenerateJob{group});
}

void handle_create_child_request(Context& ctx, IkeSa& sa, const Message& message) {
  const auto* offer = message.find<SaPayload>();
  const bool ike =
      !offer->proposals.empty() && offer->proposals.front().protocol == wire::ike::ProtocolId::kIke;
  if (!ike) return handle_child_request(ctx, sa, message);
  const auto* ke = message.find<KePayload>();
  // Section 2.25.2: while a child is being made, rekeyed or closed by us, the IKE SA stays as it
  // is.
  const bool busy = sa.active && (sa.active->task.kind == TaskKind::kCreateChild ||
                                  sa.active->task.kind == TaskKind::kRekeyChild ||
                                  sa.active->task.kind == TaskKind::kDeleteChild);
  // It has rekeyed this SA already, or we are past CREATE_CHILD_SA (RFC 9370 section 2.2.4).
  const bool again = sa.active && (sa.active->collision || sa.active->followup);
  const Pair* pair = ctx.pair_of(sa);
  const bool full = pair == nullptr || pair->sas.size() >= kIkeSasPerPairMax;
  if (sa.state != IkeState::kEstablished || busy || again || full) {
    return send_refusal(ctx, sa, message, make_notify(NotifyType::kTemporaryFailure),
                        "an exchange of ours for a child is under way, the SA is being closed, or "
                        "the peer holds too many");
  }
  auto selected = policy::select_ike(sa.connection->proposals, offer->proposals);
  if (!selected) {
    count_refusal(ctx, selected.error());
    return send_refusal(ctx, sa, message, make_notify(NotifyType::kNoProposalChosen),
                        selected.error().message);
  }
  if (ke == nullptr || static_cast<crypto::DhId>(ke->group) != selected->suite.dh) {
    Writer data;
    data.u16(static_cast<std::uint16_t>(selected->suite.dh));
    return send_refusal(ctx, sa, message, make_notify(NotifyType::kInvalidKePayload, data.view()),
                        "its KE payload is of another group");
  }
  sa.responding = Responding{message};
  ctx.start_job(sa, JobPurpose::kChildRespond, DhRespondJob{selected->suite.dh, ke->data});
}

void process_create_child_response(Context& ctx, IkeSa& sa, const Message& message) {
  ASSERT(sa.active);
  if (const auto* error = find_error(message)) {
    if (sa.active->task.kind == TaskKind::kRekeyIke)
      return complete_rekey_ike(ctx, sa, message, JobResult());
    return follow_error(ctx, sa, *error, message);
  }
  const auto* nonce = message.find<NoncePayload>();
  const auto* ke = message.find<KePayload>();
  if (nonce == nullptr) {
    if (sa.active->task.kind == TaskKind::kRekeyIke)
      return complete_rekey_ike(ctx, sa, message, JobResult());
    return create_child_failed(ctx, sa, "the peer answered CREATE_CHILD_SA without a nonce",
                               Remains::kHalf);
  }
  sa.active->peer_nonce = nonce->data;
  if (ke == nullptr && sa.active->task.kind != TaskKind::kRekeyIke) {
    return complete_create_child(ctx, sa, message, ByteView());
  }
  if (ke == nullptr || static_cast<crypto::DhId>(ke->group) != sa.active->dh.group) {
    if (sa.active->task.kind == TaskKind::kRekeyIke)
      return complete_rekey_ike(ctx, sa, message, JobResult());
    return create_child_failed(ctx, sa, "the peer's KE payload is of another group than ours",
                               Remains::kHalf);
  }
  sa.active->response = message;
  ctx.start_job(sa, JobPurpose::kChildShared, DhSharedJob{sa.active->dh, ke->data});
}

void child_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result) {
  if (purpose == JobPurpose::kChildRespond) {
    const Message request = std::move(sa.responding->request);
    sa.responding.reset();
    if (result.error) {
      return send_refusal(ctx, sa, request, make_notify(NotifyType::kInvalidSyntax),
                          result.error->message);
    }
    const bool ike =
        request.find<SaPayload>()->proposals.front().protocol == wire::ike::ProtocolId::kIke;
    if (ike) return answer_rekey_ike(ctx, sa, request, result);
    return answer_create_child(ctx, sa, request, &result);
  }
  ASSERT(sa.active);
  const bool ike = sa.active->task.kind == TaskKind::kRekeyIke;
  if (purpose == JobPurpose::kChildGenerate) {
    if (result.error) {
      return ike ? complete_rekey_ike(ctx, sa, Message(), result)
                 : create_child_failed(ctx, sa, result.error->message);
    }
    sa.active->dh = result.key_pair;
    return ike ? start_rekey_ike(ctx, sa, sa.active->task) : send_create_child(ctx, sa);
  }
  const Message response = std::move(*sa.active->response);
  sa.active->response.reset();
  if (begin_followup(ctx, sa, response, result)) return;
  if (ike) return complete_rekey_ike(ctx, sa, response, result);
  if (result.error) return create_child_failed(ctx, sa, result.error->message, Remains::kHalf);
  complete_create_child(ctx, sa, response, result.shared.reveal());
}

}  // namespace espalier::ike::v2
