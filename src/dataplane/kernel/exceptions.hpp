// What stays outside IPsec in the kernel: policies that allow without a template, before all
// protection. Pure.
#pragma once

#include <vector>

#include "dataplane/kernel/xfrm_policy.hpp"

namespace espalier::dataplane::kernel {

// Between any two addresses, whatever the inventory says:
// - neighbour discovery and multicast listener reports (RFC 4861, RFC 2710, RFC 3810), without
//   which no IPv6 packet finds its way;
// - the two ICMP errors of path MTU discovery (RFC 1191, RFC 8201): a router on the way may be a
//   peer too;
// - DHCP and DHCPv6 (RFC 2131, RFC 8415): a peer may be the server.
// - ESP to this host, since a VTI device asks before it is decrypted (nothing else does).
// IKE's sockets have policies of their own.
const std::vector<PolicyKey>& always_outside();

// XFRM_MSG_NEWPOLICY or XFRM_MSG_UPDPOLICY of one that passes as it is.
void put_exception(NetlinkMessage& message, const PolicyKey& key);

// A range of ports as blocks that a value and a mask describe: at most 30.
struct PortBlock {
  std::uint16_t port = 0, mask = 0;  // mask 0: any
  friend bool operator==(const PortBlock&, const PortBlock&) = default;
};
std::vector<PortBlock> port_blocks(std::uint16_t first, std::uint16_t last);

}  // namespace espalier::dataplane::kernel
