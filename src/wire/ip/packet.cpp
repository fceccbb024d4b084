#include "wire/ip/packet.hpp"

#include "wire/ip/checksum.hpp"
#include "wire/ip/limits.hpp"

namespace espalier::wire::ip {
namespace {

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestinationOptions = 60;
constexpr std::uint8_t kDccp = 33;
constexpr std::uint8_t kSctp = 132;
constexpr std::uint8_t kUdpLite = 136;
constexpr std::size_t kFragmentHeaderOctets = 8;

// The caller has checked that the octets are there.
std::uint16_t u16(ByteView octets, std::size_t offset) {
  return static_cast<std::uint16_t>(octets[offset] << 8 | octets[offset + 1]);
}

bool carries_ports(std::uint8_t protocol) {
  return protocol == kProtocolTcp || protocol == kProtocolUdp || protocol == kDccp ||
         protocol == kSctp || protocol == kUdpLite;
}

// What selectors match in the upper layer, as far as it is there: a short first fragment has no
// ports, and then only a selector for any port matches it.
void read_upper(ByteView octets, Packet& packet) {
  if (!packet.first_or_whole()) return;
  const std::size_t at = packet.upper_offset;
  const std::size_t have = packet.total_octets - at;
  if (carries_ports(packet.protocol) && have >= 4) {
    packet.has_ports = true;
    packet.source_port = u16(octets, at);
    packet.destination_port = u16(octets, at + 2);
  }
  const bool icmp =
      packet.protocol == (packet.family == Family::kIpv4 ? kProtocolIcmp : kProtocolIcmpv6);
  if (icmp && have >= 2) {
    packet.has_icmp_type = true;
    packet.icmp_type_code = u16(octets, at);
  }
  // RFC 6275 section 6.1.1: the type is the third octet.
  if (packet.protocol == kProtocolMobility && packet.family == Family::kIpv6 && have >= 3) {
    packet.has_mobility_type = true;
    packet.mobility_type = static_cast<std::uint16_t>(octets[at + 2] << 8);
  }
}

// The 13 bits of a fragment offset, in units of 8 octets, and the flag that more follow.
void set_fragment(Packet& packet, std::uint16_t units, bool more) {
  packet.fragment_offset = static_cast<std::uint16_t>(units * 8);
  packet.more_fragments = more;
  packet.fragment = units != 0 || more;
}

Fault parse_v4(ByteView octets, Packet& packet) {
  if (octets.size() < kIpv4HeaderOctets) return Fault::kTruncated;
  const std::size_t header = std::size_t{octets[0] & 0x0fu} * 4;
  if (header < kIpv4HeaderOctets) return Fault::kHeaderLength;
  const std::size_t total = u16(octets, 2);
  if (total < header) return Fault::kTotalLength;
  if (total > octets.size()) return Fault::kTruncated;
  packet.family = Family::kIpv4;
  packet.traffic_class = octets[1];
  packet.total_octets = total;
  const std::uint16_t fragment = u16(octets, 6);
  packet.dont_fragment = (fragment & 0x4000) != 0;
  set_fragment(packet, fragment & 0x1fff, (fragment & 0x2000) != 0);
  packet.hops = octets[8];
  packet.protocol = octets[9];
  packet.source = IpAddress::from_bytes(octets.subspan(12, 4)).value();
  packet.destination = IpAddress::from_bytes(octets.subspan(16, 4)).value();
  packet.upper_offset = header;
  read_upper(octets, packet);
  return Fault::kNone;
}

// RFC 8200 section 4: from packet.upper_offset on, up to the upper layer.
Fault walk_extension_headers(ByteView octets, Packet& packet) {
  for (std::size_t count = 0;; ++count) {
    const std::size_t at = packet.upper_offset;
    const std::size_t have = packet.total_octets - at;
    std::size_t size = kFragmentHeaderOctets;
    switch (packet.protocol) {
      case kHopByHop:
      case kRouting:
      case kDestinationOptions:
        if (have < 2) return Fault::kTruncated;
        size = (std::size_t{octets[at + 1]} + 1) * 8;
        break;
      case kFragment:
        if (have < kFragmentHeaderOctets) return Fault::kTruncated;
        set_fragment(packet, u16(octets, at + 2) >> 3, (octets[at + 3] & 1) != 0);
        break;
      default: return Fault::kNone;
    }
    if (count == kMaxExtensionHeaders) return Fault::kExtensionHeaders;
    if (size > have) return Fault::kTruncated;
    packet.protocol = octets[at];
    packet.upper_offset = at + size;
    // What a later fragment begins with is somebody's middle.
    if (packet.fragment_offset != 0) return Fault::kNone;
  }
}

Fault parse_v6(ByteView octets, Packet& packet) {
  if (octets.size() < kIpv6HeaderOctets) return Fault::kTruncated;
  const std::size_t total = kIpv6HeaderOctets + u16(octets, 4);
  if (total > octets.size()) return Fault::kTruncated;
  packet.family = Family::kIpv6;
  packet.traffic_class = static_cast<std::uint8_t>((u16(octets, 0) >> 4) & 0xff);
  packet.total_octets = total;
  packet.dont_fragment = true;
  packet.protocol = octets[6];
  packet.hops = octets[7];
  packet.source = IpAddress::from_bytes(octets.subspan(8, 16)).value();
  packet.destination = IpAddress::from_bytes(octets.subspan(24, 16)).value();
  packet.upper_offset = kIpv6HeaderOctets;
  const Fault fault = walk_extension_headers(octets, packet);
  if (fault != Fault::kNone) return fault;
  read_upper(octets, packet);
  return Fault::kNone;
}

// Changes the octet that holds the bits of traffic_class under mask to those of value.
void set_traffic_class(MutableByteView octets, std::uint8_t mask, std::uint8_t value) {
  if (octets[0] >> 4 == 4) {
    const std::uint16_t before = u16(octets, 0);
    octets[1] = static_cast<std::uint8_t>((octets[1] & ~mask) | (value & mask));
    const std::uint16_t sum = adjust(u16(octets, 10), before, u16(octets, 0));
    octets[10] = static_cast<std::uint8_t>(sum >> 8);
    octets[11] = static_cast<std::uint8_t>(sum);
    return;
  }
  const auto before = static_cast<std::uint8_t>((u16(octets, 0) >> 4) & 0xff);
  const auto after = static_cast<std::uint8_t>((before & ~mask) | (value & mask));
  octets[0] = static_cast<std::uint8_t>((octets[0] & 0xf0) | after >> 4);
  octets[1] = static_cast<std::uint8_t>((octets[1] & 0x0f) | (after & 0x0f) << 4);
}

}  // namespace

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::kNone: return "none";
    case Fault::kTruncated: return "truncated";
    case Fault::kVersion: return "version";
    case Fault::kHeaderLength: return "header_length";
    case Fault::kTotalLength: return "total_length";
    case Fault::kExtensionHeaders: return "extension_headers";
  }
  return "unknown";
}

Fault parse(ByteView octets, Packet& packet) {
  packet = Packet();
  if (octets.empty()) return Fault::kTruncated;
  switch (octets[0] >> 4) {
    case 4: return parse_v4(octets, packet);
    case 6: return parse_v6(octets, packet);
    default: return Fault::kVersion;
  }
}

bool ipv4_checksum_ok(ByteView octets) {
  return checksum(octets.first(std::size_t{octets[0] & 0x0fu} * 4)) == 0;
}

void set_ecn(MutableByteView octets, std::uint8_t ecn) { set_traffic_class(octets, 0x03, ecn); }

void set_dscp(MutableByteView octets, std::uint8_t dscp) {
  set_traffic_class(octets, 0xfc, static_cast<std::uint8_t>(dscp << 2));
}

}  // namespace espalier::wire::ip
