// Bytes, and the bounded Reader and Writer through which every codec goes. All integers on the wire
// are big-endian (network order) unless a function's name says otherwise.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace espalier {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string to_text(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
inline Bytes to_vector(ByteView bytes) { return {bytes.begin(), bytes.end()}; }
inline bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

// "0a1b", lower case, no prefix.
std::string to_hex(ByteView bytes);
// Digits in either case; an odd count or a foreign character is an error.
Result<Bytes> from_hex(std::string_view text);
// RFC 4648 section 4: the standard alphabet, with padding.
std::string to_base64(ByteView bytes);
// With its padding or without any; wrong padding, a foreign character (white space too), an
// impossible length, or bits left over that are not zero (a letter lost or mistyped) are errors.
Result<Bytes> from_base64(std::string_view text);

// Reads from a span and never past its end. After an error the Reader stays where it was.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  std::size_t offset() const { return offset_; }
  std::size_t remaining() const { return bytes_.size() - offset_; }
  bool empty() const { return remaining() == 0; }

  Result<std::uint8_t> u8();
  Result<std::uint16_t> u16();
  Result<std::uint32_t> u32();
  Result<std::uint64_t> u64();
  // A view of the next count bytes; it lives as long as the bytes the Reader was given.
  Result<ByteView> take(std::size_t count);
  ByteView take_rest();
  Status skip(std::size_t count);

 private:
  ByteView bytes_;
  std::size_t offset_ = 0;
};

// Appends to a vector it owns.
class Writer {
 public:
  Writer() = default;
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void bytes(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void zeros(std::size_t count) { bytes_.insert(bytes_.end(), count, 0); }
  std::size_t size() const { return bytes_.size(); }
  // Overwrites two octets written before (a length that is known later). offset + 2 <= size().
  void patch_u16(std::size_t offset, std::uint16_t value);
  void patch_u32(std::size_t offset, std::uint32_t value);
  void patch_u8(std::size_t offset, std::uint8_t value);
  ByteView view() const { return bytes_; }
  Bytes take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace espalier
