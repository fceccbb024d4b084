// Chance is an argument: the protocol gets an Rng, never calls one.
#pragma once

#include "base/bytes.hpp"

namespace espalier::crypto {

class Rng {
 public:
  virtual ~Rng() = default;
  // Fills every octet; a source that fails aborts the process (there is no safe way on).
  virtual void fill(MutableByteView out) = 0;
  std::uint32_t u32();
  std::uint64_t u64();
  Bytes bytes(std::size_t count);
};

// The operating system's generator (by way of OpenSSL's RAND_bytes).
class SystemRng final : public Rng {
 public:
  void fill(MutableByteView out) override;
};

// A seeded generator for the simulator and for tests: the same seed gives the same octets on every
// machine. Copyable, comparable. Never used by the daemon.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteView out) override;
  friend bool operator==(const SeededRng& a, const SeededRng& b) { return a.state_ == b.state_; }

 private:
  std::uint64_t next();
  std::uint64_t state_;  // splitmix64
};

}  // namespace espalier::crypto
