#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <climits>

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

// AES-CBC, then HMAC over the ciphertext (RFC 4303 section 3.3.2, RFC 7296 section 3.14). Both
// contexts keep their keys; a packet sets the IV and restarts the HMAC.
class CbcHmac final : public Cipher {
 public:
  CbcHmac(const SuiteSizes& lengths, OwnedCipherContext sealer, OwnedCipherContext opener,
          Hmac hmac)
      : lengths_(lengths),
        sealer_(std::move(sealer)),
        opener_(std::move(opener)),
        hmac_(std::move(hmac)) {}

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

  bool encrypt(SealItem& item) {
    int size = 0;
    return EVP_EncryptInit_ex2(sealer_.get(), nullptr, nullptr, item.iv.data(), nullptr) == 1 &&
           (item.data.empty() ||
            EVP_EncryptUpdate(sealer_.get(), item.data.data(), &size, item.data.data(),
                              static_cast<int>(item.data.size())) == 1);
  }

  bool decrypt(SealItem& item) {
    int size = 0;
    return EVP_DecryptInit_ex2(opener_.get(), nullptr, nullptr, item.iv.data(), nullptr) == 1 &&
           (item.data.empty() ||
            EVP_DecryptUpdate(opener_.get(), item.data.data(), &size, item.data.data(),
                              static_cast<int>(item.data.size())) == 1);
  }

  void authenticate(const SealItem& item, MutableByteView icv) {
    hmac_.start();
    hmac_.update(item.aad);
    hmac_.update(item.iv);
    hmac_.update(item.data);
    // RFC 4303 section 2.2.1: the high bits of an extended sequence number come last, as if sent.
    hmac_.update(item.esn_high);
    hmac_.finish(icv);
  }

  // Before anything is decrypted: a forged packet must not reach the cipher.
  bool verified(const SealItem& item) {
    std::array<std::uint8_t, kMaxIcvOctets> expected;
    authenticate(item, MutableByteView(expected).first(lengths_.icv));
    return CRYPTO_memcmp(expected.data(), item.icv.data(), lengths_.icv) == 0;
  }

  SuiteSizes lengths_;
  OwnedCipherContext sealer_;
  OwnedCipherContext opener_;
  Hmac hmac_;
};

}  // namespace

Result<std::unique_ptr<Cipher>> make_cbc_hmac(IntegId integ, const SuiteSizes& lengths,
                                              ByteView encr_key, ByteView integ_key) {
  const ErrorQueueGuard guard;
  ASSERT(lengths.icv <= kMaxIcvOctets);
  const EVP_CIPHER* cipher = algorithm(encr_key.size());
  const auto hash = hash_of(integ);
  OwnedCipherContext sealer(EVP_CIPHER_CTX_new());
  OwnedCipherContext opener(EVP_CIPHER_CTX_new());
  // Padding is ESP's and IKE's business, not the cipher's.
  if (cipher == nullptr || !hash || !sealer || !opener ||
      EVP_EncryptInit_ex2(sealer.get(), cipher, encr_key.data(), nullptr, nullptr) != 1 ||
      EVP_DecryptInit_ex2(opener.get(), cipher, encr_key.data(), nullptr, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(sealer.get(), 0) != 1 ||
      EVP_CIPHER_CTX_set_padding(opener.get(), 0) != 1) {
    return make_error(ErrorCode::kUnsupported,
                      "the crypto library of this machine does not offer the cipher");
  }
  return std::unique_ptr<Cipher>(std::make_unique<CbcHmac>(
      lengths, std::move(sealer), std::move(opener), Hmac(*hash, integ_key)));
}

}  // namespace espalier::crypto
