#include "mesh/manual.hpp"

#include <algorithm>

#include "mesh/secret.hpp"
#include "policy/selectors.hpp"

namespace espalier::mesh {
namespace {

using config::Host;
using config::Inventory;
using config::Manual;
using policy::KeyUse;
using policy::ManualKeys;
using policy::ManualTunnel;
using policy::SelectorList;

constexpr std::string_view kNames[] = {"encr",     "integ",    "encr-in",
                                       "integ-in", "encr-out", "integ-out"};

class KeyFileReader {
 public:
  KeyFileReader(const std::string& file, const crypto::CipherSuite& suite)
      : file_(file), suite_(suite) {}

  Status line(std::string_view text) {
    ++line_;
    while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    if (text.empty() || text[0] == '#') return {};
    const std::size_t colon = text.find(':');
    const std::string_view key = text.substr(0, std::min(colon, text.size()));
    const auto* known = std::find(std::begin(kNames), std::end(kNames), key);
    if (colon == std::string_view::npos || known == std::end(kNames)) {
      // What stands there may be a key: it is not shown.
      return fault(1,
                   "this is no line of keys; they are encr-in, integ-in, encr-out and integ-out, "
                   "or encr and integ, each with ': ' and its key");
    }
    std::size_t at = colon + 1;
    while (at < text.size() && text[at] == ' ') ++at;
    const unsigned column = static_cast<unsigned>(at + 1);
    auto value = parse_secret(text.substr(at));
    if (!value) return fault(column, value.error().message);
    const KeyUse use = key.substr(0, 4) == "encr" ? KeyUse::kEncryption : KeyUse::kAuthentication;
    if (const Status good = policy::check_manual_key(suite_, use, value->reveal()); !good) {
      return fault(column, "the key '" + std::string(key) + "' " + good.error().message);
    }
    const bool in = key.find("-out") == std::string_view::npos;
    const bool out = key.find("-in") == std::string_view::npos;
    if (in) TRY(put(use == KeyUse::kEncryption ? keys.encr_in : keys.integ_in, key, *value));
    if (out) TRY(put(use == KeyUse::kEncryption ? keys.encr_out : keys.integ_out, key, *value));
    return {};
  }

  Status end() {
    const std::pair<const SecretBytes*, const char*> kAll[] = {{&keys.encr_in, "encr-in"},
                                                               {&keys.integ_in, "integ-in"},
                                                               {&keys.encr_out, "encr-out"},
                                                               {&keys.integ_out, "integ-out"}};
    for (const auto& [key, name] : kAll) {
      if (key->empty()) {
        return fault(1, std::string("the key '") + name + "' is missing" +
                            "; 'espalier manual new' prints a whole file");
      }
    }
    return {};
  }

  ManualKeys keys;

 private:
  Status put(SecretBytes& into, std::string_view key, const SecretBytes& value) {
    if (!into.empty()) return fault(1, "the key '" + std::string(key) + "' is here a second time");
    into = value;
    return {};
  }
  Error fault(unsigned column, const std::string& message) const {
    return make_error(ErrorCode::kBadInput,
                      config::to_string(config::Diagnostic{file_, std::max(line_, 1u), column,
                                                           ErrorCode::kBadInput, message}));
  }

  const std::string& file_;
  const crypto::CipherSuite& suite_;
  unsigned line_ = 0;
};

SelectorList selectors(const std::vector<IpAddress>& addresses, const std::vector<Prefix>& nets) {
  SelectorList list;
  for (const IpAddress& ip : addresses) list.push_back(policy::from_prefix(Prefix::host(ip)));
  for (const Prefix& net : nets) {
    const policy::TrafficSelector selector = policy::from_prefix(net);
    std::erase_if(list, [&](const auto& one) { return policy::contains(selector, one); });
    list.push_back(selector);
  }
  return list;
}

void keep_common_families(SelectorList& local, SelectorList& remote) {
  const auto has = [](const SelectorList& list, Family family) {
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& one) { return one.start.family() == family; });
  };
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    if (has(local, family) && has(remote, family)) continue;
    const auto other = [&](const auto& one) { return one.start.family() == family; };
    std::erase_if(local, other);
    std::erase_if(remote, other);
  }
}

// The first address of the file's first host that has one of its family at the other end: both ends
// choose the same.
Status choose_addresses(const Manual& entry, const std::vector<IpAddress>& first,
                        const std::vector<IpAddress>& second, ManualTunnel& tunnel) {
  for (const IpAddress& a : first) {
    for (const IpAddress& b : second) {
      if (a.family() != b.family()) continue;
      tunnel.local = a;
      tunnel.remote = b;
      return {};
    }
  }
  return make_error(ErrorCode::kBadInput,
                    entry.name + " has no address family in common at its two ends");
}

