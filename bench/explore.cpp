// The explorer as a program: ./run explore. Prints a line a scenario; exits 1 when one is violated.
#include <fmt/format.h>

#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>

#include "sim/explorer.hpp"

namespace {

using namespace espalier;

constexpr const char* kUsage =
    "Usage: explore [--faults N] [--states N] [--only WORDS] [--no-crashes] [--check N] [--list]\n"
    "               [--replay PATH]   with --only: the steps that a violation printed\n";

struct Options {
  sim::Budget budget;
  std::string only, path;
  bool list = false;
};

std::string g_trail;  // for the handler of SIGABRT

// An assertion of the engine's: say which steps led to it.
void on_abort(int) {
  const std::string& steps = g_trail;
  constexpr std::string_view kText = "the steps that led here: ";
  if (write(2, kText.data(), kText.size()) < 0 || write(2, steps.data(), steps.size()) < 0 ||
      write(2, "\n", 1) < 0) {
    return;
  }
}

bool parse(int argc, char** argv, Options& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (word == "--no-crashes") {
      out.budget.crashes = false;
    } else if (word == "--list") {
      out.list = true;
    } else if (value == nullptr) {
      return false;
    } else if (word == "--faults") {
      out.budget.faults = static_cast<unsigned>(std::strtoul(value, nullptr, 10)), ++i;
    } else if (word == "--states") {
      out.budget.states_max = std::strtoul(value, nullptr, 10), ++i;
    } else if (word == "--check") {
      out.budget.check_merges = static_cast<unsigned>(std::strtoul(value, nullptr, 10)), ++i;
    } else if (word == "--only") {
      out.only = value, ++i;
    } else if (word == "--replay") {
      out.path = value, ++i;
    } else {
      return false;
    }
  }
  return true;
}

bool run(const sim::Scenario& scenario, const sim::Budget& budget) {
  const std::clock_t begin = std::clock();
  const sim::Report report = sim::explore(scenario, budget, &g_trail);
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  fmt::print("{:45} {:9} {:10} {:8} {:5} {:7.1f} s {:7.1f} s  {}\n", scenario.name, report.states,
             report.transitions, report.quiet, report.deepest, seconds(report.slowest), took,
             !report.violation.empty() ? "VIOLATED"
             : report.exhaustive       ? "all"
                                       : "NOT EXHAUSTIVE");
  if (!report.violation.empty()) {
    fmt::print("{}\nsteps: {}\n{}", report.violation, report.path, report.story);
  }
  if (report.slowest > 60s) fmt::print("slowest: {}\n", report.slowest_path);
  std::fflush(stdout);
  return report.violation.empty() && report.exhaustive;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  fmt::print("two engines, {} faults{}\n{:45} {:>9} {:>10} {:>8} {:>5} {:>9} {:>9}\n",
             options.budget.faults, options.budget.crashes ? " (a crash is one)" : ", no crashes",
             "scenario", "states", "steps", "quiet", "depth", "whole in", "CPU");
  bool good = true;
  for (const sim::Scenario& scenario : sim::all_scenarios()) {
    if (!options.only.empty() && scenario.name != options.only) continue;
    if (options.list) {
      fmt::print("{}\n", scenario.name);
    } else if (!options.path.empty()) {
      const auto story = sim::replay(scenario, options.budget, options.path);
      fmt::print("{}", story ? *story : story.error().message + "\n");
    } else {
      good = run(scenario, options.budget) && good;
    }
  }
  return good ? 0 : 1;
}
