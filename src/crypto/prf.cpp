#include "crypto/prf.hpp"

#include <openssl/evp.h>

#include <algorithm>

#include "crypto/hmac.hpp"
#include "crypto/limits.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

Bytes digest(const EVP_MD* algorithm, std::initializer_list<ByteView> parts) {
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  Bytes out(static_cast<std::size_t>(EVP_MD_get_size(algorithm)));
  ASSERT(context != nullptr && EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1);
  for (const ByteView part : parts) {
    ASSERT(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1);
  }
  ASSERT(EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1);
  return out;
}

// T(1) | T(2) | ..., T(i) = HMAC(key, T(i-1) | seed | i): prf+ of RFC 7296 section 2.13 and HKDF's
// expansion of RFC 5869 section 2.3 are the same function.
SecretBytes expand(HashId hash, ByteView key, ByteView seed, std::size_t octets) {
  const std::size_t block = hash_octets(hash);
  Hmac hmac(hash, key);
  Bytes out((octets + block - 1) / block * block);
  for (std::size_t offset = 0; offset < out.size(); offset += block) {
    const auto counter = static_cast<std::uint8_t>(offset / block + 1);
    hmac.start();
    if (offset != 0) hmac.update(ByteView(out).subspan(offset - block, block));
    hmac.update(seed);
    hmac.update({&counter, 1});
    hmac.finish(MutableByteView(out).subspan(offset, block));
  }
  wipe(MutableByteView(out).subspan(octets));
  out.resize(octets);  // shrinks in place: no copy of the key is left behind
  return SecretBytes(std::move(out));
}

}  // namespace

Result<SecretBytes> prf(PrfId id, ByteView key, std::initializer_list<ByteView> parts) {
  const auto hash = hash_of(id);
  if (!hash) {
    return make_error(ErrorCode::kUnsupported, "PRF " + std::to_string(static_cast<unsigned>(id)) +
                                                   " is not supported by this version");
  }
  Hmac hmac(*hash, key);
  hmac.start();
  for (const ByteView part : parts) hmac.update(part);
  Bytes out(hash_octets(*hash));
  hmac.finish(out);
  return SecretBytes(std::move(out));
}

Result<SecretBytes> prf_plus(PrfId id, ByteView key, ByteView seed, std::size_t octets) {
  const auto hash = hash_of(id);
  if (!hash) {
    return make_error(ErrorCode::kUnsupported, "PRF " + std::to_string(static_cast<unsigned>(id)) +
                                                   " is not supported by this version");
  }
  if (octets > kMaxPrfPlusBlocks * hash_octets(*hash)) {
    return make_error(ErrorCode::kLimit,
                      "prf+ gives at most " +
                          std::to_string(kMaxPrfPlusBlocks * hash_octets(*hash)) +
                          " octets with this PRF, not " + std::to_string(octets));
  }
  return expand(*hash, key, seed, octets);
}

Bytes sha1(std::initializer_list<ByteView> parts) {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  ASSERT(algorithm != nullptr);
  return digest(algorithm, parts);
}

Bytes sha256(std::initializer_list<ByteView> parts) {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  ASSERT(algorithm != nullptr);
  return digest(algorithm, parts);
}

SecretBytes hkdf_sha256(ByteView ikm, ByteView salt, ByteView info, std::size_t octets) {
  ASSERT(octets <= kMaxPrfPlusBlocks * hash_octets(HashId::kSha2_256));
  // RFC 5869 section 2.2: PRK = HMAC-Hash(salt, IKM). An absent salt is HashLen zeros, and to HMAC
  // that is the same key as an empty one.
  Hmac extract(HashId::kSha2_256, salt);
  extract.start();
  extract.update(ikm);
  Bytes prk(hash_octets(HashId::kSha2_256));
  extract.finish(prk);
  const SecretBytes key(std::move(prk));
  return expand(HashId::kSha2_256, key.reveal(), info, octets);
}

Result<Bytes> integ_mac(IntegId id, ByteView key, std::initializer_list<ByteView> parts) {
  const auto hash = hash_of(id);
  const auto integ = info(id);
  if (!hash || !integ) {
    return make_error(ErrorCode::kUnsupported, "integrity algorithm " +
                                                   std::to_string(static_cast<unsigned>(id)) +
                                                   " is not supported by this version");
  }
  Hmac hmac(*hash, key);
  hmac.start();
  for (const ByteView part : parts) hmac.update(part);
  Bytes out(integ->icv_octets);
  hmac.finish(out);
  return out;
}

}  // namespace espalier::crypto
