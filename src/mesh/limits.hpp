// Limits of the mesh room.
#pragma once

#include <cstddef>

namespace espalier::mesh {

// Octets of a secret file. RFC 7296 section 2.15 sets no bound; a secret longer than this is
// another file.
inline constexpr std::size_t kMaxSecretFileOctets = 4096;

// The least a mesh secret may have: 128 bits if it is random, which every pair's key then rests on
// (RFC 7296 section 2.15: "a shared secret ... needs to contain as much unpredictability as the
// strongest key being negotiated").
inline constexpr std::size_t kMinMeshSecretOctets = 16;

// RFC 8784 section 6: a PPK needs at least 256 bits of entropy, so that Grover's search leaves 128.
inline constexpr std::size_t kMinPpkOctets = 32;

}  // namespace espalier::mesh
