#include "crypto/public_key.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/hmac.hpp"
#include "crypto/limits.hpp"
#include "crypto/owned.hpp"

namespace espalier::crypto {
namespace {

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedDigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;

struct Facts {
  KeyType type;
  unsigned bits;
};

Error unsupported(std::string_view reason) {
  return make_error(ErrorCode::kUnsupported, "the public key is refused: " + std::string(reason));
}

Result<Facts> facts_of(const EVP_PKEY* key) {
  const auto bits = static_cast<unsigned>(EVP_PKEY_get_bits(key));
  if (EVP_PKEY_is_a(key, "RSA") == 1) return Facts{KeyType::kRsa, bits};
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return Facts{KeyType::kEd25519, bits};
  if (EVP_PKEY_is_a(key, "ED448") == 1) return Facts{KeyType::kEd448, bits};
  if (EVP_PKEY_is_a(key, "EC") != 1) {
    const char* word = EVP_PKEY_get0_type_name(key);
    return unsupported("keys of type " + std::string(word != nullptr ? word : "unknown") +
                       " are not supported; RSA, ECDSA, Ed25519 and Ed448 are");
  }
  // RFC 5480 section 2.1.1: a curve is given by its name. Keys that spell out its parameters can
  // lie about the generator (CVE-2020-0601).
  int spelled_out = 0;
  char group[32];
  std::size_t size = 0;
  if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled_out) !=
          1 ||
      spelled_out != 0 || EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) {
    return unsupported("its elliptic curve is not given by a name");
  }
  const std::string_view curve(group, size);
  if (curve == "prime256v1") return Facts{KeyType::kEcdsa, 256};
  if (curve == "secp384r1") return Facts{KeyType::kEcdsa, 384};
  if (curve == "secp521r1") return Facts{KeyType::kEcdsa, 521};
  return unsupported("curve " + std::string(curve) +
                     " is not supported; P-256, P-384 and P-521 are");
}

bool set_padding(EVP_PKEY_CTX* context, const SignatureAlgorithm& algorithm) {
  if (!algorithm.pss) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, hash_name(algorithm.hash), nullptr) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, static_cast<int>(algorithm.salt_octets)) == 1;
}

Error wrong_signature() {
  return make_error(ErrorCode::kAuthentication,
                    "the signature was not made by the certificate's key over this exchange");
}

}  // namespace

struct PublicKey::State {
  OwnedKey key;
};

PublicKey::PublicKey() = default;
PublicKey::PublicKey(PublicKey&& other) noexcept = default;
PublicKey& PublicKey::operator=(PublicKey&& other) noexcept = default;
PublicKey::~PublicKey() = default;

Result<PublicKey> PublicKey::from_der(ByteView public_der) {
  const ErrorQueueGuard guard;
  if (public_der.size() > kMaxCertificateOctets) {
    return make_error(ErrorCode::kLimit, "the public key is longer than a certificate can be");
  }
  const unsigned char* at = public_der.data();
  OwnedKey key(d2i_PUBKEY(nullptr, &at, static_cast<long>(public_der.size())));
  if (!key || at != public_der.data() + public_der.size()) {
    return make_error(ErrorCode::kMalformed, "the public key is not a DER SubjectPublicKeyInfo");
  }
  TRY_ASSIGN(const Facts facts, facts_of(key.get()));
  PublicKey out;
  out.type_ = facts.type;
  out.bits_ = facts.bits;
  out.state_ = std::make_unique<State>();
  out.state_->key = std::move(key);
  return out;
}

Status PublicKey::check_strength() const {
  if (type_ != KeyType::kRsa) return {};
  if (bits_ < kMinRsaBits || bits_ > kMaxRsaBits) {
    return make_error(ErrorCode::kUnsupported,
                      "an RSA key of " + std::to_string(bits_) + " bits is refused; use " +
                          std::to_string(kMinRsaBits) + " to " + std::to_string(kMaxRsaBits));
  }
  return {};
}

HashId PublicKey::curve_hash() const {
  ASSERT(type_ == KeyType::kEcdsa);
  return bits_ == 256 ? HashId::kSha2_256 : bits_ == 384 ? HashId::kSha2_384 : HashId::kSha2_512;
}

AuthMethod PublicKey::curve_method() const {
  ASSERT(type_ == KeyType::kEcdsa);
  return bits_ == 256   ? AuthMethod::kEcdsa256
         : bits_ == 384 ? AuthMethod::kEcdsa384
                        : AuthMethod::kEcdsa521;
}

Status PublicKey::verify(const SignatureAlgorithm& algorithm, ByteView data,
                         ByteView signature) const {
  const ErrorQueueGuard guard;
  TRY(check_strength());
  if (algorithm.key != type_) {
    return make_error(ErrorCode::kAuthentication, "the signature is an " +
                                                      std::string(name(algorithm.key)) +
                                                      " one, but the certificate holds an " +
                                                      std::string(name(type_)) + " key");
  }
  // RFC 8017 section 8.2.2 step 1: the length is exactly that of the modulus.
  if (type_ == KeyType::kRsa && signature.size() != (bits_ + 7) / 8) return wrong_signature();
  const OwnedDigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;  // belongs to context
  if (!context ||
      EVP_DigestVerifyInit_ex(context.get(), &key_context, hash_name(algorithm.hash), nullptr,
                              nullptr, state_->key.get(), nullptr) != 1 ||
      (type_ == KeyType::kRsa && !set_padding(key_context, algorithm))) {
    return make_error(ErrorCode::kInternal, "the crypto library could not verify a signature");
  }
  // For ECDSA the library parses Ecdsa-Sig-Value and refuses anything but its one DER encoding.
  if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(),
                       data.size()) != 1) {
    return wrong_signature();
  }
  return {};
}

std::string_view name(KeyType type) {
  switch (type) {
    case KeyType::kRsa: return "RSA";
    case KeyType::kEcdsa: return "ECDSA";
    case KeyType::kEd25519: return "Ed25519";
    case KeyType::kEd448: return "Ed448";
  }
  return "unknown";
}

}  // namespace espalier::crypto
