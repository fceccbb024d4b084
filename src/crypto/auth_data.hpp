// The Authentication Data of method 14: ASN.1 Length | AlgorithmIdentifier | Signature Value (RFC
// 7427 section 3). Private to the room; others use signature.hpp.
#pragma once

#include "base/bytes.hpp"
#include "crypto/ids.hpp"
#include "crypto/signature.hpp"

namespace espalier::crypto {

// What an AlgorithmIdentifier says.
struct SignatureAlgorithm {
  KeyType key = KeyType::kRsa;
  HashId hash = HashId::kSha2_256;  // kIdentity for EdDSA (RFC 8420)
  bool pss = false;                 // RSASSA-PSS, else PKCS#1 v1.5
  unsigned salt_octets = 0;         // of PSS
  friend bool operator==(const SignatureAlgorithm&, const SignatureAlgorithm&) = default;
};

struct AuthData {
  SignatureAlgorithm algorithm;
  ByteView signature;  // into the octets that were decoded
};

// Errors: kTruncated and kMalformed for a broken frame, kUnsupported for an AlgorithmIdentifier
// that this version does not verify (SHA-1 among them).
Result<AuthData> decode_auth_data(ByteView auth_data);

// The whole Authentication Data, for the algorithms that sign() makes.
Bytes encode_auth_data(const SignatureAlgorithm& algorithm, ByteView signature);

}  // namespace espalier::crypto
