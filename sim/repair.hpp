// Compares what a host's engine believes with what its dataplane has, and repairs the difference as
// a daemon would.
#pragma once

#include "reconcile/reconcile.hpp"
#include "sim/world.hpp"

namespace espalier::sim {

// What compare() says of the host now. Between two steps of the world.
reconcile::Repair difference(const Host& host);

// Does what it says; how many SAs and policies were repaired.
std::size_t repair(World& world, Host& host);

}  // namespace espalier::sim
