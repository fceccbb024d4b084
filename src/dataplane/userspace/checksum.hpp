// Checksums in packets whose headers have been read: the sums are wire/ip's.
#pragma once

#include "dataplane/userspace/octets.hpp"
#include "wire/ip/checksum.hpp"

namespace espalier::dataplane::userspace {

using wire::ip::add;
using wire::ip::finish;
using wire::ip::Sum;

// The pseudo header's sum, from the addresses as they stand in the packet, source first. length: of
// the upper layer, at most 65535.
inline Sum pseudo_sum(ByteView addresses, std::uint8_t protocol, std::size_t length) {
  return add(0, addresses) + protocol + length;
}

// What a device that finishes checksums wants to find in the field: the sum, folded but not
// complemented.
inline std::uint16_t unfinished(Sum sum) { return static_cast<std::uint16_t>(~finish(sum)); }

// A sum over octets that hold their right checksum.
inline bool is_right(Sum sum) { return finish(sum) == 0; }

// Writes the header checksum of an IPv4 header (its size is header.size()).
inline void set_ipv4_checksum(MutableByteView header) {
  put_u16(header.data() + 10, 0);
  put_u16(header.data() + 10, finish(add(0, header)));
}

}  // namespace espalier::dataplane::userspace
