// PRF, prf+, hashes and HKDF.
#pragma once

#include <initializer_list>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "crypto/ids.hpp"

namespace espalier::crypto {

// prf(key, data): RFC 7296 section 2.13, with the HMACs of RFC 4868. Any key length, output
// info(id)->output_octets octets. The parts are hashed one after another as if concatenated.
// Errors: kUnsupported for a PRF that info() does not know.
Result<SecretBytes> prf(PrfId id, ByteView key, std::initializer_list<ByteView> parts);

// prf+(key, seed), RFC 7296 section 2.13: exactly `octets` octets, at most 255 * output length.
Result<SecretBytes> prf_plus(PrfId id, ByteView key, ByteView seed, std::size_t octets);

Bytes sha1(std::initializer_list<ByteView> parts);  // NAT detection only (RFC 7296 section 2.23)
Bytes sha256(std::initializer_list<ByteView> parts);

// HKDF-SHA-256 (RFC 5869), octets <= 255 * 32.
SecretBytes hkdf_sha256(ByteView ikm, ByteView salt, ByteView info, std::size_t octets);

// The truncated HMAC of an integrity algorithm: info(id)->icv_octets octets.
Result<Bytes> integ_mac(IntegId id, ByteView key, std::initializer_list<ByteView> parts);

}  // namespace espalier::crypto
