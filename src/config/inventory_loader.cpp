// mesh.yaml, part by part, into an Inventory.
#include <algorithm>

#include "config/inherit.hpp"
#include "config/inventory.hpp"
#include "config/inventory_checks.hpp"
#include "config/limits.hpp"
#include "config/manual_loader.hpp"
#include "config/scalars.hpp"
#include "config/schema.hpp"
#include "config/settings_reader.hpp"
#include "config/words.hpp"
#include "policy/identity.hpp"

namespace espalier::config {
namespace {

std::string quoted(std::string_view word) { return "'" + std::string(word.substr(0, 80)) + "'"; }

class Loader {
 public:
  Loader(Inventory& inventory, Diagnostics& diagnostics)
      : inventory_(inventory), diagnostics_(diagnostics) {}

  void read(const YamlNode& root) {
    if (!root.is_map()) {
      diagnostics_.bad(root.is_null() ? Position{1, 1} : root.at,
                       "the file has " + describe(root) +
                           " at its top; an inventory is a map with the keys mesh and hosts");
      return;
    }
    check_keys(root, {Scope::kTop}, diagnostics_);
    read_mesh(root);
    if (const YamlNode* map = map_of(root, "defaults")) {
      check_keys(*map, {Scope::kSettings}, diagnostics_);
      inventory_.defaults = read_settings(*map, diagnostics_);
    }
    // Before the hosts, which name them.
    if (const YamlNode* map = map_of(root, "groups")) {
      each(*map, kMaxGroups, "groups", [&](const YamlEntry& entry) { read_group(entry); });
    }
    if (root.find("hosts") == nullptr) {
      diagnostics_.bad(root.at,
                       "the key 'hosts' is missing: the hosts of the mesh and their addresses");
    }
    if (const YamlNode* map = map_of(root, "hosts")) {
      each(*map, kMaxHosts, "hosts", [&](const YamlEntry& entry) { read_host(entry); });
    }
    if (const YamlNode* map = map_of(root, "foreign")) {
      each(*map, kMaxForeign, "foreign peers",
           [&](const YamlEntry& entry) { read_foreign(entry); });
    }
    if (const YamlNode* map = map_of(root, "manual")) {
      read_manual(*map, inventory_, diagnostics_);
    }
    // Last, because their names have to be known.
    if (const YamlNode* map = map_of(root, "pairs")) {
      each(*map, kMaxPairs, "pairs", [&](const YamlEntry& entry) { read_pair(entry); });
    }
  }

 private:
  template <class F>
  void each(const YamlNode& map, std::size_t most, std::string_view what, F read_one) {
    if (map.entries.size() > most) {
      diagnostics_.add(map.entries[most].at, ErrorCode::kLimit,
                       "there are " + std::to_string(map.entries.size()) + " " + std::string(what) +
                           "; at most " + std::to_string(most) + " are supported");
      return;
    }
    for (const YamlEntry& entry : map.entries) read_one(entry);
  }

  // The map below a key of the top; an empty `foreign:` counts as absent only if it says {}.
  const YamlNode* map_of(const YamlNode& root, std::string_view key) {
    const YamlEntry* entry = root.find(key);
    if (entry == nullptr) return nullptr;
    if (entry->value.is_map()) return &entry->value;
    diagnostics_.bad(entry->value.at,
                     quoted(key) + " is " + describe(entry->value) + " where a map belongs");
    return nullptr;
  }

  void read_mesh(const YamlNode& root) {
    const YamlEntry* entry = root.find("mesh");
    if (entry == nullptr) {
      diagnostics_.bad(
          root.at, "the key 'mesh' is missing: the mesh's name, which goes into every derived key");
      return;
    }
    const YamlNode* node = scalar_of(*entry, diagnostics_);
    if (node == nullptr) return;
    if (const Status good = check_mesh_name(node->text); !good) {
      diagnostics_.bad(node->at, good.error().message);
    }
    inventory_.mesh = node->text;
  }

  void check_name(const YamlEntry& entry) {
    if (const Status good = check_host_name(entry.key); !good) {
      diagnostics_.bad(entry.at, good.error().message);
    }
  }

