// The clock, the order of things, and the engines between them.
#include "sim/world.hpp"

#include <algorithm>
#include <functional>

#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"
#include "sim/repair.hpp"

namespace espalier::sim {

std::shared_ptr<const crypto::PrivateKey> Keys::find(const std::string& name) const {
  const auto found = keys.find(name);
  return found == keys.end() ? nullptr : found->second;
}

Host& World::add_host(const std::string& name, const std::string& address, ike::Settings settings) {
  return add_host(name, std::vector<IpAddress>{IpAddress::parse(address).value()}, settings);
}

Host& World::add_host(const std::string& name, const std::vector<IpAddress>& addresses,
                      ike::Settings settings) {
  ASSERT(!addresses.empty() && !names_.contains(name));
  auto host = std::make_unique<Host>();
  host->id = static_cast<HostId>(hosts_.size());
  host->name = name;
  host->address = addresses.front();
  host->other_addresses.assign(addresses.begin() + 1, addresses.end());
  host->engine = ike::Endpoint(settings);
  host->rng = crypto::SeededRng(rng_.u64());
  for (const IpAddress& address : addresses) addresses_[address] = host->id;
  names_[name] = host->id;
  hosts_.push_back(std::move(host));
  return *hosts_.back();
}

Host& World::host(const std::string& name) { return *hosts_[names_.at(name)]; }

const Host* World::find(std::string_view name) const {
  const auto found = names_.find(std::string(name));
  return found == names_.end() ? nullptr : hosts_[found->second].get();
}

void World::connect(const std::string& a, const std::string& b,
                    const std::function<void(policy::Connection&)>& change) {
  for (const auto& [self, peer] : {std::pair(a, b), std::pair(b, a)}) {
    Host& own = host(self);
    const Host& other = host(peer);
    policy::Connection connection;
    connection.name = self + "-" + peer;
    connection.peer = peer;
    connection.local_addresses = {own.address};
    connection.remote_addresses = {other.address};
    connection.local_id = policy::parse_identity(self).value();
    connection.remote_id = policy::parse_identity(peer).value();
    connection.psk = SecretBytes(as_bytes("of " + std::min(a, b) + " and " + std::max(a, b)));
    connection.proposals = policy::default_ike_proposals();
    policy::ChildConfig child;
    child.name = "net";
    child.local_ts = {policy::from_prefix(Prefix::host(own.address))};
    child.remote_ts = {policy::from_prefix(Prefix::host(other.address))};
    child.proposals = policy::default_esp_proposals();
    connection.children = {child};
    if (change) change(connection);
    own.connections.push_back(connection);
  }
}

void World::configure_all() {
  for (const auto& host : hosts_) {
    if (host->running) command(*host, ike::Configure{host->connections});
  }
}

void World::command(const std::string& name, const ike::Command& wanted) {
  command(host(name), wanted);
}

void World::command(Host& target, const ike::Command& wanted) {
  // What a command answers is seen in the engine's snapshot; the caller of a wrong one finds no
  // change there.
  if (const Status status = target.engine.handle_command(clock(target), target.rng, wanted);
      !status) {
    target.events.push_back({ike::EventKind::kNote, LogLevel::kError, "", status.error().message});
  }
  drain(target);
}

void World::complete(Host& target, const ike::Completion& completion) {
  target.engine.handle_completion(clock(target), target.rng, completion);
  drain(target);
}

void World::at(Instant when, std::function<void()> what) {
  actions_.emplace(when, std::move(what));
}

void World::crash(const std::string& name) { crash(host(name)); }

void World::crash(Host& target) {
  target.running = false;
  for (const auto& [spi, sa] : target.twin.inbound) {
    watch.removed(*this, target, ike::Direction::kIn, sa);
  }
  for (const auto& [key, sa] : target.twin.outbound) {
    watch.removed(*this, target, ike::Direction::kOut, sa);
  }
  target.engine = ike::Endpoint(target.engine.core().settings);
  target.twin = Twin();
  target.journal.clear();  // it is void after a boot
  target.daemon_ended = false;
  arm(target);
  watch.disturbed(now_);
  if (observer != nullptr) observer->on_fault(target.name + " crashes");
}

void World::end_daemon(Host& target) {
  target.running = false;
  target.daemon_ended = true;
  target.engine = ike::Endpoint(target.engine.core().settings);
  arm(target);
  watch.disturbed(now_);
  if (observer != nullptr) observer->on_fault(target.name + ": its daemon is killed");
}

ike::journal::Restored World::resume(Host& target) {
  target.daemon_ended = false;
  std::vector<SecretBytes> records;
  for (const auto& [spi, record] : target.journal) records.push_back(record);
  const ike::journal::Restored restored = target.engine.restore(clock(target), target.rng, records);
  target.journal.clear();
  for (ike::journal::Entry& entry : target.engine.whole_journal()) {
    target.journal.emplace(entry.sa, std::move(entry.record));
  }
  repair(*this, target);
  drain(target);
  return restored;
}

void World::power_on(Host& target) {
  target.running = true;
  ++target.boots;
  watch.disturbed(now_);
  if (observer != nullptr) observer->on_fault(target.name + " starts");
  if (target.moves > 0) tell_addresses(target);
}

void World::start(const std::string& name) {
  Host& target = host(name);
  power_on(target);
  command(target, ike::Configure{target.connections});
}

double World::chance() { return static_cast<double>(rng_.u32()) / 4294967296.0; }

Instant World::local(const Host& host, Instant at) const {
  const std::int64_t passed = at.time_since_epoch().count();
  return at + Duration(passed / 1'000'000 * host.drift_ppm);
}

Instant World::global(const Host& host, Instant at) const {
  if (host.drift_ppm == 0) return at;
  const double factor = 1.0 + static_cast<double>(host.drift_ppm) / 1e6;
  Instant guess{Duration(
      static_cast<std::int64_t>(static_cast<double>(at.time_since_epoch().count()) / factor))};
  // Never before the host's own clock has come so far.
  while (local(host, guess) < at) guess += Duration(at - local(host, guess)) + 1ms;
  return guess;
}

void World::run(Host& host, const ike::StartJob& start) {
  const std::optional<Duration> time =
      job_time ? job_time(host, start.job) : std::optional<Duration>(Duration::zero());
  if (!time) return;
  if (*time == Duration::zero()) return finish(host, start);
  at(now_ + *time, [this, id = host.id, boots = host.boots, start] {
    Host& then = this->host(id);
    if (!then.running || then.boots != boots) return;
    finish(then, start);
    drain(then);
  });
}

void World::finish(Host& host, const ike::StartJob& start) {
  ike::JobDone done{start.id, run_job ? run_job(start.job, host.rng)
                                      : ike::run_job(start.job, host.rng, keys, 1'800'000'000)};
  host.engine.handle_completion(clock(host), host.rng, done);
}

void World::drain(Host& host) {
  for (;;) {
    if (auto effect = host.engine.poll_effect()) {
      if (observer != nullptr) observer->on_effect(host, *effect);
      apply(host, std::move(*effect));
      continue;
    }
    // Before anything of it can be seen outside.
    if (host.engine.core().settings.journal) keep_journal(host);
    if (auto transmit = host.engine.poll_transmit()) {
      send(host, std::move(*transmit));
    } else if (auto event = host.engine.poll_event()) {
      if (observer != nullptr) observer->on_event(host, *event);
      if (keep_events) host.events.push_back(std::move(*event));
    } else {
      break;
    }
  }
  arm(host);
}

void World::keep_journal(Host& host) {
  for (ike::journal::Entry& entry : host.engine.take_journal()) {
    if (entry.record.empty()) {
      host.journal.erase(entry.sa);
    } else {
      host.journal[entry.sa] = std::move(entry.record);
    }
  }
  if (!check_journals || host.daemon_ended) return;
  std::size_t kept = 0;
  for (const auto& [spi, sa] : host.engine.core().sas) {
    const ike::journal::Keep keep = ike::journal::keep(sa);
    const auto found = host.journal.find(spi);
    if (found != host.journal.end()) ++kept;
    if (keep == ike::journal::Keep::kAsBefore) continue;
    const bool wanted = keep == ike::journal::Keep::kRecord;
    if (wanted != (found != host.journal.end())) {
      watch.violation(now_, host.name, "the journal lacks an IKE SA, or has it still");
    } else if (wanted && found->second != ike::journal::save(host.engine.core(), sa)) {
      watch.violation(now_, host.name, "an IKE SA changed and the journal was not told");
    }
  }
  if (kept != host.journal.size()) {
    watch.violation(now_, host.name, "the journal has an IKE SA that is gone");
  }
}

// The host's next wake-up may be another one now, and its pairs may be.
void World::arm(Host& host) {
  host.looked_at = false;
  std::optional<Instant> at;
  if (host.running) {
    if (const auto wakeup = host.engine.poll_timeout())
      at = std::max(now_, global(host, wakeup->at));
  }
  if (at == host.wakeup) return;
  host.wakeup = at;
  ++host.stamp;
  if (!at) return;
  timers_.push_back({*at, host.id, host.stamp});
  std::push_heap(timers_.begin(), timers_.end(), std::greater<>());
}

std::optional<Instant> World::next_timer() {
  while (!timers_.empty()) {
    const Timer& first = timers_.front();
    if (hosts_[first.host]->stamp == first.stamp) return first.at;
    std::pop_heap(timers_.begin(), timers_.end(), std::greater<>());
    timers_.pop_back();
  }
  return std::nullopt;
}

void World::deliver() {
  Packet packet = packets_.pop();
  Host& to = *hosts_[packet.to];
  if (!to.running || owner(packet.path.local.ip) != &to) return;
  if (observer != nullptr) observer->on_deliver(to, packet);
  to.engine.handle_datagram(clock(to), to.rng, packet.path, packet.datagram);
  drain(to);
}

void World::fire(Host& host) {
  const auto wakeup = host.engine.poll_timeout();
  const std::string_view reason = wakeup ? wakeup->reason : std::string_view();
  watch.woke(host, now_, reason);
  if (observer != nullptr) observer->on_timer(host, reason);
  host.wakeup.reset();  // this one has come
  ++host.stamp;
  host.engine.handle_timeout(clock(host), host.rng);
  drain(host);
}

bool World::step(Instant end) {
  watch.look(*this, now_);
  const std::optional<Instant> timer = next_timer();
  Instant next = end;
  if (timer) next = std::min(next, *timer);
  if (!packets_.empty()) next = std::min(next, packets_.next());
  if (!actions_.empty() && actions_.begin()->first <= next) {
    now_ = std::max(now_, actions_.begin()->first);
    const auto what = std::move(actions_.begin()->second);
    actions_.erase(actions_.begin());
    what();
    return true;
  }
  if (!packets_.empty() && packets_.next() <= next) {
    now_ = std::max(now_, packets_.next());
    deliver();
    return true;
  }
  if (!timer || *timer > next || *timer >= end) return false;
  now_ = std::max(now_, *timer);
  fire(*hosts_[timers_.front().host]);
  return true;
}

// Whoever holds a Host may have called its engine.
void World::look_at_all() {
  for (const auto& host : hosts_) arm(*host);
}

bool World::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now_ + limit;
  look_at_all();
  while (!condition()) {
    if (!step(end)) {
      now_ = end;
      watch.look(*this, now_);
      return condition();
    }
  }
  return true;
}

void World::run_for(Duration time) {
  const Instant end = now_ + time;
  look_at_all();
  while (step(end)) {
  }
  now_ = end;
  watch.look(*this, now_);
}

bool World::all_up() const {
  bool all = true;
  for (const auto& host : hosts_) {
    if (!host->running) continue;
    if (!host->looked_at) {
      const auto& pairs = host->engine.core().pairs;
      host->up = std::all_of(pairs.begin(), pairs.end(),
                             [](const auto& entry) { return entry.second.up; });
      host->looked_at = true;
    }
    all = all && host->up;
  }
  return all;
}

}  // namespace espalier::sim
