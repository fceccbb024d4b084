#include "wire/ip/packet.hpp"

#include <gtest/gtest.h>

#include "wire/ip/checksum.hpp"
#include "wire/ip/limits.hpp"
#include "wire/ip/samples.hpp"

namespace espalier::wire::ip {
namespace {

using testing::hex;

Packet accepted(ByteView octets) {
  Packet packet;
  EXPECT_EQ(name(parse(octets, packet)), "none");
  return packet;
}
std::string_view fault(ByteView octets) {
  Packet packet;
  return name(parse(octets, packet));
}

TEST(IpPacket, Ipv4Udp) {
  const Packet packet = accepted(samples::ipv4_udp());
  EXPECT_EQ(packet.family, Family::kIpv4);
  EXPECT_EQ(packet.source.to_string(), "192.0.2.1");
  EXPECT_EQ(packet.destination.to_string(), "192.0.2.2");
  EXPECT_EQ(packet.protocol, kProtocolUdp);
  EXPECT_EQ(packet.dscp(), 46);
  EXPECT_EQ(packet.ecn(), 1);
  EXPECT_EQ(packet.hops, 64);
  EXPECT_TRUE(packet.dont_fragment);
  EXPECT_FALSE(packet.fragment);
  EXPECT_EQ(packet.total_octets, 32u);
  EXPECT_EQ(packet.upper_offset, 20u);
  ASSERT_TRUE(packet.has_ports);
  EXPECT_EQ(packet.source_port, 0x1234);
  EXPECT_EQ(packet.destination_port, 53);
  EXPECT_FALSE(packet.has_icmp_type);
}

TEST(IpPacket, Ipv4OptionsAndFirstFragment) {
  const Packet packet = accepted(samples::ipv4_icmp_options());
  EXPECT_EQ(packet.upper_offset, 28u);
  EXPECT_TRUE(packet.fragment);
  EXPECT_TRUE(packet.more_fragments);
  EXPECT_TRUE(packet.first_or_whole());
  EXPECT_FALSE(packet.dont_fragment);
  ASSERT_TRUE(packet.has_icmp_type);
  EXPECT_EQ(packet.icmp_type_code, 0x0800);
  EXPECT_FALSE(packet.has_ports);
}

TEST(IpPacket, ALaterFragmentHasNoPorts) {
  Bytes octets = samples::ipv4_udp();
  octets[6] = 0x00;
  octets[7] = 0x02;
  const Packet packet = accepted(octets);
  EXPECT_TRUE(packet.fragment);
  EXPECT_FALSE(packet.more_fragments);
  EXPECT_EQ(packet.fragment_offset, 16);
  EXPECT_FALSE(packet.first_or_whole());
  EXPECT_FALSE(packet.has_ports);
}

TEST(IpPacket, TheLargestFragmentOffset) {
  Bytes octets = samples::ipv4_udp();
  octets[6] = 0x1f;
  octets[7] = 0xff;
  EXPECT_EQ(accepted(octets).fragment_offset, 65528);
}

TEST(IpPacket, TrailingOctetsAreNotThePacket) {
  Bytes octets = samples::ipv4_udp();
  octets.resize(100);
  EXPECT_EQ(accepted(octets).total_octets, 32u);
  octets = samples::ipv6_tcp();
  octets.resize(100);
  EXPECT_EQ(accepted(octets).total_octets, 60u);
  // Ports that lie beyond the packet's own length are not its ports.
  octets = samples::ipv4_udp();
  octets[3] = 23;
  EXPECT_FALSE(accepted(octets).has_ports);
}

TEST(IpPacket, Ipv6Tcp) {
  const Packet packet = accepted(samples::ipv6_tcp());
  EXPECT_EQ(packet.family, Family::kIpv6);
  EXPECT_EQ(packet.source.to_string(), "2001:db8::1");
  EXPECT_EQ(packet.destination.to_string(), "2001:db8::2");
  EXPECT_EQ(packet.traffic_class, 0x2e);
  EXPECT_EQ(packet.hops, 3);
  EXPECT_EQ(packet.protocol, kProtocolTcp);
  EXPECT_EQ(packet.upper_offset, 40u);
  EXPECT_TRUE(packet.dont_fragment);
  ASSERT_TRUE(packet.has_ports);
  EXPECT_EQ(packet.source_port, 443);
  EXPECT_EQ(packet.destination_port, 50000);
}

TEST(IpPacket, Ipv6ExtensionHeaders) {
  Bytes octets = samples::ipv6_extensions();
  const Packet packet = accepted(octets);
  EXPECT_EQ(packet.protocol, kProtocolUdp);
  EXPECT_EQ(packet.upper_offset, 80u);
  EXPECT_TRUE(packet.fragment);
  EXPECT_TRUE(packet.more_fragments);
  ASSERT_TRUE(packet.has_ports);
  EXPECT_EQ(packet.destination_port, 2);
  octets[40 + 8 + 16 + 8 + 3] = 0x09;  // now at offset 8
  const Packet later = accepted(octets);
  EXPECT_EQ(later.fragment_offset, 8);
  EXPECT_EQ(later.protocol, kProtocolUdp);
  EXPECT_FALSE(later.has_ports);
}

TEST(IpPacket, Ipv6HeadersThatRunOutOfThePacket) {
  Bytes octets = samples::ipv6_extensions();
  octets[40 + 1] = 5;  // the first extension header is as long as the rest of the packet
  octets[40] = kProtocolNoNext;
  EXPECT_EQ(accepted(octets).upper_offset, 88u);
  octets[40 + 1] = 6;
  EXPECT_EQ(fault(octets), "truncated");
  for (std::uint8_t length = 0; length < 40; ++length) {  // cut within the extension headers
    Bytes cut = samples::ipv6_extensions();
    cut[5] = length;
    EXPECT_EQ(fault(cut), "truncated") << unsigned{length};
  }
}

TEST(IpPacket, NotMoreExtensionHeadersThanTheLimit) {
  Bytes octets = samples::ipv6_tcp();
  octets.resize(40);
  octets[6] = 60;
  for (std::size_t i = 0; i < kMaxExtensionHeaders; ++i) {
    octets.insert(octets.end(), {60, 0, 1, 4, 0, 0, 0, 0});
  }
  octets[octets.size() - 8] = kProtocolNoNext;
  octets[5] = static_cast<std::uint8_t>(octets.size() - 40);
  EXPECT_EQ(accepted(octets).protocol, kProtocolNoNext);
  octets[octets.size() - 8] = 60;
  octets.insert(octets.end(), {kProtocolNoNext, 0, 1, 4, 0, 0, 0, 0});
  octets[5] = static_cast<std::uint8_t>(octets.size() - 40);
  EXPECT_EQ(fault(octets), "extension_headers");
}

TEST(IpPacket, UpperLayersOfIpv6) {
  Bytes octets = samples::ipv6_tcp();
  octets[6] = kProtocolIcmpv6;
  EXPECT_EQ(accepted(octets).icmp_type_code, 0x01bb);
  octets[6] = kProtocolIcmp;  // ICMP of the other family is no ICMP here
  EXPECT_FALSE(accepted(octets).has_icmp_type);
  octets[6] = kProtocolMobility;
  EXPECT_TRUE(accepted(octets).has_mobility_type);
  EXPECT_EQ(accepted(octets).mobility_type, 0xc300);
  octets[6] = kProtocolAh;  // an upper layer of its own for selectors
  EXPECT_EQ(accepted(octets).protocol, kProtocolAh);
  EXPECT_EQ(accepted(octets).upper_offset, 40u);
}

TEST(IpPacket, Refused) {
  EXPECT_EQ(fault({}), "truncated");
  EXPECT_EQ(fault(hex("00")), "version");
  EXPECT_EQ(fault(hex("55")), "version");
  Bytes octets = samples::ipv4_udp();
  octets[0] = 0x44;
  EXPECT_EQ(fault(octets), "header_length");
  octets[0] = 0x49;
  EXPECT_EQ(fault(octets), "total_length");
  octets = samples::ipv4_udp();
  octets[3] = 33;
  EXPECT_EQ(fault(octets), "truncated");
}

TEST(IpPacket, EveryTruncationIsAFault) {
  for (const Bytes& whole : samples::all()) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(fault(ByteView(whole).first(size)), "truncated") << size;
    }
  }
}

