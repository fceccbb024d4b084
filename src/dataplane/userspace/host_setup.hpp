// The host around the userspace plane: protection (nftables), routes and rules (netlink), and their
// removal. Everything works on the network namespace of the calling thread, needs CAP_NET_ADMIN,
// and touches only what ours.hpp names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "dataplane/userspace/ours.hpp"
#include "policy/service.hpp"

namespace espalier::dataplane::userspace {

// Traffic that may only pass inside IPsec: from any of local to any of remote, and back.
struct ProtectedPair {
  std::string name;            // "bender-flexo"
  std::vector<Prefix> local;   // own addresses (/32, /128) and subnets behind this host
  std::vector<Prefix> remote;  // the peer's
  std::optional<IpAddress> source4,
      source6;                            // preferred source of the routes; must be own addresses
  std::vector<policy::Service> except{};  // passes outside IPsec, as this host sees it
  bool closed = true;  // false: without an SA it passes in the clear (`protect: use`)
  friend bool operator==(const ProtectedPair&, const ProtectedPair&) = default;
};

struct HostNetwork {
  std::string tun_name{kTunName};
  std::uint32_t fwmark = kFwmark;
  std::uint32_t route_table = kRouteTable;
  std::uint32_t rule_priority = kRulePriority;
  std::vector<ProtectedPair> pairs;
  // Subnets behind this host: a peer's larger subnet does not swallow them. Where a peer's prefix
  // is equal or smaller, the peer's wins (closed).
  std::vector<Prefix> own_subnets;
  unsigned mtu = 1400;  // octets; of the TUN device
  friend bool operator==(const HostNetwork&, const HostNetwork&) = default;
};

// Fills our nftables table, in place of what it held. Protection that is in both the old and the
// new content has no gap: the new chains and sets stand complete before the old ones go, each step
// in one transaction. An identical call is harmless. Errors: kPermission, kUnsupported (a kernel
// without nftables or concatenated interval sets), kSystem with nft's own words.
[[nodiscard]] Status apply_protection(const HostNetwork& network);

// The table as apply_protection installs it, in nft's language. generation (1 and up) is the number
// that its chains and sets carry.
std::string protection_ruleset(const HostNetwork& network, unsigned generation = 1);

// Brings up the TUN device, which must exist, sets its MTU, and makes our table and rules what
// network says: only differences are added and removed, additions first. kBusy: everything is in
// place, but a route waits for its preferred source (an address that is not configured yet, or an
// IPv6 address still tentative; RFC 4862 section 5.4); call again in a second. Errors: kNotFound
// (no such device), kPermission, kSystem naming the route.
[[nodiscard]] Status apply_routes(const HostNetwork& network);

// Removes the table, the rules, the routes and the TUN device, whatever of them exists, and tells
// the logger what was removed. Goes on after a failure; the first one is returned.
[[nodiscard]] Status teardown_host(Logger& logger);

// A setting of this host that will keep protected traffic from flowing, and the command that mends
// it. Nothing is changed by us: these are the operator's.
struct Warning {
  std::string text;     // what, and why it matters: a whole sentence
  std::string command;  // "sysctl -w net.ipv4.conf.eth0.rp_filter=2"
  friend bool operator==(const Warning&, const Warning&) = default;
};
std::vector<Warning> preflight(const HostNetwork& network);
// The same against another /proc/sys, for tests.
std::vector<Warning> preflight(const HostNetwork& network, const std::string& proc_sys);

}  // namespace espalier::dataplane::userspace
