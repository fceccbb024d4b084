// ML-KEM (FIPS 203) as a key exchange method of IKEv2. OpenSSL has it from 3.5 on; everything is
// fetched by name, so that this builds and runs, without the method, on any OpenSSL 3.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto/dh_groups.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedKeyContext = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using OwnedKem = Owned<EVP_KEM, EVP_KEM_free>;

constexpr std::size_t kSeedOctets = 64;    // d | z, FIPS 203 section 7.1
constexpr std::size_t kChanceOctets = 32;  // m, section 7.2
constexpr std::size_t kSharedOctets = 32;
// Parameter names of OpenSSL 3.5, which the headers of older ones do not have.
constexpr const char* kSeedParameter = "seed";
constexpr const char* kChanceParameter = "ikme";

const char* library_name(DhId group) {
  switch (group) {
    case DhId::kMlKem512: return "ML-KEM-512";
    case DhId::kMlKem768: return "ML-KEM-768";
    default: return "ML-KEM-1024";
  }
}

Error failed(DhId group, const char* what) {
  return make_error(ErrorCode::kInternal, std::string("the crypto library could not ") + what +
                                              " with " + library_name(group));
}

OwnedKey load(DhId group, const char* parameter, ByteView octets, int selection) {
  const OwnedKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, library_name(group), nullptr));
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
  Bytes copy = to_vector(octets);
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(parameter, copy.data(), copy.size()),
                             OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  const bool loaded = EVP_PKEY_fromdata(context.get(), &key, selection, parameters) == 1;
  wipe(copy);
  return OwnedKey(loaded ? key : nullptr);
}

}  // namespace

Status mlkem_available(DhId group) {
  const ErrorQueueGuard guard;
  const OwnedKem kem(EVP_KEM_fetch(nullptr, library_name(group), nullptr));
  if (kem) return {};
  return make_error(ErrorCode::kUnsupported, std::string(library_name(group)) +
                                                 " needs OpenSSL 3.5 or newer; this is " +
                                                 OpenSSL_version(OPENSSL_VERSION_STRING));
}

Result<DhKeyPair> mlkem_generate(DhId group, Rng& rng) {
  TRY(mlkem_available(group));
  const ErrorQueueGuard guard;
  DhKeyPair pair;
  pair.group = group;
  pair.private_key = SecretBytes(rng.bytes(kSeedOctets));
  const OwnedKey key = load(group, kSeedParameter, pair.private_key.reveal(), EVP_PKEY_KEYPAIR);
  pair.public_key.resize(info(group)->public_octets);
  std::size_t size = 0;
  if (!key ||
      EVP_PKEY_get_octet_string_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY, pair.public_key.data(),
                                      pair.public_key.size(), &size) != 1 ||
      size != pair.public_key.size()) {
    return failed(group, "make a key");
  }
  return pair;
}

Result<DhAnswer> mlkem_respond(DhId group, ByteView peer_public, Rng& rng) {
  TRY(mlkem_available(group));
  const ErrorQueueGuard guard;
  // FIPS 203 section 7.2: the library checks that the encapsulation key is one.
  const OwnedKey peer = load(group, OSSL_PKEY_PARAM_PUB_KEY, peer_public, EVP_PKEY_PUBLIC_KEY);
  if (!peer) return invalid_ke(group, "it is no encapsulation key");
  const OwnedKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, peer.get(), nullptr));
  Bytes chance = rng.bytes(kChanceOctets);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(kChanceParameter, chance.data(), chance.size()),
      OSSL_PARAM_construct_end()};
  Bytes secret(kSharedOctets);
  std::size_t secret_size = secret.size();
  DhAnswer answer;
  answer.public_key.resize(info(group)->answer_octets);
  std::size_t size = answer.public_key.size();
  const bool done = context && EVP_PKEY_encapsulate_init(context.get(), parameters) == 1 &&
                    EVP_PKEY_encapsulate(context.get(), answer.public_key.data(), &size,
                                         secret.data(), &secret_size) == 1;
  wipe(chance);
  answer.shared = SecretBytes(std::move(secret));
  if (!done || size != answer.public_key.size() || secret_size != kSharedOctets) {
    return failed(group, "encapsulate");
  }
  return answer;
}

Result<SecretBytes> mlkem_shared(const DhKeyPair& own, ByteView ciphertext) {
  const ErrorQueueGuard guard;
  const OwnedKey key = load(own.group, kSeedParameter, own.private_key.reveal(), EVP_PKEY_KEYPAIR);
  const OwnedKeyContext context(key ? EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)
                                    : nullptr);
  Bytes secret(kSharedOctets);
  std::size_t size = secret.size();
  // A ciphertext that was tampered with gives a secret that nobody else has (section 7.3): AUTH or
  // the first message under the new keys tells.
  const bool done = context && EVP_PKEY_decapsulate_init(context.get(), nullptr) == 1 &&
                    EVP_PKEY_decapsulate(context.get(), secret.data(), &size, ciphertext.data(),
                                         ciphertext.size()) == 1;
  SecretBytes shared(std::move(secret));
  if (!done || size != kSharedOctets) return failed(own.group, "decapsulate");
  return shared;
}

}  // namespace espalier::crypto
