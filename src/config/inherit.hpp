// What a host takes over from its groups. Private to the room.
#pragma once

#include <string>
#include <vector>

#include "config/yaml_tree.hpp"

namespace espalier::config {

struct NamedSettings {
  std::string name;
  const YamlNode* map;
};

// `own` with every setting that it does not have itself and a group has; `lifetimes` and
// `proposals` are taken over key by key. A fault is reported where two groups say different things
// and the host does not decide. Places stay those of the file.
YamlNode inherit(const std::string& host, const YamlNode& own,
                 const std::vector<NamedSettings>& groups, Diagnostics& diagnostics);

}  // namespace espalier::config
