// The Internet checksum (RFC 1071), for both families and for changes in place. Nothing here
// allocates.
//
// A sum is a partial result: an unfolded one's complement sum of 16-bit words, to be carried on and
// finished.
#pragma once

#include <cstdint>

#include "base/address.hpp"

namespace espalier::wire::ip {

using Sum = std::uint64_t;

// Adds octets to a sum. Every part but the last has an even number of octets (an odd one is padded
// with zero).
Sum add(Sum sum, ByteView octets);

// The pseudo header of TCP, UDP and ICMPv6: RFC 9293 section 3.1 and RFC 8200 section 8.1. Both
// addresses of one family; octets: the length of the upper-layer packet.
Sum pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                  std::uint32_t octets);

// The value of the checksum field: the complement of the folded sum. Over octets that hold a right
// checksum it is 0.
std::uint16_t finish(Sum sum);

inline std::uint16_t checksum(ByteView octets) { return finish(add(0, octets)); }

// UDP says "no checksum" with zero, so a computed zero is sent as 0xffff (RFC 768). segment: the
// UDP header, its checksum field zero, and the data.
std::uint16_t udp_checksum(const IpAddress& source, const IpAddress& destination, ByteView segment);

// The checksum after one 16-bit word under it changed from before to after (RFC 1624 section 3,
// equation 3).
std::uint16_t adjust(std::uint16_t checksum, std::uint16_t before, std::uint16_t after);

}  // namespace espalier::wire::ip
