// The UDP header (RFC 768).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"

namespace espalier::wire::ip {

inline constexpr std::size_t kUdpHeaderOctets = 8;

struct UdpHeader {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint16_t length = 0;    // octets, header and data
  std::uint16_t checksum = 0;  // 0: none (IPv4 only); checksum.hpp computes one
};

// Octets that begin with a UDP header. Nothing if they are fewer than it, or than its length field
// says, or that field is less than the header.
std::optional<UdpHeader> parse_udp(ByteView octets);

// Into the first kUdpHeaderOctets octets of out, which has at least so many.
void write_udp(const UdpHeader& header, MutableByteView out);

}  // namespace espalier::wire::ip