  template <class T>
  std::vector<T> read_values(const YamlEntry& entry, std::size_t most,
                             Result<T> (*parse)(std::string_view)) {
    std::vector<T> values;
    for (const YamlNode* node : scalars_of(entry, most, diagnostics_)) {
      const auto value = parse(node->text);
      if (!value) {
        diagnostics_.add(node->at, value.error().code,
                         quoted(entry.key) + " " + value.error().message);
      } else if (std::find(values.begin(), values.end(), value.value()) != values.end()) {
        diagnostics_.bad(node->at,
                         quoted(entry.key) + " has " + quoted(node->text) + " a second time");
      } else {
        values.push_back(value.value());
      }
    }
    return values;
  }

  std::vector<IpAddress> read_addresses(const YamlEntry& entry) {
    if (entry.value.is_list() && entry.value.items.empty()) {
      diagnostics_.bad(entry.value.at, "'address' is an empty list; a host needs an address");
    }
    return read_values<IpAddress>(entry, kMaxAddresses, &parse_host_address);
  }

  using ParseIdentity = Result<policy::Identity> (*)(std::string_view text);
  policy::Identity read_identity(const YamlNode& map, const std::string& name, ParseIdentity parse,
                                 const char* key = "id") {
    const YamlEntry* entry = map.find(key);
    const YamlNode* node = entry == nullptr ? nullptr : scalar_of(*entry, diagnostics_);
    if (node == nullptr) return {wire::ike::IdType::kFqdn, to_vector(as_bytes(name))};
    auto id = parse(node->text);
    if (id) return std::move(id).value();
    const bool later = id.error().code == ErrorCode::kUnsupported;
    diagnostics_.add(node->at, later ? ErrorCode::kUnsupported : ErrorCode::kBadInput,
                     id.error().message);
    return {};
  }

  void read_host(const YamlEntry& entry) {
    check_name(entry);
    Host host;
    host.name = entry.key;
    host.at = entry.at;
    if (entry.value.is_map()) {
      check_keys(entry.value, {Scope::kHost, Scope::kSettings}, diagnostics_);
      if (const YamlEntry* address = entry.value.find("address")) {
        host.addresses = read_addresses(*address);
      } else {
        diagnostics_.bad(entry.at, "host " + quoted(entry.key) + " has no 'address'");
      }
      if (const YamlEntry* subnets = entry.value.find("subnets")) {
        host.subnets = read_values<Prefix>(*subnets, kMaxSubnets, &parse_subnet);
      }
      host.settings = read_settings(with_groups(entry, entry.value), diagnostics_);
    } else if (entry.value.is_scalar()) {
      const YamlEntry shorthand{"address", entry.at, entry.value};
      host.addresses = read_addresses(shorthand);
    } else {
      diagnostics_.bad(entry.value.at, "host " + quoted(entry.key) + " has " +
                                           describe(entry.value) +
                                           "; write its address, or a map with the key address");
    }
    host.id = read_identity(entry.value, host.name, &policy::parse_identity);
    inventory_.hosts.push_back(std::move(host));
  }

  void read_group(const YamlEntry& entry) {
    check_name(entry);
    if (!entry.value.is_map()) {
      diagnostics_.bad(entry.value.at, "the group " + quoted(entry.key) + " has " +
                                           describe(entry.value) +
                                           " where a map of settings belongs");
      return;
    }
    check_keys(entry.value, {Scope::kSettings}, diagnostics_);
    (void)read_settings(entry.value, diagnostics_);  // faults of a group that no host is in
    groups_.emplace(entry.key, &entry.value);
  }

  // The host's map with what its groups say added; its own words stand.
  YamlNode with_groups(const YamlEntry& host, const YamlNode& map) {
    const YamlEntry* list = map.find("groups");
    if (list == nullptr) return map;
    std::vector<NamedSettings> groups;
    for (const YamlNode* node : scalars_of(*list, kMaxGroups, diagnostics_)) {
      const auto found = groups_.find(node->text);
      if (found != groups_.end()) {
        groups.push_back({node->text, found->second});
        continue;
      }
      std::vector<std::string_view> known;
      for (const auto& [name, settings] : groups_) known.push_back(name);
      diagnostics_.bad(node->at,
                       "there is no group " + quoted(node->text) + suggestion(node->text, known));
    }
    return inherit(host.key, map, groups, diagnostics_);
  }

