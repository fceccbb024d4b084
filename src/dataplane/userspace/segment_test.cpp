// Segmenter and Coalescer, alone and against each other.
#include "dataplane/userspace/segment.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "dataplane/userspace/coalesce.hpp"
#include "dataplane/userspace/packet_testing.hpp"

namespace espalier::dataplane::userspace {
namespace {

using namespace testing;

std::vector<Bytes> take_apart(const VnetHeader& header, ByteView packet) {
  std::vector<Bytes> out;
  auto segments = Segmenter::make(header, packet);
  EXPECT_TRUE(segments.has_value());
  while (segments && segments->next_octets() > 0) {
    Bytes& next = out.emplace_back(segments->next_octets());
    segments->next(next.data());
  }
  return out;
}

// What a kernel hands over for this packet: the checksum is the pseudo header's sum.
VnetHeader as_super_packet(Bytes& packet, std::uint16_t gso_size) {
  const bool v4 = packet[0] >> 4 == 4;
  const std::size_t tcp = v4 ? 20 : 40;
  VnetHeader out;
  out.flags = VnetHeader::kNeedsChecksum;
  out.gso_type = gso_size == 0 ? VnetHeader::kGsoNone
                 : v4          ? VnetHeader::kGsoTcpv4
                               : VnetHeader::kGsoTcpv6;
  out.gso_size = gso_size;
  out.checksum_start = static_cast<std::uint16_t>(tcp);
  out.checksum_offset = 16;
  put_u16(&packet[tcp + 16], unfinished(pseudo_sum(addresses_of(packet), 6, packet.size() - tcp)));
  return out;
}

bool tcp_checksum_is_right(ByteView packet) {
  const std::size_t tcp = packet[0] >> 4 == 4 ? 20 : 40;
  return is_right(
      add(pseudo_sum(addresses_of(packet), 6, packet.size() - tcp), packet.subspan(tcp)));
}

TEST(Checksum, agreesWithTheExampleOfRfc1071) {
  // Section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
  const Bytes data = from_hex("0001f203f4f5f6f7").value();
  EXPECT_EQ(unfinished(add(0, data)), 0xddf2);
}

TEST(Checksum, agreesWithThePlainestSum) {
  for (std::size_t size = 0; size < 300; ++size) {
    const Bytes data = filled(size, static_cast<std::uint8_t>(size * 31));
    std::uint32_t plain = 0;
    for (std::size_t i = 0; i < size; ++i) plain += i % 2 == 0 ? data[i] << 8 : data[i];
    while (plain >> 16 != 0) plain = (plain & 0xffff) + (plain >> 16);
    ASSERT_EQ(unfinished(add(0, data)), plain) << size;
  }
}

TEST(Segmenter, plainPacketsPassUnchanged) {
  const Bytes packet = udp_packet(true, filled(100));
  EXPECT_EQ(take_apart(VnetHeader{}, packet), std::vector<Bytes>{packet});
}

TEST(Segmenter, fillsInAChecksumThatWasLeftToUs) {
  const Bytes right = udp_packet(false, filled(101));
  Bytes open = right;
  VnetHeader header;
  header.flags = VnetHeader::kNeedsChecksum;
  header.checksum_start = 40;
  header.checksum_offset = 6;
  put_u16(&open[46], unfinished(pseudo_sum(addresses_of(open), 17, open.size() - 40)));
  EXPECT_EQ(take_apart(header, open), std::vector<Bytes>{right});
}

class Families : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(V4AndV6, Families, ::testing::Bool());

TEST_P(Families, aSuperPacketBecomesWhatTcpWouldHaveSent) {
  const Bytes payload = filled(4000);
  TcpShape shape;
  shape.v4 = GetParam();
  shape.flags = 0x80 | 0x10 | 0x08 | 0x01;  // CWR, ACK, PSH, FIN
  shape.sequence = 0xfffffc00;              // wraps on the way
  shape.id = 0xffff;
  shape.options = from_hex("0101080a0000000100000002").value();
  Bytes whole = tcp_packet(shape, payload);
  const VnetHeader header = as_super_packet(whole, 1400);
  const std::vector<Bytes> parts = take_apart(header, whole);
  std::vector<Bytes> expected;
  for (std::size_t offset = 0; offset < payload.size(); offset += 1400) {
    TcpShape one = shape;
    const std::size_t size = std::min<std::size_t>(1400, payload.size() - offset);
    one.sequence = shape.sequence + static_cast<std::uint32_t>(offset);
    one.id = static_cast<std::uint16_t>(shape.id + expected.size());
    one.flags = static_cast<std::uint8_t>(0x10 | (offset == 0 ? 0x80 : 0) |
                                          (offset + size == payload.size() ? 0x09 : 0));
    expected.push_back(tcp_packet(one, ByteView(payload).subspan(offset, size)));
  }
  EXPECT_EQ(parts, expected);
}

TEST(Segmenter, refusesWhatDoesNotFit) {
  Bytes packet = tcp_packet({}, filled(3000));
  const VnetHeader good = as_super_packet(packet, 1000);
  ASSERT_TRUE(Segmenter::make(good, packet).has_value());
  const auto refused = [&](auto change) {
    VnetHeader bad = good;
    change(bad);
    return !Segmenter::make(bad, packet).has_value();
  };
  EXPECT_TRUE(refused([](VnetHeader& h) { h.gso_size = 0; }));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.gso_type = VnetHeader::kGsoTcpv6; }));
  EXPECT_TRUE(
      refused([](VnetHeader& h) { h.gso_type = 3; }));  // UDP fragmentation: never asked for
  EXPECT_TRUE(refused([](VnetHeader& h) { h.flags = 0; }));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.checksum_start = 24; }));
  EXPECT_TRUE(refused([](VnetHeader& h) { h.checksum_offset = 6; }));
  VnetHeader outside;
  outside.flags = VnetHeader::kNeedsChecksum;
  outside.checksum_start = static_cast<std::uint16_t>(packet.size() - 1);
  EXPECT_FALSE(Segmenter::make(outside, packet).has_value());
  EXPECT_FALSE(Segmenter::make(VnetHeader{}, ByteView(packet).first(19)).has_value());
}

