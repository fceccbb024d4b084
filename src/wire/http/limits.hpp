// The limits of HTTP. What goes past one is refused with kLimit.
#pragma once

#include <cstddef>

namespace espalier::wire::http {

inline constexpr std::size_t kMaxUrlOctets =
    1024;  // of certificates' addresses: some 60 in practice
inline constexpr std::size_t kMaxHeadOctets = 16384;  // status line and fields together
inline constexpr std::size_t kMaxChunkLine = 128;     // a chunk's size and its extensions

}  // namespace espalier::wire::http
