#include "config/manual_loader.hpp"

#include <algorithm>
#include <map>

#include "config/limits.hpp"
#include "config/scalars.hpp"
#include "config/schema.hpp"
#include "config/settings_reader.hpp"
#include "config/words.hpp"

namespace espalier::config {
namespace {

std::string quoted(std::string_view word) { return "'" + std::string(word.substr(0, 80)) + "'"; }

class ManualReader {
 public:
  ManualReader(Inventory& inventory, Diagnostics& diagnostics)
      : inventory_(inventory), diagnostics_(diagnostics) {}

  void read(const YamlEntry& entry) {
    Manual tunnel;
    tunnel.name = entry.key;
    tunnel.at = entry.at;
    if (!entry.value.is_map()) {
      diagnostics_.bad(entry.value.at, "the manual tunnel " + quoted(entry.key) + " has " +
                                           describe(entry.value) +
                                           "; it is a map with the keys spi and secret");
      return;
    }
    const YamlNode& map = entry.value;
    check_keys(map, {Scope::kManual}, diagnostics_);
    if (!read_ends(entry, map, tunnel)) return;
    if (const YamlEntry* suite = map.find("suite")) {
      if (const auto value = value_of(*suite, &policy::parse_manual_suite)) tunnel.suite = *value;
    }
    read_mode(map, tunnel);
    read_encap(entry, map, tunnel);
    if (const YamlEntry* window = map.find("replay_window")) read_replay(*window, tunnel);
    if (const YamlEntry* overlap = map.find("overlap")) read_overlap(*overlap, tunnel);
    read_keys(entry, map, tunnel);
    inventory_.manual.push_back(std::move(tunnel));
  }

 private:
  template <class T>
  std::optional<T> value_of(const YamlEntry& entry, Result<T> (*parse)(std::string_view)) {
    const YamlNode* node = scalar_of(entry, diagnostics_);
    if (node == nullptr) return std::nullopt;
    auto value = parse(node->text);
    if (value) return std::move(*value);
    diagnostics_.add(node->at, value.error().code, quoted(entry.key) + " " + value.error().message);
    return std::nullopt;
  }

  std::optional<std::string> word_of(const YamlEntry& entry,
                                     const std::vector<std::string_view>& words) {
    const YamlNode* node = scalar_of(entry, diagnostics_);
    if (node == nullptr) return std::nullopt;
    if (std::find(words.begin(), words.end(), node->text) != words.end()) return node->text;
    diagnostics_.bad(node->at, quoted(entry.key) + " is " + describe(*node) +
                                   ", which is no value of it" + suggestion(node->text, words));
    return std::nullopt;
  }

  // A-B: A a host, B another or a name of its own; names may have hyphens.
  bool read_ends(const YamlEntry& entry, const YamlNode& map, Manual& tunnel) {
    const std::string& key = entry.key;
    std::vector<PairKey> ways;  // here with the first name first
    for (std::size_t dash = key.find('-'); dash != std::string::npos;
         dash = key.find('-', dash + 1)) {
      PairKey way{key.substr(0, dash), key.substr(dash + 1)};
      if (inventory_.find_host(way.first) == nullptr || way.second.empty()) continue;
      // A known peer decides between several ways.
      if (inventory_.find_host(way.second) != nullptr)
        ways.insert(ways.begin(), way);
      else
        ways.push_back(way);
    }
    if (ways.empty()) {
      diagnostics_.bad(entry.at, quoted(key) +
                                     " names no host of ours; a manual tunnel is written A-B, A a "
                                     "host and B another host or the peer's name");
      return false;
    }
    tunnel.host = ways.front().first;
    tunnel.peer = ways.front().second;
    tunnel.between_hosts = inventory_.find_host(tunnel.peer) != nullptr;
    if (tunnel.host == tunnel.peer) {
      diagnostics_.bad(entry.at, quoted(key) + " pairs a host with itself");
      return false;
    }
    if (inventory_.find_foreign(tunnel.peer) != nullptr) {
      diagnostics_.bad(entry.at, quoted(tunnel.peer) +
                                     " is a foreign peer, and each host has IKE with it; a peer "
                                     "with manual keys stands in 'manual' alone");
      return false;
    }
    const auto taken = ends_.emplace(pair_key(tunnel.host, tunnel.peer), entry.at);
    if (!taken.second) {
      diagnostics_.bad(entry.at, "the pair of '" + tunnel.host + "' and '" + tunnel.peer +
                                     "' stands here a second time; it is first at " +
                                     to_string(taken.first->second) +
                                     "; keys that follow one another are a list under 'keys'");
    }
    if (tunnel.between_hosts) return no_place_of_its_own(map, tunnel);
    return read_place(entry, map, tunnel);
  }

