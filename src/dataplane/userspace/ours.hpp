// What is ours in the kernel when the userspace plane runs. Nothing outside these is ever changed,
// and `espalier teardown` finds everything by them, with or without a daemon.
#pragma once

#include <cstdint>
#include <string_view>

namespace espalier::dataplane::userspace {

// The TUN device that carries cleartext between the kernel and the daemon.
inline constexpr std::string_view kTunName = "espalier0";
// The nftables table that keeps protected traffic closed; family inet.
inline constexpr std::string_view kNftTable = "espalier";

// Mark of the daemon's own IKE and ESP sockets (SO_MARK), and of arriving IKE and ESP: it keeps
// them out of the TUN. 0xE5 is the first octet of the reqids too.
inline constexpr std::uint32_t kFwmark = 0xE5000000;
// Routing table of the peers' prefixes: above 255, so that it is none of the tables with a name in
// /etc/iproute2/rt_tables.
inline constexpr std::uint32_t kRouteTable = 58624;  // 0xE500
// Priority of the rule "not fwmark MARK lookup TABLE". After the local table (0), so that own
// addresses stay local; before everything that is usually written by hand (1000 and up), before
// VRFs (1000) and main (32766), so that no other rule takes a protected packet past the TUN.
inline constexpr std::uint32_t kRulePriority = 229;  // 0xE5
// rtm_protocol of our routes, so that `ip route show proto 229` lists them. Not assigned in
// rtnetlink.h.
inline constexpr std::uint8_t kRouteProtocol = 229;

// RFC 7296 section 2.23 and RFC 3948 section 4: IKE, and IKE with ESP in UDP.
inline constexpr std::uint16_t kIkePort = 500;
inline constexpr std::uint16_t kNatTPort = 4500;

}  // namespace espalier::dataplane::userspace
