#include "dataplane/userspace/coalesce.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/userspace/checksum.hpp"
#include "dataplane/userspace/octets.hpp"

namespace espalier::dataplane::userspace {
namespace {

constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmpv6 = 58;
constexpr std::size_t kIpv6Octets = 40;
constexpr std::uint8_t kPsh = 0x08, kAck = 0x10;

bool same(ByteView a, ByteView b, std::size_t at, std::size_t count) {
  return std::memcmp(a.data() + at, b.data() + at, count) == 0;
}

}  // namespace

struct Coalescer::Segment {
  MutableByteView packet;
  bool v4 = true;
  bool may_be_tcp = false;  // TCP, or a fragment or extension headers that may hide it
  bool tcp_known = false;   // an unfragmented TCP packet whose header stands where tcp says
  std::size_t tcp = 0;
  std::size_t headers = 0;
  std::size_t payload() const { return packet.size() - headers; }
};

// True when the packet may be part of a super-packet. out tells as much as is known in either case.
bool Coalescer::read(MutableByteView packet, Segment& out) {
  out.packet = packet;
  if (packet.size() < 20) return false;
  out.v4 = packet[0] >> 4 == 4;
  if (out.v4) {
    out.tcp = (packet[0] & 15u) * 4u;
    out.may_be_tcp = packet[9] == kTcp;
    const bool fragment = (get_u16(packet.data() + 6) & 0x3fff) != 0;
    if (!out.may_be_tcp || fragment || out.tcp < 20) return false;
  } else {
    out.tcp = kIpv6Octets;
    if (packet.size() < kIpv6Octets) return false;
    out.may_be_tcp = packet[6] != kUdp && packet[6] != kIcmpv6;
    if (packet[6] != kTcp) return false;
  }
  if (packet.size() < out.tcp + 20) return false;
  out.headers = out.tcp + (packet[out.tcp + 12] >> 4) * 4u;
  out.tcp_known = true;
  if (out.headers < out.tcp + 20 || out.headers >= packet.size()) return false;
  // Options, and anything but data with ACK, stay as they are.
  const std::uint8_t flags = packet[out.tcp + 13];
  if (out.v4 && out.tcp != 20) return false;
  if ((packet[out.tcp + 12] & 15) != 0 || (flags & ~kPsh) != kAck) return false;
  // A wrong checksum must arrive wrong: joined packets get a new one. 0xffff is the zero that
  // nobody computes.
  const std::uint8_t* const tcp = packet.data() + out.tcp;
  if (get_u16(tcp + 16) == 0xffff) return false;
  if (out.v4 &&
      (get_u16(packet.data() + 10) == 0xffff || !is_right(wire::ip::add(0, packet.first(20))))) {
    return false;
  }
  const ByteView addresses = out.v4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  return is_right(
      wire::ip::add(pseudo_sum(addresses, kTcp, packet.size() - out.tcp), packet.subspan(out.tcp)));
}

bool Coalescer::same_flow(const Flow& flow, const Segment& segment) {
  if (flow.v4 != segment.v4 || !segment.may_be_tcp) return false;
  const bool addresses =
      flow.v4 ? same(flow.first, segment.packet, 12, 8) : same(flow.first, segment.packet, 8, 32);
  if (!addresses || !segment.tcp_known) return addresses;
  return std::memcmp(flow.first.data() + flow.tcp, segment.packet.data() + segment.tcp, 4) == 0;
}

// Of the same flow: may it stand behind what is held?
bool Coalescer::continues(const Flow& flow, const Segment& segment) {
  const ByteView a = flow.first, b = segment.packet;
  if (flow.headers != segment.headers || flow.count == kCoalescePieces) return false;
  if (segment.payload() > flow.gso_size) return false;
  if (flow.size + segment.payload() > kMaxIpOctets) return false;
  if (flow.v4) {
    // Version, header size and TOS; fragment bits, TTL and protocol; an identification that counts.
    if (!same(a, b, 0, 2) || !same(a, b, 6, 4)) return false;
    if (get_u16(b.data() + 4) != flow.next_id) return false;
  } else if (!same(a, b, 0, 4) || !same(a, b, 6, 2)) {
    return false;
  }
  const std::size_t tcp = flow.tcp;
  if (get_u32(b.data() + tcp + 4) != flow.next_sequence) return false;
  // Acknowledgement and data offset; window; urgent pointer and options.
  return same(a, b, tcp + 8, 5) && same(a, b, tcp + 14, 2) &&
         same(a, b, tcp + 18, segment.headers - tcp - 18);
}

void Coalescer::join(Flow& flow, const Segment& segment) {
  flow.pieces[flow.count++] = segment.packet.subspan(segment.headers);
  flow.size += segment.payload();
  flow.next_sequence += static_cast<std::uint32_t>(segment.payload());
  ++flow.next_id;
  const std::uint8_t push = segment.packet[segment.tcp + 13] & kPsh;
  flow.first[flow.tcp + 13] |= push;
  // Taken apart again, only the last segment is short and only the last has PSH.
  if (push != 0 || segment.payload() < flow.gso_size) deliver(flow);
}

void Coalescer::start(const Segment& segment) {
  Flow* slot = &flows_[0];
  for (Flow& flow : flows_) {
    if (!flow.used) {
      slot = &flow;
      break;
    }
    if (flow.age < slot->age) slot = &flow;
  }
  if (slot->used) deliver(*slot);
  slot->used = true;
  slot->age = ++age_;
  slot->v4 = segment.v4;
  slot->tcp = segment.tcp;
  slot->headers = segment.headers;
  slot->size = segment.packet.size();
  slot->gso_size = static_cast<std::uint16_t>(segment.payload());
  slot->next_id = static_cast<std::uint16_t>(get_u16(segment.packet.data() + 4) + 1);
  slot->next_sequence = get_u32(segment.packet.data() + segment.tcp + 4) +
                        static_cast<std::uint32_t>(segment.payload());
  slot->first = segment.packet;
  slot->pieces[0] = segment.packet;
  slot->count = 1;
}

void Coalescer::add(MutableByteView packet) {
  Segment segment;
  const bool joinable = read(packet, segment);
  for (Flow& flow : flows_) {
    if (!flow.used || !same_flow(flow, segment)) continue;
    if (joinable && continues(flow, segment)) {
      join(flow, segment);
      return;
    }
    deliver(flow);  // what came first leaves first
  }
  // A packet with PSH ends a super-packet and so starts none.
  if (joinable && (packet[segment.tcp + 13] & kPsh) == 0) {
    start(segment);
  } else {
    deliver_alone(packet);
  }
}

void Coalescer::deliver_alone(ByteView packet) { sink_.deliver(VnetHeader{}, {&packet, 1}); }

void Coalescer::deliver(Flow& flow) {
  flow.used = false;
  VnetHeader header;
  if (flow.count > 1) {
    std::uint8_t* const octets = flow.first.data();
    header.flags = VnetHeader::kNeedsChecksum;
    header.gso_type = flow.v4 ? VnetHeader::kGsoTcpv4 : VnetHeader::kGsoTcpv6;
    header.gso_size = flow.gso_size;
    header.header_octets = static_cast<std::uint16_t>(flow.headers);
    header.checksum_start = static_cast<std::uint16_t>(flow.tcp);
    header.checksum_offset = 16;
    ByteView addresses;
    if (flow.v4) {
      put_u16(octets + 2, flow.size);
      set_ipv4_checksum(flow.first.first(flow.tcp));
      addresses = flow.first.subspan(12, 8);
    } else {
      put_u16(octets + 4, flow.size - kIpv6Octets);
      addresses = flow.first.subspan(8, 32);
    }
    // The device adds the rest: it wants the pseudo header's sum there, not complemented.
    put_u16(octets + flow.tcp + 16, unfinished(pseudo_sum(addresses, kTcp, flow.size - flow.tcp)));
  }
  sink_.deliver(header, {flow.pieces.data(), flow.count});
}

void Coalescer::flush() {
  // In the order in which the flows began.
  for (;;) {
    Flow* oldest = nullptr;
    for (Flow& flow : flows_) {
      if (flow.used && (oldest == nullptr || flow.age < oldest->age)) oldest = &flow;
    }
    if (oldest == nullptr) return;
    deliver(*oldest);
  }
}

}  // namespace espalier::dataplane::userspace
