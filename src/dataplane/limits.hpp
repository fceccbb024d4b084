// The limits of the dataplanes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace espalier::dataplane {

// SPIs 1 to 255 are reserved by IANA, 0 is for local use (RFC 4303 section 2.1).
inline constexpr std::uint32_t kMinSpi = 256;

// 1,000 peers with several children, each thrice during a rekey, is 10 % of this.
inline constexpr std::size_t kMaxSas = 65536;
inline constexpr std::size_t kMaxPolicies = 65536;  // closed ones and exceptions among them
// Of one policy or SA. RFC 7296 counts selectors in one octet (section 3.13).
inline constexpr std::size_t kMaxSelectors = 255;
// What a remote selector may come to as prefixes; a range that is none needs up to 254 (IPv6).
inline constexpr std::size_t kMaxPolicyPrefixes = 4096;

// Larval SAs of one policy that are remembered; a policy between networks has one for each pair of
// hosts in transport mode, else one.
inline constexpr std::size_t kMaxLarvals = 256;

// Events that wait for the control side. More are dropped, newest first, and counted: the control
// side then is stuck, and query() still tells the truth.
inline constexpr std::size_t kMaxEvents = 16384;

}  // namespace espalier::dataplane
