// CREATE_CHILD_SA for the IKE SA itself, with the collisions of RFC 7296 sections 2.8.2 and 2.25.2.
//
//   HDR, SK {SA, Ni, KEi} -->
//                         <-- HDR, SK {SA, Nr, KEr | N(error)}
//
// The children move to the new SA as they are; nothing changes in the dataplane.
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/negotiate.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::KePayload;
using wire::ike::NoncePayload;
using wire::ike::NotifyPayload;
using wire::ike::SaPayload;

Bytes spi_octets(IkeSpi spi) {
  Writer writer;
  writer.u64(spi.value);
  return writer.take();
}

Result<IkeSpi> spi_of(const Bytes& octets) {
  Reader reader(octets);
  const auto value = reader.u64();
  if (!value || !reader.empty() || *value == 0) {
    return make_error(ErrorCode::kInvalidSyntax, "the new IKE SPI is not one of 8 octets");
  }
  return IkeSpi(*value);
}

const Bytes& lower(const Bytes& a, const Bytes& b) { return a < b ? a : b; }

// The successor of `old`, established and keyed, without children yet.
IkeSa make_successor(Context& ctx, const IkeSa& old, Role role, IkeSpi spi_i, IkeSpi spi_r,
                     const policy::IkeSuite& suite, IkeKeys keys) {
  IkeSa sa;
  sa.role = role;
  sa.state = IkeState::kEstablished;
  sa.spi_i = spi_i;
  sa.spi_r = spi_r;
  sa.connection = old.connection;
  sa.path = old.path;
  sa.encap = old.encap;
  sa.nat_here = old.nat_here;
  sa.nat_there = old.nat_there;
  sa.peer_fragmentation = old.peer_fragmentation;
  sa.ppk = old.ppk;
  sa.follows_redirects = old.follows_redirects;
  sa.peer_follows_redirects = old.peer_follows_redirects;
  sa.peer_hashes = old.peer_hashes;
  sa.reauth_at = old.reauth_at;
  sa.reauth_by = old.reauth_by;
  sa.began = old.began;
  sa.mobike = old.mobike;
  sa.peer_certificates = old.peer_certificates;
  sa.suite = suite;
  sa.keys = std::move(keys);
  sa.iv_counter = ctx.rng.u64();
  sa.begun = ctx.now;
  sa.rekeyed = true;
  schedule_ike(ctx, sa);
  if (old.state == IkeState::kEstablished && old.discard_at) {
    sa.discard_at = ctx.now + kDuplicateGrace;  // it is to go, by docs/simultaneous-start.md
  }
  return sa;
}

