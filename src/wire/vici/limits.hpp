// What one client of the control socket may make us hold.
#pragma once

#include <cstddef>

namespace espalier::wire::vici {

// strongSwan's own limit of a packet, without its length prefix.
inline constexpr std::size_t kMaxPacketOctets = 512 * 1024;

// swanctl's deepest message (load-conn) nests four sections; the parser's stack grows by one frame
// each.
inline constexpr std::size_t kMaxDepth = 16;

// Elements of one message. An entry costs some hundred octets here and can be four on the wire; the
// longest messages seen (a connection with a few hundred selectors) have about a thousand.
inline constexpr std::size_t kMaxElements = 65536;

// The length fields of the format: one octet for a name, two for a value.
inline constexpr std::size_t kMaxNameOctets = 255;
inline constexpr std::size_t kMaxValueOctets = 65535;

}  // namespace espalier::wire::vici
