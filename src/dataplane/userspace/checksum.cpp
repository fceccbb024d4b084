#include "dataplane/userspace/checksum.hpp"

namespace espalier::dataplane::userspace {

std::uint64_t add_sum(ByteView bytes, std::uint64_t sum) {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  // Two independent sums of 32-bit halves: 65535 octets cannot overflow 64 bits, and compilers vectorise it.
  std::uint64_t low = 0, high = 0;
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  sum += (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
  if (left >= 4) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    sum += word;
    at += 4;
    left -= 4;
  }
  if (left >= 2) {
    std::uint16_t word;
    std::memcpy(&word, at, 2);
    sum += word;
    at += 2;
    left -= 2;
  }
  if (left == 1) {
    std::uint16_t word = 0;  // padded with a zero octet behind
    std::memcpy(&word, at, 1);
    sum += word;
  }
  return sum;
}

std::uint64_t pseudo_sum(ByteView addresses, std::uint8_t protocol, std::size_t length) {
  const std::uint8_t tail[8] = {static_cast<std::uint8_t>(length >> 24),
                                static_cast<std::uint8_t>(length >> 16),
                                static_cast<std::uint8_t>(length >> 8),
                                static_cast<std::uint8_t>(length),
                                0,
                                0,
                                0,
                                protocol};
  return add_sum(tail, add_sum(addresses));
}

void set_ipv4_checksum(MutableByteView header) {
  store(header.data() + 10, 0);
  store(header.data() + 10, finish(add_sum(header)));
}

}  // namespace espalier::dataplane::userspace
