// The schema of mesh.yaml as one table: the loader asks it which keys there are and which of them
// this version honours, and the documentation is printed from it.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/yaml_tree.hpp"

namespace espalier::config {

enum class Scope : std::uint8_t {
  kTop,
  kSettings,
  kProposals,
  kLifetimes,
  kPpk,
  kService,
  kInterface,
  kHost,
  kForeign,
  kRedirect,
  kManual,
  kManualKeys,
  kManualSpi,
};

enum class Support : std::uint8_t {
  kHonoured,
  kPartly,  // some values are refused as not supported yet; the help says which
  kNotYet,  // the whole key is
};

struct SchemaKey {
  Scope scope = Scope::kTop;
  std::string_view key;
  std::string_view type;
  std::string_view values;
  std::string_view default_value;  // empty: none
  Support support = Support::kHonoured;
  std::string_view help;
};

std::span<const SchemaKey> schema();
const SchemaKey* find_key(Scope scope, std::string_view key);

// Reports every key of the map that none of the scopes has (with the nearest that they have), and
// every key that is not supported yet.
void check_keys(const YamlNode& map, std::initializer_list<Scope> scopes, Diagnostics& diagnostics);

// docs/generated/mesh-yaml.md.
std::string describe_schema();

}  // namespace espalier::config
