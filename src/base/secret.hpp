// Secrets: wiped when they go, compared in constant time, and without any way to print them.
#pragma once

#include "base/bytes.hpp"

namespace espalier {

// Overwrites the octets in a way the compiler may not leave out.
void wipe(MutableByteView bytes);

// Takes time that depends on the sizes only.
bool constant_time_equal(ByteView a, ByteView b);

// A byte string that holds a key. Copyable (the protocol core is a value), wiped on destruction.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(Bytes bytes) : bytes_(std::move(bytes)) {}
  explicit SecretBytes(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
  SecretBytes(const SecretBytes& other) = default;
  SecretBytes(SecretBytes&& other) noexcept = default;
  SecretBytes& operator=(const SecretBytes& other);
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes() { wipe(bytes_); }

  ByteView reveal() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  friend bool operator==(const SecretBytes& a, const SecretBytes& b) {
    return constant_time_equal(a.bytes_, b.bytes_);
  }

 private:
  Bytes bytes_;
};

}  // namespace espalier
