// `interface`: the device of a route-based pair.
#pragma once

#include "config/diagnostic.hpp"
#include "config/inventory.hpp"
#include "config/yaml_tree.hpp"

namespace espalier::config {

// Its value: a name, `none`, or a map. Nothing when it is wrong, which the diagnostics say.
Maybe<std::optional<policy::TunnelDevice>> read_interface(const YamlEntry& entry,
                                                          Diagnostics& diagnostics);

}  // namespace espalier::config
