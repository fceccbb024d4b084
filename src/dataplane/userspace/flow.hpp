// What the SPD asks of a packet: addresses, protocol and ports (RFC 4301 section 4.4.1.1). Pure.
#pragma once

#include <optional>

#include "base/address.hpp"
#include "policy/nouns.hpp"

namespace espalier::dataplane::userspace {

struct Flow {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;  // the upper layer's, behind IPv6 extension headers
  bool ports_known = false;   // false: a later fragment, or a protocol without ports
  // TCP, UDP, UDP-Lite, SCTP, DCCP. For ICMP both are type << 8 | code (RFC 7296 section 3.13.1).
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t traffic_class = 0;
  std::size_t octets = 0;  // what the packet says it is long; <= the octets given
  friend bool operator==(const Flow&, const Flow&) = default;
};

// Nothing: not a whole IPv4 or IPv6 packet, or a header chain that cannot be read.
std::optional<Flow> parse_flow(ByteView packet);

// Whether one end of a packet falls into a selector.
bool matches(const policy::TrafficSelector& selector, const IpAddress& address,
             std::uint8_t protocol, bool port_known, std::uint16_t port);

// A sending packet: source in local, destination in remote. A received one: the other way round.
bool matches_outbound(const policy::SelectorList& local, const policy::SelectorList& remote,
                      const Flow& flow);
bool matches_inbound(const policy::SelectorList& local, const policy::SelectorList& remote,
                     const Flow& flow);

}  // namespace espalier::dataplane::userspace
