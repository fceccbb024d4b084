// The families of groups behind dh.hpp, one .cpp file each. Private to the room. The shared
// functions get peer_public of exactly info(group)->public_octets octets.
#pragma once

#include <string_view>

#include "crypto/dh.hpp"

namespace espalier::crypto {

// kInvalidKe: "the peer's public value for ecp256 is refused: <reason>".
Error invalid_ke(DhId group, std::string_view reason);

// X25519 and X448, RFC 7748 and RFC 8031. The private key is 32 or 56 octets of the Rng, clamped
// where it is used.
Result<DhKeyPair> montgomery_generate(DhId group, Rng& rng);
Result<SecretBytes> montgomery_shared(const DhKeyPair& own, ByteView peer_public);

// RFC 5903, and RFC 6954 for the brainpool curves. The private key is the scalar, big-endian, as
// long as the field.
Result<DhKeyPair> ecp_generate(DhId group, Rng& rng);
Result<SecretBytes> ecp_shared(const DhKeyPair& own, ByteView peer_public);

// RFC 3526. The private key is the exponent, big-endian.
Result<DhKeyPair> modp_generate(DhId group, Rng& rng);
Result<SecretBytes> modp_shared(const DhKeyPair& own, ByteView peer_public);

// FIPS 203, by the library's provider (OpenSSL 3.5). The private key is the seed d | z.
Status mlkem_available(DhId group);
Result<DhKeyPair> mlkem_generate(DhId group, Rng& rng);
Result<DhAnswer> mlkem_respond(DhId group, ByteView peer_public, Rng& rng);
Result<SecretBytes> mlkem_shared(const DhKeyPair& own, ByteView ciphertext);

}  // namespace espalier::crypto
