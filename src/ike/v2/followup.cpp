// IKE_FOLLOWUP_KE: the additional key exchanges of a CREATE_CHILD_SA (RFC 9370 section 2.2.4).
//
//   HDR(CREATE_CHILD_SA), SK {SA, Ni, KEi(0), ...} -->
//                      <-- HDR(CREATE_CHILD_SA), SK {SA, Nr, KEr(0), ...,
//                      N(ADDITIONAL_KEY_EXCHANGE)}
//   HDR(IKE_FOLLOWUP_KE), SK {KEi(1), N(ADDITIONAL_KEY_EXCHANGE)} -->
//                                  <-- HDR(IKE_FOLLOWUP_KE), SK {KEr(1) [,
//                                  N(ADDITIONAL_KEY_EXCHANGE)]}
//
// Nothing is made before the last of them. An end keeps one such exchange of its peer's (the window
// is 1): a new CREATE_CHILD_SA puts an unfinished one aside.
#include <fmt/format.h>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/negotiate.hpp"
#include "policy/proposal.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::KePayload;
using wire::ike::NotifyPayload;
using wire::ike::SaPayload;

// The first slot from `next` on that has a method.
bool find_slot(Followup& followup) {
  while (followup.next < followup.methods.size() &&
         followup.methods[followup.next] == crypto::DhId::kNone) {
    ++followup.next;
  }
  return followup.next < followup.methods.size();
}

crypto::DhId method_of(const Followup& followup) { return followup.methods[followup.next]; }

void append(SecretBytes& all, const SecretBytes& part) {
  Bytes joined = to_vector(all.reveal());
  joined.insert(joined.end(), part.reveal().begin(), part.reveal().end());
  all = SecretBytes(std::move(joined));
}

bool is_ike(const IkeSa& sa) { return sa.active->task.kind == TaskKind::kRekeyIke; }

bool is_ike(const Message& request) {
  return request.find<SaPayload>()->proposals.front().protocol == wire::ike::ProtocolId::kIke;
}

void fail(Context& ctx, IkeSa& sa, const std::string& why, bool half = false) {
  return is_ike(sa) ? fail_rekey_ike(ctx, sa, why, half) : fail_create_child(ctx, sa, why, half);
}

// What the responder chose, if it is among what we offered. An answer that is not is the affair of
// whoever completes the exchange.
policy::AdditionalKes chosen(const IkeSa& sa, const Message& response) {
  const auto* answer = response.find<SaPayload>();
  if (answer == nullptr) return {};
  if (is_ike(sa)) {
    const auto accepted = policy::accept_ike(sa.connection->proposals, answer->proposals);
    return accepted ? accepted->suite.additional : policy::AdditionalKes{};
  }
  const auto accepted = policy::accept_esp(sa.active->child.proposals, answer->proposals, true);
  return accepted ? accepted->suite.additional : policy::AdditionalKes{};
}

void next_exchange(Context& ctx, IkeSa& sa) {
  ctx.start_job(sa, JobPurpose::kFollowupGenerate, DhGenerateJob{method_of(*sa.active->followup)});
}

void send_followup(Context& ctx, IkeSa& sa, const JobResult& result) {
  if (result.error) return fail(ctx, sa, result.error->message);
  Followup& followup = *sa.active->followup;
  followup.dh = result.key_pair;
  send_request(
      ctx, sa, ExchangeType::kIkeFollowupKe,
      {KePayload{static_cast<std::uint16_t>(method_of(followup)), result.key_pair.public_key},
       make_notify(NotifyType::kAdditionalKeyExchange, followup.link)});
}

void take_shared(Context& ctx, IkeSa& sa, const JobResult& result) {
  Followup& followup = *sa.active->followup;
  ++followup.next;
  const bool last = !find_slot(followup);
  if (result.error) return fail(ctx, sa, result.error->message, last);
  append(followup.more, result.shared);
  if (!last) return next_exchange(ctx, sa);
  const Message response = std::move(*sa.active->response);
  sa.active->response.reset();
  if (is_ike(sa)) {
    JobResult first;
    first.shared = followup.first;
    return complete_rekey_ike(ctx, sa, response, first);
  }
  const SecretBytes first = followup.first;
  complete_create_child(ctx, sa, response, first.reveal());
}

void respond(Context& ctx, IkeSa& sa, const JobResult& result) {
  const Message request = std::move(sa.responding->request);
  sa.responding.reset();
  if (!sa.pending) {  // dropped while the job ran
    return send_response(ctx, sa, ExchangeType::kIkeFollowupKe, request.header.message_id,
                         {make_notify(NotifyType::kStateNotFound)});
  }
  if (result.error) {
    drop_pending(ctx, sa);
    return answer_invalid_syntax(ctx, sa, request.header, result.error->message);
  }
  Followup& followup = sa.pending->followup;
  KePayload ke{static_cast<std::uint16_t>(method_of(followup)), result.key_pair.public_key};
  append(followup.more, result.shared);
  ++followup.next;
  if (find_slot(followup)) {
    followup.link = ctx.rng.bytes(kLinkOctets);
    sa.pending->expires = ctx.now + kFollowupWait;
    return send_response(
        ctx, sa, ExchangeType::kIkeFollowupKe, request.header.message_id,
        {std::move(ke), make_notify(NotifyType::kAdditionalKeyExchange, followup.link)});
  }
  return is_ike(sa.pending->request) ? finish_rekey_ike(ctx, sa, request, std::move(ke))
                                     : finish_create_child(ctx, sa, request, std::move(ke));
}

}  // namespace

