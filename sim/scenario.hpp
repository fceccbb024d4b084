// A random mesh and a random schedule of faults, from one number: what a stranger would try. The
// inventory is a file's text and the options are a command line, so that a failure can be taken to
// `espalier simulate` as it stands.
#pragma once

#include <cstdint>
#include <string>

#include "sim/options.hpp"

namespace espalier::sim {

struct Scenario {
  std::uint64_t seed = 0;
  std::string inventory;  // mesh.yaml
  Options options;
};

Scenario random_scenario(std::uint64_t seed);

// The options as arguments of `espalier simulate`, each with a space before it; empty for the
// defaults. Times are told to the millisecond and shares to a hundredth of a per cent.
std::string arguments(const Options& options);

}  // namespace espalier::sim
