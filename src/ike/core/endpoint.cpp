#include "ike/core/endpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/dispatch.hpp"
#include "ike/core/limits.hpp"
#include "ike/v2/certificates.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"

namespace espalier::ike {
namespace {

using v2::IkeSa;
using v2::IkeState;
using v2::JobPurpose;

template <class T>
std::optional<T> pop(std::deque<T>& queue) {
  if (queue.empty()) return std::nullopt;
  T item = std::move(queue.front());
  queue.pop_front();
  return item;
}

void arm_sa(Core& core, IkeSa& sa) {
  const auto wakeup = v2::next_wakeup(sa);
  const std::optional<Instant> at = wakeup ? std::optional<Instant>(wakeup->at) : std::nullopt;
  if (at == sa.armed) return;
  if (sa.armed) core.sa_timers.erase({*sa.armed, sa.local_spi()});
  if (at) core.sa_timers.insert({*at, sa.local_spi()});
  sa.armed = at;
}

void arm_pair(Core& core, const std::string& name, Pair& pair) {
  if (pair.retry_at == pair.armed) return;
  if (pair.armed) core.pair_timers.erase({*pair.armed, name});
  if (pair.retry_at) core.pair_timers.insert({*pair.retry_at, name});
  pair.armed = pair.retry_at;
}

void remove_late(Context& ctx) {
  auto& late = ctx.core.late_removals;
  while (!late.empty() && late.front().at <= ctx.now) {
    ctx.core.inbound_spis.erase(late.front().removal.spi);
    ctx.effect(late.front().removal);
    late.pop_front();
  }
}

void soft_expired(Context& ctx, const SoftExpired& expired) {
  auto [sa, child] = ctx.find_child(expired.direction, expired.spi, expired.peer);
  if (sa == nullptr || child->state != v2::ChildState::kInstalled) return;
  v2::add_task(ctx, *sa, {v2::TaskKind::kRekeyChild, child->spec.spi_in, "", ctx.now});
  v2::run_tasks(ctx, *sa);
}

// Its sequence numbers are lost, so it is not installed again: the key would protect two packets
// under one of them (RFC 4303 section 2.2). A rekey makes another while the peer's half still
// stands.
void sa_lost(Context& ctx, const SaLost& lost) {
  auto [sa, child] = ctx.find_child(lost.direction, lost.spi, lost.peer);
  if (sa == nullptr || child->state != v2::ChildState::kInstalled) return;
  if (v2::has_task(*sa, v2::TaskKind::kRekeyChild, child->spec.spi_in)) return;
  ctx.count(Counter::kSasLost);
  ctx.event(EventKind::kNote, LogLevel::kWarning, sa->pair(),
            fmt::format("the dataplane has lost the {} SA {} of child SA {}: it is rekeyed",
                        lost.direction == Direction::kIn ? "inbound" : "outbound",
                        to_string(lost.spi), child->spec.child));
  v2::add_task(ctx, *sa, {v2::TaskKind::kRekeyChild, child->spec.spi_in, "", ctx.now});
  v2::run_tasks(ctx, *sa);
}

// The dataplane does not use the SA any more: both ends let it go, and the supervisor makes
// another.
void hard_expired(Context& ctx, Direction direction, Spi spi, const IpAddress& peer) {
  auto [sa, child] = ctx.find_child(direction, spi, peer);
  if (sa == nullptr || child->state == v2::ChildState::kDeleting) return;
  v2::add_task(ctx, *sa, {v2::TaskKind::kDeleteChild, child->spec.spi_in, "", ctx.now});
  v2::run_tasks(ctx, *sa);
}

void peer_moved(Context& ctx, const PeerMoved& moved) {
  auto [sa, child] = ctx.find_child(Direction::kIn, moved.inbound, IpAddress());
  if (sa == nullptr || !sa->nat_there || sa->path.remote == moved.from) return;
  // With MOBIKE only a translator's port: a packet that was long on its way must not move the peer
  // back to an address that it has left (RFC 4555 section 3.8 leaves ESP to us).
  if (sa->mobike && sa->path.remote.ip != moved.from.ip) return;
  Path path = sa->path;
  path.remote = moved.from;
  v2::move_path(ctx, *sa, path);
}

// Who sends on an SA has our answer, which made it: we may send on it too, whether or not the peer
// ever deletes the one before.
void first_inbound(Context& ctx, const FirstInbound& first) {
  auto [sa, child] = ctx.find_child(Direction::kIn, first.spi, IpAddress());
  if (sa == nullptr || !v2::is_to_send_yet(*sa, *child)) return;
  ctx.count(Counter::kFollowedTraffic);
  v2::install_outbound(ctx, *child);
}

void shut_down(Context& ctx) {
  for (auto& [local, sa] : ctx.core.sas) {
    if (sa.state != IkeState::kEstablished) continue;
    v2::send_unacknowledged(ctx, sa, wire::ike::ExchangeType::kInformational,
                            {wire::ike::DeletePayload{}});
  }
}

}  // namespace

void Endpoint::handle_datagram(Instant now, crypto::Rng& rng, const Path& path, ByteView datagram) {
  Context ctx{core_, now, rng};
  dispatch(ctx, path, datagram);
  settle(ctx);
}

void Endpoint::handle_timeout(Instant now, crypto::Rng& rng) {
  Context ctx{core_, now, rng};
  remove_late(ctx);
  while (!core_.sa_timers.empty() && core_.sa_timers.begin()->first <= now) {
    const auto entry = *core_.sa_timers.begin();
    core_.sa_timers.erase(core_.sa_timers.begin());
    IkeSa* sa = ctx.find(entry.second);
    ASSERT(sa != nullptr);
    sa->armed.reset();
    v2::handle_sa_timeout(ctx, *sa);
  }
  while (!core_.pair_timers.empty() && core_.pair_timers.begin()->first <= now) {
    const auto entry = *core_.pair_timers.begin();
    core_.pair_timers.erase(core_.pair_timers.begin());
    core_.pairs.at(entry.second).armed.reset();
    pair_timeout(ctx, entry.second);
    ctx.touch(entry.second);
  }
  settle(ctx);
}

Status Endpoint::handle_command(Instant now, crypto::Rng& rng, const Command& command) {
  Context ctx{core_, now, rng};
  Status status;
  if (const auto* wanted = std::get_if<Configure>(&command)) {
    configure(ctx, wanted->connections);
  } else if (std::holds_alternative<Shutdown>(command)) {
    shut_down(ctx);
  } else if (const auto* own = std::get_if<OwnAddresses>(&command)) {
    v2::own_addresses_changed(ctx, own->addresses);
  } else if (const auto* check = std::get_if<CheckRevocation>(&command)) {
    if (check->lists) {
      v2::close_revoked(ctx, *check->lists);
      v2::void_tickets(ctx);
    }
  } else {
    const std::string& name =
        std::holds_alternative<Initiate>(command)    ? std::get<Initiate>(command).pair
        : std::holds_alternative<Terminate>(command) ? std::get<Terminate>(command).pair
        : std::holds_alternative<Rekey>(command)     ? std::get<Rekey>(command).pair
                                                     : std::get<Redirect>(command).pair;
    if (!core_.pairs.contains(name)) {
      return make_error(ErrorCode::kNotFound, "there is no pair '" + name + "'");
    }
    if (std::holds_alternative<Initiate>(command)) initiate_pair(ctx, name);
    if (std::holds_alternative<Terminate>(command)) terminate_pair(ctx, name, true);
    if (const auto* rekey = std::get_if<Rekey>(&command))
      status = rekey_pair(ctx, name, rekey->ike);
    if (const auto* redirect = std::get_if<Redirect>(&command))
      status = redirect_pair(ctx, name, redirect->to);
  }
  settle(ctx);
  return status;
}

void Endpoint::handle_job(Context& ctx, const JobDone& done) {
  const auto found = core_.jobs.find(done.id);
  if (found == core_.jobs.end()) return;  // its SA went meanwhile
  IkeSa* sa = ctx.find(found->second);
  core_.jobs.erase(found);
  if (sa == nullptr || sa->job != done.id) return;
  const JobPurpose purpose = sa->job_purpose;
  sa->job = JobId();
  sa->job_purpose = JobPurpose::kNone;
  switch (purpose) {
    case JobPurpose::kNone: break;
    case JobPurpose::kInitGenerate:
    case JobPurpose::kInitRespond:
    case JobPurpose::kInitShared: v2::init_job_done(ctx, *sa, purpose, done.result); break;
    case JobPurpose::kAuthSign:
    case JobPurpose::kAuthVerify:
    case JobPurpose::kAuthStatus: v2::auth_job_done(ctx, *sa, purpose, done.result); break;
    case JobPurpose::kIntermediateGenerate:
    case JobPurpose::kIntermediateShared:
    case JobPurpose::kIntermediateRespond:
      v2::intermediate_job_done(ctx, *sa, purpose, done.result);
      break;
    case JobPurpose::kFollowupGenerate:
    case JobPurpose::kFollowupShared:
    case JobPurpose::kFollowupRespond: v2::followup_job_done(ctx, *sa, purpose, done.result); break;
    case JobPurpose::kChildGenerate:
    case JobPurpose::kChildShared:
    case JobPurpose::kChildRespond: v2::child_job_done(ctx, *sa, purpose, done.result); break;
  }
  if (sa->state != IkeState::kDead) v2::run_tasks(ctx, *sa);
}

void Endpoint::handle_completion(Instant now, crypto::Rng& rng, const Completion& completion) {
  Context ctx{core_, now, rng};
  if (const auto* done = std::get_if<JobDone>(&completion)) handle_job(ctx, *done);
  if (const auto* soft = std::get_if<SoftExpired>(&completion)) soft_expired(ctx, *soft);
  if (const auto* hard = std::get_if<HardExpired>(&completion)) {
    hard_expired(ctx, hard->direction, hard->spi, hard->peer);
  }
  if (const auto* lost = std::get_if<SaLost>(&completion)) sa_lost(ctx, *lost);
  if (const auto* failed = std::get_if<InstallFailed>(&completion)) {
    auto [sa, child] = ctx.find_child(failed->direction, failed->spi, failed->peer);
    ctx.event(EventKind::kNote, LogLevel::kError, sa != nullptr ? sa->pair() : std::string(),
              failed->text);
    if (sa != nullptr)
      hard_expired(ctx, failed->direction, failed->spi, child->spec.path.remote.ip);
  }
  if (const auto* stray = std::get_if<UnknownSpi>(&completion)) {
    v2::unknown_spi_arrived(ctx, stray->spi, stray->from);
  }
  if (const auto* moved = std::get_if<PeerMoved>(&completion)) peer_moved(ctx, *moved);
  if (const auto* wanted = std::get_if<Acquired>(&completion)) acquired(ctx, wanted->pair);
  if (const auto* first = std::get_if<FirstInbound>(&completion)) first_inbound(ctx, *first);
  if (const auto* use = std::get_if<UseReport>(&completion)) {
    if (IkeSa* sa = ctx.find(use->sa)) v2::handle_use_report(ctx, *sa, *use);
  }
  settle(ctx);
}

void Endpoint::settle(Context& ctx) {
  while (!core_.touched.empty() || !core_.dirty.empty()) {
    while (!core_.touched.empty()) {
      const std::string name = *core_.touched.begin();
      core_.touched.erase(core_.touched.begin());
      supervise(ctx, name);
      if (const auto pair = core_.pairs.find(name); pair != core_.pairs.end()) {
        arm_pair(core_, name, pair->second);
      }
    }
    while (!core_.dirty.empty()) {
      const IkeSpi spi = *core_.dirty.begin();
      core_.dirty.erase(core_.dirty.begin());
      if (core_.settings.journal) core_.unsaved.insert(spi);
      const auto found = core_.sas.find(spi);
      if (found == core_.sas.end()) continue;
      if (found->second.state != IkeState::kDead) {
        arm_sa(core_, found->second);
        continue;
      }
      if (found->second.armed) core_.sa_timers.erase({*found->second.armed, spi});
      core_.sas.erase(found);
    }
  }
}

std::vector<journal::Entry> Endpoint::take_journal() {
  std::vector<journal::Entry> entries;
  std::set<IkeSpi> later;
  for (const IkeSpi spi : core_.unsaved) {
    const auto found = core_.sas.find(spi);
    const journal::Keep keep =
        found == core_.sas.end() ? journal::Keep::kNothing : journal::keep(found->second);
    if (keep == journal::Keep::kAsBefore) {
      later.insert(spi);
    } else {
      entries.push_back({spi, keep == journal::Keep::kNothing
                                  ? SecretBytes()
                                  : journal::save(core_, found->second)});
    }
  }
  core_.unsaved = std::move(later);
  return entries;
}

std::vector<journal::Entry> Endpoint::whole_journal() const {
  std::vector<journal::Entry> entries;
  for (const auto& [spi, sa] : core_.sas) {
    if (journal::keep(sa) == journal::Keep::kRecord) {
      entries.push_back({spi, journal::save(core_, sa)});
    }
  }
  return entries;
}

journal::Restored Endpoint::restore(Instant now, crypto::Rng& rng,
                                    const std::vector<SecretBytes>& records) {
  Context ctx{core_, now, rng};
  const journal::Restored restored = journal::restore(ctx, records);
  settle(ctx);
  return restored;
}

std::optional<Transmit> Endpoint::poll_transmit() { return pop(core_.transmits); }
std::optional<Effect> Endpoint::poll_effect() { return pop(core_.effects); }
std::optional<Event> Endpoint::poll_event() { return pop(core_.events); }

std::optional<Wakeup> Endpoint::poll_timeout() const {
  std::optional<Wakeup> best;
  const auto consider = [&](Instant at, std::string_view reason) {
    if (!best || at < best->at) best = Wakeup{at, reason};
  };
  if (!core_.sa_timers.empty()) {
    const auto& [at, spi] = *core_.sa_timers.begin();
    const auto wakeup = v2::next_wakeup(core_.sas.at(spi));
    consider(at, wakeup ? wakeup->reason : "IKE SA");
  }
  if (!core_.pair_timers.empty())
    consider(core_.pair_timers.begin()->first, "next attempt of a pair");
  if (!core_.late_removals.empty())
    consider(core_.late_removals.front().at, "inbound child SA to be removed");
  return best;
}

}  // namespace espalier::ike
