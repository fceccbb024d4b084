// What no single line of an inventory shows: names, addresses and networks that collide, settings
// that two hosts do not agree on.
#pragma once

#include "config/inventory.hpp"

namespace espalier::config {

// Also run when parts could not be read, so that one look at a file shows all of its faults.
void check_inventory(const Inventory& inventory, Diagnostics& diagnostics);

}  // namespace espalier::config
