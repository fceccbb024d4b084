// What the engine believes that the dataplane has, for comparison with what it has
// (reconcile/compare.hpp).
#pragma once

#include <vector>

#include "ike/core/core.hpp"

namespace espalier::ike {

struct WantedSa {
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress peer;
  ReqId reqid;
  bool leaving = false;  // its deletion is due, or agreed with the peer
};

struct Wanted {
  std::vector<WantedSa> sas;
  std::vector<SetPolicy> policies;
};

// Good between calls of the engine, when all its effects have been carried out.
Wanted wanted(const Core& core);

}  // namespace espalier::ike
