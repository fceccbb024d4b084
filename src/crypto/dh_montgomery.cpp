#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/dh_groups.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

struct Curve {
  DhId id;
  const char* name;  // the library's
  std::size_t octets;
};

constexpr Curve kX25519{DhId::kX25519, "X25519", 32};
constexpr Curve kX448{DhId::kX448, "X448", 56};

const Curve& curve_of(DhId id) { return id == DhId::kX448 ? kX448 : kX25519; }

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedKeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

OwnedKey load_private(const Curve& curve, ByteView octets) {
  if (octets.size() != curve.octets) return nullptr;
  return OwnedKey(
      EVP_PKEY_new_raw_private_key_ex(nullptr, curve.name, nullptr, octets.data(), octets.size()));
}

// With its public half at hand the library need not compute it again: a third of the work of g^ir.
OwnedKey load_pair(const Curve& curve, ByteView private_octets, ByteView public_octets) {
  if (private_octets.size() != curve.octets || public_octets.size() != curve.octets) {
    return nullptr;
  }
  const OwnedKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, curve.name, nullptr));
  // The library copies from these and never writes to them.
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
                                        const_cast<std::uint8_t*>(private_octets.data()),
                                        private_octets.size()),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<std::uint8_t*>(public_octets.data()),
                                        public_octets.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params) != 1) {
    return nullptr;
  }
  return OwnedKey(key);
}

}  // namespace

Result<DhKeyPair> montgomery_generate(DhId group, Rng& rng) {
  const ErrorQueueGuard guard;
  const Curve& curve = curve_of(group);
  DhKeyPair pair;
  pair.group = group;
  pair.private_key = SecretBytes(rng.bytes(curve.octets));
  const OwnedKey key = load_private(curve, pair.private_key.reveal());
  pair.public_key.resize(curve.octets);
  std::size_t size = curve.octets;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), pair.public_key.data(), &size) != 1 ||
      size != curve.octets) {
    return make_error(ErrorCode::kInternal,
                      "the crypto library could not make a key of " + std::string(curve.name));
  }
  return pair;
}

Result<SecretBytes> montgomery_shared(const DhKeyPair& own, ByteView peer_public) {
  const ErrorQueueGuard guard;
  const Curve& curve = curve_of(own.group);
  const OwnedKey key = own.public_key.empty()
                           ? load_private(curve, own.private_key.reveal())
                           : load_pair(curve, own.private_key.reveal(), own.public_key);
  const OwnedKey peer(EVP_PKEY_new_raw_public_key_ex(nullptr, curve.name, nullptr,
                                                     peer_public.data(), peer_public.size()));
  const OwnedKeyContext context(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)
                                    : nullptr);
  if (!context || !peer || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1) {
    return make_error(ErrorCode::kInternal,
                      "the crypto library could not use a key of " + std::string(curve.name));
  }
  Bytes out(curve.octets);
  std::size_t size = out.size();
  const bool derived =
      EVP_PKEY_derive(context.get(), out.data(), &size) == 1 && size == curve.octets;
  SecretBytes shared(std::move(out));
  // RFC 7748 section 6 leaves the test for an all-zero result to the protocol. It is made here: a
  // peer that sends a point of small order makes a secret that everybody knows.
  if (!derived || shared == SecretBytes(Bytes(curve.octets))) {
    return invalid_ke(own.group, "it is a point of small order");
  }
  return shared;
}

}  // namespace espalier::crypto