TEST(IpPacket, NoSingleOctetCrashes) {
  for (const Bytes& whole : samples::all()) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (unsigned value = 0; value < 256; ++value) {
        Bytes damaged = whole;
        damaged[i] = static_cast<std::uint8_t>(value);
        Packet packet;
        if (parse(damaged, packet) != Fault::kNone) continue;
        EXPECT_LE(packet.upper_offset, packet.total_octets);
        EXPECT_LE(packet.total_octets, damaged.size());
      }
    }
  }
}

TEST(IpPacket, SettingTrafficClassBits) {
  Bytes octets = samples::ipv4_udp();
  ASSERT_TRUE(ipv4_checksum_ok(octets));
  set_ecn(octets, 3);
  EXPECT_EQ(octets[1], 0xbb);
  EXPECT_TRUE(ipv4_checksum_ok(octets));
  set_dscp(octets, 0);
  EXPECT_EQ(octets[1], 0x03);
  EXPECT_TRUE(ipv4_checksum_ok(octets));
  octets[1] = 0x02;
  EXPECT_FALSE(ipv4_checksum_ok(octets));

  octets = samples::ipv6_tcp();
  set_ecn(octets, 1);
  EXPECT_EQ(accepted(octets).traffic_class, 0x2d);
  set_dscp(octets, 63);
  EXPECT_EQ(accepted(octets).traffic_class, 0xfd);
  EXPECT_EQ(to_hex(ByteView(octets).first(4)), "6fd12345");  // version and flow label as before
}

}  // namespace
}  // namespace espalier::wire::ip
