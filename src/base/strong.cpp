#include "base/strong.hpp"

#include <cinttypes>
#include <cstdio>

namespace espalier {

std::string to_string(Spi spi) {
  char text[9];
  std::snprintf(text, sizeof text, "%08" PRIx32, spi.value);
  return text;
}

std::string to_string(IkeSpi spi) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, spi.value);
  return text;
}

}  // namespace espalier
