#include "sim/mesh_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/build_mesh.hpp"
#include "sim/cheap_jobs.hpp"
#include "sim/repair.hpp"
#include "sim/trace.hpp"

namespace espalier::sim {
namespace {

constexpr std::int64_t kNowUtc = 1'800'000'000;  // for certificates' dates
constexpr Duration kTrafficEvery = 5s;           // in pairs that traffic starts
constexpr Duration kLookAgain = 10s;
// What a fault does is not seen at once.
constexpr Duration kAftermath = 10s;
// Virtual time between two calls of the progress hook.
constexpr Duration kProgressEvery = 50ms;

class Run {
 public:
  Run(const config::Inventory& inventory, const Options& options, std::uint64_t seed,
      const RunHooks& hooks)
      : options_(options),
        hooks_(hooks),
        world_(seed),
        mesh_(inventory, options, world_),
        ledger_(world_),
        trace_(world_, hooks.trace, hooks.only),
        both_{&ledger_, &trace_},
        chance_(seed ^ 0x5eed) {
    out_.seed = seed;
    out_.real_crypto = options.real_crypto(seed);
    world_.keep_events = false;
    world_.observer = hooks.trace ? static_cast<Observer*>(&both_) : &ledger_;
    world_.network = options.network;
    if (!out_.real_crypto) {
      world_.run_job = [this](const ike::Job& job, crypto::Rng& rng) {
        return run_cheap_job(job, rng, world_.keys, kNowUtc);
      };
    }
  }

  Result<RunOutcome> run();

 private:
  // Passes everything on to both.
  struct Both : Observer {
    Both(Observer* one, Observer* two) : a(one), b(two) {}
    void on_send(const Host& h, const Host* to, const ike::Transmit& t, Fate f) override {
      a->on_send(h, to, t, f), b->on_send(h, to, t, f);
    }
    void on_deliver(const Host& h, const Packet& p) override { b->on_deliver(h, p); }
    void on_timer(const Host& h, std::string_view r) override { b->on_timer(h, r); }
    void on_effect(const Host& h, const ike::Effect& e) override { b->on_effect(h, e); }
    void on_event(const Host& h, const ike::Event& e) override {
      a->on_event(h, e), b->on_event(h, e);
    }
    void on_fault(const std::string& what) override { b->on_fault(what); }
    Observer *a, *b;
  };

  void schedule();
  void schedule_traffic();
  void schedule_progress();
  void schedule_repairs();
  void crash(Host& host, bool for_good);
  void boot(Host& host);
  void kill(double percent);
  void heal();
  void count(const Host& host);
  bool whole() const { return ledger_.down() == 0; }
  std::set<std::pair<HostId, HostId>> judge(std::vector<std::string>& why);
  void settle();
  void report(const std::set<std::pair<HostId, HostId>>& broken,
              const std::vector<std::string>& why);
  void weigh();

