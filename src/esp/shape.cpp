#include "esp/shape.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace espalier::esp {
namespace {

constexpr std::size_t kUdpOctets = 8;
constexpr std::size_t kTcpOctets = 20;  // without options

std::size_t ip_octets(Family family) { return family == Family::kIpv4 ? 20 : 40; }

// Everything on the wire in front of the ESP header.
std::size_t outer_octets(const Encapsulation& encapsulation) {
  return ip_octets(encapsulation.outer) + (encapsulation.udp_encap ? kUdpOctets : 0);
}

// How much of the packet is not ESP payload: in transport mode its own IP header.
std::size_t kept_octets(const Encapsulation& encapsulation) {
  return encapsulation.mode == policy::Mode::kTransport ? ip_octets(encapsulation.outer) : 0;
}

}  // namespace

Result<Shape> shape(const crypto::CipherSuite& suite) {
  TRY_ASSIGN(const crypto::SuiteSizes sizes, crypto::sizes(suite));
  // "regardless of encryption algorithm requirements ... the resulting ciphertext terminates on a
  // 4-byte boundary" (RFC 4303 section 2.4).
  return Shape{sizes.iv, sizes.icv, std::max<std::size_t>(4, sizes.block)};
}

Result<std::size_t> overhead(const Encapsulation& encapsulation) {
  TRY_ASSIGN(const Shape of_suite, shape(encapsulation.suite));
  return outer_octets(encapsulation) - kept_octets(encapsulation) + of_suite.max_growth();
}

Result<PacketSum> packet_sum(const Encapsulation& encapsulation, std::size_t inner) {
  TRY_ASSIGN(const Shape of_suite, shape(encapsulation.suite));
  const std::size_t kept = kept_octets(encapsulation);
  if (inner < kept) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("A packet of {} octets has no whole IP header.", inner));
  }
  PacketSum sum;
  sum.ip = ip_octets(encapsulation.outer);
  sum.udp = encapsulation.udp_encap ? kUdpOctets : 0;
  sum.iv = of_suite.iv;
  sum.payload = inner - kept;
  sum.padding = of_suite.padding(sum.payload);
  sum.icv = of_suite.icv;
  return sum;
}

Result<std::size_t> outer_size(const Encapsulation& encapsulation, std::size_t inner) {
  TRY_ASSIGN(const PacketSum sum, packet_sum(encapsulation, inner));
  return sum.total();
}

std::size_t tcp_mss(Family family, std::size_t inner) {
  const std::size_t headers = ip_octets(family) + kTcpOctets;
  return inner > headers ? inner - headers : 0;
}

Result<std::size_t> largest_inner(const Encapsulation& encapsulation, std::size_t outer_mtu) {
  TRY_ASSIGN(const Shape of_suite, shape(encapsulation.suite));
  const std::size_t fixed = outer_octets(encapsulation) + of_suite.headroom() + of_suite.icv;
  const std::size_t cipher =
      outer_mtu > fixed ? (outer_mtu - fixed) / of_suite.align * of_suite.align : 0;
  if (cipher <= kTrailerOctets) {
    return make_error(
        ErrorCode::kInvalidArgument,
        fmt::format("An MTU of {} octets leaves no room for a packet: ESP alone takes {}.",
                    outer_mtu, fixed + of_suite.align));
  }
  return cipher - kTrailerOctets + kept_octets(encapsulation);
}

}  // namespace espalier::esp
