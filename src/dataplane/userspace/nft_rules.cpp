// Protection as nftables rules (host_setup.hpp).
//
// Two hooks see everything that crosses the host's skin with the addresses that are on the wire:
// prerouting before destination NAT, and postrouting after source NAT. Local, forwarded, translated
// and containers' packets alike pass one of them; a rule in the output or input hook would miss a
// packet that NAT gives a protected address.
#include <fmt/format.h>

#include <algorithm>

#include "dataplane/userspace/host_setup.hpp"
#include "dataplane/userspace/nft_text.hpp"
#include "dataplane/userspace/prefix_cover.hpp"

namespace espalier::dataplane::userspace {
namespace {

std::vector<Prefix> of_family(const std::vector<Prefix>& prefixes, Family family) {
  std::vector<Prefix> list;
  for (const Prefix& prefix : prefixes) {
    if (prefix.ip.family() == family) list.push_back(prefix);
  }
  return list;
}

}  // namespace

std::vector<std::string> elements(const HostNetwork& network, std::span<const PrefixPairs> pairs,
                                  Family family) {
  std::vector<Prefix> locals;
  for (const PrefixPairs& pair : pairs) {
    for (const Prefix& prefix : of_family(pair.local, family)) locals.push_back(prefix);
  }
  const std::vector<Prefix> parts = disjoint_parts(std::move(locals));
  std::vector<std::vector<Prefix>> remotes_of(parts.size());
  for (const PrefixPairs& pair : pairs) {
    const std::vector<Prefix> remotes = of_family(pair.remote, family);
    for (const Prefix& local : of_family(pair.local, family)) {
      for (const Prefix& part : inside(local, parts)) {
        auto& list = remotes_of[static_cast<std::size_t>(&part - parts.data())];
        list.insert(list.end(), remotes.begin(), remotes.end());
      }
    }
  }
  std::vector<Prefix> holes = network.own_subnets;
  std::sort(holes.begin(), holes.end());
  std::vector<std::string> result;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    // Own subnets inside a peer's are holes, unless another peer's prefix covers the hole's inside
    // again: so the holes are cut first, and what contains what is asked afterwards.
    std::vector<Prefix> cut;
    for (const auto& remote : remotes_of[i]) {
      const auto left = subtract(remote, inside(remote, holes));
      cut.insert(cut.end(), left.begin(), left.end());
    }
    for (const auto& remote : without_contained(std::move(cut))) {
      result.push_back(fmt::format("{} . {}", parts[i].to_string(), remote.to_string()));
    }
  }
  return result;
}

namespace {

std::string set_text(const HostNetwork& network, Family family, unsigned generation) {
  const bool v4 = family == Family::kIpv4;
  const char* type = v4 ? "ipv4_addr" : "ipv6_addr";
  std::string text = fmt::format(
      "  set protected{}_{} {{  # local . remote\n"
      "    type {} . {}\n"
      "    flags interval\n",
      v4 ? 4 : 6, generation, type, type);
  std::vector<PrefixPairs> pairs;
  for (const ProtectedPair& pair : network.pairs) {
    if (pair.closed) pairs.push_back({pair.local, pair.remote});
  }
  const auto list = elements(network, pairs, family);
  if (!list.empty()) {
    text += "    elements = {\n";
    for (const auto& element : list) text += "      " + element + ",\n";
    text += "    }\n";
  }
  return text + "  }\n";
}

// What stays outside IPsec by itself:
// - ESP is protected already;
// - neighbour discovery and multicast listener reports keep the link alive (RFC 4861, RFC 2710, RFC
// 3810);
// - the two ICMP errors that path MTU discovery needs (RFC 1191 section 3, RFC 8201 section 4),
// because a
//   router on the way may be a peer too; other ICMP errors are not needed for a pair to work;
// - DHCP and DHCPv6 (RFC 2131 section 4.1, RFC 8415 section 7.2), because a peer may be the server.
constexpr std::string_view kOutside = R"(  chain outside_{generation} {{
    meta l4proto esp accept
    icmpv6 type {{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect }} accept
    icmpv6 type {{ mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }} accept
    icmp type destination-unreachable icmp code frag-needed accept
    icmpv6 type packet-too-big accept
    udp sport . udp dport {{ 67 . 67, 67 . 68, 68 . 67, 546 . 547, 547 . 546, 547 . 547 }} accept
  }}
)";

// Arriving. The mark on IKE and ESP to this host lets the reverse path check find the main table
// where the operator has it strict (with src_valid_mark). Fragments after the first carry no ports;
// without their first they are never delivered, and the first is judged here.
constexpr std::string_view kArriving = R"(  chain arriving_{generation} {{
    type filter hook prerouting priority mangle; policy accept;
    iifname {{ "lo", "{tun}" }} accept
    udp dport {{ {ike}, {natt} }} fib daddr type local meta mark set {mark:#010x} accept
    ip frag-off & 0x1fff != 0 accept
    frag frag-off != 0 accept
    jump outside_{generation}
{except_in}    ip daddr . ip saddr @protected4_{generation} counter name dropped_in drop
    ip6 daddr . ip6 saddr @protected6_{generation} counter name dropped_in drop
  }}
)";

// A client that renews its lease asks its server by unicast: the mark keeps that out of the TUN
// when the server is a peer.
constexpr std::string_view kOwn = R"(  chain own_{generation} {{
    type route hook output priority mangle; policy accept;
    udp sport . udp dport {{ 68 . 67, 546 . 547 }} meta mark set {mark:#010x}
{except_own}  }}
)";

// Leaving. Only the daemon's sockets and `espalier mtu`'s probes carry our mark (SO_MARK needs
// CAP_NET_ADMIN).
constexpr std::string_view kLeaving = R"(  chain leaving_{generation} {{
    type filter hook postrouting priority srcnat + 10; policy accept;
    oifname {{ "lo", "{tun}" }} accept
    meta mark {mark:#010x} udp sport {{ {ike}, {natt} }} accept
    meta mark {mark:#010x} udp dport {{ {ike}, {natt} }} accept
    jump outside_{generation}
{except_out}    ip saddr . ip daddr @protected4_{generation} counter name dropped_out drop
    ip6 saddr . ip6 daddr @protected6_{generation} counter name dropped_out drop
  }}
)";

}  // namespace

std::string protection_ruleset(const HostNetwork& network, unsigned generation) {
  std::string text = fmt::format(
      "table inet {} {{\n"
      "  counter dropped_in {{ }}\n"
      "  counter dropped_out {{ }}\n",
      kNftTable);
  text += set_text(network, Family::kIpv4, generation);
  text += set_text(network, Family::kIpv6, generation);
  const std::string exceptions = exception_chains(network, generation);
  text += exceptions;
  // Nothing of them where there are none.
  const auto jump = [&](std::string_view where) {
    return exceptions.empty() ? std::string() : fmt::format("    jump {}_{}\n", where, generation);
  };
  for (const auto part : {kOutside, kArriving, kOwn, kLeaving}) {
    text += fmt::format(
        fmt::runtime(part), fmt::arg("generation", generation), fmt::arg("tun", network.tun_name),
        fmt::arg("mark", network.fwmark), fmt::arg("ike", kIkePort), fmt::arg("natt", kNatTPort),
        fmt::arg("except_in", jump("except_in") + jump("except_out")),
        fmt::arg("except_own", jump("except_out")), fmt::arg("except_out", jump("except_out")));
  }
  return text + "}\n";
}

}  // namespace espalier::dataplane::userspace
