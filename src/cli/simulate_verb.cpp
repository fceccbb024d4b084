// `espalier simulate INVENTORY`: the engines of a whole mesh in one process, under faults.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "cli/check_report.hpp"
#include "cli/inventory_file.hpp"
#include "cli/simulate_options.hpp"
#include "cli/simulate_report.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {
namespace {

// A simulation is about keying: what a dataplane cannot do yet does not matter to it.
constexpr config::Features kSimulated{true, true, true, true, true, true};
constexpr double kProgressEvery = 0.5;  // seconds of the wall's clock

class Simulation {
 public:
  Simulation(Environment& env, const config::Inventory& inventory, const SimulateArguments& wanted)
      : env_(env), inventory_(inventory), wanted_(wanted), begun_(env.clock()) {
    report_.file = inventory.file;
    report_.mesh = inventory.mesh;
    report_.arguments = wanted.text;
    report_.first_seed = wanted.seed;
  }

  // Errors: those of sim::run_mesh().
  Result<SimulateReport> run() {
    // The first seed alone: the heap that it leaves tells the bytes of a pair.
    TRY_ASSIGN(const sim::RunOutcome first, one(wanted_.seed, true));
    add(report_, first);
    if (wanted_.seeds > 1) TRY(the_rest());
    report_.wall_seconds = env_.clock() - begun_;
    if (env_.err_is_terminal()) env_.err("\r\033[K");
    return std::move(report_);
  }

 private:
  Result<sim::RunOutcome> one(std::uint64_t seed, bool first) {
    sim::RunHooks hooks;
    if (first && !wanted_.trace) hooks.heap = [this] { return env_.heap(); };
    if (wanted_.trace) hooks.trace = [this](const std::string& line) { env_.out(line); };
    hooks.only = wanted_.only;
    if (env_.err_is_terminal() && !wanted_.trace && wanted_.seeds == 1) {
      hooks.progress = [this](double now, std::size_t up, std::size_t all) {
        tell(fmt::format("{:.1f} s of virtual time: {} of {} pairs up", now, up, all));
      };
    }
    return sim::run_mesh(inventory_, wanted_.options, seed, hooks);
  }

  // Seeds have nothing to do with one another: as many at once as there are processors. Their
  // outcomes are added in order.
  Status the_rest() {
    const std::uint64_t count = wanted_.seeds - 1;
    std::vector<std::optional<Result<sim::RunOutcome>>> outcomes(count);
    std::atomic<std::uint64_t> next = 0;
    std::atomic<bool> stop = false;
    std::mutex telling;
    const auto work = [&] {
      for (std::uint64_t i = next++; i < count && !stop; i = next++) {
        outcomes[i] = one(wanted_.seed + 1 + i, false);
        if (!*outcomes[i]) stop = true;
        const std::lock_guard lock(telling);
        if (env_.err_is_terminal()) tell(fmt::format("{} of {} seeds", next.load(), wanted_.seeds));
      }
    };
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    const std::uint64_t jobs = std::min(count, wanted_.jobs == 0 ? cores : wanted_.jobs);
    std::vector<std::thread> workers;
    for (std::uint64_t i = 1; i < jobs; ++i) workers.emplace_back(work);
    work();
    for (std::thread& worker : workers) worker.join();
    for (auto& outcome : outcomes) {
      if (!outcome) continue;
      if (!*outcome) return outcome->error();
      add(report_, **outcome);
      outcome.reset();
    }
    return {};
  }

  void tell(const std::string& what) {
    const double now = env_.clock();
    if (now - told_ < kProgressEvery) return;
    told_ = now;
    env_.err(fmt::format("\r\033[K{}", what));
  }

  Environment& env_;
  const config::Inventory& inventory_;
  const SimulateArguments& wanted_;
  SimulateReport report_;
  double begun_;
  double told_ = 0;
};

}  // namespace

int run_simulate(Call& call) {
  const auto wanted = parse_simulate(call.options);
  if (!wanted) return fail(call.env, wanted.error());
  auto outcome = read_inventory(call.env, call.words().front(), kSimulated);
  if (!outcome) return fail(call.env, outcome.error());
  if (!outcome->ok()) {
    CheckReport faults;
    faults.file = call.words().front();
    faults.diagnostics = outcome->diagnostics;
    call.env.err(check_text(faults));
    return kBadInputFile;
  }
  const config::Inventory& inventory = *outcome->inventory;
  if (const Status known = sim::check(wanted->options, inventory); !known) {
    return fail(call.env, known.error());
  }
  if (const Status known = sim::check_names(wanted->only, inventory, "--only"); !known) {
    return fail(call.env, known.error());
  }
  Simulation simulation(call.env, inventory, *wanted);
  const auto report = simulation.run();
  if (!report) return fail(call.env, report.error());
  call.env.out(wanted->json ? simulate_json(*report) : simulate_text(*report));
  return report->broken_pairs == 0 && report->violation_count == 0 ? kDone : kFailed;
}

}  // namespace espalier::cli
