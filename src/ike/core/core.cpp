#include "ike/core/core.hpp"

#include "ike/core/limits.hpp"

namespace espalier::ike {

std::string_view name(EventKind kind) {
  switch (kind) {
    case EventKind::kNote: return "note";
    case EventKind::kPairUp: return "pair-up";
    case EventKind::kPairDown: return "pair-down";
    case EventKind::kAttemptFailed: return "attempt-failed";
    case EventKind::kIkeEstablished: return "ike-established";
    case EventKind::kIkeRekeyed: return "ike-rekeyed";
    case EventKind::kIkeDeleted: return "ike-deleted";
    case EventKind::kChildInstalled: return "child-installed";
    case EventKind::kChildRekeyed: return "child-rekeyed";
    case EventKind::kChildDeleted: return "child-deleted";
    case EventKind::kRekeyFailed: return "rekey-failed";
    case EventKind::kDuplicateResolved: return "duplicate-resolved";
    case EventKind::kDropped: return "dropped";
  }
  return "note";
}

namespace {

// Whether one more event about a dropped message may be told now.
bool may_tell_drop(Core& core, Instant now) {
  if (now - core.drop_window >= 1s) {
    if (core.drops_untold > 0) {
      core.events.push_back({EventKind::kNote, LogLevel::kWarning, "",
                             std::to_string(core.drops_untold) +
                                 " more refused or dropped messages were not logged one by one: "
                                 "the counters have them all"});
    }
    core.drop_window = now;
    core.drops_told = 0;
    core.drops_untold = 0;
  }
  if (core.drops_told++ < kDropEventsPerSecond) return true;
  ++core.drops_untold;
  return false;
}

}  // namespace

void Context::event(EventKind kind, LogLevel level, const std::string& pair, std::string text) {
  if (kind == EventKind::kDropped && !may_tell_drop(core, now)) return;
  core.events.push_back({kind, level, pair, std::move(text)});
}

void Context::start_job(v2::IkeSa& sa, v2::JobPurpose purpose, Job job) {
  ASSERT(sa.job.value == 0);
  sa.job = JobId{++core.last_job};
  sa.job_purpose = purpose;
  core.jobs.emplace(sa.job, sa.local_spi());
  core.effects.push_back(StartJob{sa.job, std::move(job)});
}

Spi Context::allocate_spi() {
  for (;;) {
    const Spi spi(rng.u32());
    // RFC 4303 section 2.1: 1 to 255 are reserved, 0 is for local use.
    if (spi.value > 255 && core.inbound_spis.emplace(spi, IkeSpi()).second) return spi;
  }
}

IkeSpi Context::allocate_ike_spi() {
  for (;;) {
    const IkeSpi spi(rng.u64());
    if (spi.value != 0 && !core.sas.contains(spi) && !core.spis_to_be.contains(spi)) return spi;
  }
}

ReqId Context::acquire_reqid(const std::string& key) {
  ReqIdEntry& entry = core.reqids[key];
  if (entry.users++ == 0) {
    const std::uint32_t span = kReqIdLast - kReqIdFirst + 1;
    entry.id = ReqId(kReqIdFirst + core.last_reqid++ % span);
  }
  return entry.id;
}

bool Context::release_reqid(const std::string& key) {
  const auto found = core.reqids.find(key);
  ASSERT(found != core.reqids.end() && found->second.users > 0);
  if (--found->second.users > 0) return false;
  core.reqids.erase(found);
  return true;
}

Duration Context::jitter(Duration range) {
  if (range.count() <= 0) return Duration(0);
  return Duration(static_cast<std::int64_t>(rng.u64() % static_cast<std::uint64_t>(range.count())));
}

v2::IkeSa* Context::find(IkeSpi local) {
  const auto found = core.sas.find(local);
  if (found == core.sas.end()) return nullptr;
  core.dirty.insert(local);
  return &found->second;
}

v2::IkeSa& Context::add(v2::IkeSa sa) {
  const IkeSpi local = sa.local_spi();
  core.dirty.insert(local);
  return core.sas.emplace(local, std::move(sa)).first->second;
}

std::pair<v2::IkeSa*, v2::ChildSa*> Context::find_child(Direction direction, Spi spi,
                                                        const IpAddress& peer) {
  const auto owner_of = [&](Spi spi_in) -> v2::IkeSa* {
    const auto found = core.inbound_spis.find(spi_in);
    return found == core.inbound_spis.end() ? nullptr : find(found->second);
  };
  if (direction == Direction::kIn) {
    v2::IkeSa* sa = owner_of(spi);
    v2::ChildSa* child = sa == nullptr ? nullptr : sa->child_in(spi);
    return child == nullptr ? std::pair<v2::IkeSa*, v2::ChildSa*>{} : std::pair(sa, child);
  }
  for (auto entry = core.outbound_spis.lower_bound({spi, Spi()});
       entry != core.outbound_spis.end() && entry->first == spi; ++entry) {
    v2::IkeSa* sa = owner_of(entry->second);
    v2::ChildSa* child = sa == nullptr ? nullptr : sa->child_in(entry->second);
    if (child != nullptr && (peer.is_unspecified() || child->spec.path.remote.ip == peer)) {
      return {sa, child};
    }
  }
  return {};
}

void Context::hand_children_over(v2::IkeSa& from, v2::IkeSa& to) {
  for (v2::ChildSa& child : from.children) {
    core.inbound_spis[child.spec.spi_in] = to.local_spi();
    to.children.push_back(std::move(child));
  }
  from.children.clear();
  core.dirty.insert(to.local_spi());
}

Pair* Context::pair_of(const v2::IkeSa& sa) {
  if (!sa.connection) return nullptr;
  const auto found = core.pairs.find(sa.connection->name);
  return found == core.pairs.end() ? nullptr : &found->second;
}

}  // namespace espalier::ike
