// One run of a whole mesh: an inventory compiled as the daemon compiles it, every host's engine in
// one world, the faults that were asked for, and what came of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/ledger.hpp"
#include "sim/options.hpp"

namespace espalier::sim {

// Loss and the other chances go on until the mesh is whole, at most so long after the last fault;
// then the network heals. A pair that is not whole so long after that is broken.
inline constexpr Duration kLossyLimit = 600s;
inline constexpr Duration kHealLimit = 300s;
// After the last pair came up: superseded SAs are deleted, late removals done.
inline constexpr Duration kSettle = 20s;

struct PairOutcome {
  std::string a, b;
  std::optional<double> up_after;  // seconds until it was up for the first time
  double down = 0;                 // seconds that it was down after that
  double longest = 0;              // of those, without a break
  std::uint32_t downs = 0;
  std::string broken;  // why it is not whole at the end; empty when it is
};

struct RunOutcome {
  std::uint64_t seed = 0;
  bool real_crypto = false;
  std::size_t hosts = 0;         // foreign peers included
  std::size_t pairs = 0;         // that are to be up at the end
  std::size_t killed_pairs = 0;  // of hosts that were killed
  std::optional<double> whole;   // seconds until every pair was up for the first time
  std::optional<double> healed;  // after the last fault with a time: seconds until whole again
  double virtual_seconds = 0;    // of the whole run
  std::uint64_t messages = 0;
  std::uint64_t ike_sas = 0;    // established, rekeys and the losers of double starts included
  std::uint64_t child_sas = 0;  // child SA pairs installed
  std::size_t broken_pairs = 0;
  std::vector<PairOutcome> down;  // broken, or down for a while; the worst first
  std::vector<std::string> violations;
  std::uint64_t violation_count = 0;
  std::uint64_t bytes = 0;         // of all SAs and compiled configurations; 0: not measured
  std::vector<std::string> notes;  // whole sentences: what was left out or replaced, and why
  std::vector<std::string> killed;
  bool good() const { return broken_pairs == 0 && violation_count == 0; }
};

// What a run may ask of the outside; any may be empty.
struct RunHooks {
  std::function<std::size_t()> heap;  // octets in use
  // Now and then: virtual seconds, pairs up, pairs expected.
  std::function<void(double, std::size_t, std::size_t)> progress;
  std::function<void(const std::string&)> trace;  // a line
  std::vector<std::string> only = {};             // two hosts: the trace is of their pair alone
};

// Errors: those of mesh::compile(). The inventory is checked, and so are the options.
Result<RunOutcome> run_mesh(const config::Inventory& inventory, const Options& options,
                            std::uint64_t seed, const RunHooks& hooks);

}  // namespace espalier::sim
