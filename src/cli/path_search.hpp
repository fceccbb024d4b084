// How large a packet may be on a path: a bounded search with a PathProber. Pure but for the prober.
#pragma once

#include <functional>
#include <optional>

#include "cli/environment.hpp"

namespace espalier::cli {

struct PathSearch {
  std::optional<std::size_t> passed;    // the largest that was answered
  std::optional<std::size_t> told_mtu;  // what the kernel or a router said fits
  std::size_t probes = 0;
};
// Told of every probe: its size, and what came of it.
using ProbeProgress = std::function<void(std::size_t octets, const PathProber::Outcome& outcome)>;

// What the kernel and the routers say, of packets nobody has to answer: the largest size that none
// of them calls too big. At most kMaxTold probes. Errors: as PathProber::probe().
Result<PathSearch> ask_path(PathProber& prober, std::size_t from, const ProbeProgress& progress);

// The largest packet that is answered, of `least` to `most` octets, by halving; silence twice is
// "does not pass", which finds a path that swallows what is too large without a word (RFC 2923
// section 2.1). Nothing passed when even `least` is not answered. At most kMaxHalvings sizes.
Result<PathSearch> largest_answered(PathProber& prober, std::size_t least, std::size_t most,
                                    const ProbeProgress& progress);

}  // namespace espalier::cli
