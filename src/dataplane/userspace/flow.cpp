#include "dataplane/userspace/flow.hpp"

#include <algorithm>

#include "dataplane/userspace/octets.hpp"

namespace espalier::dataplane::userspace {
namespace {

constexpr std::size_t kIpv6Octets = 40;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kDccp = 33, kIcmpv6 = 58, kSctp = 132, kUdpLite = 136;
constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kAh = 51, kDestinationOptions = 60;
// Of one packet. RFC 8200 section 4.1 knows fewer; a chain made to be long is not worth the walk.
constexpr int kMaxExtensionHeaders = 8;

void read_ports(ByteView packet, std::size_t at, Flow& flow) {
  switch (flow.protocol) {
    case kTcp: case kUdp: case kDccp: case kSctp: case kUdpLite:
      if (at + 4 > packet.size()) return;
      flow.source_port = get_u16(packet.data() + at);
      flow.destination_port = get_u16(packet.data() + at + 2);
      flow.ports_known = true;
      return;
    case kIcmp: case kIcmpv6:
      if (at + 2 > packet.size()) return;
      flow.source_port = flow.destination_port = get_u16(packet.data() + at);
      flow.ports_known = true;
      return;
    default: return;
  }
}

std::optional<Flow> parse_v4(ByteView packet) {
  const std::size_t header = (packet[0] & 15u) * 4u;
  const std::size_t total = get_u16(packet.data() + 2);
  if (header < 20 || total < header || total > packet.size()) return std::nullopt;
  Flow flow;
  flow.octets = total;
  flow.source = IpAddress::v4(get_u32(packet.data() + 12));
  flow.destination = IpAddress::v4(get_u32(packet.data() + 16));
  flow.protocol = packet[9];
  const bool later_fragment = (get_u16(packet.data() + 6) & 0x1fff) != 0;
  if (!later_fragment) read_ports(packet.first(total), header, flow);
  return flow;
}

// Walks to the upper layer. False: the chain leaves the packet or is too long.
bool walk_extensions(ByteView packet, Flow& flow) {
  std::size_t at = kIpv6Octets;
  flow.protocol = packet[6];
  for (int i = 0; i < kMaxExtensionHeaders; ++i) {
    switch (flow.protocol) {
      case kHopByHop: case kRouting: case kDestinationOptions: case kAh: {
        if (at + 8 > packet.size()) return false;
        const std::size_t units = packet[at + 1];
        const std::size_t size = flow.protocol == kAh ? (units + 2) * 4 : (units + 1) * 8;
        if (at + size > packet.size()) return false;
        flow.protocol = packet[at];
        at += size;
        break;
      }
      case kFragment: {
        if (at + 8 > packet.size()) return false;
        const bool later = (get_u16(packet.data() + at + 2) & 0xfff8) != 0;
        flow.protocol = packet[at];
        at += 8;
        if (later) return true;  // what follows is not a header
        break;
      }
      default: read_ports(packet, at, flow); return true;
    }
  }
  return false;
}

std::optional<Flow> parse_v6(ByteView packet) {
  if (packet.size() < kIpv6Octets) return std::nullopt;
  const std::size_t total = kIpv6Octets + get_u16(packet.data() + 4);
  if (total > packet.size()) return std::nullopt;
  Flow flow;
  flow.octets = total;
  auto source = IpAddress::from_bytes(packet.subspan(8, 16));
  auto destination = IpAddress::from_bytes(packet.subspan(24, 16));
  flow.source = *source;
  flow.destination = *destination;
  if (!walk_extensions(packet.first(total), flow)) return std::nullopt;
  return flow;
}

}  // namespace

std::optional<Flow> parse_flow(ByteView packet) {
  if (packet.size() < 20) return std::nullopt;
  switch (packet[0] >> 4) {
    case 4: return parse_v4(packet);
    case 6: return parse_v6(packet);
    default: return std::nullopt;
  }
}

bool matches(const policy::TrafficSelector& selector, const IpAddress& address, std::uint8_t protocol,
             bool port_known, std::uint16_t port) {
  if (address.family() != selector.start.family()) return false;
  if (address < selector.start || selector.end < address) return false;
  if (selector.protocol != 0 && selector.protocol != protocol) return false;
  if (selector.start_port == 0 && selector.end_port == 65535) return true;
  // 65535 to 0 is OPAQUE: only packets whose port cannot be seen (RFC 7296 section 3.13.1).
  if (selector.start_port > selector.end_port) return !port_known;
  return port_known && port >= selector.start_port && port <= selector.end_port;
}

namespace {

bool within(const policy::SelectorList& list, const IpAddress& address, const Flow& flow, std::uint16_t port) {
  return std::any_of(list.begin(), list.end(), [&](const auto& selector) {
    return matches(selector, address, flow.protocol, flow.ports_known, port);
  });
}

}  // namespace

bool matches_outbound(const policy::SelectorList& local, const policy::SelectorList& remote, const Flow& flow) {
  return within(remote, flow.destination, flow, flow.destination_port) &&
         within(local, flow.source, flow, flow.source_port);
}

bool matches_inbound(const policy::SelectorList& local, const policy::SelectorList& remote, const Flow& flow) {
  return within(remote, flow.source, flow, flow.source_port) &&
         within(local, flow.destination, flow, flow.destination_port);
}

}  // namespace espalier::dataplane::userspace