bool begin_followup(Context& ctx, IkeSa& sa, const Message& response, const JobResult& result) {
  const policy::AdditionalKes methods = chosen(sa, response);
  if (result.error || !policy::has_additional(methods)) return false;
  const auto* link = response.notify(NotifyType::kAdditionalKeyExchange);
  if (link == nullptr) {
    fail(ctx, sa, "the peer chose additional key exchanges and sent no ADDITIONAL_KEY_EXCHANGE");
    return true;
  }
  ActiveTask& active = *sa.active;
  if (active.collision) {
    // Section 2.2.4: nothing has been made yet, so the initiator of the exchange with the lowest of
    // the four nonces just stops.
    const Bytes& lowest = std::min(active.nonce, active.peer_nonce);
    if (lowest < active.collision->lowest_nonce) {
      is_ike(sa) ? yield_rekey_ike(ctx, sa) : yield_create_child(ctx, sa);
      return true;
    }
    drop_pending(ctx, sa);
    if (active.collision->child.value == 0 && active.collision->ike.value == 0) {
      active.collision.reset();  // the peer stops
    }
  }
  Followup followup;
  followup.methods = methods;
  followup.first = result.shared;
  followup.link = link->data;
  find_slot(followup);
  active.response = response;
  active.followup = std::move(followup);
  next_exchange(ctx, sa);
  return true;
}

void keep_for_followup(Context& ctx, IkeSa& sa, PendingExchange pending,
                       std::vector<Payload>& payloads) {
  drop_pending(ctx, sa);
  pending.followup.link = ctx.rng.bytes(kLinkOctets);
  pending.expires = ctx.now + kFollowupWait;
  find_slot(pending.followup);
  payloads.push_back(make_notify(NotifyType::kAdditionalKeyExchange, pending.followup.link));
  sa.pending = std::move(pending);
}

void drop_pending(Context& ctx, IkeSa& sa) {
  if (!sa.pending) return;
  if (sa.pending->spi.value != 0) ctx.core.inbound_spis.erase(sa.pending->spi);
  sa.pending.reset();
  ctx.core.dirty.insert(sa.local_spi());
}

void handle_followup_request(Context& ctx, IkeSa& sa, const Message& message) {
  const auto* link = message.notify(NotifyType::kAdditionalKeyExchange);
  if (!sa.pending || link == nullptr || link->data != sa.pending->followup.link) {
    ctx.event(EventKind::kNote, LogLevel::kInfo, sa.pair(),
              "IKE_FOLLOWUP_KE of the peer refused with STATE_NOT_FOUND: it belongs to no exchange "
              "that waits for it");
    return send_response(ctx, sa, ExchangeType::kIkeFollowupKe, message.header.message_id,
                         {make_notify(NotifyType::kStateNotFound)});
  }
  const auto* ke = message.find<KePayload>();
  ASSERT(ke != nullptr);  // the transition table requires it
  const crypto::DhId method = method_of(sa.pending->followup);
  if (ke->group != static_cast<std::uint16_t>(method)) {
    drop_pending(ctx, sa);
    return answer_invalid_syntax(
        ctx, sa, message.header,
        fmt::format("IKE_FOLLOWUP_KE has a key exchange by method {}, {} was agreed to", ke->group,
                    static_cast<unsigned>(method)));
  }
  sa.responding = Responding{message};
  ctx.start_job(sa, JobPurpose::kFollowupRespond, DhRespondJob{method, ke->data});
}

void process_followup_response(Context& ctx, IkeSa& sa, const Message& message) {
  ASSERT(sa.active && sa.active->followup);
  Followup& followup = *sa.active->followup;
  if (const auto* error = find_error(message)) {
    const std::string why =
        fmt::format("the peer refused IKE_FOLLOWUP_KE with {}", wire::ike::name(error->type));
    if (error->type == NotifyType::kInvalidSyntax) return destroy(ctx, sa, why);
    const bool again =
        error->type == NotifyType::kStateNotFound || error->type == NotifyType::kTemporaryFailure;
    if (!again || sa.active->collision) return fail(ctx, sa, why);
    // Section 2.2.4: not fatal, the exchange starts over.
    const Task task = sa.active->task;
    if (is_ike(sa)) return retry_task_later(ctx, sa, task);
    yield_create_child(ctx, sa);
    return retry_task_later(ctx, sa, task);
  }
  const auto* ke = message.find<KePayload>();
  const auto* link = message.notify(NotifyType::kAdditionalKeyExchange);
  Followup rest = followup;
  ++rest.next;
  const bool last = !find_slot(rest);
  if (ke == nullptr || ke->group != static_cast<std::uint16_t>(method_of(followup))) {
    return fail(ctx, sa,
                "the peer answered IKE_FOLLOWUP_KE without a KE payload of the method "
                "agreed to",
                last);
  }
  if (!last && link == nullptr) {
    return fail(ctx, sa, "the peer answered IKE_FOLLOWUP_KE without ADDITIONAL_KEY_EXCHANGE");
  }
  if (!last) followup.link = link->data;
  ctx.start_job(sa, JobPurpose::kFollowupShared, DhSharedJob{followup.dh, ke->data});
}

void followup_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result) {
  if (purpose == JobPurpose::kFollowupRespond) return respond(ctx, sa, result);
  ASSERT(sa.active && sa.active->followup);
  if (purpose == JobPurpose::kFollowupGenerate) return send_followup(ctx, sa, result);
  take_shared(ctx, sa, result);
}

bool must_wait(const IkeSa& sa, const Task& task) {
  return sa.pending && (task.kind == TaskKind::kCreateChild || task.kind == TaskKind::kRekeyChild ||
                        task.kind == TaskKind::kRekeyIke);
}

}  // namespace espalier::ike::v2