  bool no_place_of_its_own(const YamlNode& map, const Manual& tunnel) {
    for (const std::string_view key : {"address", "subnets", "local_subnets"}) {
      const YamlEntry* entry = map.find(key);
      if (entry == nullptr) continue;
      diagnostics_.bad(entry->at, quoted(tunnel.peer) + " is a host of this mesh, which says its " +
                                      "addresses and networks itself; take " + quoted(key) +
                                      " out");
    }
    return true;
  }

  std::vector<Prefix> prefixes_of(const YamlEntry& entry) {
    std::vector<Prefix> list;
    for (const YamlNode* node : scalars_of(entry, kMaxSubnets, diagnostics_)) {
      const auto prefix = parse_subnet(node->text);
      if (prefix) {
        list.push_back(*prefix);
      } else {
        diagnostics_.add(node->at, prefix.error().code,
                         quoted(entry.key) + " " + prefix.error().message);
      }
    }
    if (entry.value.is_list() && entry.value.items.empty()) {
      diagnostics_.bad(entry.value.at, quoted(entry.key) + " is an empty list; leave it out");
    }
    return list;
  }

  bool read_place(const YamlEntry& entry, const YamlNode& map, Manual& tunnel) {
    if (const Status good = check_host_name(tunnel.peer); !good) {
      diagnostics_.bad(entry.at, good.error().message);
    }
    const YamlEntry* address = map.find("address");
    if (address == nullptr) {
      std::vector<std::string_view> names;
      for (const Host& host : inventory_.hosts) names.push_back(host.name);
      const std::string_view near = nearest(tunnel.peer, names);
      diagnostics_.bad(entry.at,
                       quoted(tunnel.peer) + " is no host, and has no 'address'" +
                           (near.empty() ? "" : "; did you mean '" + std::string(near) + "'?"));
      return false;
    }
    if (const auto ip = value_of(*address, &parse_host_address)) tunnel.addresses = {*ip};
    if (const YamlEntry* subnets = map.find("subnets")) tunnel.subnets = prefixes_of(*subnets);
    if (const YamlEntry* local = map.find("local_subnets")) {
      tunnel.local_subnets = prefixes_of(*local);
    }
    return true;
  }

  void read_mode(const YamlNode& map, Manual& tunnel) {
    const YamlEntry* entry = map.find("mode");
    if (entry == nullptr) return;
    const auto word = word_of(*entry, {"tunnel", "transport"});
    if (!word || *word == "tunnel") return;
    tunnel.mode = policy::Mode::kTransport;
    if (!diagnostics_.accepts().transport_mode) {
      diagnostics_.unsupported(entry->value.at, "'mode: transport'", kNeedsKernelPlane);
    }
    for (const std::string_view key : {"subnets", "local_subnets"}) {
      const YamlEntry* networks = map.find(key);
      if (networks == nullptr) continue;
      diagnostics_.bad(networks->at, quoted(key) +
                                         " needs mode: tunnel; transport mode is between the two "
                                         "addresses alone (RFC 4301 section 4.1)");
    }
  }

