// The limits of the packet core.
#pragma once

#include <cstddef>
#include <cstdint>

namespace espalier::esp {

// RFC 4303 section 3.4.3 demands 32 at least and leaves more to the implementation. 4096 packets
// are about 0.5 ms of 1400-octet packets at 100 Gbit/s: more than the reordering of any path we
// know.
inline constexpr std::uint32_t kMinReplayWindow = 32;
inline constexpr std::uint32_t kMaxReplayWindow = 4096;

// seal() and open() keep one crypto item and one IV or AAD per packet on the stack: this bounds it.
inline constexpr std::size_t kMaxBatch = 64;

// The largest ESP packet: what a UDP datagram over IPv4 can carry (RFC 768, RFC 791).
inline constexpr std::size_t kMaxEspOctets = 65535 - 20 - 8;

}  // namespace espalier::esp
