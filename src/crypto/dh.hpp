// Key exchange methods: Diffie-Hellman groups, and KEMs, where the initiator sends a public key and
// the responder answers with a ciphertext. Key pairs and shared secrets are plain octet strings, so
// that the protocol core stays a value; no library handle lives longer than a call.
#pragma once

#include "base/secret.hpp"
#include "crypto/ids.hpp"
#include "crypto/rng.hpp"

namespace espalier::crypto {

struct DhKeyPair {
  DhId group = DhId::kNone;
  SecretBytes private_key;
  Bytes public_key;  // the Key Exchange Data of RFC 7296 section 3.4: info(group)->public_octets
                     // (answer_octets in an answer)
  friend bool operator==(const DhKeyPair&, const DhKeyPair&) = default;
};

// Whether the crypto library has the method. Error: kUnsupported, with the version that would.
Status dh_available(DhId group);

// A fresh pair from the Rng's octets (so that a seeded Rng gives a repeatable run).
Result<DhKeyPair> dh_generate(DhId group, Rng& rng);

// The responder's part in one go. Errors as dh_shared().
struct DhAnswer {
  Bytes public_key;  // info(group)->answer_octets: the Key Exchange Data of the answer
  SecretBytes shared;
};
Result<DhAnswer> dh_respond(DhId group, ByteView peer_public, Rng& rng);

// The initiator's part, from the answer. g^ir as RFC 7296 section 2.14 wants it: MODP padded with
// zeros to the length of the modulus (RFC 7296), ECP the x coordinate (RFC 5903 section 7), X25519
// the 32 octets (RFC 8031). Errors: kInvalidKe for a wrong length, a point off the curve, a value
// outside 2..p-2 (RFC 6989) or an all-zero result.
Result<SecretBytes> dh_shared(const DhKeyPair& own, ByteView peer_public);

}  // namespace espalier::crypto
