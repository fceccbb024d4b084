#include "cli/simulate_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/text.hpp"
#include "control/version.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kViolationsKept = 1000;
constexpr std::size_t kPairsShown = 10;
constexpr std::size_t kLinesShown = 10;

std::string_view plural(std::size_t count) { return count == 1 ? "" : "s"; }

std::string span(const std::vector<double>& values) {
  const double most = *std::max_element(values.begin(), values.end());
  if (values.size() == 1) return fmt::format("{:.3f} s", most);
  return fmt::format("{:.3f} s (median of {} seeds), {:.3f} s at most", *median(values),
                     values.size(), most);
}

void append_costs(std::string& out, const SimulateReport& report) {
  const auto per = [&](std::uint64_t count) {
    return static_cast<double>(count) /
           static_cast<double>(std::max<std::size_t>(report.pairs * report.seeds, 1));
  };
  out += fmt::format(
      "Cost: {} messages ({:.1f} a pair), {} IKE SAs and {} child SA pairs made ({:.2f} and "
      "{:.2f} a pair).\n",
      report.messages, per(report.messages), report.ike_sas, report.child_sas, per(report.ike_sas),
      per(report.child_sas));
  if (report.bytes_per_pair) {
    out += fmt::format("Memory: {} a pair, both ends' SAs and configuration.\n",
                       human_bytes(*report.bytes_per_pair));
  }
  out += fmt::format("{:.1f} s of virtual time in {:.2f} s.\n", report.virtual_seconds,
                     report.wall_seconds);
}

void append_down(std::string& out, const SimulateReport& report) {
  const auto worst = worst_first(report);
  if (worst.empty()) return;
  out += fmt::format("{} pair{} were down after they had been up, or are broken:\n", worst.size(),
                     plural(worst.size()));
  std::vector<std::vector<Cell>> rows{
      {Cell("  pair"), Cell("down", Color::kNone, true), Cell("times", Color::kNone, true),
       Cell("longest", Color::kNone, true), Cell("seed", Color::kNone, true), Cell("")}};
  for (std::size_t i = 0; i < std::min(worst.size(), kPairsShown); ++i) {
    const sim::PairOutcome& pair = worst[i]->worst;
    rows.push_back({Cell(fmt::format("  {}-{}", printable(pair.a), printable(pair.b))),
                    Cell(fmt::format("{:.1f} s", pair.down), Color::kNone, true),
                    Cell(fmt::format("{}", pair.downs), Color::kNone, true),
                    Cell(fmt::format("{:.1f} s", pair.longest), Color::kNone, true),
                    Cell(fmt::format("{}", worst[i]->seed), Color::kNone, true),
                    Cell(pair.broken.empty() ? "" : "BROKEN: " + printable(pair.broken))});
  }
  out += render_table(rows, false);
  if (worst.size() > kPairsShown) {
    out += fmt::format("  and {} more; --json has them all.\n", worst.size() - kPairsShown);
  }
}

void append_verdict(std::string& out, const SimulateReport& report) {
  if (report.broken_pairs == 0 && report.violation_count == 0) {
    out += "No pair stayed broken, and every invariant held.\n";
    return;
  }
  out += fmt::format("{} broken pair{}, {} violation{} of an invariant.\n", report.broken_pairs,
                     plural(report.broken_pairs), report.violation_count,
                     plural(report.violation_count));
  for (std::size_t i = 0; i < std::min(report.violations.size(), kLinesShown); ++i) {
    out += "  " + printable(report.violations[i]) + "\n";
  }
  out += fmt::format("To see it step by step (espalier {}):\n", control::kVersion);
  for (std::size_t i = 0; i < std::min<std::size_t>(report.failed_seeds.size(), 3); ++i) {
    out += "  " + repeat_line(report, report.failed_seeds[i]) + "\n";
  }
}

}  // namespace

std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

void add(SimulateReport& report, const sim::RunOutcome& outcome) {
  ++report.seeds;
  if (outcome.real_crypto) ++report.real_seeds;
  report.hosts = outcome.hosts;
  report.pairs = outcome.pairs + outcome.killed_pairs;
  report.broken_pairs += outcome.broken_pairs;
  report.violation_count += outcome.violation_count;
  for (const std::string& violation : outcome.violations) {
    if (report.violations.size() >= kViolationsKept) break;
    report.violations.push_back(fmt::format("seed {}: {}", outcome.seed, violation));
  }
  report.messages += outcome.messages;
  report.ike_sas += outcome.ike_sas;
  report.child_sas += outcome.child_sas;
  if (outcome.whole) report.whole.push_back(*outcome.whole);
  if (outcome.healed) report.healed.push_back(*outcome.healed);
  report.virtual_seconds += outcome.virtual_seconds;
  if (outcome.bytes > 0 && report.pairs > 0) report.bytes_per_pair = outcome.bytes / report.pairs;
  for (const sim::PairOutcome& pair : outcome.down) {
    SimulateReport::Down& entry = report.down[{pair.a, pair.b}];
    const bool worse = std::pair(!pair.broken.empty(), pair.down) >
                       std::pair(!entry.worst.broken.empty(), entry.worst.down);
    if (entry.seeds++ == 0 || worse) {
      entry.worst = pair;
      entry.seed = outcome.seed;
    }
  }
  report.notes = outcome.notes;
  report.killed = outcome.killed;
  if (!outcome.good()) report.failed_seeds.push_back(outcome.seed);
}

std::vector<const SimulateReport::Down*> worst_first(const SimulateReport& report) {
  std::vector<const SimulateReport::Down*> list;
  for (const auto& [key, down] : report.down) list.push_back(&down);
  std::stable_sort(list.begin(), list.end(), [](const auto* x, const auto* y) {
    return std::pair(!x->worst.broken.empty(), x->worst.down) >
           std::pair(!y->worst.broken.empty(), y->worst.down);
  });
  return list;
}

std::string repeat_line(const SimulateReport& report, std::uint64_t seed) {
  std::string line =
      fmt::format("espalier simulate {}{} --seed {} --trace", report.file, report.arguments, seed);
  for (const auto& [hosts, down] : report.down) {
    if (down.seed != seed || down.worst.broken.empty()) continue;
    return line + fmt::format(" --only {},{}", hosts.first, hosts.second);
  }
  return line;
}

std::string simulate_text(const SimulateReport& report) {
  std::string out =
      fmt::format("{}: mesh {}, {} host{}, {} pair{}; ", report.file, printable(report.mesh),
                  report.hosts, plural(report.hosts), report.pairs, plural(report.pairs));
  out += report.seeds == 1 ? fmt::format("seed {}", report.first_seed)
                           : fmt::format("{} seeds from {} on", report.seeds, report.first_seed);
  out += report.real_seeds == report.seeds ? ", real cryptography.\n"
         : report.real_seeds == 0
             ? ", simulated Diffie-Hellman.\n"
             : fmt::format(", {} of them with real Diffie-Hellman.\n", report.real_seeds);
  for (const std::string& note : report.notes) out += printable(note) + "\n";
  if (!report.killed.empty()) {
    out += fmt::format("Killed{}: {}.\n", report.seeds > 1 ? " in the last seed" : "",
                       printable(fmt::format("{}", fmt::join(report.killed, ", "))));
  }
  if (!report.whole.empty()) out += "The mesh is whole after " + span(report.whole) + ".\n";
  if (!report.healed.empty()) {
    out += "It is whole again after the last fault in " + span(report.healed) + ".\n";
  }
  append_costs(out, report);
  append_down(out, report);
  append_verdict(out, report);
  return out;
}

}  // namespace espalier::cli
