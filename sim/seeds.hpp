// Which seeds a simulated test runs over. From the environment: ESPALIER_SIM_SEEDS=N runs N times
// as many as the test asks for (./run test --long), ESPALIER_SIM_SEED=N runs that one, to repeat a
// failure. ESPALIER_SIM_FIRST=N begins with that one instead of 1.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

namespace espalier::sim {

// From the first one, count times the factor, or the one seed that was asked for.
inline std::vector<std::uint64_t> seeds(std::uint64_t count) {
  if (const char* one = std::getenv("ESPALIER_SIM_SEED")) {
    return {std::strtoull(one, nullptr, 10)};
  }
  const char* factor = std::getenv("ESPALIER_SIM_SEEDS");
  const std::uint64_t times = factor != nullptr ? std::strtoull(factor, nullptr, 10) : 1;
  std::vector<std::uint64_t> all(count * (times > 0 ? times : 1));
  const char* first = std::getenv("ESPALIER_SIM_FIRST");
  std::iota(all.begin(), all.end(), first != nullptr ? std::strtoull(first, nullptr, 10) : 1);
  return all;
}

}  // namespace espalier::sim
