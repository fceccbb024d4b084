#include "crypto/hmac.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

constexpr std::size_t kLargestHash = 64;

// Fetched once in the life of the process: fetching takes locks.
EVP_MAC* hmac_algorithm() {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return algorithm;
}

}  // namespace

struct Hmac::State {
  Owned<EVP_MAC_CTX, EVP_MAC_CTX_free> context;
  std::size_t output_octets = 0;
};

Hmac::Hmac(HashId hash, ByteView key) : state_(std::make_unique<State>()) {
  const char* digest = hash_name(hash);
  ASSERT(digest != nullptr && hmac_algorithm() != nullptr);
  state_->context.reset(EVP_MAC_CTX_new(hmac_algorithm()));
  state_->output_octets = hash_octets(hash);
  ASSERT(state_->context != nullptr);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(digest), 0),
      OSSL_PARAM_construct_end()};
  // A null key would mean "keep the old one"; an empty key is a key.
  const std::uint8_t none = 0;
  ASSERT(EVP_MAC_init(state_->context.get(), key.empty() ? &none : key.data(), key.size(),
                      params) == 1);
}

Hmac::Hmac(Hmac&& other) noexcept = default;
Hmac& Hmac::operator=(Hmac&& other) noexcept = default;
Hmac::~Hmac() = default;

void Hmac::start() { ASSERT(EVP_MAC_init(state_->context.get(), nullptr, 0, nullptr) == 1); }

void Hmac::update(ByteView bytes) {
  if (bytes.empty()) return;
  ASSERT(EVP_MAC_update(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

void Hmac::finish(MutableByteView out) {
  ASSERT(out.size() <= state_->output_octets);
  std::array<std::uint8_t, kLargestHash> tag;
  std::size_t size = 0;
  ASSERT(EVP_MAC_final(state_->context.get(), tag.data(), &size, tag.size()) == 1);
  ASSERT(size == state_->output_octets);
  std::copy_n(tag.begin(), out.size(), out.begin());
  OPENSSL_cleanse(tag.data(), tag.size());
}

std::optional<HashId> hash_of(PrfId id) {
  switch (id) {
    case PrfId::kHmacSha1: return HashId::kSha1;
    case PrfId::kHmacSha2_256: return HashId::kSha2_256;
    case PrfId::kHmacSha2_384: return HashId::kSha2_384;
    case PrfId::kHmacSha2_512: return HashId::kSha2_512;
    case PrfId::kNone: break;
  }
  return std::nullopt;
}

std::optional<HashId> hash_of(IntegId id) {
  switch (id) {
    case IntegId::kHmacSha1_96: return HashId::kSha1;
    case IntegId::kHmacSha2_256_128: return HashId::kSha2_256;
    case IntegId::kHmacSha2_384_192: return HashId::kSha2_384;
    case IntegId::kHmacSha2_512_256: return HashId::kSha2_512;
    case IntegId::kNone: break;
  }
  return std::nullopt;
}

std::size_t hash_octets(HashId hash) {
  switch (hash) {
    case HashId::kSha1: return 20;
    case HashId::kSha2_256: return 32;
    case HashId::kSha2_384: return 48;
    case HashId::kSha2_512: return 64;
    case HashId::kIdentity: break;
  }
  return 0;
}

const char* hash_name(HashId hash) {
  switch (hash) {
    case HashId::kSha1: return "SHA1";
    case HashId::kSha2_256: return "SHA256";
    case HashId::kSha2_384: return "SHA384";
    case HashId::kSha2_512: return "SHA512";
    case HashId::kIdentity: break;
  }
  return nullptr;
}

}  // namespace espalier::crypto
