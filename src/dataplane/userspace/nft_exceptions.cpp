// Exceptions as nftables rules (nft_text.hpp). The two chains see the addresses that are on the
// wire, as protection does: in, from the peer; out, to it.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dataplane/userspace/nft_text.hpp"

namespace espalier::dataplane::userspace {
namespace {

using policy::Service;
using policy::Side;

// What of a prefix is in a network: nothing, or the narrower of the two.
std::vector<Prefix> inside(const std::vector<Prefix>& prefixes, const Prefix& net) {
  std::vector<Prefix> list;
  for (const Prefix& prefix : prefixes) {
    if (net.contains(prefix)) {
      list.push_back(prefix);
    } else if (prefix.contains(net)) {
      list.push_back(net);
    }
  }
  return list;
}

void add_pairs(const Service& service, const ProtectedPair& pair, std::vector<PrefixPairs>& into) {
  if (!service.net) return into.push_back({pair.local, pair.remote});
  into.push_back({inside(pair.local, *service.net), pair.remote});
  into.push_back({pair.local, inside(pair.remote, *service.net)});
}

// Nothing for what the family does not have.
std::string protocol_match(const Service& service, Family family) {
  const bool v4 = family == Family::kIpv4;
  if (service.protocol == 0) return "";
  if (service.protocol == policy::kProtocolIcmp) {
    return fmt::format("meta l4proto {} ", v4 ? 1 : policy::kProtocolIcmp6);
  }
  return fmt::format("meta l4proto {} ", service.protocol);
}

std::string port_match(const Service& service, const char* which) {
  if (service.first_port == service.last_port) {
    return fmt::format("th {} {} ", which, service.first_port);
  }
  return fmt::format("th {} {}-{} ", which, service.first_port, service.last_port);
}

class Chains {
 public:
  Chains(const HostNetwork& network, unsigned generation)
      : network_(network), generation_(generation) {}

  void add(const Service& service, const std::vector<PrefixPairs>& pairs, bool of_all) {
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const bool v4 = family == Family::kIpv4;
      if (service.protocol == policy::kProtocolIcmp6 && v4) continue;
      const std::vector<std::string> list = elements(network_, pairs, family);
      if (list.empty()) continue;
      const std::string where = of_all ? fmt::format("@protected{}_{}", v4 ? 4 : 6, generation_)
                                       : fmt::format("{{ {} }}", fmt::join(list, ", "));
      const std::string protocol = protocol_match(service, family);
      if (service.any_port()) {
        rule(protocol, protocol, v4, where);
        continue;
      }
      if (service.side != Side::kRemote) {
        rule(protocol + port_match(service, "dport"), protocol + port_match(service, "sport"), v4,
             where);
      }
      if (service.side != Side::kLocal) {
        rule(protocol + port_match(service, "sport"), protocol + port_match(service, "dport"), v4,
             where);
      }
    }
  }

  std::string text() const {
    if (in_.empty()) return "";
    return fmt::format("  chain except_in_{} {{\n{}  }}\n  chain except_out_{} {{\n{}  }}\n",
                       generation_, in_, generation_, out_);
  }

 private:
  void rule(const std::string& match_in, const std::string& match_out, bool v4,
            const std::string& where) {
    const char* ip = v4 ? "ip" : "ip6";
    in_ += fmt::format("    {}{} daddr . {} saddr {} meta mark set {:#010x} accept\n", match_in, ip,
                       ip, where, network_.fwmark);
    out_ += fmt::format("    {}{} saddr . {} daddr {} meta mark set {:#010x} accept\n", match_out,
                        ip, ip, where, network_.fwmark);
  }

  const HostNetwork& network_;
  unsigned generation_;
  std::string in_, out_;
};

}  // namespace

std::string exception_chains(const HostNetwork& network, unsigned generation) {
  std::map<Service, std::vector<const ProtectedPair*>> by_service;
  for (const ProtectedPair& pair : network.pairs) {
    for (const Service& service : pair.except) by_service[service].push_back(&pair);
  }
  Chains chains(network, generation);
  for (const auto& [service, pairs] : by_service) {
    std::vector<PrefixPairs> between;
    for (const ProtectedPair* pair : pairs) add_pairs(service, *pair, between);
    const bool of_all = pairs.size() == network.pairs.size() &&
                        std::all_of(pairs.begin(), pairs.end(),
                                    [](const ProtectedPair* pair) { return pair->closed; });
    chains.add(service, between, !service.net && of_all);
  }
  return chains.text();
}

}  // namespace espalier::dataplane::userspace
