#include "wire/esp/header.hpp"

namespace espalier::wire::esp {
namespace {

std::uint32_t u32(ByteView octets, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | octets[at + i];
  return value;
}

void put_u32(MutableByteView out, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    out[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

}  // namespace

std::optional<Header> parse_header(ByteView octets) {
  if (octets.size() < kHeaderOctets) return std::nullopt;
  return Header{Spi(u32(octets, 0)), u32(octets, 4)};
}

void write_header(const Header& header, MutableByteView out) {
  ASSERT(out.size() >= kHeaderOctets);
  put_u32(out, 0, header.spi.value);
  put_u32(out, 4, header.sequence);
}

std::string_view name(UdpPayload kind) {
  switch (kind) {
    case UdpPayload::kIke: return "ike";
    case UdpPayload::kEsp: return "esp";
    case UdpPayload::kKeepalive: return "keepalive";
    case UdpPayload::kMalformed: return "malformed";
  }
  return "unknown";
}

UdpPayload classify(ByteView datagram) {
  if (datagram.size() == 1 && datagram[0] == kNatKeepalive) return UdpPayload::kKeepalive;
  if (datagram.size() < kNonEspMarkerOctets) return UdpPayload::kMalformed;
  if (u32(datagram, 0) == 0) return UdpPayload::kIke;
  return datagram.size() < kHeaderOctets ? UdpPayload::kMalformed : UdpPayload::kEsp;
}

}  // namespace espalier::wire::esp