// As the file's first host has it.
Result<ManualTunnel> as_written(const Inventory& inventory, const Manual& entry,
                                const Credentials& credentials) {
  const Host& host = *inventory.find_host(entry.host);
  const Host* other = entry.between_hosts ? inventory.find_host(entry.peer) : nullptr;
  ManualTunnel tunnel;
  tunnel.name = entry.host + "-" + entry.peer;
  tunnel.peer = entry.peer;
  tunnel.mode = entry.mode;
  tunnel.suite = entry.suite;
  tunnel.udp_encap = entry.udp_encap;
  tunnel.replay_window = entry.replay_window;
  tunnel.overlap = entry.overlap;
  const std::vector<IpAddress>& theirs = other != nullptr ? other->addresses : entry.addresses;
  TRY(choose_addresses(entry, host.addresses, theirs, tunnel));
  if (entry.mode == policy::Mode::kTransport) {
    tunnel.local_ts = selectors({tunnel.local}, {});
    tunnel.remote_ts = selectors({tunnel.remote}, {});
  } else {
    tunnel.local_ts = entry.local_subnets ? selectors({}, *entry.local_subnets)
                                          : selectors(host.addresses, host.subnets);
    tunnel.remote_ts = other != nullptr        ? selectors(other->addresses, other->subnets)
                       : entry.subnets.empty() ? selectors(entry.addresses, {})
                                               : selectors({}, entry.subnets);
    keep_common_families(tunnel.local_ts, tunnel.remote_ts);
    if (tunnel.local_ts.empty()) {
      return make_error(ErrorCode::kBadInput,
                        entry.name +
                            " protects nothing: its two ends have no networks of one "
                            "address family; write 'subnets' and 'local_subnets'");
    }
  }
  for (const config::ManualPeriod& period : entry.keys) {
    ManualKeys keys;
    if (!credentials.stand_ins) {
      const std::string path = "private/" + period.secret_file;
      const auto text = credentials.manual_keys.find(period.secret_file);
      if (text == credentials.manual_keys.end()) {
        return make_error(ErrorCode::kNotFound,
                          entry.name +
                              " needs its manual keys: put what 'espalier manual new' "
                              "prints into " +
                              path);
      }
      const ByteView view = text->second.reveal();
      TRY_ASSIGN(keys, parse_manual_keys({reinterpret_cast<const char*>(view.data()), view.size()},
                                         path, entry.suite));
    }
    keys.spi_in = period.spi_in;
    keys.spi_out = period.spi_out;
    keys.from = period.from;
    tunnel.keys.push_back(std::move(keys));
  }
  return tunnel;
}

void append_key(std::string& out, std::string_view name, const SecretBytes& key, bool printable) {
  const ByteView view = key.reveal();
  out.append(name).append(": ");
  if (printable) {
    out.append(reinterpret_cast<const char*>(view.data()), view.size());
  } else {
    std::string digits = to_hex(view);
    out.append("0x").append(digits);
    wipe({reinterpret_cast<std::uint8_t*>(digits.data()), digits.size()});
  }
  out += '\n';
}

}  // namespace

Result<ManualKeys> parse_manual_keys(std::string_view text, const std::string& file,
                                     const crypto::CipherSuite& suite) {
  KeyFileReader reader(file, suite);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    TRY(reader.line(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  TRY(reader.end());
  return std::move(reader.keys);
}

std::string manual_keys_text(const ManualKeys& keys, bool one, bool printable) {
  std::string out;
  out.reserve(1024);  // no copies of keys left behind by growth
  append_key(out, one ? "encr" : "encr-in", keys.encr_in, printable);
  append_key(out, one ? "integ" : "integ-in", keys.integ_in, printable);
  if (one) return out;
  append_key(out, "encr-out", keys.encr_out, printable);
  append_key(out, "integ-out", keys.integ_out, printable);
  return out;
}

Result<std::vector<ManualTunnel>> compile_manual(const Inventory& inventory, std::string_view self,
                                                 const Credentials& credentials) {
  std::vector<ManualTunnel> list;
  const Host& own = *inventory.find_host(self);
  for (const Manual& entry : inventory.manual) {
    if (entry.host != self && entry.peer != self) continue;
    TRY_ASSIGN(ManualTunnel tunnel, as_written(inventory, entry, credentials));
    if (entry.host != self) {
      tunnel = policy::mirrored(tunnel);
      tunnel.name = entry.peer + "-" + entry.host;
      tunnel.peer = entry.host;
    }
    const Host* other = inventory.find_host(tunnel.peer);
    config::PairSettings settings =
        other != nullptr ? inventory.settings_between(own, *other) : inventory.settings_of(own);
    if (!settings.only.empty()) {
      return make_error(ErrorCode::kUnsupported,
                        entry.name +
                            " has manual keys, with which 'only' is not supported yet: give its "
                            "hosts 'only: []', or the pair IKE");
    }
    if (settings.binding != policy::Binding() || settings.interface) {
      return make_error(ErrorCode::kUnsupported,
                        entry.name +
                            " has manual keys, with which 'if_id', 'mark' and 'interface' are not "
                            "supported yet: say them in the pairs that have IKE, not for all");
    }
    tunnel.except = std::move(settings.except);
    list.push_back(std::move(tunnel));
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return list;
}

}  // namespace espalier::mesh