// Collects what is delivered, whole and taken apart again.
struct Collector final : PacketSink {
  std::vector<VnetHeader> headers;
  std::vector<Bytes> whole;
  std::vector<Bytes> parts;
  void deliver(const VnetHeader& header, std::span<const ByteView> pieces) override {
    headers.push_back(header);
    Bytes& packet = whole.emplace_back();
    for (const ByteView piece : pieces) packet.insert(packet.end(), piece.begin(), piece.end());
    for (Bytes& part : take_apart(header, packet)) parts.push_back(std::move(part));
  }
};

std::vector<Bytes> stream(bool v4, std::size_t count, std::size_t mss, std::uint16_t port = 1000) {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < count; ++i) {
    TcpShape shape;
    shape.v4 = v4;
    shape.source_port = port;
    shape.sequence = static_cast<std::uint32_t>(0xffffff00 + i * mss);
    shape.id = static_cast<std::uint16_t>(0xfffe + i);
    out.push_back(tcp_packet(shape, filled(mss, static_cast<std::uint8_t>(i))));
  }
  return out;
}

TEST_P(Families, aRunOfSegmentsBecomesOneWrite) {
  const std::vector<Bytes> sent = stream(GetParam(), 20, 1300);
  std::vector<Bytes> held = sent;
  Collector out;
  Coalescer coalescer(out);
  for (Bytes& packet : held) coalescer.add(packet);
  EXPECT_TRUE(out.whole.empty());
  coalescer.flush();
  ASSERT_EQ(out.whole.size(), 1u);
  EXPECT_EQ(out.headers[0].gso_size, 1300);
  EXPECT_EQ(out.parts, sent);
}

TEST_P(Families, aSuperPacketNeverExceedsAnIpPacketNorThePieces) {
  const std::vector<Bytes> sent = stream(GetParam(), 200, 1300),
                           small = stream(GetParam(), 200, 10);
  for (const auto& packets : {sent, small}) {
    std::vector<Bytes> held = packets;
    Collector out;
    Coalescer coalescer(out);
    for (Bytes& packet : held) coalescer.add(packet);
    coalescer.flush();
    EXPECT_EQ(out.parts, packets);
    EXPECT_LE(out.whole.size(), 6u);
    for (const Bytes& whole : out.whole) EXPECT_LE(whole.size(), kMaxIpOctets);
  }
}

