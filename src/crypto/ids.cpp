#include "crypto/ids.hpp"

#include <array>

namespace espalier::crypto {
namespace {

constexpr std::array kEncr = {
    EncrInfo{EncrId::kNull, "null", false, false, 0, 0, 1, 0},
    EncrInfo{EncrId::kAesCbc, "aes", false, true, 0, 16, 16, 0},
    // RFC 3686 section 5.1: a nonce of 4 octets behind the key; no padding but ESP's own.
    EncrInfo{EncrId::kAesCtr, "aes-ctr", false, true, 4, 8, 1, 0},
    // RFC 4309 section 7.1: a salt of 3 octets.
    EncrInfo{EncrId::kAesCcm8, "aes-ccm8", true, true, 3, 8, 1, 8},
    EncrInfo{EncrId::kAesCcm12, "aes-ccm12", true, true, 3, 8, 1, 12},
    EncrInfo{EncrId::kAesCcm16, "aes-ccm16", true, true, 3, 8, 1, 16},
    EncrInfo{EncrId::kAesGcm8, "aes-gcm8", true, true, 4, 8, 1, 8},
    EncrInfo{EncrId::kAesGcm12, "aes-gcm12", true, true, 4, 8, 1, 12},
    // RFC 4106 section 8.1: a salt of 4 octets; RFC 5282 section 4: no padding is needed in IKE.
    EncrInfo{EncrId::kAesGcm16, "aes-gcm16", true, true, 4, 8, 1, 16},
    // RFC 4543 section 3.2: as GCM, with everything authenticated and nothing encrypted.
    EncrInfo{EncrId::kAesGmac, "aes-gmac", true, true, 4, 8, 1, 16},
    // RFC 7634 section 2: salt and IV as with GCM; the key always has 256 bits.
    EncrInfo{EncrId::kChaCha20Poly1305, "chacha20poly1305", true, false, 4, 8, 1, 16},
};

// RFC 4868 sections 2.1.1 (key lengths) and 2.3 (truncation); RFC 2404 for SHA-1.
constexpr std::array kInteg = {
    IntegInfo{IntegId::kHmacSha1_96, "sha1", 20, 12},
    IntegInfo{IntegId::kHmacSha2_256_128, "sha256", 32, 16},
    IntegInfo{IntegId::kHmacSha2_384_192, "sha384", 48, 24},
    IntegInfo{IntegId::kHmacSha2_512_256, "sha512", 64, 32},
};

// RFC 4868 section 2.1.2: the preferred key length of PRF-HMAC-SHA-2 is the hash's output.
constexpr std::array kPrf = {
    PrfInfo{PrfId::kHmacSha1, "prfsha1", 20, 20},
    PrfInfo{PrfId::kHmacSha2_256, "prfsha256", 32, 32},
    PrfInfo{PrfId::kHmacSha2_384, "prfsha384", 48, 48},
    PrfInfo{PrfId::kHmacSha2_512, "prfsha512", 64, 64},
};

// MODP: the length of the modulus (RFC 7296 section 3.4); ECP: x | y (RFC 5903 section 7); X25519:
// RFC 8031 section 3.1; ML-KEM: encapsulation key and ciphertext of FIPS 203 section 8.
constexpr std::array kDh = {
    DhInfo{DhId::kModp2048, "modp2048", 256, 256},
    DhInfo{DhId::kModp3072, "modp3072", 384, 384},
    DhInfo{DhId::kModp4096, "modp4096", 512, 512},
    DhInfo{DhId::kModp6144, "modp6144", 768, 768},
    DhInfo{DhId::kModp8192, "modp8192", 1024, 1024},
    DhInfo{DhId::kEcp256, "ecp256", 64, 64},
    DhInfo{DhId::kEcp384, "ecp384", 96, 96},
    DhInfo{DhId::kEcp521, "ecp521", 132, 132},
    DhInfo{DhId::kEcp256Bp, "ecp256bp", 64, 64},
    DhInfo{DhId::kEcp384Bp, "ecp384bp", 96, 96},
    DhInfo{DhId::kEcp512Bp, "ecp512bp", 128, 128},
    DhInfo{DhId::kX25519, "x25519", 32, 32},
    DhInfo{DhId::kX448, "x448", 56, 56},
    DhInfo{DhId::kMlKem512, "mlkem512", 800, 768, true},
    DhInfo{DhId::kMlKem768, "mlkem768", 1184, 1088, true},
    DhInfo{DhId::kMlKem1024, "mlkem1024", 1568, 1568, true},
};

template <class Table, class Id>
auto find(const Table& table, Id id) -> std::optional<typename Table::value_type> {
  for (const auto& row : table) {
    if (row.id == id) return row;
  }
  return std::nullopt;
}

}  // namespace

std::optional<EncrInfo> info(EncrId id) { return find(kEncr, id); }
bool is_implemented(EncrId id) {
  return id == EncrId::kAesCbc || id == EncrId::kAesGcm16 || id == EncrId::kChaCha20Poly1305;
}

std::optional<IntegInfo> info(IntegId id) { return find(kInteg, id); }
std::optional<PrfInfo> info(PrfId id) { return find(kPrf, id); }
std::optional<DhInfo> info(DhId id) { return find(kDh, id); }

std::optional<std::size_t> key_octets(EncrId id, std::uint16_t key_bits) {
  switch (id) {
    case EncrId::kAesCbc:
    case EncrId::kAesCtr:
    case EncrId::kAesCcm8:
    case EncrId::kAesCcm12:
    case EncrId::kAesCcm16:
    case EncrId::kAesGcm8:
    case EncrId::kAesGcm12:
    case EncrId::kAesGcm16:
    case EncrId::kAesGmac:
      // RFC 7296 section 3.3.5: AES has variable key lengths, so the attribute must be there.
      if (key_bits == 128 || key_bits == 192 || key_bits == 256) return key_bits / 8u;
      return std::nullopt;
    case EncrId::kChaCha20Poly1305:
      // The same section: the attribute must not be used with a fixed-length key.
      return key_bits == 0 ? std::optional<std::size_t>(32) : std::nullopt;
    case EncrId::kNull: return key_bits == 0 ? std::optional<std::size_t>(0) : std::nullopt;
    case EncrId::kNone: break;
  }
  return std::nullopt;
}

}  // namespace espalier::crypto
