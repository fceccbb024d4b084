#include "dataplane/userspace/ecn.hpp"

#include "dataplane/userspace/checksum.hpp"

namespace espalier::dataplane::userspace {
namespace {

constexpr std::uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCe = 3;

void set_ecn(MutableByteView packet, std::uint8_t ecn) {
  if (packet[0] >> 4 == 4) {
    packet[1] = static_cast<std::uint8_t>((packet[1] & 0xfc) | ecn);
    const std::size_t header = (packet[0] & 15u) * 4u;
    if (header >= 20 && header <= packet.size()) set_ipv4_checksum(packet.first(header));
  } else {
    packet[1] = static_cast<std::uint8_t>((packet[1] & 0xcf) | ecn << 4);
  }
}

}  // namespace

std::uint8_t traffic_class(ByteView packet) {
  if (packet[0] >> 4 == 4) return packet[1];
  return static_cast<std::uint8_t>(packet[0] << 4 | packet[1] >> 4);
}

bool decapsulate_ecn(MutableByteView inner, std::uint8_t outer_traffic_class) {
  const std::uint8_t outer = outer_traffic_class & 3;
  if (outer == kNotEct) return true;
  const std::uint8_t mine = traffic_class(inner) & 3;
  if (mine == kNotEct) return outer != kCe;
  if (outer == kCe && mine != kCe) set_ecn(inner, kCe);
  if (outer == kEct1 && mine == kEct0) set_ecn(inner, kEct1);
  return true;
}

}  // namespace espalier::dataplane::userspace
