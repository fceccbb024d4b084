// Fuzz target of what looks at packets: IP, UDP and ESP headers, and the datagrams of port 4500.
#include <cstdint>

#include "wire/esp/header.hpp"
#include "wire/ip/checksum.hpp"
#include "wire/ip/packet.hpp"
#include "wire/ip/udp.hpp"

namespace espalier::wire::ip {
namespace {

void fuzz_packet(ByteView input) {
  Packet packet;
  if (parse(input, packet) != Fault::kNone) return;
  ASSERT(packet.upper_offset <= packet.total_octets && packet.total_octets <= input.size());
  ASSERT(packet.source.family() == packet.family && packet.destination.family() == packet.family);
  ASSERT(!packet.has_ports || packet.upper_offset + 4 <= packet.total_octets);
  // Setting the traffic class changes it and nothing else.
  Bytes copy = to_vector(input);
  const bool checked = packet.family == Family::kIpv4 && ipv4_checksum_ok(copy);
  set_ecn(copy, static_cast<std::uint8_t>(packet.ecn() ^ 3));
  set_dscp(copy, static_cast<std::uint8_t>(packet.dscp() ^ 63));
  Packet changed;
  ASSERT(parse(copy, changed) == Fault::kNone);
  ASSERT(changed.traffic_class == static_cast<std::uint8_t>(packet.traffic_class ^ 0xff));
  ASSERT(changed.source == packet.source && changed.protocol == packet.protocol);
  ASSERT(!checked || ipv4_checksum_ok(copy));
}

void fuzz_datagram(ByteView input) {
  if (const auto header = parse_udp(input)) ASSERT(header->length <= input.size());
  switch (esp::classify(input)) {
    case esp::UdpPayload::kEsp: {
      const auto header = esp::parse_header(input);
      ASSERT(header.has_value() && header->spi);
      Bytes out(esp::kHeaderOctets);
      esp::write_header(*header, out);
      ASSERT(equal(out, input.first(esp::kHeaderOctets)));
      break;
    }
    case esp::UdpPayload::kIke: ASSERT(input.size() >= esp::kNonEspMarkerOctets); break;
    case esp::UdpPayload::kKeepalive: ASSERT(input.size() == 1); break;
    case esp::UdpPayload::kMalformed: ASSERT(input.size() < esp::kHeaderOctets); break;
  }
}

}  // namespace
}  // namespace espalier::wire::ip

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const espalier::ByteView input(data, size);
  espalier::wire::ip::fuzz_packet(input);
  espalier::wire::ip::fuzz_datagram(input);
  return 0;
}
