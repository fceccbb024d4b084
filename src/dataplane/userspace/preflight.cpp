// Settings of the host that keep protected traffic from flowing (host_setup.hpp).
#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "dataplane/userspace/host_setup.hpp"

namespace espalier::dataplane::userspace {
namespace {

std::optional<int> setting(const std::string& proc_sys, const std::string& path) {
  std::ifstream file(proc_sys + "/" + path);
  int value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

std::vector<std::string> ipv4_devices(const std::string& proc_sys) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir((proc_sys + "/net/ipv4/conf").c_str()),
                                                   closedir);
  if (!folder) return names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (name[0] != '.' && name != "all" && name != "default" && name != "lo") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Strict reverse path filtering (RFC 3704 section 2.2): a reply to a peer's address would take the
// TUN, so what arrives from the peer by the wire looks as if it came in by the wrong door. The mark
// that our rules put on IKE and ESP helps where src_valid_mark is on, but ARP requests carry no
// mark, and a host that does not answer them is unreachable for peers on its own link. Loose
// filtering mends both.
void check_reverse_path(const HostNetwork& network, const std::string& proc_sys,
                        std::vector<Warning>& found) {
  const int all = setting(proc_sys, "net/ipv4/conf/all/rp_filter").value_or(0);
  for (const auto& device : ipv4_devices(proc_sys)) {
    if (device == network.tun_name) continue;
    const int own =
        setting(proc_sys, fmt::format("net/ipv4/conf/{}/rp_filter", device)).value_or(0);
    if (std::max(all, own) != 1) continue;
    found.push_back(
        {fmt::format("Reverse path filtering is strict on {}: IKE and ESP that arrive there from a "
                     "peer are dropped by the kernel, and ARP requests of peers go unanswered.",
                     device),
         fmt::format("sysctl -w net.ipv4.conf.{}.rp_filter=2", device)});
  }
}

void check_forwarding(const HostNetwork& network, const std::string& proc_sys,
                      std::vector<Warning>& found) {
  const auto behind = [&](Family family) {
    return std::find_if(network.own_subnets.begin(), network.own_subnets.end(),
                        [&](const Prefix& prefix) { return prefix.ip.family() == family; });
  };
  const auto none = network.own_subnets.end();
  if (const auto v4 = behind(Family::kIpv4);
      v4 != none && setting(proc_sys, "net/ipv4/ip_forward").value_or(1) == 0) {
    found.push_back(
        {fmt::format(
             "This host does not forward IPv4: peers cannot reach the hosts in {} behind it.",
             v4->to_string()),
         "sysctl -w net.ipv4.ip_forward=1"});
  }
  if (const auto v6 = behind(Family::kIpv6);
      v6 != none && setting(proc_sys, "net/ipv6/conf/all/forwarding").value_or(1) == 0) {
    found.push_back(
        {fmt::format(
             "This host does not forward IPv6: peers cannot reach the hosts in {} behind it.",
             v6->to_string()),
         "sysctl -w net.ipv6.conf.all.forwarding=1"});
  }
}

bool any_remote(const HostNetwork& network, Family family) {
  return std::any_of(network.pairs.begin(), network.pairs.end(), [&](const ProtectedPair& pair) {
    return std::any_of(pair.remote.begin(), pair.remote.end(),
                       [&](const Prefix& prefix) { return prefix.ip.family() == family; });
  });
}

}  // namespace

std::vector<Warning> preflight(const HostNetwork& network) {
  return preflight(network, "/proc/sys");
}

std::vector<Warning> preflight(const HostNetwork& network, const std::string& proc_sys) {
  std::vector<Warning> found;
  if (any_remote(network, Family::kIpv4)) check_reverse_path(network, proc_sys, found);
  check_forwarding(network, proc_sys, found);
  if (any_remote(network, Family::kIpv6)) {
    // The TUN takes the default when it is made.
    for (const char* scope : {"all", "default"}) {
      const std::string path = fmt::format("net/ipv6/conf/{}/disable_ipv6", scope);
      if (setting(proc_sys, path).value_or(0) == 0) continue;
      found.push_back(
          {fmt::format("IPv6 is off ({}) and peers have IPv6 addresses: they cannot be reached.",
                       scope),
           fmt::format("sysctl -w net.ipv6.conf.{}.disable_ipv6=0", scope)});
    }
  }
  return found;
}

}  // namespace espalier::dataplane::userspace
