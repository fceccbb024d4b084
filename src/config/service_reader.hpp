// Entries of `except` and `only`.
#pragma once

#include "base/shared_list.hpp"
#include "config/diagnostic.hpp"
#include "config/yaml_tree.hpp"
#include "policy/service.hpp"

namespace espalier::config {

// A word, a map, or a list of them. Faults are reported where they stand.
SharedList<policy::Service> read_services(const YamlEntry& entry, Diagnostics& diagnostics);

}  // namespace espalier::config
