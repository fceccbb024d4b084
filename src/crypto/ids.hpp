// Algorithm identifiers: the IANA numbers of the IKEv2 registry, and what each one needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace espalier::crypto {

// IKEv2 Transform Type 1. GCM with a 16-octet ICV is RFC 4106/5282, ChaCha20-Poly1305 RFC 7634, CTR
// RFC 3686, CCM RFC 4309, GMAC RFC 4543, NULL RFC 2410.
enum class EncrId : std::uint16_t {
  kNone = 0,
  kNull = 11,
  kAesCbc = 12,
  kAesCtr = 13,
  kAesCcm8 = 14,
  kAesCcm12 = 15,
  kAesCcm16 = 16,
  kAesGcm8 = 18,
  kAesGcm12 = 19,
  kAesGcm16 = 20,
  kAesGmac = 21,  // authenticates, and does not encrypt
  kChaCha20Poly1305 = 28,
};
// Transform Type 2.
enum class PrfId : std::uint16_t {
  kNone = 0,
  kHmacSha1 = 2,
  kHmacSha2_256 = 5,
  kHmacSha2_384 = 6,
  kHmacSha2_512 = 7
};
// Transform Type 3.
enum class IntegId : std::uint16_t {
  kNone = 0,
  kHmacSha1_96 = 2,
  kHmacSha2_256_128 = 12,
  kHmacSha2_384_192 = 13,
  kHmacSha2_512_256 = 14
};
// Transform Types 4 and 6 to 12: "Key Exchange Method". 35 to 37 are KEMs
// (draft-ietf-ipsecme-ikev2-mlkem).
enum class DhId : std::uint16_t {
  kNone = 0,
  kModp2048 = 14,
  kModp3072 = 15,
  kModp4096 = 16,
  kModp6144 = 17,
  kModp8192 = 18,
  kEcp256 = 19,
  kEcp384 = 20,
  kEcp521 = 21,
  kEcp256Bp = 28,  // brainpool
  kEcp384Bp = 29,
  kEcp512Bp = 30,
  kX25519 = 31,
  kX448 = 32,
  kMlKem512 = 35,
  kMlKem768 = 36,
  kMlKem1024 = 37
};
// Hash Algorithms of RFC 7427 (SIGNATURE_HASH_ALGORITHMS notify); 5 is RFC 8420.
enum class HashId : std::uint16_t {
  kSha1 = 1,
  kSha2_256 = 2,
  kSha2_384 = 3,
  kSha2_512 = 4,
  kIdentity = 5
};

// What an encryption algorithm needs. Sizes in octets.
struct EncrInfo {
  EncrId id;
  std::string_view name;  // strongSwan's word without the key size: "aes", "aes-gcm16", ...
  bool aead;
  bool variable_key;         // carries a Key Length attribute on the wire (RFC 7296 section 3.3.5)
  std::size_t salt_octets;   // taken from the end of the key material (RFC 4106 section 8.1)
  std::size_t iv_octets;     // explicit IV in each packet
  std::size_t block_octets;  // the plaintext is padded to a multiple of this in IKE's SK payload
  std::size_t icv_octets;    // of an AEAD; 0 otherwise
};
std::optional<EncrInfo> info(EncrId id);
// Whether packets are protected with it here too, and not by the kernel's ESP alone.
bool is_implemented(EncrId id);
// The key without salt, in octets, for a Key Length attribute in bits (0: the fixed length).
// Nothing when the algorithm does not take that length.
std::optional<std::size_t> key_octets(EncrId id, std::uint16_t key_bits);

struct IntegInfo {
  IntegId id;
  std::string_view name;
  std::size_t key_octets;
  std::size_t icv_octets;
};
std::optional<IntegInfo> info(IntegId id);

struct PrfInfo {
  PrfId id;
  std::string_view name;
  std::size_t key_octets;  // preferred key length: the length of SK_d, SK_pi, SK_pr
  std::size_t output_octets;
};
std::optional<PrfInfo> info(PrfId id);

struct DhInfo {
  DhId id;
  std::string_view name;      // "x25519", "ecp256", "modp3072"
  std::size_t public_octets;  // length of the initiator's Key Exchange Data on the wire
  std::size_t answer_octets;  // of the responder's: with a KEM it is a ciphertext
  bool kem = false;
};
std::optional<DhInfo> info(DhId id);

}  // namespace espalier::crypto
