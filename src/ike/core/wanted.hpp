// What the engine believes that the dataplane has, for comparison with what it has
// (reconcile/reconcile.hpp).
#pragma once

#include <vector>

#include "ike/core/core.hpp"

namespace espalier::ike {

struct WantedSa {
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress peer;
  ReqId reqid;
  bool needed = true;  // false: it is on its way out, and may stand or not
};

struct Wanted {
  std::vector<WantedSa> sas;
  std::vector<SetPolicy> policies;  // one for each reqid
};

// Every SA of the engine's children as it was installed, without keys: for a dataplane that has
// them from the daemon before.
std::vector<InstallSa> standing_sas(const Core& core);

// Good between calls of the engine, when all its effects have been carried out.
Wanted wanted(const Core& core);

}  // namespace espalier::ike
