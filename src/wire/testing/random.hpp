// For tests: values that look random and are the same on every machine, from a seed that the
// failing test prints.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace espalier::wire::testing {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {  // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to limit - 1.
  std::size_t below(std::size_t limit) { return next() % limit; }
  bool coin() { return (next() & 1) != 0; }
  std::uint8_t u8() { return static_cast<std::uint8_t>(next()); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(next()); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(next()); }
  Bytes bytes(std::size_t least, std::size_t most) {
    Bytes bytes(least + below(most - least + 1));
    for (std::uint8_t& byte : bytes) byte = u8();
    return bytes;
  }

 private:
  std::uint64_t state_;
};

}  // namespace espalier::wire::testing
