// Instant and Duration. There is no now() here on purpose: time is an argument. Only `daemon` (the
// kernel's monotonic clock) and `sim` (a virtual one) make Instants.
#pragma once

#include <chrono>
#include <cstdint>

namespace espalier {

using Duration = std::chrono::nanoseconds;

// A tag, not a clock: it has no now().
struct MonotonicTag {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicTag>;
  static constexpr bool is_steady = true;
};

// Nanoseconds since an epoch that only the caller knows; never goes backwards.
using Instant = std::chrono::time_point<MonotonicTag, Duration>;

using namespace std::chrono_literals;

inline double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
inline std::int64_t whole_seconds(Duration d) {
  return std::chrono::duration_cast<std::chrono::seconds>(d).count();
}

}  // namespace espalier
