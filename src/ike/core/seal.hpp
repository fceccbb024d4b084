// The Encrypted payload: sealing and opening whole messages and fragments (RFC 7296 section 3.14,
// RFC 5282, RFC 7383).
#pragma once

#include <vector>

#include "base/secret.hpp"
#include "crypto/aead.hpp"
#include "crypto/rng.hpp"
#include "wire/ike/message.hpp"

namespace espalier::ike {

// One direction's keys of an IKE SA.
struct SealKeys {
  crypto::CipherSuite suite;
  const SecretBytes& encr;
  const SecretBytes& integ;  // empty for an AEAD
};

// Where IVs come from: `counter` is unique per key for AEADs (RFC 5282 section 3.1) and is
// incremented; for CBC the Rng's octets, which must be unpredictable, are used (RFC 7296
// section 3.14).
struct IvSource {
  std::uint64_t& counter;
  crypto::Rng& rng;
};

// A whole message, one datagram, or several fragments when fragment_octets (of datagram, 0: never)
// is exceeded. The header's next_payload and length are computed.
std::vector<Bytes> seal(const wire::ike::Header& header,
                        const std::vector<wire::ike::Payload>& payloads, const SealKeys& keys,
                        IvSource iv, std::size_t fragment_octets);

// The same of a chain that is laid out already, and may be anything: one datagram. For tests and
// fuzzers.
Bytes seal_octets(const wire::ike::Header& header, wire::ike::PayloadType first, ByteView plaintext,
                  const SealKeys& keys, IvSource iv);

// The payloads inside the SK payload that ends `message`. Errors: kAuthentication when the ICV does
// not verify, kMalformed or kTruncated for what is inside.
Result<std::vector<wire::ike::Payload>> open_sk(ByteView datagram, const wire::ike::SkPayload& sk,
                                                const SealKeys& keys);

// The same, the inner payloads as octets.
Result<Bytes> open_plain(ByteView datagram, const wire::ike::SkPayload& sk, const SealKeys& keys);

// The plaintext of one fragment, padding removed (RFC 7383 section 2.5).
Result<Bytes> open_skf(ByteView datagram, const wire::ike::SkfPayload& skf, const SealKeys& keys);

}  // namespace espalier::ike
