#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <optional>

#include "crypto/ecdsa_raw.hpp"
#include "crypto/hmac.hpp"
#include "crypto/limits.hpp"
#include "crypto/owned.hpp"
#include "crypto/public_key.hpp"

namespace espalier::crypto {
namespace {

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedDigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;

// Without a callback the library would ask for a pass phrase at the terminal.
int no_pass_phrase(char*, int, int, void*) { return -1; }

Result<Bytes> public_der_of(const EVP_PKEY* key) {
  const int size = i2d_PUBKEY(key, nullptr);
  if (size <= 0) {
    return make_error(ErrorCode::kMalformed, "the private key holds no public part");
  }
  Bytes der(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  if (i2d_PUBKEY(key, &at) != size) {
    return make_error(ErrorCode::kInternal, "the crypto library could not encode a public key");
  }
  return der;
}

bool set_pss(EVP_PKEY_CTX* context, const SignatureAlgorithm& algorithm) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, hash_name(algorithm.hash), nullptr) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, static_cast<int>(algorithm.salt_octets)) == 1;
}

class LibraryKey final : public PrivateKey {
 public:
  LibraryKey(OwnedKey key, PublicKey public_key, Bytes public_der)
      : key_(std::move(key)),
        public_key_(std::move(public_key)),
        public_der_(std::move(public_der)) {}

  KeyType type() const override { return public_key_.type(); }
  Bytes public_der() const override { return public_der_; }

  Result<Bytes> sign(ByteView data, const std::vector<HashId>& peer_hashes) const override {
    const auto hash = choose_hash(peer_hashes);
    if (!hash) {
      return make_error(ErrorCode::kUnsupported,
                        "the peer's SIGNATURE_HASH_ALGORITHMS hold no hash that fits our " +
                            std::string(name(type())) + " key");
    }
    // RFC 8247 section 3.2: of RSA's two forms RSASSA-PSS is the one that everybody must have; its
    // salt is as long as the hash.
    const bool pss = type() == KeyType::kRsa;
    const SignatureAlgorithm algorithm{type(), *hash, pss,
                                       pss ? static_cast<unsigned>(hash_octets(*hash)) : 0};
    TRY_ASSIGN(const Bytes signature, sign_with(algorithm, data));
    return encode_auth_data(algorithm, signature);
  }

  std::optional<AuthMethod> ecdsa_method() const override {
    if (type() != KeyType::kEcdsa) return std::nullopt;
    return public_key_.curve_method();
  }

  Result<Bytes> sign_ecdsa(AuthMethod method, ByteView data) const override {
    if (type() != KeyType::kEcdsa || public_key_.curve_method() != method) {
      return make_error(ErrorCode::kUnsupported,
                        "authentication method " + std::to_string(static_cast<unsigned>(method)) +
                            " does not belong to our " + std::to_string(public_key_.bits()) +
                            " bit " + std::string(name(type())) + " key");
    }
    TRY_ASSIGN(const Bytes der, sign_with({type(), public_key_.curve_hash(), false, 0}, data));
    auto raw = ecdsa_raw_from_der(der, ecdsa_half_octets(public_key_.bits()));
    if (!raw) {
      return make_error(ErrorCode::kInternal, "the crypto library made no ECDSA signature");
    }
    return std::move(*raw);
  }

 private:
  std::optional<HashId> choose_hash(const std::vector<HashId>& offered) const {
    const auto has = [&](HashId hash) {
      return std::find(offered.begin(), offered.end(), hash) != offered.end();
    };
    if (is_eddsa(type())) {
      // RFC 8420 section 2: EdDSA goes with "Identity" and with nothing else.
      return has(HashId::kIdentity) ? std::optional(HashId::kIdentity) : std::nullopt;
    }
    if (type() == KeyType::kEcdsa && has(public_key_.curve_hash())) {
      return public_key_.curve_hash();
    }
    for (const HashId hash : {HashId::kSha2_512, HashId::kSha2_384, HashId::kSha2_256}) {
      if (has(hash)) return hash;
    }
    return std::nullopt;
  }

  Result<Bytes> sign_with(const SignatureAlgorithm& algorithm, ByteView data) const {
    const ErrorQueueGuard guard;
    const OwnedDigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key_context = nullptr;  // belongs to context
    Bytes signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
    std::size_t size = signature.size();
    if (!context ||
        EVP_DigestSignInit_ex(context.get(), &key_context, hash_name(algorithm.hash), nullptr,
                              nullptr, key_.get(), nullptr) != 1 ||
        (algorithm.pss && !set_pss(key_context, algorithm)) ||
        EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) != 1) {
      return make_error(ErrorCode::kInternal, "the crypto library could not sign with our " +
                                                  std::string(name(type())) + " key");
    }
    signature.resize(size);
    return signature;
  }

  OwnedKey key_;
  PublicKey public_key_;
  Bytes public_der_;
};

}  // namespace

Result<std::shared_ptr<const PrivateKey>> PrivateKey::from_pem(ByteView pem) {
  const ErrorQueueGuard guard;
  if (pem.size() > kMaxPemOctets) {
    return make_error(ErrorCode::kLimit, "the private key file is too large to be one");
  }
  const OwnedBio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  OwnedKey key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr)
                   : nullptr);
  if (!key) {
    constexpr std::string_view kEncrypted = "ENCRYPTED";
    const bool encrypted =
        std::search(pem.begin(), pem.end(), kEncrypted.begin(), kEncrypted.end()) != pem.end();
    return make_error(
        encrypted ? ErrorCode::kUnsupported : ErrorCode::kMalformed,
        encrypted ? "the private key is encrypted with a pass phrase, which is not supported; "
                    "decrypt it with 'openssl pkey' and keep the file at mode 0600"
                  : "the file holds no private key in PEM form (PKCS#8, PKCS#1 or SEC1)");
  }
  TRY_ASSIGN(Bytes public_der, public_der_of(key.get()));
  TRY_ASSIGN(PublicKey public_key, PublicKey::from_der(public_der));
  TRY(public_key.check_strength());
  return std::shared_ptr<const PrivateKey>(
      std::make_shared<LibraryKey>(std::move(key), std::move(public_key), std::move(public_der)));
}

}  // namespace espalier::crypto
