// The kernel's monotonic clock, and the wall clock for certificate dates.
#pragma once

#include <ctime>

#include "base/time.hpp"

namespace espalier::daemon {

inline Instant monotonic_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

inline std::int64_t unix_now() { return static_cast<std::int64_t>(::time(nullptr)); }

}  // namespace espalier::daemon
