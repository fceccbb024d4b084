#include "dataplane/userspace/flow.hpp"

#include <algorithm>

#include "wire/ip/packet.hpp"

namespace espalier::dataplane::userspace {

std::optional<Flow> parse_flow(ByteView octets) {
  wire::ip::Packet packet;
  if (wire::ip::parse(octets, packet) != wire::ip::Fault::kNone) return std::nullopt;
  Flow out;
  out.source = packet.source;
  out.destination = packet.destination;
  out.protocol = packet.protocol;
  out.traffic_class = packet.traffic_class;
  out.octets = packet.total_octets;
  out.ports_known = packet.has_ports || packet.has_icmp_type || packet.has_mobility_type;
  if (packet.has_ports) {
    out.source_port = packet.source_port;
    out.destination_port = packet.destination_port;
  } else if (packet.has_icmp_type) {
    out.source_port = out.destination_port = packet.icmp_type_code;
  } else if (packet.has_mobility_type) {
    out.source_port = out.destination_port = packet.mobility_type;
  }
  return out;
}

bool matches(const policy::TrafficSelector& selector, const IpAddress& address,
             std::uint8_t protocol, bool port_known, std::uint16_t port) {
  if (address.family() != selector.start.family()) return false;
  if (address < selector.start || selector.end < address) return false;
  if (selector.protocol != 0 && selector.protocol != protocol) return false;
  if (selector.start_port == 0 && selector.end_port == 65535) return true;
  // 65535 to 0 is OPAQUE: only packets whose port cannot be seen (RFC 7296 section 3.13.1).
  if (selector.start_port > selector.end_port) return !port_known;
  return port_known && port >= selector.start_port && port <= selector.end_port;
}

namespace {

bool within(const policy::SelectorList& list, const IpAddress& address, const Flow& flow,
            std::uint16_t port) {
  return std::any_of(list.begin(), list.end(), [&](const auto& selector) {
    return matches(selector, address, flow.protocol, flow.ports_known, port);
  });
}

}  // namespace

bool matches_outbound(const policy::SelectorList& local, const policy::SelectorList& remote,
                      const Flow& flow) {
  return within(remote, flow.destination, flow, flow.destination_port) &&
         within(local, flow.source, flow, flow.source_port);
}

bool matches_inbound(const policy::SelectorList& local, const policy::SelectorList& remote,
                     const Flow& flow) {
  return within(remote, flow.source, flow, flow.source_port) &&
         within(local, flow.destination, flow, flow.destination_port);
}

}  // namespace espalier::dataplane::userspace
