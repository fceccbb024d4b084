// For tests: makes IPv4 and IPv6 packets with correct checksums.
#pragma once

#include "base/bytes.hpp"
#include "dataplane/userspace/checksum.hpp"

namespace espalier::dataplane::userspace::testing {

struct TcpShape {
  bool v4 = true;
  std::uint16_t source_port = 1000;
  std::uint16_t destination_port = 2000;
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgement = 77;
  std::uint8_t flags = 0x10;  // ACK
  std::uint16_t window = 500;
  std::uint16_t id = 100;  // IPv4
  std::uint8_t traffic_class = 0;
  Bytes options;  // a multiple of 4
};

inline Bytes ip_header(bool v4, std::uint8_t protocol, std::size_t payload, std::uint16_t id,
                       std::uint8_t tos) {
  Bytes out;
  if (v4) {
    out = from_hex("450000000000400040000000c0a80101c0a80202").value();
    out[1] = tos;
    put_u16(&out[2], 20 + payload);
    put_u16(&out[4], id);
    out[9] = protocol;
    set_ipv4_checksum(out);
  } else {
    out =
        from_hex("60000000000000400000000000000000000000000000000000000000000000000000000000000000")
            .value();
    out[0] = static_cast<std::uint8_t>(0x60 | tos >> 4);
    out[1] = static_cast<std::uint8_t>(tos << 4);
    put_u16(&out[4], payload);
    out[6] = protocol;
    out[7] = 64;
    out[8] = 0xfd;
    out[23] = 1;
    out[24] = 0xfd;
    out[39] = 2;
  }
  return out;
}

inline ByteView addresses_of(ByteView packet) {
  return packet[0] >> 4 == 4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
}

// The checksum field at `at` of the upper layer that starts at `start` is zero yet.
inline void finish_upper(Bytes& packet, std::size_t start, std::size_t at, std::uint8_t protocol) {
  const Sum pseudo = pseudo_sum(addresses_of(packet), protocol, packet.size() - start);
  put_u16(&packet[start + at], finish(add(pseudo, ByteView(packet).subspan(start))));
}

inline Bytes tcp_packet(const TcpShape& shape, ByteView payload) {
  const std::size_t header = 20 + shape.options.size();
  Bytes out = ip_header(shape.v4, 6, header + payload.size(), shape.id, shape.traffic_class);
  const std::size_t start = out.size();
  out.resize(start + 20);
  put_u16(&out[start], shape.source_port);
  put_u16(&out[start + 2], shape.destination_port);
  put_u32(&out[start + 4], shape.sequence);
  put_u32(&out[start + 8], shape.acknowledgement);
  out[start + 12] = static_cast<std::uint8_t>(header / 4 << 4);
  out[start + 13] = shape.flags;
  put_u16(&out[start + 14], shape.window);
  out.insert(out.end(), shape.options.begin(), shape.options.end());
  out.insert(out.end(), payload.begin(), payload.end());
  finish_upper(out, start, 16, 6);
  return out;
}

inline Bytes udp_packet(bool v4, ByteView payload, std::uint16_t source_port = 53,
                        std::uint16_t destination_port = 5353, std::uint8_t tos = 0) {
  Bytes out = ip_header(v4, 17, 8 + payload.size(), 1, tos);
  const std::size_t start = out.size();
  out.resize(start + 8);
  put_u16(&out[start], source_port);
  put_u16(&out[start + 2], destination_port);
  put_u16(&out[start + 4], 8 + payload.size());
  out.insert(out.end(), payload.begin(), payload.end());
  finish_upper(out, start, 6, 17);
  return out;
}

inline Bytes filled(std::size_t size, std::uint8_t seed = 1) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::uint8_t>(seed + i * 7 + (i >> 8));
  return out;
}

}  // namespace espalier::dataplane::userspace::testing
