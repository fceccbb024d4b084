// The timers of an IKE SA. Each wake-up carries its reason.
#include <fmt/format.h>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike::v2 {
namespace {

class Earliest {
 public:
  void consider(Instant at, std::string_view reason) {
    if (!best_ || at < best_->at) best_ = Wakeup{at, reason};
  }
  std::optional<Wakeup> best() const { return best_; }

 private:
  std::optional<Wakeup> best_;
};

void consider_established(const IkeSa& sa, Earliest& earliest) {
  const bool idle = !sa.active && !sa.outstanding && sa.job.value == 0;
  if (sa.state == IkeState::kEstablished) {
    if (!has_task(sa, TaskKind::kRekeyIke) && !sa.rekey_collision) {
      earliest.consider(sa.rekey_at, "IKE SA rekey");
    }
    earliest.consider(sa.expire_at, "IKE SA expiry");
    if (sa.reauth_at) earliest.consider(*sa.reauth_at, "authentication to be repeated");
    if (sa.reauth_by) earliest.consider(*sa.reauth_by, "authentication too old");
    if (sa.connection && sa.connection->dpd.count() > 0 && !sa.outstanding && !sa.use_query_sent) {
      earliest.consider(sa.liveness_at, "liveness check");
    }
    if (sa.nat_here) earliest.consider(sa.keepalive_at, "NAT keepalive");
  }
  if (sa.pending) earliest.consider(sa.pending->expires, "additional key exchanges overdue");
  for (const ChildSa& child : sa.children) {
    if (child.state == ChildState::kInstalled && sa.state == IkeState::kEstablished &&
        !has_task(sa, TaskKind::kRekeyChild, child.spec.spi_in)) {
      earliest.consider(child.rekey_at, "child SA rekey");
    }
    earliest.consider(child.expire_at, "child SA expiry");
    if (is_to_send_yet(sa, child)) {
      earliest.consider(child.installed_at + outbound_grace(sa), "outbound child SA due");
    }
  }
  if (idle) {
    for (const Task& task : sa.tasks) {
      if (!must_wait(sa, task)) earliest.consider(task.not_before, "queued exchange");
    }
  }
}

// A request was given up: the peer is gone.
void peer_is_silent(Context& ctx, IkeSa& sa) {
  const std::string what = fmt::format(
      "{} did not answer {} ({} tries): {}it is not running, or something on the way drops UDP {} "
      "and {}",
      sa.path.remote.to_string(), wire::ike::name(sa.outstanding->exchange), sa.outstanding->sent,
      sa.failure.empty() ? "" : sa.failure + "; else ", ctx.core.settings.port,
      ctx.core.settings.nat_port);
  if (is_attempt(sa.state)) {
    fail_handshake(ctx, sa, what);
    return;
  }
  const std::string pair = sa.pair();
  const bool was_deleting = sa.state == IkeState::kDeleting || sa.state == IkeState::kReplaced;
  if (Pair* entry = ctx.pair_of(sa); entry != nullptr && !was_deleting) entry->last_error = what;
  if (!was_deleting) keep_ticket(ctx, sa);
  destroy(ctx, sa, what);
}

void handle_children(Context& ctx, IkeSa& sa) {
  for (ChildSa& child : sa.children) {
    const Spi spi = child.spec.spi_in;
    if (is_to_send_yet(sa, child) && ctx.now >= child.installed_at + outbound_grace(sa)) {
      install_outbound(ctx, child);
    }
    if (ctx.now >= child.expire_at) {
      ctx.event(EventKind::kRekeyFailed, LogLevel::kWarning, sa.pair(),
                child.state == ChildState::kReplaced
                    ? fmt::format("child SA {} (SPI {}) was replaced, and the peer does not delete "
                                  "it: we do",
                                  child.spec.child, to_string(spi))
                    : fmt::format("child SA {} (SPI {}) reached the end of its life",
                                  child.spec.child, to_string(spi)));
      add_task(ctx, sa, {TaskKind::kDeleteChild, spi, "", ctx.now});
      child.expire_at = ctx.now + kTemporaryFailureRetry * 5;
    } else if (child.state == ChildState::kInstalled && sa.state == IkeState::kEstablished &&
               ctx.now >= child.rekey_at) {
      add_task(ctx, sa, {TaskKind::kRekeyChild, spi, "", ctx.now});
      child.rekey_at = ctx.now + kRekeyRetry;  // should this attempt come to nothing
    }
  }
}

// Checks of all SAs together are kProbeInterval apart: each takes the next free turn and sleeps
// until then. False: it is not its turn yet.
bool is_its_turn(Context& ctx, IkeSa& sa) {
  if (sa.probe_slot) {
    sa.probe_slot = false;
    return true;
  }
  const Instant turn = std::max(ctx.now, ctx.core.next_probe);
  ctx.core.next_probe = turn + kProbeInterval;
  if (turn == ctx.now) return true;
  sa.probe_slot = true;
  sa.liveness_at = turn;
  return false;
}

Instant next_check(Context& ctx, const IkeSa& sa, Instant after) {
  return after + sa.connection->dpd + ctx.jitter(sa.connection->dpd / 8);
}

void handle_liveness(Context& ctx, IkeSa& sa) {
  if (sa.connection->dpd.count() == 0 || sa.use_query_sent || sa.outstanding ||
      ctx.now < sa.liveness_at) {
    return;
  }
  if (sa.last_heard + sa.connection->dpd > ctx.now) {
    sa.probe_slot = false;
    sa.liveness_at = next_check(ctx, sa, sa.last_heard);
    return;
  }
  if (!is_its_turn(ctx, sa)) return;
  QueryUse query{sa.local_spi(), {}, {}};
  for (const ChildSa& child : sa.children) {
    query.inbound.push_back(child.spec.spi_in);
    if (child.outbound_installed) query.outbound.push_back(child.spec.spi_out);
  }
  if (query.inbound.empty()) {
    add_task(ctx, sa, {TaskKind::kLiveness, Spi(), "", ctx.now});
    sa.liveness_at = next_check(ctx, sa, ctx.now);
    return;
  }
  sa.use_query_sent = true;
  ctx.effect(std::move(query));
}

}  // namespace

