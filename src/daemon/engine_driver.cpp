#include "daemon/engine_driver.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/clock.hpp"
#include "ike/core/limits.hpp"
#include "ike/core/wanted.hpp"
#include "policy/selectors.hpp"

namespace espalier::daemon {
namespace {

dataplane::Direction direction_of(ike::Direction direction) {
  return direction == ike::Direction::kIn ? dataplane::Direction::kIn : dataplane::Direction::kOut;
}

ike::Direction direction_of(dataplane::Direction direction) {
  return direction == dataplane::Direction::kIn ? ike::Direction::kIn : ike::Direction::kOut;
}

dataplane::SaSpec to_spec(const ike::InstallSa& install) {
  const ike::ChildSaSpec& child = install.sa;
  const bool in = install.direction == ike::Direction::kIn;
  dataplane::SaSpec spec;
  spec.direction = direction_of(install.direction);
  spec.spi = in ? child.spi_in : child.spi_out;
  spec.reqid = child.reqid;
  spec.pair = child.pair;
  spec.local = child.path.local;
  spec.remote = child.path.remote;
  spec.udp_encap = child.udp_encap;
  spec.mode = child.mode;
  if (child.nat_original) {
    spec.original_local = child.nat_original->local;
    spec.original_remote = child.nat_original->remote;
  }
  spec.suite = child.suite.cipher;
  spec.encr_key = in ? child.encr_in : child.encr_out;
  spec.integ_key = in ? child.integ_in : child.integ_out;
  spec.esn = child.suite.esn;
  spec.replay_window = child.replay_window;
  if (child.outer) spec.outer = *child.outer;
  if (child.binding) spec.binding = *child.binding;
  spec.tell_first = in && child.tell_first;
  spec.local_ts = child.local_ts;
  spec.remote_ts = child.remote_ts;
  spec.soft_bytes = child.soft_bytes;
  spec.hard_bytes = child.hard_bytes;
  spec.soft_packets = child.soft_packets;
  spec.hard_packets = child.hard_packets;
  return spec;
}

dataplane::PolicySpec to_spec(const ike::SetPolicy& set) {
  dataplane::PolicySpec spec;
  spec.pair = set.pair;
  spec.reqid = set.reqid;
  spec.local_ts = set.local_ts;
  spec.remote_ts = set.remote_ts;
  spec.mode = set.mode;
  spec.local = set.path.local.ip;
  spec.remote = set.path.remote.ip;
  spec.optional = set.optional;
  if (set.binding) spec.binding = *set.binding;
  return spec;
}

reconcile::SaName sa_name(bool in, Spi spi, const IpAddress& peer) {
  return {in ? reconcile::Direction::kIn : reconcile::Direction::kOut, spi,
          in ? IpAddress() : peer};
}

reconcile::Repair difference(const ike::Core& core, const dataplane::Snapshot& snapshot) {
  const ike::Wanted wanted = ike::wanted(core);
  std::vector<reconcile::DesiredSa> desired;
  for (const ike::WantedSa& sa : wanted.sas) {
    desired.push_back(
        {sa_name(sa.direction == ike::Direction::kIn, sa.spi, sa.peer), sa.reqid, sa.needed});
  }
  std::vector<reconcile::PolicySpec> policies, there;
  for (const ike::SetPolicy& each : wanted.policies) {
    policies.push_back({each.pair, each.reqid, each.local_ts, each.remote_ts});
  }
  std::vector<reconcile::ActualSa> actual;
  for (const dataplane::SaState& sa : snapshot.sas) {
    const bool in = sa.key.direction == dataplane::Direction::kIn;
    actual.push_back({sa_name(in, sa.key.spi, sa.key.peer), sa.reqid});
  }
  for (const dataplane::PolicySpec& each : snapshot.policies) {
    if (each.closed || each.clear) continue;  // the host's, not the engine's
    there.push_back({each.pair, each.reqid, each.local_ts, each.remote_ts});
  }
  return reconcile::compare(std::move(desired), std::move(policies), std::move(actual),
                            std::move(there), {ReqId(ike::kReqIdFirst), ReqId(ike::kReqIdLast)});
}

std::optional<control::PairEvent::Kind> pair_event(ike::EventKind kind) {
  using Kind = control::PairEvent::Kind;
  switch (kind) {
    case ike::EventKind::kPairUp: return Kind::kUp;
    case ike::EventKind::kPairDown: return Kind::kDown;
    case ike::EventKind::kAttemptFailed: return Kind::kAttemptFailed;
    case ike::EventKind::kIkeRekeyed: return Kind::kIkeRekeyed;
    case ike::EventKind::kChildRekeyed: return Kind::kChildRekeyed;
    case ike::EventKind::kRekeyFailed: return Kind::kRekeyFailed;
    default: return std::nullopt;
  }
}

}  // namespace

EngineDriver::EngineDriver(DriverParts parts, const ike::KeyStore& keys, ike::Settings settings)
    : parts_(std::move(parts)), keys_(&keys), engine_(std::move(settings)) {}

void EngineDriver::receive(const ike::Path& path, ByteView datagram) {
  engine_.handle_datagram(monotonic_now(), rng_, path, datagram);
  drain();
}

void EngineDriver::handle_timeout() {
  engine_.handle_timeout(monotonic_now(), rng_);
  drain();
}

Status EngineDriver::command(const ike::Command& command) {
  const Status status = engine_.handle_command(monotonic_now(), rng_, command);
  drain();
  return status;
}

void EngineDriver::handle_plane_events() {
  for (const dataplane::Event& event : parts_.plane.poll_events()) {
    ike::Completion completion;
    if (const auto* soft = std::get_if<dataplane::SoftExpire>(&event)) {
      completion =
          ike::SoftExpired{direction_of(soft->key.direction), soft->key.spi, soft->key.peer};
    } else if (const auto* hard = std::get_if<dataplane::HardExpire>(&event)) {
      completion =
          ike::HardExpired{direction_of(hard->key.direction), hard->key.spi, hard->key.peer};
    } else if (const auto* moved = std::get_if<dataplane::PeerMoved>(&event)) {
      completion = ike::PeerMoved{moved->key.spi, moved->from};
    } else if (const auto* first = std::get_if<dataplane::FirstPacket>(&event)) {
      completion = ike::FirstInbound{first->key.spi};
    } else if (const auto* stray = std::get_if<dataplane::UnknownSpi>(&event)) {
      completion = ike::UnknownSpi{stray->spi, stray->from};
    } else if (const auto* acquire = std::get_if<dataplane::Acquire>(&event)) {
      completion = ike::Acquired{acquire->pair};
    } else {
      drift_seen_ = true;
      continue;
    }
    engine_.handle_completion(monotonic_now(), rng_, completion);
  }
  drain();
}

// Effects first: an inbound SA must stand before the message that tells the peer of it leaves. Then
// the journal: what a peer has seen is in it.
void EngineDriver::drain() {
  while (carry_out()) {
  }
  keep_journal();
  while (auto event = engine_.poll_event()) publish(*event);
  while (auto transmit = engine_.poll_transmit()) {
    if (const Status sent = parts_.sockets.send(*transmit); !sent) {
      parts_.log.log({LogLevel::kDebug, "daemon", "",
                      fmt::format("a datagram to {} could not be sent: {}",
                                  transmit->path.remote.to_string(), sent.error().message)});
    }
  }
}

// Whether there was anything to do; there may be more after it.
bool EngineDriver::carry_out() {
  std::vector<dataplane::Change> changes;
  std::vector<ike::StartJob> jobs;
  std::vector<ike::QueryUse> queries;
  while (auto effect = engine_.poll_effect()) {
    if (auto* job = std::get_if<ike::StartJob>(&*effect)) {
      jobs.push_back(std::move(*job));
    } else if (auto* query = std::get_if<ike::QueryUse>(&*effect)) {
      queries.push_back(std::move(*query));
    } else {
      collect(*effect, changes);
    }
  }
  if (!changes.empty()) apply(changes);
  for (const ike::StartJob& job : jobs) run(job);
  for (const ike::QueryUse& query : queries) answer(query);
  return !jobs.empty() || !queries.empty() || !changes.empty();
}

void EngineDriver::keep_journal() {
  if (parts_.journal == nullptr) return;
  Status kept = parts_.journal->append(engine_.take_journal());
  if (kept && parts_.journal->wants_replacing()) {
    kept = parts_.journal->replace(engine_.whole_journal());
  }
  if (!kept) journal_failed(kept.error());
}

// One that is not up to date would do harm.
void EngineDriver::journal_failed(const Error& error) {
  parts_.journal->discard();
  parts_.journal = nullptr;
  parts_.log.log({LogLevel::kError, "daemon", "",
                  "the journal cannot be kept, and is removed: the next restart negotiates every "
                  "pair anew: " +
                      error.message});
}

ike::journal::Restored EngineDriver::restore() {
  ASSERT(parts_.journal != nullptr);
  const auto restored = engine_.restore(monotonic_now(), rng_, parts_.journal->take_records());
  engine_.take_journal();
  if (const Status kept = parts_.journal->replace(engine_.whole_journal()); !kept) {
    journal_failed(kept.error());
  }
  return restored;
}

EngineDriver::Standing EngineDriver::standing() const {
  Standing out;
  for (const ike::InstallSa& sa : ike::standing_sas(engine_.core())) {
    out.sas.push_back(to_spec(sa));
  }
  for (const ike::SetPolicy& policy : ike::wanted(engine_.core()).policies) {
    out.policies.push_back(to_spec(policy));
  }
  return out;
}

void EngineDriver::collect(const ike::Effect& effect, std::vector<dataplane::Change>& changes) {
  if (const auto* install = std::get_if<ike::InstallSa>(&effect)) {
    changes.push_back(dataplane::AddSa{to_spec(*install)});
  } else if (const auto* removal = std::get_if<ike::DeleteSa>(&effect)) {
    changes.push_back(
        dataplane::DeleteSa{{direction_of(removal->direction), removal->spi, removal->peer}});
  } else if (const auto* update = std::get_if<ike::UpdateSa>(&effect)) {
    changes.push_back(
        dataplane::MoveSa{{direction_of(update->direction), update->spi, update->old_peer},
                          update->path.local,
                          update->path.remote,
                          update->udp_encap});
  } else if (const auto* set = std::get_if<ike::SetPolicy>(&effect)) {
    changes.push_back(dataplane::SetPolicy{to_spec(*set)});
  } else if (const auto* gone = std::get_if<ike::DeletePolicy>(&effect)) {
    changes.push_back(dataplane::DeletePolicy{gone->reqid});
  }
}

void EngineDriver::apply(const std::vector<dataplane::Change>& changes) {
  const Status applied = parts_.plane.apply(changes);
  if (applied) return;
  // The batch stopped somewhere: each change by itself, so that one fault touches one SA only.
  for (const dataplane::Change& change : changes) {
    const Status one = parts_.plane.apply({&change, 1});
    const auto* add = std::get_if<dataplane::AddSa>(&change);
    if (one || add == nullptr || one.error().code == ErrorCode::kAlreadyExists) continue;
    engine_.handle_completion(
        monotonic_now(), rng_,
        ike::InstallFailed{direction_of(add->sa.direction), add->sa.spi, add->sa.remote.ip,
                           "the dataplane refused an SA: " + one.error().message});
  }
}

void EngineDriver::finish(ike::JobId job) {
  engine_.handle_completion(monotonic_now(), rng_, ike::JobDone{job, {}});
  drain();
}

void EngineDriver::run(const ike::StartJob& start) {
  if (const auto* fetch = std::get_if<ike::FetchJob>(&start.job);
      fetch != nullptr && parts_.fetch) {
    return parts_.fetch(start.id, fetch->certificates);
  }
  ike::JobDone done{start.id, ike::run_job(start.job, rng_, *keys_, unix_now())};
  if (!done.result.error && !done.result.watched.empty() && parts_.watch) {
    parts_.watch(done.result.watched);
  }
  engine_.handle_completion(monotonic_now(), rng_, done);
}

const UseCounters& EngineDriver::recent_use() {
  const Instant now = monotonic_now();
  if (use_read_ && now - *use_read_ < 1s) return use_;
  use_read_ = now;
  use_.clear();
  if (const auto snapshot = parts_.plane.query()) {
    for (const dataplane::SaState& sa : snapshot->sas)
      use_[{sa.key.direction, sa.key.spi}] = sa.counters;
  }
  return use_;
}

void EngineDriver::answer(const ike::QueryUse& query) {
  ike::UseReport report{query.sa, std::nullopt};
  const UseCounters& use = recent_use();
  const auto latest = [&](dataplane::Direction direction, const std::vector<Spi>& spis) {
    std::optional<Instant> last;
    for (const Spi spi : spis) {
      const auto found = use.find({direction, spi});
      if (found == use.end() || found->second.packets == 0) continue;
      if (!last || found->second.last_used > *last) last = found->second.last_used;
    }
    return last;
  };
  report.last_inbound = latest(dataplane::Direction::kIn, query.inbound);
  report.last_outbound = latest(dataplane::Direction::kOut, query.outbound);
  engine_.handle_completion(monotonic_now(), rng_, report);
}

// Those of lost SAs the engine names itself.
void EngineDriver::name_policies(const reconcile::Repair& repair) {
  constexpr std::size_t kNamed = 20;
  for (std::size_t i = 0; i < std::min(kNamed, repair.set.size()); ++i) {
    const reconcile::PolicySpec& policy = repair.set[i];
    parts_.log.log(
        {LogLevel::kWarning, "daemon", policy.pair,
         fmt::format("its policy for {} === {} was missing or changed: set again",
                     policy::to_string(policy.local_ts), policy::to_string(policy.remote_ts))});
  }
}

std::size_t EngineDriver::reconcile() {
  const auto snapshot = parts_.plane.query();
  if (!snapshot) {
    parts_.log.log({LogLevel::kWarning, "daemon", "",
                    "the dataplane does not say what it has: " + snapshot.error().message});
    return 0;
  }
  const reconcile::Repair repair = difference(engine_.core(), *snapshot);
  if (repair.empty()) return 0;
  parts_.log.log(
      {LogLevel::kWarning, "daemon", "",
       fmt::format("the dataplane was not as it should be: {} SAs were lost, {} policies "
                   "missing or changed, {} SAs and {} policies there that nobody wants",
                   repair.renew.size(), repair.set.size(), repair.remove.size(),
                   repair.remove_policies.size())});
  name_policies(repair);
  std::vector<dataplane::Change> changes;
  for (const ike::SetPolicy& each : ike::wanted(engine_.core()).policies) {
    const bool missing =
        std::any_of(repair.set.begin(), repair.set.end(),
                    [&](const reconcile::PolicySpec& one) { return one.reqid == each.reqid; });
    if (missing) changes.push_back(dataplane::SetPolicy{to_spec(each)});
  }
  for (const reconcile::SaName& sa : repair.remove) {
    const bool in = sa.direction == reconcile::Direction::kIn;
    changes.push_back(dataplane::DeleteSa{
        {in ? dataplane::Direction::kIn : dataplane::Direction::kOut, sa.spi, sa.peer}});
  }
  for (const ReqId reqid : repair.remove_policies) {
    changes.push_back(dataplane::DeletePolicy{reqid});
  }
  if (!changes.empty()) apply(changes);
  for (const reconcile::SaName& sa : repair.renew) {
    const bool in = sa.direction == reconcile::Direction::kIn;
    engine_.handle_completion(
        monotonic_now(), rng_,
        ike::SaLost{in ? ike::Direction::kIn : ike::Direction::kOut, sa.spi, sa.peer});
  }
  drain();
  return repair.renew.size() + changes.size();
}

void EngineDriver::publish(const ike::Event& event) {
  parts_.log.log({event.level, "ike", event.pair, event.text});
  if (const auto kind = pair_event(event.kind); kind && !event.pair.empty()) {
    parts_.on_pair_event({*kind, event.pair, event.text});
  }
}

}  // namespace espalier::daemon
