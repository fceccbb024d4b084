// A public key and what it verifies. Private to the room; others use signature.hpp.
#pragma once

#include <memory>

#include "crypto/auth_data.hpp"

namespace espalier::crypto {

class PublicKey {
 public:
  // DER SubjectPublicKeyInfo with nothing behind it. Errors: kMalformed; kUnsupported for anything
  // but RSA, ECDSA on P-256, P-384 or P-521 as a named curve, Ed25519 and Ed448.
  static Result<PublicKey> from_der(ByteView public_der);
  PublicKey(PublicKey&& other) noexcept;
  PublicKey& operator=(PublicKey&& other) noexcept;
  ~PublicKey();

  KeyType type() const { return type_; }
  unsigned bits() const { return bits_; }  // RSA: of the modulus; ECDSA: 256, 384 or 521
  // Whether limits.hpp lets it authenticate anybody: RSA keys have a least and a greatest length.
  Status check_strength() const;
  // The hash of the curve's size, for ECDSA keys (RFC 4754 section 3).
  HashId curve_hash() const;
  // The method of RFC 4754 that belongs to the curve, for ECDSA keys.
  AuthMethod curve_method() const;

  // Errors: kAuthentication when the signature is not this key's over data, or its algorithm is for
  // another kind of key; those of check_strength().
  Status verify(const SignatureAlgorithm& algorithm, ByteView data, ByteView signature) const;

 private:
  struct State;
  PublicKey();

  KeyType type_ = KeyType::kRsa;
  unsigned bits_ = 0;
  std::unique_ptr<State> state_;
};

std::string_view name(KeyType type);  // "RSA", "ECDSA", "Ed25519", "Ed448"

}  // namespace espalier::crypto