  void read_foreign(const YamlEntry& entry) {
    check_name(entry);
    Foreign peer;
    peer.name = entry.key;
    peer.at = entry.at;
    const YamlNode& map = entry.value;
    if (!map.is_map()) {
      diagnostics_.bad(map.at, "foreign peer " + quoted(entry.key) + " has " + describe(map) +
                                   "; it is a map with the keys address, subnets, id and secret");
      return;
    }
    check_keys(map, {Scope::kForeign, Scope::kSettings}, diagnostics_);
    if (const YamlEntry* nat = map.find("nat")) peer.nat = read_nat(*nat);
    if (const YamlEntry* address = map.find("address")) {
      peer.addresses = read_addresses(*address);
    } else if (!peer.nat) {
      diagnostics_.bad(entry.at, "foreign peer " + quoted(entry.key) +
                                     " has no 'address'; only one with 'nat: true' can do without");
    }
    if (const YamlEntry* subnets = map.find("subnets")) {
      peer.subnets = read_values<Prefix>(*subnets, kMaxSubnets, &parse_subnet);
    } else if (peer.nat) {
      diagnostics_.bad(entry.at,
                       "foreign peer " + quoted(entry.key) +
                           " has no 'subnets', but behind NAT they are all that can be protected");
    }
    if (const YamlEntry* local = map.find("local_subnets")) {
      peer.local_subnets = read_values<Prefix>(*local, kMaxSubnets, &parse_subnet);
      if (local->value.is_list() && local->value.items.empty()) {
        diagnostics_.bad(
            local->value.at,
            "'local_subnets' is an empty list, which would offer nothing; leave it out");
      }
    }
    if (const YamlEntry* secret = map.find("secret")) {
      peer.secret_file = secret_file_of(*secret, diagnostics_);
    }
    if (const YamlEntry* which = map.find("null_auth")) read_null_auth(*which, map, peer);
    if (const YamlEntry* redirect = map.find("redirect")) {
      peer.redirect = redirect_of(*redirect, diagnostics_);
    }
    if (const YamlEntry* version = map.find("version")) read_version(*version);
    peer.settings = read_settings(map, diagnostics_);
    peer.id = read_identity(map, peer.name, &policy::parse_identity_pattern);
    if (map.find("local_id") != nullptr) {
      peer.local_id = read_identity(map, "", &policy::parse_identity, "local_id");
    }
    inventory_.foreign.push_back(std::move(peer));
  }

  // Who proves nothing has no identity to be told.
  void read_null_auth(const YamlEntry& entry, const YamlNode& map, Foreign& peer) {
    peer.null_auth = null_auth_of(entry, diagnostics_);
    const YamlEntry* id = map.find("id");
    if (id != nullptr && policy::peer_is_anonymous(peer.null_auth)) {
      diagnostics_.bad(id->at, "'id' is of a peer that does not prove it ('null_auth: " +
                                   entry.value.text + "'); take one of them out");
    }
    const YamlEntry* local = map.find("local_id");
    if (local != nullptr && policy::we_are_anonymous(peer.null_auth)) {
      diagnostics_.bad(local->at, "'local_id' is of hosts that do not prove it ('null_auth: " +
                                      entry.value.text + "'); take one of them out");
    }
  }

  bool read_nat(const YamlEntry& entry) {
    const YamlNode* node = scalar_of(entry, diagnostics_);
    if (node == nullptr) return false;
    const auto value = parse_switch(node->text);
    if (value) return value.value();
    diagnostics_.bad(node->at, "'nat' " + value.error().message);
    return false;
  }

  void read_version(const YamlEntry& entry) {
    const YamlNode* node = scalar_of(entry, diagnostics_);
    if (node == nullptr || node->text == "2") return;
    if (node->text == "1") {
      diagnostics_.unsupported(node->at, "'version: 1'", "leave it out for IKEv2");
    } else {
      diagnostics_.bad(node->at, "'version' is " + describe(*node) + "; it can be 1 or 2");
    }
  }

  bool known(std::string_view name) const {
    return inventory_.find_host(name) != nullptr || inventory_.find_foreign(name) != nullptr;
  }

