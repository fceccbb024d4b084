// `manual:` of mesh.yaml: tunnels with manual keys.
#pragma once

#include "config/inventory.hpp"
#include "config/yaml_tree.hpp"

namespace espalier::config {

// Appends to inventory.manual; hosts and foreign peers have been read. Faults are reported.
void read_manual(const YamlNode& map, Inventory& inventory, Diagnostics& diagnostics);

// What no single tunnel shows: SPIs that clash at a host.
void check_manual(const Inventory& inventory, Diagnostics& diagnostics);

}  // namespace espalier::config
