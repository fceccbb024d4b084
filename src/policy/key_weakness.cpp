#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "policy/manual.hpp"

namespace espalier::policy {
namespace {

// One pattern over and over; the last time may be cut short.
bool repeats(ByteView key) {
  for (std::size_t period = 1; period <= key.size() / 2; ++period) {
    if (std::equal(key.begin() + static_cast<std::ptrdiff_t>(period), key.end(), key.begin())) {
      return true;
    }
  }
  return false;
}

// 00 01 02 ..., 01 23 45 67 ...: most steps from octet to octet the same.
bool is_sequence(ByteView key) {
  std::array<std::size_t, 256> steps{};
  for (std::size_t i = 1; i < key.size(); ++i) {
    ++steps[static_cast<std::uint8_t>(key[i] - key[i - 1])];
  }
  return key.size() > 2 && *std::max_element(steps.begin(), steps.end()) * 2 > key.size() - 1;
}

std::size_t distinct(ByteView key) {
  std::array<bool, 256> seen{};
  for (const std::uint8_t octet : key) seen[octet] = true;
  return static_cast<std::size_t>(std::count(seen.begin(), seen.end(), true));
}

bool printable(ByteView key) {
  return std::all_of(key.begin(), key.end(), [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
}

// An upper bound: as if each character came by chance from the kinds that the text has.
double text_bits(ByteView key) {
  bool digit = false, lower = false, upper = false, other = false;
  for (const std::uint8_t c : key) {
    if (c >= '0' && c <= '9') {
      digit = true;
    } else if (c >= 'a' && c <= 'z') {
      lower = true;
    } else if (c >= 'A' && c <= 'Z') {
      upper = true;
    } else {
      other = true;
    }
  }
  const double letters = (digit ? 10 : 0) + (lower ? 26 : 0) + (upper ? 26 : 0) + (other ? 33 : 0);
  return static_cast<double>(key.size()) * std::log2(letters);
}

bool has_word(ByteView key) {
  std::string text(key.begin(), key.end());
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  for (const std::string_view word :
       {"password", "passphrase", "passwort", "secret", "changeme", "example", "qwerty", "letmein",
        "ipsec", "espalier", "12345678", "abcdefgh"}) {
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

// Keys of RFC 3602 section 4 (test vectors), FIPS 197 and NIST SP 800-38A, which stand in every
// tutorial: by their first eight octets.
bool is_published(ByteView key) {
  constexpr std::uint64_t kStarts[] = {
      0x06a9214036b8a15b, 0xc286696d887c9aa0, 0x6c3ea0477630ce21, 0x56e47a38c5598974,
      0x90d382b410eeba7a, 0x0123456789abcdef, 0x2b7e151628aed2a6, 0x8e73b0f7da0e6452,
      0x603deb1015ca71be, 0xdeadbeefdeadbeef, 0xcafebabecafebabe, 0xfedcba9876543210,
  };
  if (key.size() < 8) return false;
  std::uint64_t start = 0;
  for (std::size_t i = 0; i < 8; ++i) start = start << 8 | key[i];
  return std::find(std::begin(kStarts), std::end(kStarts), start) != std::end(kStarts);
}

// Below this a key can be found by trying (NIST SP 800-131A has 112 bits for what has to last;
// printable text of 16 characters has 105).
constexpr double kLeastBits = 80;

}  // namespace

std::string weakness(ByteView key) {
  if (repeats(key)) return "is one pattern over and over";
  if (is_sequence(key)) return "is a sequence";
  if (is_published(key)) return "is an example that is published";
  if (distinct(key) * 2 < key.size()) return "has only few different octets";
  if (printable(key) && has_word(key)) return "has a word that keys are guessed with";
  if (printable(key) && text_bits(key) < kLeastBits) {
    return "is text of so few kinds of characters that it can be guessed";
  }
  return "";
}

}  // namespace espalier::policy
