// For tests: bytes written down as hexadecimal text with blanks.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace espalier::wire::testing {

inline Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ' && c != '\n') digits.push_back(c);
  }
  return from_hex(digits).value();
}

}  // namespace espalier::wire::testing
