#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/dh_groups.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

constexpr std::size_t kOctets = 32;

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedKeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

OwnedKey load_private(ByteView octets) {
  if (octets.size() != kOctets) return nullptr;
  return OwnedKey(
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, octets.data(), octets.size()));
}

// With its public half at hand the library need not compute it again: a third of the work of g^ir.
OwnedKey load_pair(ByteView private_octets, ByteView public_octets) {
  if (private_octets.size() != kOctets || public_octets.size() != kOctets) return nullptr;
  const OwnedKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr));
  // The library copies from these and never writes to them.
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
                                        const_cast<std::uint8_t*>(private_octets.data()), kOctets),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<std::uint8_t*>(public_octets.data()), kOctets),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params) != 1) {
    return nullptr;
  }
  return OwnedKey(key);
}

}  // namespace

Result<DhKeyPair> x25519_generate(Rng& rng) {
  const ErrorQueueGuard guard;
  DhKeyPair pair;
  pair.group = DhId::kX25519;
  pair.private_key = SecretBytes(rng.bytes(kOctets));
  const OwnedKey key = load_private(pair.private_key.reveal());
  pair.public_key.resize(kOctets);
  std::size_t size = kOctets;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), pair.public_key.data(), &size) != 1 ||
      size != kOctets) {
    return make_error(ErrorCode::kInternal, "the crypto library could not make an X25519 key");
  }
  return pair;
}

Result<SecretBytes> x25519_shared(const DhKeyPair& own, ByteView peer_public) {
  const ErrorQueueGuard guard;
  const OwnedKey key = own.public_key.empty() ? load_private(own.private_key.reveal())
                                              : load_pair(own.private_key.reveal(), own.public_key);
  const OwnedKey peer(EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, peer_public.data(),
                                                     peer_public.size()));
  const OwnedKeyContext context(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)
                                    : nullptr);
  if (!context || !peer || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1) {
    return make_error(ErrorCode::kInternal, "the crypto library could not use an X25519 key");
  }
  Bytes out(kOctets);
  std::size_t size = out.size();
  const bool derived = EVP_PKEY_derive(context.get(), out.data(), &size) == 1 && size == kOctets;
  SecretBytes shared(std::move(out));
  // RFC 7748 section 6.1 leaves the test for an all-zero result to the protocol. It is made here: a
  // peer that sends a point of small order makes a secret that everybody knows.
  if (!derived || shared == SecretBytes(Bytes(kOctets))) {
    return invalid_ke(DhId::kX25519, "it is a point of small order");
  }
  return shared;
}

}  // namespace espalier::crypto