  const Options& options_;
  const RunHooks& hooks_;
  World world_;
  BuiltMesh mesh_;
  Ledger ledger_;
  Trace trace_;
  Both both_;
  crypto::SeededRng chance_;
  RunOutcome out_;
  Status failed_;
  std::size_t pairs_at_start_ = 0;
  std::vector<std::string> orphans_;  // at the last look: SAs that no engine knows
};

void Run::crash(Host& host, bool for_good) {
  if (!host.running && !host.daemon_ended) return;
  if (host.running) count(host);
  world_.crash(host);
  ledger_.lost(host.id, for_good);
  if (for_good) out_.killed.push_back(host.name);
}

void Run::boot(Host& host) {
  if (host.running) return;
  if (std::find(out_.killed.begin(), out_.killed.end(), host.name) != out_.killed.end()) return;
  world_.power_on(host);
  if (Status status = mesh_.configure(host); !status) failed_ = std::move(status);
  if (!host.daemon_ended) return;
  world_.resume(host);
  ledger_.look_at(host);
}

void Run::kill(double percent) {
  std::vector<HostId> alive;
  for (HostId id = 0; id < world_.size(); ++id) {
    if (world_.host(id).running) alive.push_back(id);
  }
  const auto wanted = static_cast<std::size_t>(static_cast<double>(alive.size()) * percent / 100);
  for (std::size_t i = 0; i < std::max<std::size_t>(wanted, 1) && !alive.empty(); ++i) {
    const std::size_t chosen = chance_.u64() % alive.size();
    crash(world_.host(alive[chosen]), true);
    alive.erase(alive.begin() + static_cast<std::ptrdiff_t>(chosen));
  }
}

void Run::schedule() {
  const auto at = [&](Duration when, std::function<void()> what) {
    world_.at(Instant(when), std::move(what));
  };
  for (const Reboot& one : options_.reboots) {
    at(one.at, [this, &one] { crash(world_.host(one.host), false); });
    at(one.at + options_.downtime, [this, &one] { boot(world_.host(one.host)); });
  }
  for (const Restart& one : options_.restarts) {
    at(one.at, [this, &one] {
      Host& host = world_.host(one.host);
      if (!host.running) return;
      count(host);
      world_.end_daemon(host);
    });
    at(one.at + options_.downtime, [this, &one] { boot(world_.host(one.host)); });
  }
  for (const Netsplit& one : options_.netsplits) {
    const HostId a = world_.host(one.a).id, b = world_.host(one.b).id;
    at(one.at, [this, a, b, &one] {
      world_.cut(a, b);
      if (!one.one_way) world_.cut(b, a);
    });
    at(one.at + one.length, [this, a, b, &one] {
      world_.mend(a, b);
      if (!one.one_way) world_.mend(b, a);
    });
  }
  for (const Kill& one : options_.kills) at(one.at, [this, &one] { kill(one.percent); });
  for (const Rebind& one : options_.rebinds) {
    at(one.at, [this, &one] { world_.rebind(world_.host(one.host)); });
  }
  for (const Move& one : options_.moves) {
    at(one.at, [this, &one] { world_.readdress(world_.host(one.host)); });
    if (one.length.count() == 0) continue;
    const Host& host = world_.host(one.host);
    std::vector<IpAddress> home{host.address};
    home.insert(home.end(), host.other_addresses.begin(), host.other_addresses.end());
    at(one.at + one.length,
       [this, &one, home = std::move(home)] { world_.set_addresses(world_.host(one.host), home); });
  }
  for (const Expire& one : options_.expires) {
    at(one.at, [this, &one] { world_.expire(world_.host(one.host), one.percent / 100, one.hard); });
  }
  for (const Vanish& one : options_.vanishes) {
    at(one.at, [this, &one] { world_.vanish(world_.host(one.host), 1.0); });
  }
  schedule_repairs();
  for (HostId id = 0; id < world_.size(); ++id) {
    Host& host = world_.host(id);
    host.plane = {options_.refuse, options_.sad_limit};
    if (options_.drift_ppm == 0) continue;
    const auto span = static_cast<std::uint64_t>(2 * options_.drift_ppm + 1);
    host.drift_ppm = static_cast<std::int64_t>(chance_.u64() % span) - options_.drift_ppm;
  }
  if (!mesh_.traps().empty()) schedule_traffic();
  if (hooks_.progress) schedule_progress();
}

// Traffic in pairs that wait for it: now, and again while they are down.
void Run::schedule_traffic() {
  for (const auto& [id, pair] : mesh_.traps()) {
    Host& host = world_.host(id);
    if (!host.running) continue;
    const auto& pairs = host.engine.core().pairs;
    const auto entry = pairs.find(pair);
    if (entry == pairs.end() || entry->second.up) continue;
    world_.complete(host, ike::Acquired{pair});
  }
  world_.at(world_.now() + kTrafficEvery, [this] { schedule_traffic(); });
}

// A dataplane that never fails has what its engine believes.
void Run::schedule_repairs() {
  world_.at(world_.now() + kRepairEvery, [this] {
    const bool may_fail =
        options_.refuse > 0 || options_.sad_limit > 0 || !options_.vanishes.empty();
    for (HostId id = 0; id < world_.size(); ++id) {
      Host& host = world_.host(id);
      if (!host.running) continue;
      const std::size_t repaired = repair(world_, host);
      if (repaired == 0) continue;
      const std::string what =
          fmt::format("{} SAs and policies of its engine and its dataplane differ", repaired);
      if (!may_fail) world_.watch.violation(world_.now(), host.name, what);
      trace_.on_fault(host.name + ": " + what + "; repaired");
    }
    schedule_repairs();
  });
}

void Run::schedule_progress() {
  hooks_.progress(seconds(world_.now().time_since_epoch()), ledger_.expected() - ledger_.down(),
                  ledger_.expected());
  world_.at(world_.now() + kProgressEvery, [this] { schedule_progress(); });
}

// From here on the world is kind.
void Run::heal() {
  world_.network.loss = 0;
  world_.network.duplication = 0;
  world_.network.held_back = 0;
  for (HostId id = 0; id < world_.size(); ++id) world_.host(id).plane = {};
  world_.watch.disturbed(world_.now());
  trace_.on_fault("the network heals");
}

void Run::count(const Host& host) {
  out_.ike_sas += host.engine.counter(ike::Counter::kEstablished) +
                  host.engine.counter(ike::Counter::kIkeRekeyed);
  out_.child_sas += host.engine.counter(ike::Counter::kChildInstalled);
}

// SAs of the host's dataplane that its engine neither has nor is about to remove.
std::string orphans_of(const Host& host) {
  const ike::Core& core = host.engine.core();
  std::set<Spi> in, out;
  for (const auto& [spi, sa] : core.sas) {
    for (const ike::v2::ChildSa& child : sa.children) {
      in.insert(child.spec.spi_in);
      if (child.outbound_installed) out.insert(child.spec.spi_out);
    }
  }
  for (const ike::LateRemoval& late : core.late_removals) {
    (late.removal.direction == ike::Direction::kIn ? in : out).insert(late.removal.spi);
  }
  std::string unknown;
  for (const auto& [spi, sa] : host.twin.inbound) {
    if (!in.contains(spi)) unknown += " inbound " + to_string(spi) + " (" + sa.pair + ")";
  }
  for (const auto& [key, sa] : host.twin.outbound) {
    if (!out.contains(key.first)) {
      unknown += " outbound " + to_string(key.first) + " (" + sa.pair + ")";
    }
  }
  if (unknown.empty()) return {};
  return fmt::format("{}: its dataplane has SAs that its engine does not know:{}", host.name,
                     unknown);
}

// Every pair, both ends compared; `why` in the order of the set.
std::set<std::pair<HostId, HostId>> Run::judge(std::vector<std::string>& why) {
  std::map<std::pair<HostId, HostId>, std::string> broken;
  orphans_.clear();
  for (HostId id = 0; id < world_.size(); ++id) {
    const Host& near = world_.host(id);
    if (!near.running) continue;
    for (const ike::PairSnapshot& pair : near.engine.snapshot()) {
      const Host* far = world_.find(pair.peer);
      ASSERT(far != nullptr);
      const std::pair<HostId, HostId> key = std::minmax(near.id, far->id);
      if (!ledger_.find(key.first, key.second)->expected) continue;
      std::string fault = World::pair_fault(near, *far, pair);
      if (!fault.empty()) broken.emplace(key, std::move(fault));
    }
    if (std::string fault = orphans_of(near); !fault.empty()) orphans_.push_back(std::move(fault));
  }
  std::set<std::pair<HostId, HostId>> pairs;
  for (auto& [key, fault] : broken) {
    pairs.insert(key);
    why.push_back(std::move(fault));
  }
  return pairs;
}

void Run::settle() {
  const Instant limit = world_.now() + kHealLimit;
  world_.run_until([&] { return whole(); }, kHealLimit);
  world_.run_for(kSettle);
  for (;;) {
    std::vector<std::string> why;
    const auto broken = judge(why);
    const bool good = broken.empty() && orphans_.empty();
    if (good || world_.now() >= limit) return report(broken, why);
    world_.run_for(kLookAgain);
  }
}

void Run::report(const std::set<std::pair<HostId, HostId>>& broken,
                 const std::vector<std::string>& why) {
  ledger_.close();
  out_.broken_pairs = broken.size();
  std::map<std::pair<HostId, HostId>, std::string> reasons;
  auto reason = why.begin();
  for (const auto& key : broken) reasons[key] = *reason++;
  for (const PairRecord& pair : ledger_.pairs()) {
    const auto found = reasons.find({pair.a, pair.b});
    if (!pair.expected || (pair.downs == 0 && found == reasons.end())) continue;
    PairOutcome one;
    one.a = world_.host(pair.a).name;
    one.b = world_.host(pair.b).name;
    if (pair.was_up) one.up_after = seconds(pair.first_up.time_since_epoch());
    one.down = seconds(pair.down);
    one.longest = seconds(pair.longest);
    one.downs = pair.downs;
    if (found != reasons.end()) one.broken = found->second;
    out_.down.push_back(std::move(one));
  }
  std::stable_sort(out_.down.begin(), out_.down.end(), [](const auto& x, const auto& y) {
    return std::pair(!x.broken.empty(), x.down) > std::pair(!y.broken.empty(), y.down);
  });
  out_.hosts = world_.size();
  out_.pairs = ledger_.expected();
  out_.killed_pairs = pairs_at_start_ - ledger_.expected();
  out_.messages = world_.messages;
  out_.virtual_seconds = seconds(world_.now().time_since_epoch());
  out_.violations = world_.watch.violations();
  out_.violation_count = world_.watch.violation_count();
  for (const std::string& orphan : orphans_) {
    ++out_.violation_count;
    out_.violations.push_back(orphan);
  }
  for (HostId id = 0; id < world_.size(); ++id) {
    const Host& host = world_.host(id);
    if (host.running) count(host);
    for (const std::string& fault : host.twin.violations) {
      ++out_.violation_count;
      out_.violations.push_back(host.name + ": " + fault);
    }
  }
  out_.ike_sas = (out_.ike_sas + 1) / 2;  // each was counted at both ends
  out_.child_sas = (out_.child_sas + 1) / 2;
  out_.notes = mesh_.notes();
}

// What the engines take up, by what comes free with them.
void Run::weigh() {
  if (!hooks_.heap) return;
  const std::size_t before = hooks_.heap();
  for (HostId id = 0; id < world_.size(); ++id) world_.host(id).engine = ike::Endpoint();
  const std::size_t after = hooks_.heap();
  if (before > after) out_.bytes = before - after;
}

Result<RunOutcome> Run::run() {
  TRY(mesh_.configure_all(ledger_));
  pairs_at_start_ = ledger_.expected();
  schedule();
  const Duration last = last_fault(options_);
  const Duration faults = last.count() > 0 ? last + kAftermath : last;
  const Instant busy = Instant(std::max(faults, options_.run_for));
  world_.run_until([&] { return whole() && world_.now() >= busy; }, busy - Instant() + kLossyLimit);
  heal();
  settle();
  if (const auto whole_at = ledger_.first_whole()) {
    out_.whole = seconds(whole_at->time_since_epoch());
  }
  const Duration fault = last_fault(options_);
  if (const auto again = ledger_.last_whole(); again && fault.count() > 0 && whole()) {
    out_.healed = std::max(0.0, seconds(again->time_since_epoch() - fault));
  }
  if (!failed_) return failed_.error();
  weigh();
  return std::move(out_);
}

}  // namespace

Result<RunOutcome> run_mesh(const config::Inventory& inventory, const Options& options,
                            std::uint64_t seed, const RunHooks& hooks) {
  Run run(inventory, options, seed, hooks);
  return run.run();
}

}  // namespace espalier::sim
