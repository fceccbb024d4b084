// What one IP packet may make us do.
#pragma once

#include <cstddef>

namespace espalier::wire::ip {

// RFC 8200 section 4.1 names four extension headers in front of the upper layer and lets
// Destination Options come twice; a packet with more is not one that a host sends.
inline constexpr std::size_t kMaxExtensionHeaders = 8;

}  // namespace espalier::wire::ip
