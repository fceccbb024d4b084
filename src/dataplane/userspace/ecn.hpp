// Congestion marks across a tunnel (RFC 6040). Pure.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace espalier::dataplane::userspace {

// The IPv4 TOS or IPv6 traffic class octet of a packet of at least 20 octets.
std::uint8_t traffic_class(ByteView packet);

// Combines the marks on the way out of the tunnel (RFC 6040 section 4.2): the inner packet is given the mark in the
// table there, with its header checksum. False: it must be dropped, since a congested router marked (CE) a packet
// whose sender does not understand marks.
bool decapsulate_ecn(MutableByteView inner, std::uint8_t outer_traffic_class);

}  // namespace espalier::dataplane::userspace
