// Any octets as a TUN read (virtio-net header and packet) and as received inner packets: the
// Segmenter, the flow parser and the Coalescer must stay within their buffers, and joining and
// taking apart must give the same packets.
#include <algorithm>

#include "dataplane/userspace/coalesce.hpp"
#include "dataplane/userspace/ecn.hpp"
#include "dataplane/userspace/flow.hpp"
#include "dataplane/userspace/packet_testing.hpp"
#include "dataplane/userspace/segment.hpp"

namespace {

using namespace espalier;
using namespace espalier::dataplane::userspace;

// Copies into exact heap blocks, so that the sanitizer sees every step beyond them.
std::vector<Bytes> take_apart(const VnetHeader& header, const Bytes& packet) {
  std::vector<Bytes> out;
  auto segments = Segmenter::make(header, packet);
  while (segments && segments->next_octets() > 0) {
    out.emplace_back(segments->next_octets());
    segments->next(out.back().data());
  }
  return out;
}

struct Collector final : PacketSink {
  std::vector<Bytes> parts;
  void deliver(const VnetHeader& header, std::span<const ByteView> pieces) override {
    Bytes packet;
    for (const ByteView piece : pieces) packet.insert(packet.end(), piece.begin(), piece.end());
    if (header == VnetHeader{}) {
      parts.push_back(packet);
      return;
    }
    std::vector<Bytes> some = take_apart(header, packet);
    ASSERT(some.size() == pieces.size());
    for (Bytes& part : some) parts.push_back(std::move(part));
  }
};

void join_and_compare(std::vector<Bytes> packets) {
  std::vector<Bytes> sent = packets;
  Collector out;
  Coalescer coalescer(out);
  for (Bytes& packet : packets) coalescer.add(packet);
  coalescer.flush();
  std::sort(sent.begin(), sent.end());
  std::sort(out.parts.begin(), out.parts.end());
  ASSERT(sent == out.parts);
}

// A super-packet made of the input, so that most inputs reach the joining of segments.
Bytes as_tcp(const std::uint8_t* data, std::size_t size, VnetHeader& header) {
  dataplane::userspace::testing::TcpShape shape;
  shape.v4 = (data[0] & 1) != 0;
  shape.flags = data[1];
  shape.id = get_u16(data + 2);
  shape.sequence = get_u32(data + 4);
  shape.options.assign((data[8] & 3u) * 4u, data[9]);
  const std::size_t payload = std::min<std::size_t>(size - 12, 60000);
  Bytes packet = dataplane::userspace::testing::tcp_packet(shape, {data + 12, payload});
  const std::size_t tcp = shape.v4 ? 20 : 40;
  header.flags = VnetHeader::kNeedsChecksum;
  header.gso_type = shape.v4 ? VnetHeader::kGsoTcpv4 : VnetHeader::kGsoTcpv6;
  header.gso_size = static_cast<std::uint16_t>(1 + data[10] * 4u);
  header.checksum_start = static_cast<std::uint16_t>(tcp);
  header.checksum_offset = 16;
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 12) return 0;
  const VnetHeader header = VnetHeader::read(data);
  Bytes packet(data + VnetHeader::kOctets, data + std::min<std::size_t>(size, 65000));
  if (const auto flow = parse_flow(packet)) {
    ASSERT(flow->octets <= packet.size());
    Bytes inner(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(flow->octets));
    decapsulate_ecn(inner, flow->traffic_class, data[0]);
  }
  join_and_compare(take_apart(header, packet));
  VnetHeader made;
  const Bytes tcp = as_tcp(data, size, made);
  join_and_compare(take_apart(made, tcp));
  // The input as packets of one size, as a peer that has the key might send them.
  const std::size_t each = 20 + data[11];
  std::vector<Bytes> packets;
  for (std::size_t at = 0; at < packet.size() && packets.size() < 300; at += each) {
    const std::size_t octets = std::min(each, packet.size() - at);
    packets.emplace_back(packet.begin() + static_cast<std::ptrdiff_t>(at),
                         packet.begin() + static_cast<std::ptrdiff_t>(at + octets));
  }
  join_and_compare(std::move(packets));
  return 0;
}