// Children and waiting tasks go to the successor; the old SA only waits for its Delete.
void hand_over(Context& ctx, IkeSa& old, IkeSa& successor) {
  ctx.hand_children_over(old, successor);
  hand_mobike_over(ctx, old, successor);
  // Who wants the SA closed wants its successor closed.
  if (old.active && old.active->task.kind == TaskKind::kDeleteIke) {
    add_task(ctx, successor, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
  }
  for (const Task& task : old.tasks) {
    if (task.kind == TaskKind::kDeleteIke) add_task(ctx, successor, task);
  }
  for (Task& task : old.tasks) {
    if (task.kind != TaskKind::kDeleteIke && task.kind != TaskKind::kRekeyIke &&
        task.kind != TaskKind::kLiveness && task.kind != TaskKind::kTicketRequest) {
      add_task(ctx, successor, std::move(task));
    }
  }
  old.tasks.clear();
  ticket_goes_on(ctx, old, successor);
  old.state = IkeState::kReplaced;
  old.successor = successor.local_spi();
  reauth_goes_on(ctx, old, successor);
  old.rekey_collision.reset();
  drop_pending(ctx, old);
  ctx.count(Counter::kIkeRekeyed);
  ctx.touch(old.pair());
  ctx.event(EventKind::kIkeRekeyed, LogLevel::kInfo, old.pair(),
            fmt::format("IKE SA {}_i {}_r rekeyed to {}_i {}_r as {}", to_string(old.spi_i),
                        to_string(old.spi_r), to_string(successor.spi_i),
                        to_string(successor.spi_r), name(successor.role)));
}

void rekey_failed(Context& ctx, IkeSa& sa, const std::string& why) {
  const auto collision = sa.active->collision;
  finish_task(ctx, sa);
  IkeSa* theirs = collision ? ctx.find(collision->ike) : nullptr;
  if (theirs != nullptr && theirs->state == IkeState::kEstablished) {
    // The peer's rekey, which ran beside ours, is the one that counts.
    hand_over(ctx, sa, *theirs);
    sa.discard_at = ctx.now + kOverTime;
    return;
  }
  ctx.event(EventKind::kRekeyFailed, LogLevel::kWarning, sa.pair(), why);
  sa.rekey_at = ctx.now + kRekeyRetry;
}

// The peer made a successor that we do not take: it has the children there, we have them here, and
// nothing can be said inside an SA that has no keys of ours. Both go; the new attempt carries
// INITIAL_CONTACT, which ends the peer's half (RFC 7296 section 2.4).
void reject_successor(Context& ctx, IkeSa& sa, const std::string& why) {
  IkeSa* theirs = sa.active->collision ? ctx.find(sa.active->collision->ike) : nullptr;
  if (theirs != nullptr && theirs->state == IkeState::kEstablished) bad_response(ctx, *theirs, why);
  bad_response(ctx, sa, why);
}

void send_rekey(Context& ctx, IkeSa& sa) {
  ActiveTask& active = *sa.active;
  std::vector<Payload> payloads;
  payloads.push_back(
      SaPayload{policy::to_wire(sa.connection->proposals, spi_octets(active.new_ike_spi))});
  payloads.push_back(NoncePayload{active.nonce});
  payloads.push_back(KePayload{static_cast<std::uint16_t>(active.dh.group), active.dh.public_key});
  send_request(ctx, sa, ExchangeType::kCreateChildSa, payloads);
}

void follow_error(Context& ctx, IkeSa& sa, const NotifyPayload& error) {
  ActiveTask& active = *sa.active;
  Reader reader(error.data);
  if (error.type == NotifyType::kInvalidKePayload && active.group_retries++ < 2) {
    if (const auto wanted = reader.u16()) {
      active.dh = crypto::DhKeyPair();
      ctx.start_job(sa, JobPurpose::kChildGenerate,
                    DhGenerateJob{static_cast<crypto::DhId>(*wanted)});
      return;
    }
  }
  if (error.type == NotifyType::kInvalidSyntax) {
    const std::string why = "the peer answered our rekey of the IKE SA with INVALID_SYNTAX";
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
    return destroy(ctx, sa, why);  // section 2.21.3
  }
  if (error.type == NotifyType::kTemporaryFailure && !active.collision) {
    return retry_task_later(ctx, sa, active.task);
  }
  rekey_failed(
      ctx, sa,
      fmt::format("the peer refused to rekey the IKE SA with {}", wire::ike::name(error.type)));
}

struct Completed {
  policy::IkeSuite suite;
  IkeSpi peer_spi;
  IkeKeys keys;
};

Result<Completed> derive(const IkeSa& sa, const Message& response, ByteView shared) {
  const ActiveTask& active = *sa.active;
  const auto* answer = response.find<SaPayload>();
  if (answer == nullptr)
    return make_error(ErrorCode::kInvalidSyntax, "the peer's answer has no SA payload");
  TRY_ASSIGN(const auto accepted, policy::accept_ike(sa.connection->proposals, answer->proposals));
  if (accepted.suite.dh != active.dh.group) {
    return make_error(ErrorCode::kInvalidKe,
                      "the peer chose a Diffie-Hellman group other than that of our KE payload");
  }
  TRY_ASSIGN(const IkeSpi peer, spi_of(accepted.peer_spi));
  const KeyInputs inputs{shared,
                         active.nonce,
                         active.peer_nonce,
                         active.new_ike_spi,
                         peer,
                         active.followup ? active.followup->more.reveal() : ByteView()};
  TRY_ASSIGN(IkeKeys keys,
             derive_rekeyed_ike_keys(accepted.suite, sa.suite.prf, sa.keys.d.reveal(), inputs));
  return Completed{accepted.suite, peer, std::move(keys)};
}

}  // namespace

