// For tests and the seed corpus of the fuzzer: packets in octets.
#pragma once

#include <vector>

#include "wire/testing/hex.hpp"

namespace espalier::wire::ip::samples {

// UDP 4660 to 53, four octets of data, DF, TTL 64, TOS 0xb9 (EF and ECT(1)), with its right
// checksums.
inline Bytes ipv4_udp() {
  return testing::hex(
      "45 b9 0020 0001 4000 40 11 b60f c0000201 c0000202"
      "1234 0035 000c 6563 01020304");
}

// IPv4 with eight octets of options, ICMP echo request, the first fragment.
inline Bytes ipv4_icmp_options() {
  return testing::hex(
      "47 00 0024 0002 2000 01 01 0000 0a000001 0a000002 9404000001010100"
      "08 00 f7ff 0000 0000");
}

// TCP 443 to 50000, traffic class 0x2e, hop limit 3.
inline Bytes ipv6_tcp() {
  return testing::hex(
      "62 e12345 0014 06 03 20010db8000000000000000000000001 20010db8000000000000000000000002"
      "01bb c350 00000000 00000000 5000 0000 0000 0000");
}

// Hop-by-Hop, Destination Options (16 octets), Routing, Fragment (offset 0, more), UDP 1 to 2.
inline Bytes ipv6_extensions() {
  return testing::hex(
      "60 000000 0030 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002"
      "3c 00 0502 00000100"
      "2b 01 010c 000000000000000000000000"
      "2c 00 0000 00000000"
      "11 00 0001 0a0b0c0d"
      "0001 0002 0008 0000");
}

inline std::vector<Bytes> all() {
  return {ipv4_udp(), ipv4_icmp_options(), ipv6_tcp(), ipv6_extensions()};
}

}  // namespace espalier::wire::ip::samples
