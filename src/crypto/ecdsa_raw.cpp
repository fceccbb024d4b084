#include "crypto/ecdsa_raw.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>

#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedSignature = Owned<ECDSA_SIG, ECDSA_SIG_free>;
using OwnedBn = Owned<BIGNUM, BN_free>;

}  // namespace

std::size_t ecdsa_half_octets(unsigned curve_bits) { return (curve_bits + 7) / 8; }

std::optional<Bytes> ecdsa_der_from_raw(ByteView raw) {
  const auto half = static_cast<int>(raw.size() / 2);
  const OwnedSignature signature(ECDSA_SIG_new());
  OwnedBn r(BN_bin2bn(raw.data(), half, nullptr));
  OwnedBn s(BN_bin2bn(raw.data() + half, half, nullptr));
  if (!signature || !r || !s || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return std::nullopt;
  }
  // set0 took them over.
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0) return std::nullopt;
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  if (i2d_ECDSA_SIG(signature.get(), &at) != size) return std::nullopt;
  return der;
}

std::optional<Bytes> ecdsa_raw_from_der(ByteView der, std::size_t half_octets) {
  const ErrorQueueGuard guard;
  const unsigned char* at = der.data();
  const OwnedSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!signature || at != der.data() + der.size()) return std::nullopt;
  const auto half = static_cast<int>(half_octets);
  Bytes raw(2 * half_octets);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), half) != half ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + half, half) != half) {
    return std::nullopt;
  }
  return raw;
}

}  // namespace espalier::crypto
