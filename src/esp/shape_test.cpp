#include "esp/shape.hpp"

#include <gtest/gtest.h>

namespace espalier::esp {
namespace {

using crypto::EncrId;
using crypto::IntegId;

const crypto::CipherSuite kGcm{EncrId::kAesGcm16, 128, IntegId::kNone};
const crypto::CipherSuite kCbc{EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128};

TEST(Shape, gcm) {
  const Shape gcm = shape(kGcm).value();
  EXPECT_EQ(gcm.headroom(), 16u);
  // 84 + 2 + 2 octets of padding, behind header and IV, before a 16-octet ICV: the packet of RFC
  // 7634 appendix A, whose fields have the same sizes, is 140 octets with its outer IP header.
  EXPECT_EQ(gcm.esp_size(84), 120u);
  const crypto::CipherSuite chacha{EncrId::kChaCha20Poly1305, 0, IntegId::kNone};
  EXPECT_EQ(outer_size({chacha, Family::kIpv4, false, policy::Mode::kTunnel}, 84).value(), 140u);
}

TEST(Shape, cbcPadsToTheBlock) {
  const Shape cbc = shape(kCbc).value();
  EXPECT_EQ(cbc.headroom(), 24u);
  EXPECT_EQ(cbc.align, 16u);
  EXPECT_EQ(cbc.padding(14), 0u);
  EXPECT_EQ(cbc.padding(15), 15u);
  EXPECT_EQ(cbc.esp_size(15), 24u + 32 + 16);
}

TEST(Shape, largestInnerIsTheLargest) {
  for (const auto& suite : {kGcm, kCbc}) {
    for (const Family outer : {Family::kIpv4, Family::kIpv6}) {
      for (const bool udp : {false, true}) {
        for (const auto mode : {policy::Mode::kTunnel, policy::Mode::kTransport}) {
          const Encapsulation encapsulation{suite, outer, udp, mode};
          for (std::size_t mtu = 576; mtu < 640; ++mtu) {
            const std::size_t inner = largest_inner(encapsulation, mtu).value();
            EXPECT_LE(outer_size(encapsulation, inner).value(), mtu);
            EXPECT_GT(outer_size(encapsulation, inner + 1).value(), mtu);
            EXPECT_LE(outer_size(encapsulation, inner).value(),
                      inner + overhead(encapsulation).value());
          }
        }
      }
    }
  }
}

// The sizes that operators look up: a packet of 1450 octets over IPv4.
TEST(Shape, aPacketOf1450Octets) {
  const crypto::CipherSuite icv16{EncrId::kAesCbc, 128, IntegId::kHmacSha2_256_128};
  const crypto::CipherSuite icv32{EncrId::kAesCbc, 256, IntegId::kHmacSha2_512_256};
  const auto size = [](const crypto::CipherSuite& suite, policy::Mode mode, bool nat) {
    return outer_size({suite, Family::kIpv4, nat, mode}, 1450).value();
  };
  struct Row {
    crypto::CipherSuite suite;
    std::size_t transport, tunnel;
  };
  for (const Row& row : {Row{icv16, 1500, 1516}, Row{icv32, 1516, 1532}, Row{kGcm, 1484, 1504}}) {
    EXPECT_EQ(size(row.suite, policy::Mode::kTransport, false), row.transport);
    EXPECT_EQ(size(row.suite, policy::Mode::kTunnel, false), row.tunnel);
    EXPECT_EQ(size(row.suite, policy::Mode::kTransport, true), row.transport + 8);
    EXPECT_EQ(size(row.suite, policy::Mode::kTunnel, true), row.tunnel + 8);
  }
}

TEST(Shape, everyTermOfTheSum) {
  const PacketSum sum =
      packet_sum({kCbc, Family::kIpv6, true, policy::Mode::kTransport}, 1450).value();
  EXPECT_EQ(sum, (PacketSum{40, 8, 8, 16, 1410, 12, 2, 16}));
  EXPECT_EQ(sum.total(), 1512u);
  EXPECT_EQ(tcp_mss(Family::kIpv4, 1438), 1398u);
  EXPECT_EQ(tcp_mss(Family::kIpv6, 1438), 1378u);
  EXPECT_EQ(tcp_mss(Family::kIpv6, 60), 0u);
}

TEST(Shape, figuresForAnEthernet) {
  EXPECT_EQ(largest_inner({kGcm, Family::kIpv4, true, policy::Mode::kTunnel}, 1500).value(), 1438u);
  EXPECT_EQ(largest_inner({kGcm, Family::kIpv6, true, policy::Mode::kTunnel}, 1500).value(), 1418u);
}

TEST(Shape, whatCannotWorkIsAnError) {
  EXPECT_EQ(largest_inner({kGcm, Family::kIpv6, true, policy::Mode::kTunnel}, 60).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(outer_size({kGcm, Family::kIpv4, true, policy::Mode::kTransport}, 19).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_FALSE(shape({EncrId::kNone, 0, IntegId::kNone}).ok());
}

}  // namespace
}  // namespace espalier::esp
