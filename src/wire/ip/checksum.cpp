#include "wire/ip/checksum.hpp"

namespace espalier::wire::ip {
namespace {

constexpr std::uint8_t kUdp = 17;

std::uint16_t fold(Sum sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

Sum add(Sum sum, ByteView octets) {
  std::size_t i = 0;
  for (; i + 1 < octets.size(); i += 2) sum += static_cast<Sum>(octets[i]) << 8 | octets[i + 1];
  if (i < octets.size()) sum += static_cast<Sum>(octets[i]) << 8;
  return sum;
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
