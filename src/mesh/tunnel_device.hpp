// Route-based pairs (`interface`): what they need, and what of two pairs does not go together.
#pragma once

#include <vector>

#include "config/inventory.hpp"
#include "policy/nouns.hpp"

namespace espalier::mesh {

// Gives the connection, whose children are there, the device that the settings name. Errors:
// kBadInput, kUnsupported: what of the other settings does not go with it.
Status lead_by_device(const config::PairSettings& settings, policy::Connection& connection);

// Of all connections of a host: those that share a device want the same one. Errors: kBadInput.
Status check_devices(const std::vector<policy::Connection>& connections);

}  // namespace espalier::mesh
