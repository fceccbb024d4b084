// Fingerprints of octets, for look-ups; the same on every machine, and against no adversary.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"

namespace espalier::sim {

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e3779b97f4a7c15u ^ (b + 0x632be59bd9b4e019u);
  z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93u;
  z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
  return z ^ (z >> 32);
}

inline std::uint64_t fingerprint(ByteView bytes, std::uint64_t seed = 0) {
  std::uint64_t hash = mix(seed, bytes.size());
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word = 0;
    for (unsigned k = 0; k < 8; ++k) word = word << 8 | bytes[i + k];
    hash = mix(hash, word);
  }
  std::uint64_t rest = 0;
  for (; i < bytes.size(); ++i) rest = rest << 8 | bytes[i];
  return mix(hash, rest);
}

}  // namespace espalier::sim