TEST_P(Families, whatDiffersIsNotJoined) {
  const bool v4 = GetParam();
  const auto second_differs = [&](auto change) {
    std::vector<Bytes> sent = stream(v4, 2, 100);
    TcpShape shape;
    shape.v4 = v4;
    shape.sequence = 0xffffff00 + 100;
    shape.id = 0xffff;
    Bytes payload = filled(100, 1);
    change(shape, payload);
    sent[1] = tcp_packet(shape, payload);
    std::vector<Bytes> held = sent;
    Collector out;
    Coalescer coalescer(out);
    for (Bytes& packet : held) coalescer.add(packet);
    coalescer.flush();
    return out.whole == sent;
  };
  EXPECT_FALSE(second_differs([](TcpShape&, Bytes&) {}));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { ++s.sequence; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { ++s.acknowledgement; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { ++s.window; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { s.traffic_class = 0x10; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { s.flags |= 0x20; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { s.flags |= 0x02; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { s.flags |= 0x01; }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { s.options = Bytes(4, 1); }));
  EXPECT_TRUE(second_differs([](TcpShape&, Bytes& p) { p = filled(101); }));
  EXPECT_TRUE(second_differs([](TcpShape&, Bytes& p) { p.clear(); }));
  EXPECT_TRUE(second_differs([](TcpShape& s, Bytes&) { ++s.source_port; }));
  EXPECT_EQ(second_differs([](TcpShape& s, Bytes&) { ++s.id; }), v4);
}

TEST_P(Families, aWrongChecksumStaysWrong) {
  std::vector<Bytes> sent = stream(GetParam(), 3, 100);
  sent[1].back() ^= 1;
  std::vector<Bytes> held = sent;
  Collector out;
  Coalescer coalescer(out);
  for (Bytes& packet : held) coalescer.add(packet);
  coalescer.flush();
  EXPECT_EQ(out.whole, sent);
  EXPECT_FALSE(tcp_checksum_is_right(out.whole[1]));
}

// Any mixture of streams, in any order, comes out as the same octets, each flow in its order.
TEST(Coalescer, anyMixtureComesOutAsTheSameOctets) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    std::map<std::uint16_t, TcpShape> flows;
    std::map<std::uint16_t, std::vector<Bytes>> sent, got;
    std::vector<Bytes> held;
    for (int i = 0; i < 120; ++i) {
      const auto port = static_cast<std::uint16_t>(1000 + random() % 25);  // more than slots
      TcpShape& shape = flows[port];
      shape.v4 = port % 2 == 0;
      shape.source_port = port;
      Bytes payload = filled(random() % 8 == 0 ? random() % 60 : 50, static_cast<std::uint8_t>(i));
      shape.flags = random() % 10 == 0 ? 0x18 : random() % 15 == 0 ? 0x11 : 0x10;
      if (random() % 12 == 0) shape.sequence += 5;
      Bytes packet =
          random() % 10 == 0 ? udp_packet(shape.v4, payload, port) : tcp_packet(shape, payload);
      if (random() % 20 == 0) packet.back() ^= 1;
      if (shape.v4 && random() % 20 == 0) {  // a fragment
        packet[6] = 0x20;
        set_ipv4_checksum(MutableByteView(packet).first(20));
      }
      shape.sequence += static_cast<std::uint32_t>(payload.size());
      ++shape.id;
      sent[port].push_back(packet);
      held.push_back(std::move(packet));
    }
    Collector out;
    Coalescer coalescer(out);
    for (Bytes& packet : held) coalescer.add(packet);
    coalescer.flush();
    for (const Bytes& part : out.parts)
      got[get_u16(&part[part[0] >> 4 == 4 ? 20 : 40])].push_back(part);
    // UDP may overtake TCP of the same addresses: compare them apart.
    for (auto* all : {&sent, &got}) {
      for (auto& [port, packets] : *all) {
        std::stable_partition(packets.begin(), packets.end(),
                              [](const Bytes& p) { return p[p[0] >> 4 == 4 ? 9 : 6] == 17; });
      }
    }
    ASSERT_EQ(got, sent) << "seed " << seed;
  }
}

}  // namespace
}  // namespace espalier::dataplane::userspace