  void read_encap(const YamlEntry& tunnel_entry, const YamlNode& map, Manual& tunnel) {
    const YamlEntry* entry = map.find("encap");
    if (entry != nullptr) {
      const auto word = word_of(*entry, {"always", "never"});
      tunnel.udp_encap = word == "always";
    }
    if (!tunnel.udp_encap && !diagnostics_.accepts().bare_esp) {
      diagnostics_.unsupported(
          entry != nullptr ? entry->value.at : tunnel_entry.at, "ESP without UDP",
          "write 'encap: always' where the peer can, or: " + std::string(kNeedsKernelPlane));
    }
  }

  // "a compliant implementation SHOULD NOT provide anti-replay service" with manual keys (RFC 4303
  // section 3.3.3), so it is off unless asked for.
  void read_replay(const YamlEntry& entry, Manual& tunnel) {
    const YamlNode* node = scalar_of(entry, diagnostics_);
    if (node == nullptr || node->text == "off" || node->text == "0") return;
    const auto number = parse_number(node->text);
    if (!number || *number < 32 || *number > 4096) {
      diagnostics_.bad(node->at, "'replay_window' is " + describe(*node) +
                                     "; it can be off, or 32 to 4096 packets");
      return;
    }
    // "the sequence number counter at the sender MUST be correctly maintained across local reboots"
    if (tunnel.between_hosts) {
      diagnostics_.unsupported(node->at, "'replay_window' between two hosts with manual keys",
                               "their sequence numbers start again when they boot, and would be "
                               "dropped until they pass those of before: leave it off");
      return;
    }
    tunnel.replay_window = static_cast<std::uint32_t>(*number);
  }

  void read_overlap(const YamlEntry& entry, Manual& tunnel) {
    const auto time = value_of(entry, &parse_duration);
    if (!time) return;
    if (*time < 1s || *time > 24h * 30) {
      diagnostics_.bad(entry.value.at,
                       "'overlap' is '" + entry.value.text + "'; it can be 1s to 30d");
      return;
    }
    tunnel.overlap = *time;
  }

  void read_keys(const YamlEntry& entry, const YamlNode& map, Manual& tunnel) {
    const YamlEntry* list = map.find("keys");
    if (list == nullptr) {
      if (map.find("spi") == nullptr || map.find("secret") == nullptr) {
        diagnostics_.bad(entry.at,
                         quoted(entry.key) + " needs 'spi' and 'secret', or a list 'keys' of them");
        return;
      }
      read_period(map, entry.at, tunnel);
      return;
    }
    for (const std::string_view key : {"spi", "secret"}) {
      if (const YamlEntry* double_said = map.find(key)) {
        diagnostics_.bad(double_said->at, quoted(key) + " stands beside 'keys', which says it too");
      }
    }
    if (!list->value.is_list() || list->value.items.empty()) {
      diagnostics_.bad(list->value.at, "'keys' is " + describe(list->value) +
                                           " where a list of maps with spi, secret and from "
                                           "belongs");
      return;
    }
    if (list->value.items.size() > kMaxManualPeriods) {
      diagnostics_.add(list->value.at, ErrorCode::kLimit,
                       "'keys' has " + std::to_string(list->value.items.size()) +
                           " entries; at most " + std::to_string(kMaxManualPeriods) +
                           " are kept: take out those that are over");
      return;
    }
    for (const YamlNode& item : list->value.items) {
      if (!item.is_map()) {
        diagnostics_.bad(item.at, "the list 'keys' has " + describe(item) +
                                      " where a map with spi, secret and from belongs");
        continue;
      }
      check_keys(item, {Scope::kManualKeys}, diagnostics_);
      read_period(item, item.at, tunnel);
    }
    check_order(tunnel);
  }

  void check_order(const Manual& tunnel) {
    for (std::size_t i = 1; i < tunnel.keys.size(); ++i) {
      const ManualPeriod& period = tunnel.keys[i];
      if (!period.from) {
        diagnostics_.bad(period.at,
                         "keys after the first need 'from', the time from when on they are used");
      } else if (tunnel.keys[i - 1].from && *period.from <= *tunnel.keys[i - 1].from) {
        diagnostics_.bad(period.at, "these keys are not from later than those before them");
      }
    }
  }

