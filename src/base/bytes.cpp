#include "base/bytes.hpp"

#include <algorithm>

namespace espalier {
namespace {

constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error truncated(std::size_t offset, std::size_t wanted, std::size_t have) {
  return make_error(ErrorCode::kTruncated, "at offset " + std::to_string(offset) + ": needs " +
                                               std::to_string(wanted) + " octets, has " +
                                               std::to_string(have));
}

template <class T>
Result<T> read_integer(ByteView bytes, std::size_t& offset) {
  const std::size_t have = bytes.size() - offset;
  if (have < sizeof(T)) return truncated(offset, sizeof(T), have);
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>((static_cast<std::uint64_t>(value) << 8) | bytes[offset + i]);
  }
  offset += sizeof(T);
  return value;
}

template <class T>
void append_integer(Bytes& bytes, T value) {
  for (std::size_t i = sizeof(T); i-- > 0;) {
    bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
}

}  // namespace

std::string to_hex(ByteView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(digits[byte >> 4]);
    text.push_back(digits[byte & 15]);
  }
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return make_error(ErrorCode::kMalformed, "hexadecimal text has an odd number of digits");
  }
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) {
      return make_error(ErrorCode::kMalformed,
                        "hexadecimal text holds a character other than 0-9, a-f");
    }
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

std::string to_base64(ByteView bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(k <= left ? kBase64Digits[group >> (18 - 6 * k) & 63] : '=');
    }
  }
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  const std::size_t whole = text.size();
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  const std::size_t padding = whole - text.size();
  if (padding > 2 || (padding > 0 && whole % 4 != 0)) {
    return make_error(ErrorCode::kMalformed, "base64 text has wrong padding");
  }
  Bytes bytes;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kBase64Digits.find(c);
    if (digit == std::string_view::npos) {
      return make_error(ErrorCode::kMalformed,
                        "base64 text holds a character outside its alphabet");
    }
    group = group << 6 | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(group >> bits));
    }
  }
  if (bits >= 6) return make_error(ErrorCode::kMalformed, "base64 text has an impossible length");
  // RFC 4648 section 3.5: two texts must not mean the same secret.
  if ((group & ((1u << bits) - 1)) != 0) {
    return make_error(ErrorCode::kMalformed, "base64 text ends in bits that should be zero");
  }
  return bytes;
}

Result<std::uint8_t> Reader::u8() { return read_integer<std::uint8_t>(bytes_, offset_); }
Result<std::uint16_t> Reader::u16() { return read_integer<std::uint16_t>(bytes_, offset_); }
Result<std::uint32_t> Reader::u32() { return read_integer<std::uint32_t>(bytes_, offset_); }
Result<std::uint64_t> Reader::u64() { return read_integer<std::uint64_t>(bytes_, offset_); }

Result<ByteView> Reader::take(std::size_t count) {
  if (remaining() < count) return truncated(offset_, count, remaining());
  const ByteView view = bytes_.subspan(offset_, count);
  offset_ += count;
  return view;
}

ByteView Reader::take_rest() {
  const ByteView view = bytes_.subspan(offset_);
  offset_ = bytes_.size();
  return view;
}

Status Reader::skip(std::size_t count) {
  if (remaining() < count) return truncated(offset_, count, remaining());
  offset_ += count;
  return {};
}

void Writer::u16(std::uint16_t value) { append_integer(bytes_, value); }
void Writer::u32(std::uint32_t value) { append_integer(bytes_, value); }
void Writer::u64(std::uint64_t value) { append_integer(bytes_, value); }

void Writer::patch_u8(std::size_t offset, std::uint8_t value) {
  ASSERT(offset < bytes_.size());
  bytes_[offset] = value;
}

void Writer::patch_u16(std::size_t offset, std::uint16_t value) {
  ASSERT(offset + 2 <= bytes_.size());
  bytes_[offset] = static_cast<std::uint8_t>(value >> 8);
  bytes_[offset + 1] = static_cast<std::uint8_t>(value);
}

void Writer::patch_u32(std::size_t offset, std::uint32_t value) {
  patch_u16(offset, static_cast<std::uint16_t>(value >> 16));
  patch_u16(offset + 2, static_cast<std::uint16_t>(value));
}

}  // namespace espalier