std::optional<Wakeup> next_wakeup(const IkeSa& sa) {
  Earliest earliest;
  if (sa.outstanding) earliest.consider(sa.outstanding->resend_at, "retransmission");
  if (sa.discard_at) earliest.consider(*sa.discard_at, "SA to be discarded");
  if (sa.if_handshake() && sa.if_handshake()->status_by) {
    earliest.consider(*sa.if_handshake()->status_by, "status of the peer's certificates overdue");
  }
  if (sa.state == IkeState::kEstablished || sa.state == IkeState::kReplaced) {
    consider_established(sa, earliest);
  }
  return earliest.best();
}

void handle_use_report(Context& ctx, IkeSa& sa, const UseReport& report) {
  if (!sa.use_query_sent) return;
  sa.use_query_sent = false;
  // RFC 7296 section 2.4: inbound traffic on a child SA proves that the peer is alive.
  const Instant heard = report.last_inbound && *report.last_inbound > sa.last_heard
                            ? *report.last_inbound
                            : sa.last_heard;
  sa.last_heard = heard;
  if (heard + sa.connection->dpd > ctx.now) {
    sa.liveness_at = next_check(ctx, sa, heard);
    return;
  }
  sa.liveness_at = next_check(ctx, sa, ctx.now);
  Task check{TaskKind::kLiveness, Spi(), "", ctx.now};
  // We sent after anything came back: more likely than on a silent pair the peer is gone, and each
  // second that the check takes is a second of lost packets.
  check.quick = report.last_outbound && *report.last_outbound > heard;
  add_task(ctx, sa, std::move(check));
  run_tasks(ctx, sa);
}

void handle_sa_timeout(Context& ctx, IkeSa& sa) {
  if (sa.discard_at && ctx.now >= *sa.discard_at) {
    if (sa.state == IkeState::kEstablished) {
      // A duplicate that the peer, against the rule or because it does not know it, did not delete.
      duplicate_is_due(ctx, sa);
    } else {
      sa.discard_at.reset();
      const bool waiting = sa.state == IkeState::kHalfOpen || sa.state == IkeState::kIntermediate;
      if (waiting && sa.failure.empty()) {
        ctx.event(EventKind::kDropped, LogLevel::kDebug, sa.pair(),
                  fmt::format("half-open IKE SA from {} given up", sa.path.remote.to_string()));
      }
      destroy(ctx, sa, "");
      return;
    }
  }
  if (sa.if_handshake() && sa.if_handshake()->status_by &&
      ctx.now >= *sa.if_handshake()->status_by) {
    return status_is_late(ctx, sa);
  }
  if (sa.outstanding && ctx.now >= sa.outstanding->resend_at && !retransmit(ctx, sa)) {
    peer_is_silent(ctx, sa);
    return;
  }
  if (sa.state == IkeState::kEstablished) {
    if (ctx.now >= sa.expire_at) {
      ctx.event(EventKind::kRekeyFailed, LogLevel::kWarning, sa.pair(),
                "the IKE SA reached the end of its life without a rekey; it is made anew");
      send_unacknowledged(ctx, sa, ExchangeType::kInformational, {wire::ike::DeletePayload{}});
      destroy(ctx, sa, "its lifetime ended");
      return;
    }
    if (ctx.now >= sa.rekey_at && !sa.rekey_collision) {
      add_task(ctx, sa, {TaskKind::kRekeyIke, Spi(), "", ctx.now});
      sa.rekey_at = ctx.now + kRekeyRetry;
    }
    if (!handle_reauth_timers(ctx, sa)) return;
    handle_liveness(ctx, sa);
    if (sa.nat_here && ctx.now >= sa.keepalive_at) {
      ctx.core.transmits.push_back({sa.path, Bytes{0xFF}, true});
      sa.keepalive_at = ctx.now + kNatKeepalive;
    }
  }
  handle_children(ctx, sa);
  if (sa.pending && ctx.now >= sa.pending->expires) drop_pending(ctx, sa);
  run_tasks(ctx, sa);
}

}  // namespace espalier::ike::v2
