// Strong integers: an SPI is not a message ID is not a reqid.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace espalier {

template <class Tag, class T>
struct StrongInt {
  T value = 0;
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(T v) : value(v) {}
  constexpr explicit operator bool() const { return value != 0; }
  friend constexpr auto operator<=>(const StrongInt&, const StrongInt&) = default;
};

using IkeSpi = StrongInt<struct IkeSpiTag, std::uint64_t>;        // RFC 7296 section 3.1
using Spi = StrongInt<struct SpiTag, std::uint32_t>;              // RFC 4303 section 2.1
using MessageId = StrongInt<struct MessageIdTag, std::uint32_t>;  // RFC 7296 section 2.2
using ReqId = StrongInt<struct ReqIdTag, std::uint32_t>;  // binds policies to SAs, as in XFRM

// "c0ffee01" (8 digits) and 16 digits, as swanctl prints them.
std::string to_string(Spi spi);
std::string to_string(IkeSpi spi);

}  // namespace espalier

template <class Tag, class T>
struct std::hash<espalier::StrongInt<Tag, T>> {
  std::size_t operator()(const espalier::StrongInt<Tag, T>& v) const noexcept {
    return std::hash<T>{}(v.value);
  }
};
