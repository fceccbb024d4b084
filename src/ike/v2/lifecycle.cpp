#include "ike/v2/lifecycle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/mobike.hpp"
#include "policy/proposal.hpp"

namespace espalier::ike::v2 {

std::string_view name(Role role) { return role == Role::kInitiator ? "initiator" : "responder"; }

std::string_view name(IkeState state) {
  switch (state) {
    case IkeState::kInit: return "connecting";
    case IkeState::kIntermediate: return "connecting";
    case IkeState::kHalfOpen: return "connecting";
    case IkeState::kAuth: return "connecting";
    case IkeState::kEstablished: return "established";
    case IkeState::kReplaced: return "rekeying";
    case IkeState::kDeleting: return "deleting";
    case IkeState::kFailed: return "deleting";
    case IkeState::kDead: return "deleting";
  }
  return "connecting";
}

std::string_view name(ChildState state) {
  switch (state) {
    case ChildState::kInstalled: return "installed";
    case ChildState::kRekeying: return "rekeying";
    case ChildState::kReplaced: return "rekeyed";
    case ChildState::kDeleting: return "deleting";
  }
  return "installed";
}

std::string_view name(TaskKind kind) {
  switch (kind) {
    case TaskKind::kCreateChild: return "create child";
    case TaskKind::kRekeyChild: return "rekey child";
    case TaskKind::kDeleteChild: return "delete child";
    case TaskKind::kRekeyIke: return "rekey IKE SA";
    case TaskKind::kDeleteIke: return "delete IKE SA";
    case TaskKind::kLiveness: return "liveness check";
    case TaskKind::kInvalidSpi: return "report of an unknown SPI";
    case TaskKind::kQcdToken: return "crash detection token";
    case TaskKind::kTellAddresses: return "change of addresses";
    case TaskKind::kCheckRoute: return "return routability check";
    case TaskKind::kTicketRequest: return "request of a session ticket";
    case TaskKind::kRedirect: return "redirect";
  }
  return "task";
}

bool is_to_send_yet(const IkeSa& sa, const ChildSa& child) {
  return !child.outbound_installed && child.state == ChildState::kInstalled &&
         sa.state == IkeState::kEstablished && !sa.discard_at &&
         !has_task(sa, TaskKind::kDeleteIke);
}

Duration outbound_grace(const IkeSa& sa) {
  return sa.connection && sa.connection->foreign ? kForeignOutboundGrace : kOutboundGrace;
}

void schedule_ike(Context& ctx, IkeSa& sa) {
  const policy::Lifetimes& lifetimes = sa.connection->lifetimes;
  const Duration jitter = lifetimes.ike * lifetimes.jitter_percent / 100;
  sa.rekey_at = ctx.now + lifetimes.ike - ctx.jitter(jitter);
  sa.expire_at = ctx.now + lifetimes.ike + std::max<Duration>(lifetimes.ike / 10, kOverTime);
  sa.established_at = ctx.now;
  sa.last_heard = ctx.now;
  sa.liveness_at = ctx.now + sa.connection->dpd + ctx.jitter(sa.connection->dpd / 4);
  sa.keepalive_at = ctx.now + kNatKeepalive;
  sa.discard_at.reset();
}

namespace {

void no_longer_half_open(Context& ctx, IkeSa& sa) {
  if (!sa.half_open) return;
  ctx.core.half_open.remove(sa.begun, sa.local_spi(), sa.init_from.ip, sa.cookie_returned);
  sa.half_open = false;
}

}  // namespace

void establish(Context& ctx, IkeSa& sa) {
  ASSERT(sa.connection);
  no_longer_half_open(ctx, sa);
  sa.state = IkeState::kEstablished;
  schedule_ike(ctx, sa);
  if (Pair* pair = ctx.pair_of(sa)) pair->sas.insert(sa.local_spi());
  ctx.count(Counter::kEstablished);
  ctx.touch(sa.connection->name);
  ctx.event(EventKind::kIkeEstablished, LogLevel::kInfo, sa.connection->name,
            fmt::format("IKE SA {}_i {}_r established with {} as {}, {}{}", to_string(sa.spi_i),
                        to_string(sa.spi_r), sa.path.remote.to_string(), name(sa.role),
                        policy::words(sa.suite),
                        std::string(sa.ppk ? ", with a post-quantum key" : "") +
                            (sa.handshake().resumed ? ", resumed by its ticket" : "")));
}

namespace {

// An IKE SA of the pair is gone; who answered a younger one, and went on sending on the children of
// the one before, sends on its children now.
void send_on_the_younger(Context& ctx, const Pair& pair) {
  for (const IkeSpi spi : pair.sas) {
    IkeSa* sa = ctx.find(spi);
    if (sa == nullptr || sa->state != IkeState::kEstablished || sa->discard_at) continue;
    if (another_carries(ctx, *sa)) continue;  // it was a third that went
    for (ChildSa& child : sa->children) {
      const bool rekey = child.predecessor && sa->child_in(*child.predecessor) != nullptr;
      if (child.state == ChildState::kInstalled && !rekey && !is_carried(ctx, child.spec)) {
        install_outbound(ctx, child);
      }
    }
  }
}

// Everything that destroy and bury have in common.
void let_go(Context& ctx, IkeSa& sa, const std::string& why) {
  no_longer_half_open(ctx, sa);
  if (!why.empty()) {
    ctx.event(
        EventKind::kIkeDeleted, LogLevel::kInfo, sa.pair(),
        fmt::format("IKE SA {}_i {}_r removed: {}", to_string(sa.spi_i), to_string(sa.spi_r), why));
  }
  while (!sa.children.empty()) remove_child(ctx, sa, sa.children.back().spec.spi_in, false);
  if (sa.active && sa.active->new_spi.value != 0) ctx.core.inbound_spis.erase(sa.active->new_spi);
  if (const auto& begun = sa.if_handshake(); begun && begun->child_spi.value != 0) {
    ctx.core.inbound_spis.erase(begun->child_spi);
  }
  for (const Task& task : sa.tasks) {
    if (task.orphan) ctx.core.inbound_spis.erase(task.child);
  }
  if (sa.active && sa.active->task.orphan) ctx.core.inbound_spis.erase(sa.active->task.child);
  drop_ticket(ctx, sa);
  sa.drop_handshake();
  if (sa.job.value != 0) ctx.core.jobs.erase(sa.job);
  if (const auto known = ctx.core.init_requests.find({sa.spi_i, sa.init_from});
      known != ctx.core.init_requests.end() && known->second == sa.local_spi()) {
    ctx.core.init_requests.erase(known);
  }
  drop_pending(ctx, sa);
  if (sa.active) ctx.core.spis_to_be.erase(sa.active->new_ike_spi);
  sa.active.reset();
  sa.responding.reset();
  sa.outstanding.reset();
  sa.tasks.clear();
  sa.job = JobId();
  if (Pair* pair = ctx.pair_of(sa)) {
    pair->sas.erase(sa.local_spi());
    send_on_the_younger(ctx, *pair);
    keep_the_last(ctx, *pair);
  }
  ctx.touch(sa.pair());
  ctx.core.dirty.insert(sa.local_spi());
}

}  // namespace

void destroy(Context& ctx, IkeSa& sa, const std::string& why) {
  if (sa.state == IkeState::kDead) return;
  let_go(ctx, sa, why);
  sa.state = IkeState::kDead;
}

void bury(Context& ctx, IkeSa& sa, const std::string& why) {
  if (sa.state == IkeState::kDead) return;
  let_go(ctx, sa, why);
  sa.state = IkeState::kFailed;
  sa.discard_at = ctx.now + kDuplicateGrace;
}

void fail_handshake(Context& ctx, IkeSa& sa, const std::string& why) {
  const std::string pair = sa.pair();
  const bool initiator = sa.role == Role::kInitiator;
  destroy(ctx, sa, "");
  if (pair.empty()) {
    ctx.event(EventKind::kDropped, LogLevel::kWarning, "",
              fmt::format("{}: {}", sa.path.remote.to_string(), why));
  } else if (initiator) {
    attempt_failed(ctx, pair, why);
  } else {
    ctx.event(
        EventKind::kDropped, LogLevel::kWarning, pair,
        fmt::format("the peer's attempt from {} failed: {}", sa.path.remote.to_string(), why));
  }
}

void answer_invalid_syntax(Context& ctx, IkeSa& sa, const wire::ike::Header& request,
                           const std::string& why) {
  send_response(ctx, sa, request.exchange, request.message_id,
                {make_notify(NotifyType::kInvalidSyntax)});
  if (sa.state == IkeState::kIntermediate || sa.state == IkeState::kHalfOpen ||
      sa.state == IkeState::kAuth) {
    // It counts as half-open until it is discarded, as every IKE_AUTH that was refused.
    sa.state = IkeState::kFailed;
    sa.discard_at = ctx.now + kDuplicateGrace;
    sa.failure = why;
    return;
  }
  if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
  bury(ctx, sa, why);
}

void bad_response(Context& ctx, IkeSa& sa, const std::string& why) {
  if (is_attempt(sa.state)) return fail_handshake(ctx, sa, why);
  if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
  send_unacknowledged(ctx, sa, ExchangeType::kInformational, {wire::ike::DeletePayload{}});
  destroy(ctx, sa, why);
}

void add_task(Context& ctx, IkeSa& sa, Task task) {
  if (task.kind == TaskKind::kDeleteIke) {
    for (Task& queued : sa.tasks) {  // one that may wait a while may be wanted sooner
      if (queued.kind == task.kind)
        queued.not_before = std::min(queued.not_before, task.not_before);
    }
    ctx.core.dirty.insert(sa.local_spi());
  }
  if (has_task(sa, task.kind, task.child) && task.kind != TaskKind::kCreateChild) return;
  // A Delete of the whole SA makes everything else pointless, and is never refused for want of
  // room.
  if (task.kind == TaskKind::kDeleteIke) {
    for (const Task& other : sa.tasks) {
      if (other.orphan) ctx.core.inbound_spis.erase(other.child);
    }
    sa.tasks.clear();
  }
  if (sa.tasks.size() >= kQueuedTasksMax) return;
  sa.tasks.push_back(std::move(task));
  ctx.core.dirty.insert(sa.local_spi());
}

bool has_task(const IkeSa& sa, TaskKind kind, Spi child) {
  if (sa.active && sa.active->task.kind == kind && sa.active->task.child == child) return true;
  return std::any_of(sa.tasks.begin(), sa.tasks.end(),
                     [&](const Task& task) { return task.kind == kind && task.child == child; });
}

void run_tasks(Context& ctx, IkeSa& sa) {
  if (sa.outstanding || sa.active || sa.job.value != 0) return;
  if (sa.state != IkeState::kEstablished && sa.state != IkeState::kReplaced) return;
  const auto ready = std::find_if(sa.tasks.begin(), sa.tasks.end(), [&](const Task& task) {
    return task.not_before <= ctx.now && !must_wait(sa, task);
  });
  if (ready == sa.tasks.end()) return;
  const Task task = *ready;
  sa.tasks.erase(ready);
  switch (task.kind) {
    case TaskKind::kCreateChild:
    case TaskKind::kRekeyChild: start_create_child(ctx, sa, task); break;
    case TaskKind::kRekeyIke: start_rekey_ike(ctx, sa, task); break;
    case TaskKind::kDeleteChild:
    case TaskKind::kDeleteIke:
    case TaskKind::kLiveness: start_informational(ctx, sa, task); break;
    case TaskKind::kInvalidSpi: start_invalid_spi(ctx, sa, task); break;
    case TaskKind::kQcdToken: start_qcd_token(ctx, sa, task); break;
    case TaskKind::kTellAddresses: start_tell_addresses(ctx, sa, task); break;
    case TaskKind::kCheckRoute: start_check_route(ctx, sa, task); break;
    case TaskKind::kTicketRequest: start_ticket_request(ctx, sa, task); break;
    case TaskKind::kRedirect: start_redirect(ctx, sa, task); break;
  }
  // A task may find that there is nothing left to do; the next one gets its turn.
  if (!sa.active && !sa.outstanding && sa.state != IkeState::kDead) run_tasks(ctx, sa);
}

void finish_task(Context& ctx, IkeSa& sa) {
  if (sa.active) ctx.core.spis_to_be.erase(sa.active->new_ike_spi);
  sa.active.reset();
  ctx.core.dirty.insert(sa.local_spi());
  ctx.touch(sa.pair());  // the supervisor waits for exchanges to end
}

void delete_orphan(Context& ctx, IkeSa& sa, Spi spi_in) {
  Task task{TaskKind::kDeleteChild, spi_in, "", ctx.now};
  task.orphan = true;
  ctx.core.inbound_spis[spi_in] = sa.local_spi();
  const std::size_t before = sa.tasks.size();
  add_task(ctx, sa, std::move(task));
  if (sa.tasks.size() == before) ctx.core.inbound_spis.erase(spi_in);  // no room, or it is closed
}

void retry_task_later(Context& ctx, IkeSa& sa, const Task& task) {
  Task again = task;
  if (again.refused_since == Instant()) again.refused_since = ctx.now;
  if (ctx.now - again.refused_since > kTemporaryFailureMax) {
    ctx.event(EventKind::kRekeyFailed, LogLevel::kWarning, sa.pair(),
              fmt::format("the peer has answered TEMPORARY_FAILURE to '{}' for {} s: the two ends "
                          "do not agree any more, the IKE SA is closed and made anew",
                          name(task.kind), whole_seconds(ctx.now - again.refused_since)));
    finish_task(ctx, sa);
    return add_task(ctx, sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
  }
  again.not_before = ctx.now + kTemporaryFailureRetry + ctx.jitter(kTemporaryFailureRetry);
  finish_task(ctx, sa);
  add_task(ctx, sa, std::move(again));
}

}  // namespace espalier::ike::v2
