#include "crypto/signature.hpp"

#include "crypto/ecdsa_raw.hpp"
#include "crypto/public_key.hpp"

namespace espalier::crypto {
namespace {

// Methods 9 to 11 (RFC 4754 section 7): r | s, and the curve and hash that the method names.
Status verify_raw_ecdsa(const PublicKey& key, AuthMethod method, ByteView data,
                        ByteView auth_data) {
  if (key.type() != KeyType::kEcdsa || key.curve_method() != method) {
    return make_error(ErrorCode::kAuthentication,
                      "authentication method " + std::to_string(static_cast<unsigned>(method)) +
                          " does not belong to the certificate's " + std::to_string(key.bits()) +
                          " bit " + std::string(name(key.type())) + " key");
  }
  if (auth_data.size() != 2 * ecdsa_half_octets(key.bits())) {
    return make_error(ErrorCode::kAuthentication,
                      "the ECDSA signature has " + std::to_string(auth_data.size()) +
                          " octets, not " + std::to_string(2 * ecdsa_half_octets(key.bits())));
  }
  const auto der = ecdsa_der_from_raw(auth_data);
  if (!der) {
    return make_error(ErrorCode::kInternal, "the crypto library could not encode a signature");
  }
  return key.verify({KeyType::kEcdsa, key.curve_hash(), false, 0}, data, *der);
}

}  // namespace

std::vector<HashId> supported_hashes() {
  return {HashId::kSha2_256, HashId::kSha2_384, HashId::kSha2_512, HashId::kIdentity};
}

Status verify_signature(ByteView public_der, AuthMethod method, ByteView data, ByteView auth_data) {
  switch (method) {
    case AuthMethod::kDigitalSignature: {
      // The cheap part first: bytes that do not parse cost no key decoding.
      TRY_ASSIGN(const AuthData decoded, decode_auth_data(auth_data));
      TRY_ASSIGN(const PublicKey key, PublicKey::from_der(public_der));
      return key.verify(decoded.algorithm, data, decoded.signature);
    }
    case AuthMethod::kEcdsa256:
    case AuthMethod::kEcdsa384:
    case AuthMethod::kEcdsa521: {
      TRY_ASSIGN(const PublicKey key, PublicKey::from_der(public_der));
      return verify_raw_ecdsa(key, method, data, auth_data);
    }
    case AuthMethod::kRsaSignature:
      return make_error(ErrorCode::kUnsupported,
                        "the peer signs with RSA and SHA-1 (method 1), which is refused; it must "
                        "support RFC 7427 (method 14)");
    case AuthMethod::kSharedKeyMic:
    case AuthMethod::kNull: break;
  }
  return make_error(ErrorCode::kUnsupported, "authentication method " +
                                                 std::to_string(static_cast<unsigned>(method)) +
                                                 " is not a signature that this version verifies");
}

}  // namespace espalier::crypto
