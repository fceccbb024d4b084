// Big-endian fields of packets, at offsets that the caller has checked.
#pragma once

#include <cstddef>
#include <cstdint>

namespace espalier::dataplane::userspace {

inline std::uint16_t get_u16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
inline std::uint32_t get_u32(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
         at[3];
}
inline void put_u16(std::uint8_t* at, std::size_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void put_u32(std::uint8_t* at, std::uint32_t value) {
  put_u16(at, value >> 16);
  put_u16(at + 2, value & 0xffff);
}

}  // namespace espalier::dataplane::userspace
