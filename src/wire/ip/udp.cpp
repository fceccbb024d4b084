#include "wire/ip/udp.hpp"

namespace espalier::wire::ip {

std::optional<UdpHeader> parse_udp(ByteView octets) {
  if (octets.size() < kUdpHeaderOctets) return std::nullopt;
  const auto u16 = [octets](std::size_t at) {
    return static_cast<std::uint16_t>(octets[at] << 8 | octets[at + 1]);
  };
  const UdpHeader header{u16(0), u16(2), u16(4), u16(6)};
  if (header.length < kUdpHeaderOctets || header.length > octets.size()) return std::nullopt;
  return header;
}

void write_udp(const UdpHeader& header, MutableByteView out) {
  ASSERT(out.size() >= kUdpHeaderOctets);
  const auto u16 = [out](std::size_t at, std::uint16_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
  };
  u16(0, header.source_port);
  u16(2, header.destination_port);
  u16(4, header.length);
  u16(6, header.checksum);
}

}  // namespace espalier::wire::ip
