#include "wire/ip/checksum.hpp"

#include <cstring>

namespace espalier::wire::ip {
namespace {

constexpr std::uint8_t kUdp = 17;

std::uint16_t fold(Sum sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

// The one's complement sum does not depend on the byte order it is computed in (RFC 1071 section
// 2(B)): words of the machine's order are summed, in two independent halves that compilers
// vectorise, and the folded sum is turned round once.
Sum add(Sum sum, ByteView octets) {
  const std::uint8_t* at = octets.data();
  std::size_t left = octets.size();
  Sum low = 0, high = 0;
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  if (left > 0) {
    std::uint64_t word = 0;  // padded with zero octets behind
    std::memcpy(&word, at, left);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  const std::uint16_t folded =
      fold((low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32));
  std::uint8_t pair[2];
  std::memcpy(pair, &folded, 2);
  return sum + (static_cast<Sum>(pair[0]) << 8 | pair[1]);
}

Sum pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                  std::uint32_t octets) {
  Sum sum = add(0, source.bytes());
  sum = add(sum, destination.bytes());
  // The two families lay the length out differently, over words that have the same sum.
  return sum + protocol + (octets >> 16) + (octets & 0xffff);
}

std::uint16_t finish(Sum sum) { return static_cast<std::uint16_t>(~fold(sum)); }

std::uint16_t udp_checksum(const IpAddress& source, const IpAddress& destination,
                           ByteView segment) {
  const Sum sum =
      pseudo_header(source, destination, kUdp, static_cast<std::uint32_t>(segment.size()));
  const std::uint16_t value = finish(add(sum, segment));
  return value == 0 ? 0xffff : value;
}

std::uint16_t adjust(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) {
  const auto inverse = [](std::uint16_t word) { return static_cast<std::uint16_t>(~word); };
  return finish(Sum{inverse(checksum)} + inverse(before) + after);
}

}  // namespace espalier::wire::ip
