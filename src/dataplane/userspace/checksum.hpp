// The Internet checksum (RFC 1071). Sums are kept in the machine's byte order, which the one's complement sum
// permits (RFC 1071 section 2(B)); store() and load() go with it.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"

namespace espalier::dataplane::userspace {

// Adds the octets to a running sum. Only the last piece of a whole may have an odd size.
std::uint64_t add_sum(ByteView bytes, std::uint64_t sum = 0);

// The 16-bit one's complement sum, not complemented.
inline std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}
inline std::uint16_t finish(std::uint64_t sum) { return static_cast<std::uint16_t>(~fold(sum)); }

inline void store(std::uint8_t* at, std::uint16_t checksum) { std::memcpy(at, &checksum, 2); }

// The sum of the pseudo header: addresses as they stand in the packet (RFC 9293 section 3.1, RFC 8200 section 8.1).
std::uint64_t pseudo_sum(ByteView addresses, std::uint8_t protocol, std::size_t length);

// Writes the header checksum of an IPv4 header (its size is header.size()).
void set_ipv4_checksum(MutableByteView header);

}  // namespace espalier::dataplane::userspace
