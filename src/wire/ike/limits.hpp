// What one IKE message may make us hold. A message is never larger than a UDP datagram, so these
// limits keep the number of small values (and their allocations) in proportion, not only the
// octets.
#pragma once

#include <cstddef>

namespace espalier::wire::ike {

// The largest UDP datagram's length field. RFC 7296 section 2 asks for 1280 and 3000; certificates
// need more.
inline constexpr std::size_t kMaxMessageOctets = 65535;

// The Payload Length field (RFC 7296 section 3.2) has two octets and counts its own four.
inline constexpr std::size_t kPayloadHeaderOctets = 4;
inline constexpr std::size_t kMaxPayloadBodyOctets = 65535 - kPayloadHeaderOctets;

// A large IKE_AUTH carries a chain of about ten certificates and some twenty notifies.
inline constexpr std::size_t kMaxPayloads = 128;

// Offers seen in the field have up to about twenty proposals of up to about forty transforms. The
// Num Transforms field (RFC 7296 section 3.3.1) would allow 255.
inline constexpr std::size_t kMaxProposals = 64;
inline constexpr std::size_t kMaxTransforms = 128;

// One attribute is defined (RFC 7296 section 3.3.5); a few more leave room for later documents.
inline constexpr std::size_t kMaxAttributes = 8;

// The Number of TSs field has one octet (RFC 7296 section 3.13).
inline constexpr std::size_t kMaxSelectors = 255;

// A peer that deletes more child SAs at once than this sends several messages.
inline constexpr std::size_t kMaxDeleteSpis = 1024;

// RFC 7296 section 3.9: "The size of the Nonce Data MUST be between 16 and 256 octets, inclusive."
inline constexpr std::size_t kMinNonceOctets = 16;
inline constexpr std::size_t kMaxNonceOctets = 256;

}  // namespace espalier::wire::ike