void fail_rekey_ike(Context& ctx, IkeSa& sa, const std::string& why, bool half) {
  return half ? reject_successor(ctx, sa, why) : rekey_failed(ctx, sa, why);
}

void yield_rekey_ike(Context& ctx, IkeSa& sa) {
  const auto collision = sa.active->collision;
  finish_task(ctx, sa);
  IkeSa* theirs = collision ? ctx.find(collision->ike) : nullptr;
  if (theirs != nullptr && theirs->state == IkeState::kEstablished) {
    hand_over(ctx, sa, *theirs);
    sa.discard_at = ctx.now + kOverTime;
    return;
  }
  sa.rekey_at = ctx.now + kRekeyRetry;  // should the peer's come to nothing
}

void start_rekey_ike(Context& ctx, IkeSa& sa, const Task& task) {
  if (sa.active) return send_rekey(ctx, sa);  // the key pair has been made
  if (sa.state != IkeState::kEstablished) return;
  ActiveTask active;
  active.task = task;
  active.nonce = ctx.rng.bytes(kNonceOctets);
  active.new_ike_spi = ctx.allocate_ike_spi();
  ctx.core.spis_to_be.insert(active.new_ike_spi);
  sa.active = std::move(active);
  ctx.start_job(sa, JobPurpose::kChildGenerate, DhGenerateJob{sa.suite.dh});
}

