#include "crypto/pair_key.hpp"

#include <algorithm>

#include "crypto/prf.hpp"

namespace espalier::crypto {

SecretBytes derive_pair_key(ByteView mesh_secret, std::string_view mesh,
                            std::string_view identity_a, std::string_view identity_b) {
  const ByteView a = as_bytes(identity_a);
  const ByteView b = as_bytes(identity_b);
  // Bytewise, as unsigned octets: char is signed on some machines.
  const bool a_first = std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  Writer info;
  info.bytes(as_bytes(mesh));
  info.u8(0);
  info.bytes(a_first ? a : b);
  info.u8(0);
  info.bytes(a_first ? b : a);
  return hkdf_sha256(mesh_secret, as_bytes("espalier mesh psk v1"), info.view(), 32);
}

}  // namespace espalier::crypto
