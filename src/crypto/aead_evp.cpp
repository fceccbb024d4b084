#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <climits>

#include "crypto/cipher_impl.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedCipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

constexpr std::size_t kSaltOctets = 4;
constexpr std::size_t kNonceOctets = 12;

// Fetched once in the life of the process: fetching takes locks.
const EVP_CIPHER* algorithm(EncrId encr, std::size_t key_octets) {
  static EVP_CIPHER* const gcm128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  static EVP_CIPHER* const gcm192 = EVP_CIPHER_fetch(nullptr, "AES-192-GCM", nullptr);
  static EVP_CIPHER* const gcm256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  static EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  if (encr == EncrId::kChaCha20Poly1305) return chacha;
  return key_octets == 16 ? gcm128 : key_octets == 24 ? gcm192 : gcm256;
}

// AES-GCM and ChaCha20-Poly1305. A context keeps the key schedule; a packet only sets the nonce, so
// nothing is allocated for it. The context comes with the first packet: an SA is used in one
// direction, and most SAs of a large mesh wait.
class Aead final : public Cipher {
 public:
  Aead(const SuiteSizes& lengths, const EVP_CIPHER* cipher, ByteView key, ByteView salt)
      : lengths_(lengths), cipher_(cipher), key_(key) {
    std::copy(salt.begin(), salt.end(), nonce_.begin());
  }
  ~Aead() override { wipe(nonce_); }

  void seal(std::span<SealItem> batch) override {
    for (SealItem& item : batch) {
      ASSERT(fits(item));
      // A failure here is the library's (out of memory): sending what it left behind could be
      // plaintext, so there is no way on.
      ASSERT(seal_one(item));
    }
  }

  void open(std::span<SealItem> batch) override {
    for (SealItem& item : batch) {
      item.ok = fits(item) && open_one(item);
      // RFC 5116 section 2.2: a failed decryption gives FAIL and no plaintext.
      if (!item.ok) wipe(item.data);
    }
  }

 private:
  bool fits(const SealItem& item) const {
    return item.iv.size() == lengths_.iv && item.icv.size() == lengths_.icv &&
           item.esn_high.empty() && item.data.size() <= INT_MAX && item.aad.size() <= INT_MAX;
  }

  // RFC 4106 section 4 and RFC 7634 section 2: the nonce is salt | IV.
  void set_nonce(const SealItem& item) {
    std::copy(item.iv.begin(), item.iv.end(), nonce_.begin() + kSaltOctets);
  }

  bool have_sealer() {
    if (sealer_) return true;
    sealer_.reset(EVP_CIPHER_CTX_new());
    return sealer_ &&
           EVP_EncryptInit_ex2(sealer_.get(), cipher_, key_.reveal().data(), nullptr, nullptr) == 1;
  }

  bool have_opener() {
    if (opener_) return true;
    opener_.reset(EVP_CIPHER_CTX_new());
    return opener_ &&
           EVP_DecryptInit_ex2(opener_.get(), cipher_, key_.reveal().data(), nullptr, nullptr) == 1;
  }

  bool seal_one(SealItem& item) {
    if (!have_sealer()) return false;
    set_nonce(item);
    EVP_CIPHER_CTX* const context = sealer_.get();
    int size = 0;
    if (EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce_.data(), nullptr) != 1) return false;
    if (!item.aad.empty() && EVP_EncryptUpdate(context, nullptr, &size, item.aad.data(),
                                               static_cast<int>(item.aad.size())) != 1) {
      return false;
    }
    if (!item.data.empty() && EVP_EncryptUpdate(context, item.data.data(), &size, item.data.data(),
                                                static_cast<int>(item.data.size())) != 1) {
      return false;
    }
    return EVP_EncryptFinal_ex(context, nothing_.data(), &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(item.icv.size()),
                               item.icv.data()) == 1;
  }

  bool open_one(SealItem& item) {
    if (!have_opener()) return false;
    set_nonce(item);
    EVP_CIPHER_CTX* const context = opener_.get();
    int size = 0;
    if (EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce_.data(), nullptr) != 1) return false;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(item.icv.size()),
                            item.icv.data()) != 1) {
      return false;
    }
    if (!item.aad.empty() && EVP_DecryptUpdate(context, nullptr, &size, item.aad.data(),
                                               static_cast<int>(item.aad.size())) != 1) {
      return false;
    }
    if (!item.data.empty() && EVP_DecryptUpdate(context, item.data.data(), &size, item.data.data(),
                                                static_cast<int>(item.data.size())) != 1) {
      return false;
    }
    // The tag is compared in constant time inside.
    return EVP_DecryptFinal_ex(context, nothing_.data(), &size) == 1;
  }

  SuiteSizes lengths_;
  const EVP_CIPHER* cipher_;
  SecretBytes key_;  // without the salt
  OwnedCipherContext sealer_;
  OwnedCipherContext opener_;
  std::array<std::uint8_t, kNonceOctets> nonce_{};
  std::array<std::uint8_t, 16> nothing_{};  // the last call writes no octets, but wants a place
};

}  // namespace

Result<std::unique_ptr<Cipher>> make_aead(EncrId encr, const SuiteSizes& lengths,
                                          ByteView encr_key) {
  const ErrorQueueGuard guard;
  static_assert(kSaltOctets + 8 == kNonceOctets);
  const ByteView key = encr_key.first(encr_key.size() - kSaltOctets);
  const EVP_CIPHER* cipher = algorithm(encr, key.size());
  if (cipher == nullptr) {
    return make_error(ErrorCode::kUnsupported,
                      "the crypto library of this machine does not offer the cipher");
  }
  return std::unique_ptr<Cipher>(
      std::make_unique<Aead>(lengths, cipher, key, encr_key.last(kSaltOctets)));
}

}  // namespace espalier::crypto