void complete_rekey_ike(Context& ctx, IkeSa& sa, const Message& response, const JobResult& result) {
  const bool answered = !response.payloads.empty();  // else: our own key pair could not be made
  if (const auto* error = find_error(response)) return follow_error(ctx, sa, *error);
  if (result.error) {
    return answered ? reject_successor(ctx, sa, result.error->message)
                    : rekey_failed(ctx, sa, result.error->message);
  }
  if (result.shared.empty()) {
    return reject_successor(
        ctx, sa, "the peer's answer to the IKE rekey lacks a nonce or a fitting KE payload");
  }
  auto completed = derive(sa, response, result.shared.reveal());
  if (!completed) return reject_successor(ctx, sa, completed.error().message);
  const auto collision = sa.active->collision;
  const Bytes lowest = lower(sa.active->nonce, sa.active->peer_nonce);
  const IkeSpi own_spi = sa.active->new_ike_spi;
  finish_task(ctx, sa);
  IkeSa& made = ctx.add(make_successor(ctx, sa, Role::kInitiator, own_spi, completed->peer_spi,
                                       completed->suite, std::move(completed->keys)));
  if (Pair* pair = ctx.pair_of(made)) pair->sas.insert(own_spi);
  read_qcd_token(made, response);
  IkeSa* theirs = collision ? ctx.find(collision->ike) : nullptr;
  // Section 2.8.1, for IKE SAs too: the SA created with the lowest of the four nonces is closed by
  // its creator, and the creator of the survivor deletes the old one.
  if (theirs != nullptr && lowest < collision->lowest_nonce) {
    hand_over(ctx, sa, *theirs);
    sa.discard_at = ctx.now + kOverTime;
    add_task(ctx, made, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
    return run_tasks(ctx, made);
  }
  hand_over(ctx, sa, made);
  // RFC 6290 section 4.3: the initiator gives its token afterwards, to who knows what it is.
  if (!made.peer_token.empty()) {
    add_task(ctx, made, {TaskKind::kQcdToken, Spi(), "", ctx.now});
    run_tasks(ctx, made);
  }
  if (theirs != nullptr) theirs->discard_at = ctx.now + kDuplicateGrace;
  add_task(ctx, sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
}

namespace {

// Makes the IKE SA that the peer's rekey asked for.
void make_asked(Context& ctx, IkeSa& sa, const policy::IkeSuite& suite, const KeyInputs& inputs) {
  auto keys = derive_rekeyed_ike_keys(suite, sa.suite.prf, sa.keys.d.reveal(), inputs);
  ASSERT(keys);
  const IkeSpi own = inputs.spi_r;
  IkeSa& made = ctx.add(
      make_successor(ctx, sa, Role::kResponder, inputs.spi_i, own, suite, std::move(*keys)));
  if (Pair* pair = ctx.pair_of(made)) pair->sas.insert(own);
  if (sa.active && sa.active->task.kind == TaskKind::kRekeyIke) {
    const Bytes nonce_i = to_vector(inputs.nonce_i);
    const Bytes nonce_r = to_vector(inputs.nonce_r);
    sa.active->collision = Collision{lower(nonce_i, nonce_r), Spi(), own};
    return;
  }
  hand_over(ctx, sa, made);
  // The peer's Delete is expected long before; but its request, and then that, may take all their
  // retransmissions.
  sa.discard_at = ctx.now + kOverTime;
}

}  // namespace

void answer_rekey_ike(Context& ctx, IkeSa& sa, const Message& request, const JobResult& result) {
  const auto* nonce = request.find<NoncePayload>();
  auto selected =
      policy::select_ike(sa.connection->proposals, request.find<SaPayload>()->proposals);
  auto peer = selected ? spi_of(selected->peer_spi) : Result<IkeSpi>(selected.error());
  if (!peer || nonce == nullptr) {
    send_response(ctx, sa, ExchangeType::kCreateChildSa, request.header.message_id,
                  {make_notify(NotifyType::kNoProposalChosen)});
    return;
  }
  const IkeSpi own = ctx.allocate_ike_spi();
  const Bytes nonce_r = ctx.rng.bytes(kNonceOctets);
  wire::ike::Proposal reply = selected->reply;
  reply.spi = spi_octets(own);
  std::vector<Payload> payloads{
      SaPayload{{std::move(reply)}}, NoncePayload{nonce_r},
      KePayload{static_cast<std::uint16_t>(selected->suite.dh), result.key_pair.public_key}};
  add_qcd_token(ctx, *peer, own, payloads);  // RFC 6290 section 4.3
  const policy::AdditionalKes& methods = selected->suite.additional;
  if (policy::has_additional(methods)) {
    PendingExchange pending{request, nonce_r, Spi(), own, {methods, 0, {}, result.shared, {}, {}},
                            {}};
    keep_for_followup(ctx, sa, std::move(pending), payloads);
    if (sa.active && sa.active->task.kind == TaskKind::kRekeyIke) {
      sa.active->collision = Collision{lower(nonce->data, nonce_r), Spi(), IkeSpi()};
    }
  }
  send_response(ctx, sa, ExchangeType::kCreateChildSa, request.header.message_id, payloads);
  if (policy::has_additional(methods)) return;
  make_asked(ctx, sa, selected->suite, {result.shared.reveal(), nonce->data, nonce_r, *peer, own});
}

void finish_rekey_ike(Context& ctx, IkeSa& sa, const Message& last, Payload ke) {
  const PendingExchange pending = std::move(*sa.pending);
  sa.pending.reset();
  const bool busy = sa.active && (sa.active->task.kind == TaskKind::kCreateChild ||
                                  sa.active->task.kind == TaskKind::kRekeyChild ||
                                  sa.active->task.kind == TaskKind::kDeleteChild);
  const Pair* pair = ctx.pair_of(sa);
  const bool full = pair == nullptr || pair->sas.size() >= kIkeSasPerPairMax;
  if (sa.state != IkeState::kEstablished || busy || full) {
    return send_response(ctx, sa, ExchangeType::kIkeFollowupKe, last.header.message_id,
                         {make_notify(NotifyType::kTemporaryFailure)});
  }
  const auto selected =
      policy::select_ike(sa.connection->proposals, pending.request.find<SaPayload>()->proposals);
  ASSERT(selected);  // it was chosen when the exchange was kept
  const auto peer = spi_of(selected->peer_spi);
  ASSERT(peer);
  const Followup& followup = pending.followup;
  send_response(ctx, sa, ExchangeType::kIkeFollowupKe, last.header.message_id, {std::move(ke)});
  make_asked(ctx, sa, selected->suite,
             {followup.first.reveal(), pending.request.find<NoncePayload>()->data, pending.nonce_r,
              *peer, pending.ike_spi, followup.more.reveal()});
}

}  // namespace espalier::ike::v2
