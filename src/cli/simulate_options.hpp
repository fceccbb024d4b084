// The command line of `espalier simulate` as values.
#pragma once

#include <string>

#include "control/options.hpp"
#include "sim/options.hpp"

namespace espalier::cli {

struct SimulateArguments {
  sim::Options options;
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::uint64_t jobs = 0;  // 0: one per processor
  bool json = false;
  bool trace = false;
  std::vector<std::string> only;  // of the trace: two hosts
  std::string text;  // the options as given, quoted where needed, without seeds, jobs and output
};

// Errors (kInvalidArgument): each names the option, what was given and what is wanted.
Result<SimulateArguments> parse_simulate(const control::ParsedOptions& given);

}  // namespace espalier::cli
