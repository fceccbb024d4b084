// Internal to esp: the few octet moves that sending and receiving share.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"

namespace espalier::esp::detail {

inline void put_u32(std::uint8_t* out, std::uint32_t value) {
  out[0] = static_cast<std::uint8_t>(value >> 24);
  out[1] = static_cast<std::uint8_t>(value >> 16);
  out[2] = static_cast<std::uint8_t>(value >> 8);
  out[3] = static_cast<std::uint8_t>(value);
}
inline void put_u64(std::uint8_t* out, std::uint64_t value) {
  put_u32(out, static_cast<std::uint32_t>(value >> 32));
  put_u32(out + 4, static_cast<std::uint32_t>(value));
}
// What the cipher authenticates beside IV and ciphertext.
struct AuthenticatedHeader {
  std::array<std::uint8_t, 12> octets{};
  // For an AEAD with ESN: SPI, high and low 32 bits of the sequence number (RFC 4106 section 5,
  // RFC 7634 section 2.1). For cipher-then-MAC only the high bits are used (RFC 4303
  // section 2.2.1).
  void set(std::uint32_t spi, std::uint64_t sequence) {
    put_u32(octets.data(), spi);
    put_u64(octets.data() + 4, sequence);
  }
  ByteView high() const { return {octets.data() + 4, 4}; }
};

}  // namespace espalier::esp::detail