  // Every way to read A-B with both names known; names may have hyphens themselves.
  std::vector<PairKey> splits(const std::string& key) const {
    std::vector<PairKey> found;
    for (std::size_t dash = key.find('-'); dash != std::string::npos;
         dash = key.find('-', dash + 1)) {
      const std::string a = key.substr(0, dash);
      const std::string b = key.substr(dash + 1);
      if (!known(a) || !known(b)) continue;
      const PairKey pair = pair_key(a, b);
      if (std::find(found.begin(), found.end(), pair) == found.end()) found.push_back(pair);
    }
    return found;
  }

  void read_pair(const YamlEntry& entry) {
    const std::vector<PairKey> ways = splits(entry.key);
    if (ways.empty()) {
      diagnostics_.bad(entry.at, quoted(entry.key) + " names no pair" + pair_hint(entry.key));
      return;
    }
    if (ways.size() > 1) {
      diagnostics_.bad(entry.at, quoted(entry.key) + " can be read in two ways: '" + ways[0].first +
                                     "' with '" + ways[0].second + "', and '" + ways[1].first +
                                     "' with '" + ways[1].second +
                                     "'; give one of the hosts another name");
      return;
    }
    const auto& [a, b] = ways[0];
    if (a == b) {
      diagnostics_.bad(entry.at, quoted(entry.key) + " pairs a host with itself");
      return;
    }
    if (inventory_.find_host(a) == nullptr && inventory_.find_host(b) == nullptr) {
      diagnostics_.bad(
          entry.at,
          quoted(entry.key) + " pairs two foreign peers, between which this mesh has no say");
      return;
    }
    if (!entry.value.is_map()) {
      diagnostics_.bad(entry.value.at, "the pair " + quoted(entry.key) + " has " +
                                           describe(entry.value) +
                                           " where a map of settings belongs");
      return;
    }
    check_keys(entry.value, {Scope::kSettings}, diagnostics_);
    SettingsLayer layer = read_settings(entry.value, diagnostics_);
    if (entry.key != a + "-" + b) {
      flip(layer.except);
      flip(layer.only);
    }
    const auto [at, fresh] = pair_places_.emplace(ways[0], entry.at);
    if (!fresh) {
      diagnostics_.bad(entry.at, "the pair of '" + a + "' and '" + b +
                                     "' stands here a second time; it is first at " +
                                     to_string(at->second));
      return;
    }
    inventory_.pairs.emplace(ways[0], layer);
  }

  // `local` of a pair's entry is the end that is named first there.
  static void flip(Maybe<SharedList<policy::Service>>& services) {
    if (!services) return;
    std::vector<policy::Service> list = services->value;
    for (policy::Service& service : list) service = policy::flipped(service);
    services->value = std::move(list);
  }

  std::string pair_hint(const std::string& key) const {
    for (std::size_t dash = key.find('-'); dash != std::string::npos;
         dash = key.find('-', dash + 1)) {
      const std::string a = key.substr(0, dash);
      const std::string b = key.substr(dash + 1);
      if (known(a) == known(b)) continue;
      std::vector<std::string_view> names;
      for (const Host& host : inventory_.hosts) names.push_back(host.name);
      for (const Foreign& peer : inventory_.foreign) names.push_back(peer.name);
      const std::string& other = known(a) ? b : a;
      return ": there is no host " + quoted(other) + suggestion(other, names);
    }
    return "; a pair is written A-B with the names of two hosts, or of a host and a foreign peer";
  }

  Inventory& inventory_;
  Diagnostics& diagnostics_;
  std::map<PairKey, Position> pair_places_;
  std::map<std::string, const YamlNode*> groups_;
};

}  // namespace

LoadOutcome load_inventory(std::string_view text, std::string file, Features accepts) {
  Diagnostics diagnostics(file, accepts);
  LoadOutcome outcome;
  Inventory inventory;
  inventory.file = std::move(file);
  if (const std::optional<YamlNode> root = parse_yaml(text, diagnostics)) {
    Loader(inventory, diagnostics).read(*root);
    check_inventory(inventory, diagnostics);
  }
  if (diagnostics.empty()) outcome.inventory = std::move(inventory);
  outcome.diagnostics = diagnostics.take_sorted();
  return outcome;
}

}  // namespace espalier::config
