// Hostile bytes at the doors of signature.hpp: a CERT payload's certificate, a chain, a PEM file
// and the Authentication Data of an AUTH payload. The first octet chooses the door.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "crypto/auth_data.hpp"
#include "crypto/signature.hpp"

namespace {

using namespace espalier;
using namespace espalier::crypto;

// Public keys for verify_signature: Ed25519 (RFC 8032 section 7.1, test 1) and ECDSA on P-256 (RFC
// 4754 section 8.1).
constexpr std::string_view kEd25519Key =
    "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
constexpr std::string_view kP256Key =
    "3059301306072a8648ce3d020106082a8648ce3d030107034200"
    "042442a5cc0ecd015fa3ca31dc8e2bbc70bf42d60cbca20085e0822cb04235e970"
    "6fc98bd7e50211a4a27102fa3549df79ebcb4bf246b80945cddfe7d509bbfd7d";

void must(bool condition) {
  if (!condition) std::abort();
}

void certificate(ByteView bytes) {
  const auto info = inspect_certificate(bytes);
  // No anchor, no trust: whatever it says of itself.
  must(!validate_path({to_vector(bytes)}, {}, 1795219200).ok());
  if (!info) return;
  for (const auto& name : info->dns_names) must(!name.empty());
  for (const auto& address : info->ip_addresses) {
    must(address.size() == 4 || address.size() == 16);
  }
  must(!verify_signature(info->public_der, AuthMethod::kDigitalSignature, bytes, bytes).ok());
}

void authentication_data(ByteView bytes) {
  const auto decoded = decode_auth_data(bytes);
  if (decoded && !decoded->algorithm.pss) {
    // What decodes can be encoded: the same meaning, in the preferred form.
    const Bytes again = encode_auth_data(decoded->algorithm, decoded->signature);
    const auto second = decode_auth_data(again);
    must(second.ok() && second->algorithm == decoded->algorithm);
    must(equal(second->signature, decoded->signature));
  }
  static const Bytes ed25519 = *from_hex(kEd25519Key);
  static const Bytes p256 = *from_hex(kP256Key);
  static const Bytes data(32, 0x5a);  // no signature over it was ever made with these keys
  for (const Bytes& key : {ed25519, p256}) {
    must(!verify_signature(key, AuthMethod::kDigitalSignature, data, bytes).ok());
    must(!verify_signature(key, AuthMethod::kEcdsa256, data, bytes).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: certificate(bytes); break;
    case 1: authentication_data(bytes); break;
    case 2: {
      const auto list = certificates_from_pem(bytes);
      must(!list || !list->empty());
      break;
    }
    default: {
      // Hostile octets as a public key, against a signature that is well formed.
      const Bytes auth_data = *from_hex("0c300a06082a8648ce3d0403023006020101020101");
      // A key can be made to fit a signature, so the answer may be either.
      static_cast<void>(verify_signature(bytes, AuthMethod::kDigitalSignature, {}, auth_data).ok());
      break;
    }
  }
  return 0;
}
