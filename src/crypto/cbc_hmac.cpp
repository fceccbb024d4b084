#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <climits>
#include <optional>

#include "crypto/cipher_impl.hpp"
#include "crypto/hmac.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedCipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

constexpr std::size_t kMaxIcvOctets = 32;
constexpr std::size_t kEsnHighOctets = 4;

const EVP_CIPHER* algorithm(std::size_t key_octets) {
  static EVP_CIPHER* const cbc128 = EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr);
  static EVP_CIPHER* const cbc192 = EVP_CIPHER_fetch(nullptr, "AES-192-CBC", nullptr);
  static EVP_CIPHER* const cbc256 = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return key_octets == 16 ? cbc128 : key_octets == 24 ? cbc192 : cbc256;
}

// AES-CBC, then HMAC over the ciphertext (RFC 4303 section 3.3.2, RFC 7296 section 3.14). The
// contexts keep their keys; a packet sets the IV and restarts the HMAC. They come with the first
// packet: an SA is used in one direction, and most SAs of a large mesh wait.
class CbcHmac final : public Cipher {
 public:
  CbcHmac(const SuiteSizes& lengths, const EVP_CIPHER* cipher, HashId hash, ByteView encr_key,
          ByteView integ_key)
      : lengths_(lengths),
        cipher_(cipher),
        hash_(hash),
        encr_key_(encr_key),
        integ_key_(integ_key) {}

  void seal(std::span<SealItem> batch) override {
    for (SealItem& item : batch) {
      ASSERT(fits(item));
      ASSERT(encrypt(item));
      authenticate(item, item.icv);
    }
  }

  void open(std::span<SealItem> batch) override {
    for (SealItem& item : batch) {
      item.ok = fits(item) && verified(item) && decrypt(item);
    }
  }

 private:
  bool fits(const SealItem& item) const {
    return item.iv.size() == lengths_.iv && item.icv.size() == lengths_.icv &&
           item.data.size() % lengths_.block == 0 && item.data.size() <= INT_MAX &&
           (item.esn_high.empty() || item.esn_high.size() == kEsnHighOctets);
  }

  // Padding is ESP's and IKE's business, not the cipher's.
  bool have_sealer() {
    if (sealer_) return true;
    sealer_.reset(EVP_CIPHER_CTX_new());
    return sealer_ &&
           EVP_EncryptInit_ex2(sealer_.get(), cipher_, encr_key_.reveal().data(), nullptr,
                               nullptr) == 1 &&
           EVP_CIPHER_CTX_set_padding(sealer_.get(), 0) == 1;
  }

  bool have_opener() {
    if (opener_) return true;
    opener_.reset(EVP_CIPHER_CTX_new());
    return opener_ &&
           EVP_DecryptInit_ex2(opener_.get(), cipher_, encr_key_.reveal().data(), nullptr,
                               nullptr) == 1 &&
           EVP_CIPHER_CTX_set_padding(opener_.get(), 0) == 1;
  }

  bool encrypt(SealItem& item) {
    int size = 0;
    return have_sealer() &&
           EVP_EncryptInit_ex2(sealer_.get(), nullptr, nullptr, item.iv.data(), nullptr) == 1 &&
           (item.data.empty() ||
            EVP_EncryptUpdate(sealer_.get(), item.data.data(), &size, item.data.data(),
                              static_cast<int>(item.data.size())) == 1);
  }

  bool decrypt(SealItem& item) {
    int size = 0;
    return have_opener() &&
           EVP_DecryptInit_ex2(opener_.get(), nullptr, nullptr, item.iv.data(), nullptr) == 1 &&
           (item.data.empty() ||
            EVP_DecryptUpdate(opener_.get(), item.data.data(), &size, item.data.data(),
                              static_cast<int>(item.data.size())) == 1);
  }

  void authenticate(const SealItem& item, MutableByteView icv) {
    if (!hmac_) hmac_.emplace(hash_, integ_key_.reveal());
    hmac_->start();
    hmac_->update(item.aad);
    hmac_->update(item.iv);
    hmac_->update(item.data);
    // RFC 4303 section 2.2.1: the high bits of an extended sequence number come last, as if sent.
    hmac_->update(item.esn_high);
    hmac_->finish(icv);
  }

  // Before anything is decrypted: a forged packet must not reach the cipher.
  bool verified(const SealItem& item) {
    std::array<std::uint8_t, kMaxIcvOctets> expected;
    authenticate(item, MutableByteView(expected).first(lengths_.icv));
    return CRYPTO_memcmp(expected.data(), item.icv.data(), lengths_.icv) == 0;
  }

  SuiteSizes lengths_;
  const EVP_CIPHER* cipher_;
  HashId hash_;
  SecretBytes encr_key_, integ_key_;
  OwnedCipherContext sealer_;
  OwnedCipherContext opener_;
  std::optional<Hmac> hmac_;
};

}  // namespace

Result<std::unique_ptr<Cipher>> make_cbc_hmac(IntegId integ, const SuiteSizes& lengths,
                                              ByteView encr_key, ByteView integ_key) {
  const ErrorQueueGuard guard;
  ASSERT(lengths.icv <= kMaxIcvOctets);
  const EVP_CIPHER* cipher = algorithm(encr_key.size());
  const auto hash = hash_of(integ);
  if (cipher == nullptr || !hash) {
    return make_error(ErrorCode::kUnsupported,
                      "the crypto library of this machine does not offer the cipher");
  }
  return std::unique_ptr<Cipher>(
      std::make_unique<CbcHmac>(lengths, cipher, *hash, encr_key, integ_key));
}

}  // namespace espalier::crypto
