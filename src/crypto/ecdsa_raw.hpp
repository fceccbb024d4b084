// The two forms of an ECDSA signature: r | s of fixed length (RFC 4754 section 7) and the DER
// Ecdsa-Sig-Value that certificates and method 14 use. Private to the room.
#pragma once

#include <optional>

#include "base/bytes.hpp"

namespace espalier::crypto {

// Octets of r, and of s, for a curve of so many bits: 32, 48, 66.
std::size_t ecdsa_half_octets(unsigned curve_bits);

// r | s of exactly twice half_octets; nothing when the library runs out of memory.
std::optional<Bytes> ecdsa_der_from_raw(ByteView raw);
// Nothing for anything but a DER Ecdsa-Sig-Value whose numbers fit.
std::optional<Bytes> ecdsa_raw_from_der(ByteView der, std::size_t half_octets);

}  // namespace espalier::crypto
