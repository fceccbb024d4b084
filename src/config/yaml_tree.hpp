// YAML as a tree of text with places. Only what an inventory needs: maps, lists and scalars. What
// makes YAML surprising is refused with its place: duplicate keys, anchors, aliases, merge keys,
// tags, several documents.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.hpp"

namespace espalier::config {

struct YamlEntry;

struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Position at;
  std::string text;                // kScalar: as written, without quotes
  bool quoted = false;             // kScalar
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMap, in the file's order, no key twice
  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }
  const YamlEntry* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  Position at;  // of the key
  YamlNode value;
};

// "a map", "a list", "'text'", "nothing": for messages.
std::string describe(const YamlNode& node);

// Nothing when the text is no YAML at all; faults that leave a tree (a duplicate key) are reported
// too.
std::optional<YamlNode> parse_yaml(std::string_view text, Diagnostics& diagnostics);

}  // namespace espalier::config
