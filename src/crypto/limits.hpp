// The limits of this room. A peer's or a file's bytes that go past one are refused with kLimit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace espalier::crypto {

// RFC 7296 section 2.13: prf+ counts its blocks in one octet. RFC 5869 section 2.3: so does HKDF.
inline constexpr std::size_t kMaxPrfPlusBlocks = 255;

// RFC 7296 section 3.2: a payload's length has 16 bits, so no CERT or AUTH payload is larger.
inline constexpr std::size_t kMaxCertificateOctets = 65535;
inline constexpr std::size_t kMaxAuthDataOctets = 65535;

// Names in one subjectAltName. A gateway has a handful; a list of thousands is only good for
// spending our time.
inline constexpr std::size_t kMaxAlternativeNames = 256;

// Certificates taken from one PEM file: the bundles of public CAs hold about 150.
inline constexpr std::size_t kMaxCertificatesInFile = 1024;
inline constexpr std::size_t kMaxPemOctets = std::size_t{4} << 20;

// Certificates of one peer (RFC 7296 section 3.6 sets no limit), and CAs between its own and an
// anchor: each costs a signature verification.
inline constexpr std::size_t kMaxChainCertificates = 16;
inline constexpr int kMaxIntermediateCas = 8;

// Revocation lists from files. Public CAs' lists reach some megabytes and 100,000 entries; each
// entry costs about 150 octets here.
inline constexpr std::size_t kMaxCrlOctets = std::size_t{8} << 20;
inline constexpr std::size_t kMaxRevokedInList = 200'000;
inline constexpr std::size_t kMaxCrlsInFile = 64;

// Where a certificate's status is to be had: addresses taken from it, of each kind.
inline constexpr std::size_t kMaxStatusAddresses = 4;

// OCSP responses have 500 octets to 3 KiB; one that a peer sends is in a payload. Answers in one,
// and for how long one without nextUpdate holds: "newer revocation information is available all the
// time" (RFC 6960 section 4.2.2.1). The clocks may differ by the skew.
inline constexpr std::size_t kMaxOcspOctets = 65535;
inline constexpr std::size_t kMaxOcspAnswers = 64;
inline constexpr std::int64_t kOcspWithoutNextUpdate = 300;  // seconds
inline constexpr std::int64_t kOcspSkew = 300;

// RFC 8247 section 3.1.1 wants 2048 bits at least. The upper bound keeps one verification under a
// millisecond or so.
inline constexpr unsigned kMinRsaBits = 2048;
inline constexpr unsigned kMaxRsaBits = 8192;

// The salt of RSASSA-PSS is as long as the hash by custom (RFC 4055 section 3.1), never longer.
inline constexpr unsigned kMaxPssSaltOctets = 64;

}  // namespace espalier::crypto
