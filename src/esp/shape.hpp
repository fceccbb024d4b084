// How large packets are: the arithmetic of ESP's fields, for buffers, for the MTU of a tunnel
// device and for reports. Sizes in octets.
#pragma once

#include <cstddef>

#include "base/address.hpp"
#include "policy/nouns.hpp"
#include "wire/esp/header.hpp"

namespace espalier::esp {

using wire::esp::kHeaderOctets;                   // SPI and sequence number
inline constexpr std::size_t kTrailerOctets = 2;  // pad length and next header

// What one suite makes of a payload.
struct Shape {
  std::size_t iv = 0;
  std::size_t icv = 0;
  std::size_t align = 4;  // of payload + padding + trailer: the larger of 4 and the cipher's block

  // In front of the payload: header and IV.
  std::size_t headroom() const { return kHeaderOctets + iv; }
  // Padding for a payload, without the trailer's two octets (RFC 4303 section 2.4).
  std::size_t padding(std::size_t payload) const {
    return (align - (payload + kTrailerOctets) % align) % align;
  }
  // Behind the payload: padding, trailer, ICV.
  std::size_t tailroom(std::size_t payload) const {
    return padding(payload) + kTrailerOctets + icv;
  }
  // The whole ESP packet.
  std::size_t esp_size(std::size_t payload) const {
    return headroom() + payload + tailroom(payload);
  }
  // The most that any payload grows by.
  std::size_t max_growth() const { return headroom() + align - 1 + kTrailerOctets + icv; }
  // The smallest whole ESP packet.
  std::size_t min_packet() const { return esp_size(0); }
};

// Errors: kUnsupported for a suite this version does not know.
Result<Shape> shape(const crypto::CipherSuite& suite);

// How packets of an SA travel: outer IP (no options), UDP when encapsulated (RFC 3948), ESP. The
// payload ("inner") of tunnel mode is the inner IP packet; of transport mode everything behind the
// IP header, and the outer IP header then is the packet's own.
struct Encapsulation {
  crypto::CipherSuite suite;
  Family outer = Family::kIpv4;
  bool udp_encap = true;
  policy::Mode mode = policy::Mode::kTunnel;
};

// The most by which the IP packet that an application sent grows on its way out.
Result<std::size_t> overhead(const Encapsulation& encapsulation);

// The outer IP packet, term by term.
struct PacketSum {
  std::size_t ip = 0;   // the outer header; of transport mode the packet's own
  std::size_t udp = 0;  // 0 without encapsulation
  std::size_t esp = kHeaderOctets;
  std::size_t iv = 0;
  std::size_t payload = 0;  // tunnel: the inner packet; transport: what is behind its IP header
  std::size_t padding = 0;
  std::size_t trailer = kTrailerOctets;
  std::size_t icv = 0;
  std::size_t total() const { return ip + udp + esp + iv + payload + padding + trailer + icv; }
  friend bool operator==(const PacketSum&, const PacketSum&) = default;
};
// For an inner IP packet (transport: the same packet) of this size. Errors: as outer_size().
Result<PacketSum> packet_sum(const Encapsulation& encapsulation, std::size_t inner);

// The size of the outer IP packet for an inner IP packet (transport: the same packet) of this size.
// Errors: as shape(); kInvalidArgument when a transport packet is smaller than its own IP header.
Result<std::size_t> outer_size(const Encapsulation& encapsulation, std::size_t inner);

// The largest inner IP packet (transport: the same packet) whose outer packet fits outer_mtu: the
// MTU for a tunnel device. Errors: as shape(); kInvalidArgument when nothing fits.
Result<std::size_t> largest_inner(const Encapsulation& encapsulation, std::size_t outer_mtu);

// The MSS for TCP in packets of at most `inner` octets: less the fixed headers of IP and TCP (RFC
// 6691 section 2). 0 when they do not fit.
std::size_t tcp_mss(Family family, std::size_t inner);

}  // namespace espalier::esp
