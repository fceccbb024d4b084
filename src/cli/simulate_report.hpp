// What `espalier simulate` found, over all seeds, as text and as JSON.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/mesh_run.hpp"

namespace espalier::cli {

struct SimulateReport {
  std::string file, mesh;
  std::string arguments;  // as given, without the seeds: repeats the run
  std::uint64_t first_seed = 1;
  std::size_t seeds = 0;
  std::size_t real_seeds = 0;  // of those, with OpenSSL's Diffie-Hellman
  std::size_t hosts = 0, pairs = 0;
  std::size_t broken_pairs = 0;
  std::vector<std::string> violations;  // each with its seed; some are left out of very many
  std::uint64_t violation_count = 0;
  std::uint64_t messages = 0, ike_sas = 0, child_sas = 0;  // over all seeds
  std::vector<double> whole, healed;                       // of each seed that has it
  double virtual_seconds = 0;                              // over all seeds
  double wall_seconds = 0;
  std::optional<std::uint64_t> bytes_per_pair;
  // Pairs that were down or broken: the worst of each over all seeds.
  struct Down {
    sim::PairOutcome worst;
    std::uint64_t seed = 0;  // of the worst
    std::size_t seeds = 0;   // in which it was down or broken
  };
  std::map<std::pair<std::string, std::string>, Down> down;
  std::vector<std::string> notes;
  std::vector<std::string> killed;          // of the last seed
  std::vector<std::uint64_t> failed_seeds;  // broken pairs or violations
};

// Adds one seed's outcome.
void add(SimulateReport& report, const sim::RunOutcome& outcome);
// The broken ones first, then the longest down.
std::vector<const SimulateReport::Down*> worst_first(const SimulateReport& report);
// The middle of the values, or the mean of the two in the middle; nothing of none.
std::optional<double> median(std::vector<double> values);
// The line that runs that seed again, step by step.
std::string repeat_line(const SimulateReport& report, std::uint64_t seed);

std::string simulate_text(const SimulateReport& report);
std::string simulate_json(const SimulateReport& report);

}  // namespace espalier::cli
