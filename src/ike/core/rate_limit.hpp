// Limits on what is said to, or begun for, those who have proved nothing: so many in a second for
// an address, in a table of fixed size, so that one address cannot spend what others need.
#pragma once

#include <array>
#include <cstdint>

#include "base/address.hpp"
#include "base/time.hpp"

namespace espalier::ike {

class RateLimit {
 public:
  // Whether one more is allowed now; it counts. Addresses that share a row share its allowance.
  bool take(Instant now, const IpAddress& address, std::uint8_t per_second) {
    Row& row = rows_[row_of(address)];
    if (now - row.began >= 1s || row.began > now) row = Row{now, 0};
    if (row.taken >= per_second) return false;
    ++row.taken;
    return true;
  }
  friend bool operator==(const RateLimit&, const RateLimit&) = default;

 private:
  struct Row {
    Instant began{};
    std::uint8_t taken = 0;
    friend bool operator==(const Row&, const Row&) = default;
  };
  static constexpr std::size_t kRows = 64;
  static std::size_t row_of(const IpAddress& address) {
    std::size_t sum = 0;
    for (const std::uint8_t octet : address.bytes()) sum = sum * 31 + octet;
    return sum % kRows;
  }
  std::array<Row, kRows> rows_{};
};

}  // namespace espalier::ike
