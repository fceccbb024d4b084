// The pre-shared key of a pair of hosts, from the one secret of a mesh. docs/pair-key.md publishes
// the derivation and its vectors: it is on the wire between versions and must never change.
#pragma once

#include <string_view>

#include "base/secret.hpp"

namespace espalier::crypto {

// HKDF-SHA-256(ikm = mesh_secret, salt = "espalier mesh psk v1",
//              info = mesh | 0x00 | lower identity | 0x00 | higher identity, L = 32).
// The identities are ordered bytewise here, so both hosts pass them in any order. The room that
// reads an inventory refuses names with a 0x00 octet: with one, two pairs of a mesh could share a
// key.
SecretBytes derive_pair_key(ByteView mesh_secret, std::string_view mesh,
                            std::string_view identity_a, std::string_view identity_b);

}  // namespace espalier::crypto
