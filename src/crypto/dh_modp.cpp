#include <openssl/bn.h>

#include <algorithm>

#include "crypto/dh_groups.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedBn = Owned<BIGNUM, BN_clear_free>;
using OwnedBnContext = Owned<BN_CTX, BN_CTX_free>;

constexpr int kMaxDraws = 64;  // a zero exponent once is unheard of; 64 mean a broken source

struct Group {
  Owned<BIGNUM, BN_free> prime;
  Owned<BIGNUM, BN_free> prime_minus_1;
  Owned<BN_MONT_CTX, BN_MONT_CTX_free> montgomery;
  std::size_t octets = 0;
  // RFC 3526 section 8: the exponent has twice the bits of the strength; the larger of its two
  // estimates (320 to 620 bits) is used.
  std::size_t exponent_octets = 0;
};

Group make_group(BIGNUM* prime, std::size_t octets, std::size_t exponent_octets) {
  Group group;
  group.prime.reset(prime);
  group.prime_minus_1.reset(BN_dup(prime));
  group.montgomery.reset(BN_MONT_CTX_new());
  group.octets = octets;
  group.exponent_octets = exponent_octets;
  const OwnedBnContext context(BN_CTX_new());
  ASSERT(prime != nullptr && group.prime_minus_1 && group.montgomery && context);
  ASSERT(BN_sub_word(group.prime_minus_1.get(), 1) == 1);
  ASSERT(BN_MONT_CTX_set(group.montgomery.get(), prime, context.get()) == 1);
  return group;
}

const Group& group_of(DhId id) {
  static const Group modp2048 = make_group(BN_get_rfc3526_prime_2048(nullptr), 256, 40);
  static const Group modp3072 = make_group(BN_get_rfc3526_prime_3072(nullptr), 384, 56);
  static const Group modp4096 = make_group(BN_get_rfc3526_prime_4096(nullptr), 512, 60);
  static const Group modp6144 = make_group(BN_get_rfc3526_prime_6144(nullptr), 768, 68);
  static const Group modp8192 = make_group(BN_get_rfc3526_prime_8192(nullptr), 1024, 78);
  switch (id) {
    case DhId::kModp3072: return modp3072;
    case DhId::kModp4096: return modp4096;
    case DhId::kModp6144: return modp6144;
    case DhId::kModp8192: return modp8192;
    default: return modp2048;
  }
}

Error library_failed() {
  return make_error(ErrorCode::kInternal, "the crypto library could not compute on a MODP group");
}

// base ^ exponent mod p in constant time, padded with zeros to the length of the modulus; empty
// when the library fails.
Bytes power(const Group& group, const BIGNUM* base, ByteView exponent_octets) {
  const OwnedBn exponent(
      BN_bin2bn(exponent_octets.data(), static_cast<int>(exponent_octets.size()), nullptr));
  const OwnedBn result(BN_new());
  const OwnedBnContext context(BN_CTX_new());
  if (!exponent || !result || !context) return {};
  BN_set_flags(exponent.get(), BN_FLG_CONSTTIME);
  if (BN_mod_exp_mont_consttime(result.get(), base, exponent.get(), group.prime.get(),
                                context.get(), group.montgomery.get()) != 1) {
    return {};
  }
  Bytes out(group.octets);
  if (BN_bn2binpad(result.get(), out.data(), static_cast<int>(out.size())) < 0) return {};
  return out;
}

bool all_zero(ByteView octets) {
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

}  // namespace

Result<DhKeyPair> modp_generate(DhId id, Rng& rng) {
  const ErrorQueueGuard guard;
  const Group& group = group_of(id);
  const OwnedBn generator(BN_new());
  if (!generator || BN_set_word(generator.get(), 2) != 1) return library_failed();
  for (int draw = 0; draw < kMaxDraws; ++draw) {
    DhKeyPair pair;
    pair.group = id;
    pair.private_key = SecretBytes(rng.bytes(group.exponent_octets));
    if (all_zero(pair.private_key.reveal())) continue;
    pair.public_key = power(group, generator.get(), pair.private_key.reveal());
    if (pair.public_key.empty()) return library_failed();
    return pair;
  }
  return make_error(ErrorCode::kInternal, "the random source gave only zeros for a MODP exponent");
}

Result<SecretBytes> modp_shared(const DhKeyPair& own, ByteView peer_public) {
  const ErrorQueueGuard guard;
  const Group& group = group_of(own.group);
  const OwnedBn peer(BN_bin2bn(peer_public.data(), static_cast<int>(peer_public.size()), nullptr));
  if (!peer || own.private_key.empty()) return library_failed();
  // RFC 6989 section 2.1, for safe primes: the public value r must be in the legal range
  // (1 < r < p-1).
  if (BN_is_zero(peer.get()) || BN_is_one(peer.get()) ||
      BN_cmp(peer.get(), group.prime_minus_1.get()) >= 0) {
    return invalid_ke(own.group, "it lies outside 2..p-2");
  }
  SecretBytes shared(power(group, peer.get(), own.private_key.reveal()));
  if (shared.empty()) return library_failed();
  return shared;
}

}  // namespace espalier::crypto
