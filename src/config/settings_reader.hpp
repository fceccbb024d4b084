// The settings that defaults, hosts, foreign peers and pairs have in common.
#pragma once

#include <string_view>
#include <vector>

#include "config/inventory.hpp"
#include "config/yaml_tree.hpp"

namespace espalier::config {

// Reads the settings among the map's keys; other keys are left to the caller (check_keys() reports
// the unknown ones).
SettingsLayer read_settings(const YamlNode& map, Diagnostics& diagnostics);

// The settings keys that read_settings() knows: the schema's test compares.
std::vector<std::string_view> settings_with_reader();

// One scalar or a list of scalars, as a list; reports anything else, and more than `most`.
std::vector<const YamlNode*> scalars_of(const YamlEntry& entry, std::size_t most,
                                        Diagnostics& diagnostics);
// The entry's scalar; reports a map, a list or nothing, and returns null.
const YamlNode* scalar_of(const YamlEntry& entry, Diagnostics& diagnostics);

// The file below private/ that `secret: "file:NAME"` names; a fault is reported, and "" returned.
std::string secret_file_of(const YamlEntry& entry, Diagnostics& diagnostics);

// Keys of a foreign peer alone: `null_auth` and `redirect`. A fault is reported.
policy::NullAuth null_auth_of(const YamlEntry& entry, Diagnostics& diagnostics);
policy::Redirect redirect_of(const YamlEntry& entry, Diagnostics& diagnostics);

}  // namespace espalier::config
