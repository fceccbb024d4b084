// One look at an IPv4 or IPv6 packet: what ESP's tunnel mode and traffic selectors need to know of
// it. For the packet path: nothing here allocates, and a fault is a number to count, not a
// sentence.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/address.hpp"

namespace espalier::wire::ip {

// IANA protocol numbers that are treated specially here or often asked for.
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolIpv4 = 4;  // ESP tunnel mode: an IPv4 packet inside
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIpv6 = 41;  // ESP tunnel mode: an IPv6 packet inside
inline constexpr std::uint8_t kProtocolEsp = 50;
inline constexpr std::uint8_t kProtocolAh = 51;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolNoNext = 59;  // ESP: a dummy packet (RFC 4303 section 2.6)
inline constexpr std::uint8_t kProtocolMobility = 135;

inline constexpr std::size_t kIpv4HeaderOctets = 20;  // without options
inline constexpr std::size_t kIpv6HeaderOctets = 40;  // without extension headers

enum class Fault : std::uint8_t {
  kNone,
  kTruncated,         // fewer octets than a header says or needs
  kVersion,           // neither 4 nor 6
  kHeaderLength,      // IPv4: IHL below 5
  kTotalLength,       // IPv4: a total length that is less than the header's
  kExtensionHeaders,  // IPv6: more of them than kMaxExtensionHeaders
};
std::string_view name(Fault fault);  // "truncated", ...: a metric's label

struct Packet {
  Family family = Family::kIpv4;
  std::uint8_t traffic_class = 0;  // IPv4: the TOS octet
  std::uint8_t hops = 0;           // TTL or Hop Limit
  std::uint8_t protocol = 0;       // of the upper layer, behind extension headers
  bool dont_fragment = false;      // IPv4's DF; always true for IPv6, whose routers do not fragment
  bool fragment = false;           // a part of a packet: an offset, or more to come
  bool more_fragments = false;
  bool has_ports = false;             // TCP, UDP, UDP-Lite, SCTP, DCCP with both ports at hand
  bool has_icmp_type = false;         // ICMP, ICMPv6 with type and code at hand
  bool has_mobility_type = false;     // IPv6 Mobility Header with its type at hand
  std::uint16_t fragment_offset = 0;  // octets
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  // As one port of a selector (RFC 7296 section 3.13.1): ICMP type << 8 | code, or MH type << 8.
  std::uint16_t icmp_type_code = 0;
  std::uint16_t mobility_type = 0;
  std::size_t total_octets = 0;  // of the packet; what follows in the buffer is not part of it
  std::size_t upper_offset = 0;  // where the upper layer begins
  IpAddress source;
  IpAddress destination;

  std::uint8_t dscp() const { return static_cast<std::uint8_t>(traffic_class >> 2); }
  std::uint8_t ecn() const { return traffic_class & 3; }
  // RFC 4301 section 4.4.1.1: ports of a fragment that is not the first are OPAQUE.
  bool first_or_whole() const { return fragment_offset == 0; }
};

// Octets that begin with an IP header. Octets beyond the packet's own length (padding of RFC 4303
// section 2.7) are allowed and left out. Fills `packet` only as far as it is valid when the result
// is not kNone. Of IPv6, Hop-by-Hop Options, Routing, Destination Options and Fragment headers are
// walked. Behind a fragment header with an offset nothing is looked at. Jumbograms (RFC 2675) are
// not supported: kTruncated.
[[nodiscard]] Fault parse(ByteView octets, Packet& packet);

// Whether an IPv4 header's checksum is right. octets: as parse accepted them.
bool ipv4_checksum_ok(ByteView octets);

// Sets the two ECN bits of a packet that parse accepted, keeping IPv4's checksum right (RFC 6040,
// section 4.2 has what to set them to).
void set_ecn(MutableByteView octets, std::uint8_t ecn);
// The same for the six DSCP bits.
void set_dscp(MutableByteView octets, std::uint8_t dscp);

}  // namespace espalier::wire::ip
