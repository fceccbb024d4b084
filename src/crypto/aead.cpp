#include "crypto/aead.hpp"

#include "crypto/cipher_impl.hpp"

namespace espalier::crypto {
namespace {

Error wrong_key(std::string_view what, std::size_t have, std::size_t want) {
  return make_error(ErrorCode::kInvalidArgument, "the " + std::string(what) + " key has " +
                                                     std::to_string(have) + " octets, not " +
                                                     std::to_string(want));
}

}  // namespace

Result<SuiteSizes> sizes(const CipherSuite& suite) {
  const auto encr = info(suite.encr);
  const auto key = key_octets(suite.encr, suite.key_bits);
  if (!encr || !key) {
    return make_error(ErrorCode::kUnsupported,
                      "encryption algorithm " + std::to_string(static_cast<unsigned>(suite.encr)) +
                          " with a key of " + std::to_string(suite.key_bits) +
                          " bits is not supported by this version");
  }
  SuiteSizes out;
  out.encr_key = *key + encr->salt_octets;
  out.iv = encr->iv_octets;
  out.block = encr->block_octets;
  out.icv = encr->icv_octets;
  if (encr->aead) {
    // RFC 5282 section 8: an AEAD is negotiated without an integrity transform, or with NONE.
    if (suite.integ != IntegId::kNone) {
      return make_error(ErrorCode::kInvalidArgument,
                        std::string(encr->name) + " takes no integrity algorithm of its own");
    }
    return out;
  }
  const auto integ = info(suite.integ);
  if (!integ) {
    return make_error(ErrorCode::kUnsupported,
                      std::string(encr->name) + " needs an integrity algorithm, and " +
                          std::to_string(static_cast<unsigned>(suite.integ)) + " is not one");
  }
  out.integ_key = integ->key_octets;
  out.icv = integ->icv_octets;
  return out;
}

Result<std::unique_ptr<Cipher>> make_cipher(const CipherSuite& suite, ByteView encr_key,
                                            ByteView integ_key) {
  TRY_ASSIGN(const SuiteSizes lengths, sizes(suite));
  if (!is_implemented(suite.encr)) {
    return make_error(ErrorCode::kUnsupported,
                      std::string(info(suite.encr)->name) +
                          " is the kernel's alone: only its ESP (--dataplane kernel) has it");
  }
  if (encr_key.size() != lengths.encr_key) {
    return wrong_key("encryption", encr_key.size(), lengths.encr_key);
  }
  if (integ_key.size() != lengths.integ_key) {
    return wrong_key("integrity", integ_key.size(), lengths.integ_key);
  }
  if (suite.encr == EncrId::kAesCbc) {
    return make_cbc_hmac(suite.integ, lengths, encr_key, integ_key);
  }
  return make_aead(suite.encr, lengths, encr_key);
}

}  // namespace espalier::crypto
