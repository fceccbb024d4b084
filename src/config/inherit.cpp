#include "config/inherit.hpp"

#include <algorithm>

namespace espalier::config {
namespace {

bool same(const YamlNode& a, const YamlNode& b) {
  if (a.is_scalar() && b.is_scalar()) return a.text == b.text;
  if (a.is_list() && b.is_list()) {
    return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), &same);
  }
  if (!a.is_map() || !b.is_map()) return a.is_null() && b.is_null();
  return std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    [](const YamlEntry& x, const YamlEntry& y) {
                      return x.key == y.key && same(x.value, y.value);
                    });
}

bool by_key(const std::string& key) { return key == "lifetimes" || key == "proposals"; }

YamlEntry* find(YamlNode& map, const std::string& key) {
  const auto found = std::find_if(map.entries.begin(), map.entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  return found == map.entries.end() ? nullptr : &*found;
}

// One level of the groups' settings, with the group that said each.
class Together {
 public:
  Together(const std::string& host, Diagnostics& diagnostics)
      : host_(host), diagnostics_(diagnostics) {}

  void add(const YamlNode& own, const NamedSettings& group, const YamlNode& settings,
           YamlNode& into) {
    for (const YamlEntry& entry : settings.entries) {
      const YamlEntry* decided = own.find(entry.key);
      YamlEntry* there = find(into, entry.key);
      if (by_key(entry.key) && entry.value.is_map()) {
        static const YamlNode kNothing;
        if (decided != nullptr && !decided->value.is_map()) continue;
        if (there == nullptr) {
          into.entries.push_back(entry);
          into.entries.back().value.entries.clear();
          there = &into.entries.back();
        }
        add(decided != nullptr ? decided->value : kNothing, group, entry.value, there->value);
      } else if (decided != nullptr) {
        continue;
      } else if (there == nullptr) {
        into.entries.push_back(entry);
      } else if (!same(there->value, entry.value)) {
        diagnostics_.bad(entry.at, "'" + host_ + "' is in groups that say different '" + entry.key +
                                       "' (here, in '" + group.name + "', and at " +
                                       to_string(there->at) + "); say which in the host");
      }
    }
  }

 private:
  const std::string& host_;
  Diagnostics& diagnostics_;
};

void add_absent(YamlNode& own, const YamlNode& inherited) {
  for (const YamlEntry& entry : inherited.entries) {
    YamlEntry* there = find(own, entry.key);
    if (there == nullptr) {
      own.entries.push_back(entry);
    } else if (by_key(entry.key)) {
      add_absent(there->value, entry.value);
    }
  }
}

}  // namespace

YamlNode inherit(const std::string& host, const YamlNode& own,
                 const std::vector<NamedSettings>& groups, Diagnostics& diagnostics) {
  YamlNode inherited = own;
  inherited.entries.clear();
  Together together(host, diagnostics);
  for (const NamedSettings& group : groups) together.add(own, group, *group.map, inherited);
  YamlNode merged = own;
  add_absent(merged, inherited);
  return merged;
}

}  // namespace espalier::config