  void read_period(const YamlNode& map, Position at, Manual& tunnel) {
    ManualPeriod period;
    period.at = at;
    const YamlEntry* spi = map.find("spi");
    const YamlEntry* secret = map.find("secret");
    if (spi == nullptr || secret == nullptr) {
      diagnostics_.bad(at, "these keys need 'spi' and 'secret'");
      return;
    }
    const bool good = read_spi(*spi, period);
    period.secret_file = secret_file_of(*secret, diagnostics_);
    if (const YamlEntry* from = map.find("from")) {
      period.from = value_of(*from, &parse_utc_time);
    }
    if (good) tunnel.keys.push_back(std::move(period));
  }

  bool read_spi(const YamlEntry& entry, ManualPeriod& period) {
    if (entry.value.is_scalar()) {
      const auto both = value_of(entry, &policy::parse_manual_spi);
      if (!both) return false;
      period.spi_in = period.spi_out = *both;
      return true;
    }
    const YamlEntry* in = entry.value.is_map() ? entry.value.find("in") : nullptr;
    const YamlEntry* out = entry.value.is_map() ? entry.value.find("out") : nullptr;
    if (in == nullptr || out == nullptr) {
      diagnostics_.bad(entry.value.at,
                       "'spi' is one number for both directions, or {in: N, out: N} as the first "
                       "host has them");
      return false;
    }
    check_keys(entry.value, {Scope::kManualSpi}, diagnostics_);
    const auto spi_in = value_of(*in, &policy::parse_manual_spi);
    const auto spi_out = value_of(*out, &policy::parse_manual_spi);
    if (!spi_in || !spi_out) return false;
    period.spi_in = *spi_in;
    period.spi_out = *spi_out;
    return true;
  }

  Inventory& inventory_;
  Diagnostics& diagnostics_;
  std::map<PairKey, Position> ends_;
};

}  // namespace

void read_manual(const YamlNode& map, Inventory& inventory, Diagnostics& diagnostics) {
  if (map.entries.size() > kMaxManual) {
    diagnostics.add(map.entries[kMaxManual].at, ErrorCode::kLimit,
                    "there are " + std::to_string(map.entries.size()) +
                        " manual tunnels; at most " + std::to_string(kMaxManual) +
                        " are supported");
    return;
  }
  ManualReader reader(inventory, diagnostics);
  for (const YamlEntry& entry : map.entries) reader.read(entry);
}

void check_manual(const Inventory& inventory, Diagnostics& diagnostics) {
  // A receiver finds an SA by the SPI alone (RFC 4301 section 4.1).
  struct Taken {
    const Manual* tunnel;
    Position at;
  };
  std::map<std::pair<std::string, Spi>, Taken> receives;
  const auto claim = [&](const std::string& host, Spi spi, const Manual& tunnel, Position at) {
    const auto [first, fresh] = receives.emplace(std::make_pair(host, spi), Taken{&tunnel, at});
    if (fresh) return;
    diagnostics.bad(at, "SPI " + policy::spi_words(spi) + " of " + quoted(tunnel.name) +
                            " is taken: " + quoted(host) + " receives with it for " +
                            quoted(first->second.tunnel->name) + " at " +
                            to_string(first->second.at));
  };
  std::map<std::string, const Manual*> strangers;
  for (const Manual& tunnel : inventory.manual) {
    if (!tunnel.between_hosts) {
      const Manual* first = strangers.emplace(tunnel.peer, &tunnel).first->second;
      if (first->addresses != tunnel.addresses) {
        diagnostics.bad(tunnel.at, quoted(tunnel.peer) + " has another address here than at " +
                                       to_string(first->at));
      }
    }
    for (const ManualPeriod& period : tunnel.keys) {
      claim(tunnel.host, period.spi_in, tunnel, period.at);
      claim(tunnel.peer, period.spi_out, tunnel, period.at);
    }
  }
}

}  // namespace espalier::config
