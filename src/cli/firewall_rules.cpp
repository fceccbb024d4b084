#include "cli/firewall_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "dataplane/userspace/ours.hpp"

namespace espalier::cli {
namespace {

using dataplane::userspace::kTunName;

// Whom IKE and ESP come from, by family.
struct Peers {
  std::set<IpAddress> v4, v6;
  bool anywhere = false;  // one is behind NAT, or has no address at all
  bool forwards = false;  // there are networks behind hosts
};

Peers peers_of(const mesh::HostPlan& plan) {
  Peers peers;
  peers.forwards = !plan.own_subnets.empty();
  const auto add = [&peers](const policy::Connection& connection) {
    if (connection.behind_nat || connection.remote_addresses.empty()) peers.anywhere = true;
    for (const IpAddress& address : connection.remote_addresses) {
      (address.is_v4() ? peers.v4 : peers.v6).insert(address);
    }
    for (const policy::ChildConfig& child : connection.children) {
      for (const policy::TrafficSelector& one : child.local_ts) {
        if (one.start != one.end) peers.forwards = true;
      }
    }
  };
  for (const policy::Connection& connection : plan.connections) add(connection);
  for (const policy::ManualTunnel& tunnel : plan.manual) add(policy::traffic_of(tunnel));
  return peers;
}

std::vector<std::string> texts(const std::set<IpAddress>& addresses) {
  std::vector<std::string> list;
  for (const IpAddress& address : addresses) list.push_back(address.to_string());
  return list;
}

std::string head(const mesh::HostPlan& plan, std::string_view how) {
  return fmt::format(
      "# IKE and ESP for {} in mesh {}, and what comes out of IPsec: an SA is the proof of who "
      "sent "
      "it.\n# {}\n",
      plan.self, plan.mesh, how);
}

}  // namespace

std::string nftables_rules(const mesh::HostPlan& plan) {
  const Peers peers = peers_of(plan);
  std::string out = head(plan,
                         "Load with nft -f. The table and chains are those of Debian's "
                         "/etc/nftables.conf: write your own names instead.");
  const auto rule = [&](std::string_view chain, std::string_view text) {
    out += fmt::format("insert rule inet filter {} {}\n", chain, text);
  };
  const auto let_in = [&](const std::string& from) {
    rule("input", from + "udp dport { 500, 4500 } accept");
    rule("input", from + "meta l4proto esp accept");
  };
  if (peers.anywhere) {
    let_in("");
  } else {
    for (const bool v4 : {true, false}) {
      const auto& addresses = v4 ? peers.v4 : peers.v6;
      if (addresses.empty()) continue;
      const std::string set = v4 ? "espalier_peers4" : "espalier_peers6";
      out += fmt::format("add set inet filter {} {{ type {}; }}\nflush set inet filter {}\n", set,
                         v4 ? "ipv4_addr" : "ipv6_addr", set);
      out += fmt::format("add element inet filter {} {{ {} }}\n", set,
                         fmt::join(texts(addresses), ", "));
      let_in(fmt::format("{} saddr @{} ", v4 ? "ip" : "ip6", set));
    }
  }
  for (const std::string_view chain : {"input", "forward"}) {
    if (chain == "forward" && !peers.forwards) continue;
    rule(chain, "meta secpath exists accept");
    rule(chain, fmt::format("iifname \"{}\" accept", kTunName));
  }
  return out;
}

std::string iptables_rules(const mesh::HostPlan& plan) {
  const Peers peers = peers_of(plan);
  std::string out = head(plan, "For a shell.");
  for (const bool v4 : {true, false}) {
    const auto& addresses = v4 ? peers.v4 : peers.v6;
    if (addresses.empty() && !peers.anywhere) continue;
    const std::string_view program = v4 ? "iptables" : "ip6tables";
    const auto let_in = [&](const std::string& from) {
      out += fmt::format("{} -I INPUT {}-p udp -m multiport --dports 500,4500 -j ACCEPT\n", program,
                         from);
      out += fmt::format("{} -I INPUT {}-p esp -j ACCEPT\n", program, from);
    };
    if (peers.anywhere) {
      let_in("");
    } else {
      for (const IpAddress& address : addresses) let_in("-s " + address.to_string() + " ");
    }
    for (const std::string_view chain : {"INPUT", "FORWARD"}) {
      if (chain == "FORWARD" && !peers.forwards) continue;
      out += fmt::format("{} -I {} -m policy --dir in --pol ipsec -j ACCEPT\n", program, chain);
      out += fmt::format("{} -I {} -i {} -j ACCEPT\n", program, chain, kTunName);
    }
  }
  return out;
}

std::string ufw_rules(const mesh::HostPlan& plan) {
  const Peers peers = peers_of(plan);
  std::string out = head(plan, "For a shell.");
  const auto let_in = [&](const std::string& from) {
    out += fmt::format("ufw allow proto udp from {} to any port 500,4500\n", from);
    out += fmt::format("ufw allow proto esp from {}\n", from);
  };
  if (peers.anywhere) {
    let_in("any");
  } else {
    for (const auto* addresses : {&peers.v4, &peers.v6}) {
      for (const IpAddress& address : *addresses) let_in(address.to_string());
    }
  }
  out += fmt::format("ufw allow in on {}\n", kTunName);
  if (peers.forwards) out += fmt::format("ufw route allow in on {}\n", kTunName);
  out +=
      "# The kernel dataplane has no device, and ufw no word for IPsec: put these lines into\n"
      "# /etc/ufw/before.rules (ufw6- in before6.rules), before its COMMIT, and run `ufw reload`.\n"
      "# -A ufw-before-input -m policy --dir in --pol ipsec -j ACCEPT\n";
  if (peers.forwards) out += "# -A ufw-before-forward -m policy --dir in --pol ipsec -j ACCEPT\n";
  return out;
}

}  // namespace espalier::cli
