#include "wire/ip/checksum.hpp"

#include <gtest/gtest.h>

#include "wire/ip/samples.hpp"
#include "wire/ip/udp.hpp"
#include "wire/testing/random.hpp"

namespace espalier::wire::ip {
namespace {

using testing::hex;
using testing::Random;

TEST(IpChecksum, KnownValues) {
  // RFC 1071 section 3: the sum of these octets is ddf2.
  EXPECT_EQ(checksum(hex("0001 f203 f4f5 f6f7")), 0xffff ^ 0xddf2);
  EXPECT_EQ(checksum({}), 0xffff);
  EXPECT_EQ(checksum(hex("01")), 0xfeff);
  EXPECT_EQ(checksum(ByteView(samples::ipv4_udp()).first(20)), 0);
}

TEST(IpChecksum, InPartsAsInOne) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const Bytes octets = random.bytes(0, 3000);
    const std::size_t cut = random.below(octets.size() / 2 + 1) * 2;
    const std::size_t even = std::min(cut, octets.size());
    EXPECT_EQ(finish(add(add(0, ByteView(octets).first(even)), ByteView(octets).subspan(even))),
              checksum(octets));
  }
}

TEST(IpChecksum, Udp) {
  const Bytes packet = samples::ipv4_udp();
  const IpAddress source = IpAddress::parse("192.0.2.1").value();
  const IpAddress destination = IpAddress::parse("192.0.2.2").value();
  const ByteView segment = ByteView(packet).subspan(20);
  EXPECT_EQ(finish(add(pseudo_header(source, destination, 17, 12), segment)), 0);
  Bytes zeroed = to_vector(segment);
  zeroed[6] = zeroed[7] = 0;
  const auto header = parse_udp(segment);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(udp_checksum(source, destination, zeroed), header->checksum);
}

TEST(IpChecksum, ZeroIsSentAsOnes) {
  // Data chosen so that the sum is 0xffff.
  const IpAddress any = IpAddress::any(Family::kIpv4);
  Bytes segment = hex("0000 0000 000a 0000 0000");
  const std::uint16_t rest = udp_checksum(any, any, segment);
  segment[8] = static_cast<std::uint8_t>(rest >> 8);
  segment[9] = static_cast<std::uint8_t>(rest);
  EXPECT_EQ(udp_checksum(any, any, segment), 0xffff);
}

TEST(IpChecksum, Ipv6PseudoHeader) {
  // Against the layout of RFC 8200 section 8.1 written out.
  const IpAddress source = IpAddress::parse("2001:db8::1").value();
  const IpAddress destination = IpAddress::parse("fe80::ff:1234").value();
  Writer writer;
  writer.bytes(source.bytes());
  writer.bytes(destination.bytes());
  writer.u32(0x00012345);
  writer.u32(58);
  EXPECT_EQ(finish(pseudo_header(source, destination, 58, 0x00012345)), checksum(writer.view()));
}

TEST(IpChecksum, AdjustedAsComputedAnew) {
  // RFC 1624 section 4's example: 0xdd2f with 0x5555 changed to 0x3285 is 0x0000.
  EXPECT_EQ(adjust(0xdd2f, 0x5555, 0x3285), 0x0000);
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Random random(seed);
    Bytes octets = random.bytes(20, 20);
    const std::uint16_t before = static_cast<std::uint16_t>(octets[4] << 8 | octets[5]);
    const std::uint16_t sum = checksum(octets);
    const std::uint16_t after = random.u16();
    octets[4] = static_cast<std::uint8_t>(after >> 8);
    octets[5] = static_cast<std::uint8_t>(after);
    EXPECT_EQ(adjust(sum, before, after), checksum(octets)) << "seed " << seed;
  }
}

TEST(UdpHeader, KnownBytes) {
  const Bytes bytes = hex("1194 01f4 000a abcd 0102");
  const auto header = parse_udp(bytes);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->source_port, 4500);
  EXPECT_EQ(header->destination_port, 500);
  EXPECT_EQ(header->length, 10);
  EXPECT_EQ(header->checksum, 0xabcd);
  Bytes out(8);
  write_udp(*header, out);
  EXPECT_EQ(out, to_vector(ByteView(bytes).first(8)));
  EXPECT_FALSE(parse_udp(ByteView(bytes).first(9)).has_value());
  EXPECT_FALSE(parse_udp(ByteView(bytes).first(7)).has_value());
  EXPECT_FALSE(parse_udp(hex("1194 01f4 0007 abcd")).has_value());
}

}  // namespace
}  // namespace espalier::wire::ip
