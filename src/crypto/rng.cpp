#include "crypto/rng.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>

#include "base/assert.hpp"

namespace espalier::crypto {

std::uint32_t Rng::u32() { return static_cast<std::uint32_t>(u64() >> 32); }

std::uint64_t Rng::u64() {
  std::array<std::uint8_t, 8> octets{};
  fill(octets);
  std::uint64_t value = 0;
  for (const std::uint8_t octet : octets) value = value << 8 | octet;
  return value;
}

Bytes Rng::bytes(std::size_t count) {
  Bytes out(count);
  fill(out);
  return out;
}

void SystemRng::fill(MutableByteView out) {
  while (!out.empty()) {
    const std::size_t count = std::min<std::size_t>(out.size(), INT_MAX);
    // Without chance there is no safe way on: every key, nonce and SPI would be guessable.
    ASSERT(RAND_bytes(out.data(), static_cast<int>(count)) == 1);
    out = out.subspan(count);
  }
}

// splitmix64: one addition and three mixing steps for each 64 bits.
std::uint64_t SeededRng::next() {
  state_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void SeededRng::fill(MutableByteView out) {
  while (!out.empty()) {
    const std::uint64_t word = next();
    const std::size_t count = std::min<std::size_t>(out.size(), 8);
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::uint8_t>(word >> (56 - 8 * i));
    }
    out = out.subspan(count);
  }
}

}  // namespace espalier::crypto
