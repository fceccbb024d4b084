#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <algorithm>

#include "crypto/dh_groups.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedBn = Owned<BIGNUM, BN_clear_free>;
using OwnedBnContext = Owned<BN_CTX, BN_CTX_free>;
using OwnedPoint = Owned<EC_POINT, EC_POINT_clear_free>;

// A scalar is redrawn with a probability of at most a half (brainpoolP384r1: 0.46); so many in a
// row mean a broken source.
constexpr int kMaxDraws = 64;

struct Curve {
  const EC_GROUP* group;
  std::size_t field_octets;
  std::uint8_t top_mask;  // the bits of a scalar's first octet that the order has
};

Curve make_curve(int nid) {
  const EC_GROUP* const group = EC_GROUP_new_by_curve_name(nid);
  ASSERT(group != nullptr);
  const auto bits = static_cast<unsigned>(EC_GROUP_get_degree(group));
  const unsigned spare = (8 - bits % 8) % 8;
  return {group, (bits + 7) / 8, static_cast<std::uint8_t>(0xFF >> spare)};
}

const Curve& curve_of(DhId id) {
  static const Curve p256 = make_curve(NID_X9_62_prime256v1);
  static const Curve p384 = make_curve(NID_secp384r1);
  static const Curve p521 = make_curve(NID_secp521r1);
  static const Curve bp256 = make_curve(NID_brainpoolP256r1);
  static const Curve bp384 = make_curve(NID_brainpoolP384r1);
  static const Curve bp512 = make_curve(NID_brainpoolP512r1);
  switch (id) {
    case DhId::kEcp384: return p384;
    case DhId::kEcp521: return p521;
    case DhId::kEcp256Bp: return bp256;
    case DhId::kEcp384Bp: return bp384;
    case DhId::kEcp512Bp: return bp512;
    default: return p256;
  }
}

Error library_failed() {
  return make_error(ErrorCode::kInternal, "the crypto library could not compute on an ECP group");
}

// The scalar if it lies in 1..n-1, else nothing.
OwnedBn scalar_in_range(const Curve& curve, ByteView octets) {
  OwnedBn scalar(BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr));
  if (!scalar || BN_is_zero(scalar.get()) ||
      BN_cmp(scalar.get(), EC_GROUP_get0_order(curve.group)) >= 0) {
    return nullptr;
  }
  BN_set_flags(scalar.get(), BN_FLG_CONSTTIME);
  return scalar;
}

// The uncompressed encoding of SEC 1: 0x04 | x | y. IKE sends it without the first octet (RFC 5903
// section 7).
constexpr std::uint8_t kUncompressed = 0x04;

Result<DhKeyPair> pair_from_scalar(DhId id, const Curve& curve, SecretBytes octets,
                                   const BIGNUM* scalar) {
  const OwnedBnContext context(BN_CTX_new());
  const OwnedPoint point(EC_POINT_new(curve.group));
  Bytes encoded(1 + 2 * curve.field_octets);
  if (!context || !point ||
      EC_POINT_mul(curve.group, point.get(), scalar, nullptr, nullptr, context.get()) != 1 ||
      EC_POINT_point2oct(curve.group, point.get(), POINT_CONVERSION_UNCOMPRESSED, encoded.data(),
                         encoded.size(), context.get()) != encoded.size()) {
    return library_failed();
  }
  DhKeyPair pair;
  pair.group = id;
  pair.private_key = std::move(octets);
  pair.public_key.assign(encoded.begin() + 1, encoded.end());
  return pair;
}

}  // namespace

Result<DhKeyPair> ecp_generate(DhId id, Rng& rng) {
  const ErrorQueueGuard guard;
  const Curve& curve = curve_of(id);
  for (int draw = 0; draw < kMaxDraws; ++draw) {
    // By rejection, so that every scalar is equally likely; each order has all bits of its field.
    Bytes drawn = rng.bytes(curve.field_octets);
    drawn.front() &= curve.top_mask;
    SecretBytes octets(std::move(drawn));
    const OwnedBn scalar = scalar_in_range(curve, octets.reveal());
    if (scalar) return pair_from_scalar(id, curve, std::move(octets), scalar.get());
  }
  return make_error(ErrorCode::kInternal, "the random source gave no usable ECP scalar in " +
                                              std::to_string(kMaxDraws) + " draws");
}

Result<SecretBytes> ecp_shared(const DhKeyPair& own, ByteView peer_public) {
  const ErrorQueueGuard guard;
  const Curve& curve = curve_of(own.group);
  const OwnedBn scalar = own.private_key.size() == curve.field_octets
                             ? scalar_in_range(curve, own.private_key.reveal())
                             : nullptr;
  const OwnedBnContext context(BN_CTX_new());
  const OwnedPoint peer(EC_POINT_new(curve.group));
  const OwnedPoint product(EC_POINT_new(curve.group));
  if (!scalar || !context || !peer || !product) return library_failed();

  Bytes encoded{kUncompressed};
  encoded.insert(encoded.end(), peer_public.begin(), peer_public.end());
  // RFC 6989 section 2.3: 0 <= x, y < p, and the point must be on the curve. oct2point checks both;
  // the point at infinity has no such encoding.
  if (EC_POINT_oct2point(curve.group, peer.get(), encoded.data(), encoded.size(), context.get()) !=
          1 ||
      EC_POINT_is_on_curve(curve.group, peer.get(), context.get()) != 1) {
    return invalid_ke(own.group, "it is not a point of the curve");
  }
  const OwnedBn x(BN_new());
  const OwnedBn y(BN_new());
  if (!x || !y ||
      EC_POINT_mul(curve.group, product.get(), nullptr, peer.get(), scalar.get(), context.get()) !=
          1 ||
      EC_POINT_get_affine_coordinates(curve.group, product.get(), x.get(), y.get(),
                                      context.get()) != 1) {
    return library_failed();
  }
  // RFC 5903 section 7: the shared secret is the x coordinate alone.
  Bytes out(curve.field_octets);
  const int size = BN_bn2binpad(x.get(), out.data(), static_cast<int>(out.size()));
  SecretBytes shared(std::move(out));
  if (size != static_cast<int>(curve.field_octets)) return library_failed();
  return shared;
}

}  // namespace espalier::crypto
