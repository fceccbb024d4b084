// Congestion marks across a tunnel (RFC 6040). Pure.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace espalier::dataplane::userspace {

// Combines the marks on the way out of the tunnel (RFC 6040 section 4.2): the inner packet, which
// wire::ip::parse accepted and whose traffic class it told, is given the mark in the table there.
// False: it must be dropped, since a congested router marked (CE) a packet whose sender does not
// understand marks.
bool decapsulate_ecn(MutableByteView inner, std::uint8_t inner_class, std::uint8_t outer_class);

}  // namespace espalier::dataplane::userspace
