#include "dataplane/userspace/flow.hpp"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/userspace/ecn.hpp"
#include "dataplane/userspace/packet_testing.hpp"
#include "dataplane/userspace/policy_index.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane::userspace {
namespace {

using namespace testing;
using policy::TrafficSelector;

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
TrafficSelector net(std::string_view text) {
  return policy::from_prefix(Prefix::parse(text).value());
}

TEST(Flow, readsPortsOfBothFamilies) {
  const Flow v4 = parse_flow(tcp_packet({}, filled(3))).value();
  EXPECT_EQ(v4, (Flow{ip("192.168.1.1"), ip("192.168.2.2"), 6, true, 1000, 2000, 0, 43}));
  const Flow v6 = parse_flow(udp_packet(false, filled(3))).value();
  EXPECT_EQ(v6, (Flow{ip("fd00::1"), ip("fd00::2"), 17, true, 53, 5353, 0, 51}));
}

TEST(Flow, ignoresOctetsBehindThePacket) {
  Bytes packet = udp_packet(true, filled(3));
  packet.resize(packet.size() + 9);
  EXPECT_EQ(parse_flow(packet)->octets, packet.size() - 9);
}

TEST(Flow, laterFragmentsHideTheirPorts) {
  Bytes packet = udp_packet(true, filled(3));
  packet[6] = 0x20;  // first fragment
  EXPECT_TRUE(parse_flow(packet)->ports_known);
  packet[7] = 1;
  EXPECT_FALSE(parse_flow(packet)->ports_known);
}

TEST(Flow, walksIpv6ExtensionHeaders) {
  const Bytes udp = udp_packet(false, filled(5));
  const auto with = [&](std::uint8_t first, std::string_view hex) {
    const Bytes extension = from_hex(hex).value();
    Bytes out(udp.begin(), udp.begin() + 40);
    out[6] = first;
    put_u16(&out[4], udp.size() - 40 + extension.size());
    out.insert(out.end(), extension.begin(), extension.end());
    out.insert(out.end(), udp.begin() + 40, udp.end());
    return parse_flow(out);
  };
  EXPECT_EQ(with(0, "1100000000000000")->destination_port, 5353);  // hop by hop
  EXPECT_EQ(with(60, "2b000000000000001100000000000000")->destination_port,
            5353);                                         // options, routing
  EXPECT_TRUE(with(44, "1100000100000001")->ports_known);  // first fragment
  EXPECT_FALSE(with(44, "1100000900000001")->ports_known);
  EXPECT_EQ(with(44, "1100000900000001")->protocol, 17);
  EXPECT_FALSE(with(0, "1109000000000000").has_value());  // longer than the packet
}

TEST(Flow, refusesWhatIsNoPacket) {
  const Bytes packet = tcp_packet({}, filled(30));
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(parse_flow(ByteView(packet).first(size)).has_value()) << size;
  }
  Bytes version = packet;
  version[0] = 0x55;
  EXPECT_FALSE(parse_flow(version).has_value());
}

TEST(Selectors, protocolPortsAndOpaque) {
  TrafficSelector https = net("10.0.0.0/8");
  https.protocol = 6;
  https.start_port = https.end_port = 443;
  EXPECT_TRUE(matches(https, ip("10.1.2.3"), 6, true, 443));
  EXPECT_FALSE(matches(https, ip("10.1.2.3"), 6, true, 80));
  EXPECT_FALSE(matches(https, ip("10.1.2.3"), 17, true, 443));
  EXPECT_FALSE(matches(https, ip("10.1.2.3"), 6, false, 0));
  EXPECT_FALSE(matches(https, ip("11.0.0.0"), 6, true, 443));
  EXPECT_FALSE(matches(https, ip("fd00::1"), 6, true, 443));
  EXPECT_TRUE(matches(net("10.0.0.0/8"), ip("10.1.2.3"), 17, false, 0));
  TrafficSelector opaque = net("10.0.0.0/8");
  opaque.start_port = 65535;
  opaque.end_port = 0;
  EXPECT_TRUE(matches(opaque, ip("10.1.2.3"), 6, false, 0));
  EXPECT_FALSE(matches(opaque, ip("10.1.2.3"), 6, true, 443));
}

PolicySpec policy_of(std::uint32_t reqid, policy::SelectorList remote,
                     policy::SelectorList local = {net("0.0.0.0/0"), net("::/0")}) {
  return {"a-b", ReqId(reqid), std::move(local), std::move(remote)};
}
Flow flow_to(std::string_view destination, std::uint8_t protocol = 6, std::uint16_t port = 80) {
  Flow out;
  out.destination = ip(destination);
  out.source = out.destination.is_v4() ? ip("192.0.2.1") : ip("2001:db8::1");
  out.protocol = protocol;
  out.ports_known = true;
  out.destination_port = port;
  return out;
}
std::uint32_t found(const PolicyIndex& index, const Flow& flow) {
  const PolicySpec* policy = index.find(flow);
  return policy == nullptr ? 0 : policy->reqid.value;
}

TEST(PolicyIndex, theMoreSpecificThenTheLaterWins) {
  PolicyIndex index;
  ASSERT_TRUE(index.set(policy_of(1, {net("10.0.0.0/8")})).ok());
  ASSERT_TRUE(index.set(policy_of(2, {net("10.3.0.0/16"), net("fd00::/16")})).ok());
  EXPECT_EQ(found(index, flow_to("10.3.1.1")), 2u);
  EXPECT_EQ(found(index, flow_to("10.4.1.1")), 1u);
  EXPECT_EQ(found(index, flow_to("fd00::1")), 2u);
  EXPECT_EQ(found(index, flow_to("192.0.2.9")), 0u);
  ASSERT_TRUE(index.set(policy_of(3, {net("10.3.0.0/16")})).ok());
  EXPECT_EQ(found(index, flow_to("10.3.1.1")), 3u);
  TrafficSelector web = net("10.3.0.0/16");
  web.protocol = 6;
  web.start_port = web.end_port = 80;
  ASSERT_TRUE(index.set(policy_of(4, {web})).ok());
  ASSERT_TRUE(index.set(policy_of(2, {net("10.3.0.0/16")})).ok());  // replaced: now the latest
  EXPECT_EQ(found(index, flow_to("10.3.1.1")), 4u);
  EXPECT_EQ(found(index, flow_to("10.3.1.1", 17)), 2u);
  EXPECT_EQ(found(index, flow_to("fd00::1")), 0u);
  index.erase(ReqId(4));
  index.erase(ReqId(2));
  EXPECT_EQ(found(index, flow_to("10.3.1.1")), 3u);
  index.erase(ReqId(9));  // never there
  EXPECT_EQ(index.list().size(), 2u);
}

TEST(PolicyIndex, aPolicyThatDoesNotTakeTheSourceLetsALessSpecificOneHaveIt) {
  PolicyIndex index;
  ASSERT_TRUE(index.set(policy_of(1, {net("10.0.0.0/8")})).ok());
  ASSERT_TRUE(index.set(policy_of(2, {net("10.3.0.0/16")}, {net("172.16.0.0/12")})).ok());
  EXPECT_EQ(found(index, flow_to("10.3.1.1")), 1u);
}

// Against a walk through all policies, with ranges that are no prefixes.
TEST(PolicyIndex, findsWhatALinearSearchFinds) {
  std::mt19937_64 random(3);
  PolicyIndex index;
  std::vector<PolicySpec> all;
  for (std::uint32_t i = 1; i <= 300; ++i) {
    TrafficSelector selector = net("0.0.0.0/0");
    const std::uint32_t start = 0x0a000000 + static_cast<std::uint32_t>(random() % 4000);
    selector.start = IpAddress::v4(start);
    selector.end = IpAddress::v4(start + static_cast<std::uint32_t>(random() % 40));
    all.push_back(policy_of(i, {selector}));
    ASSERT_TRUE(index.set(all.back()).ok());
  }
  for (int i = 0; i < 5000; ++i) {
    Flow flow = flow_to("10.0.0.0");
    flow.destination = IpAddress::v4(0x0a000000 + static_cast<std::uint32_t>(random() % 4100));
    const PolicySpec* hit = index.find(flow);
    const bool any = std::any_of(all.begin(), all.end(), [&](const PolicySpec& policy) {
      return matches_outbound(policy.local_ts, policy.remote_ts, flow);
    });
    ASSERT_EQ(hit != nullptr, any);
    ASSERT_TRUE(hit == nullptr || matches_outbound(hit->local_ts, hit->remote_ts, flow));
  }
}

// RFC 6040 section 4.2, figure 4.
TEST(Ecn, combinesAsTheTableSays) {
  constexpr std::uint8_t kNot = 0, kEct1 = 1, kEct0 = 2, kCe = 3, kDrop = 9;
  const std::uint8_t table[4][4] = {
      // outer:   Not-ECT, ECT(1), ECT(0), CE
      {kNot, kNot, kNot, kDrop},   // inner Not-ECT
      {kEct1, kEct1, kEct1, kCe},  // inner ECT(1)
      {kEct0, kEct1, kEct0, kCe},  // inner ECT(0)
      {kCe, kCe, kCe, kCe},        // inner CE
  };
  for (const bool v4 : {true, false}) {
    for (std::uint8_t inner = 0; inner < 4; ++inner) {
      for (std::uint8_t outer = 0; outer < 4; ++outer) {
        const std::uint8_t expected = table[inner][outer];
        Bytes packet = udp_packet(v4, filled(8), 1, 2, static_cast<std::uint8_t>(0xb8 | inner));
        const std::uint8_t before = parse_flow(packet)->traffic_class;
        EXPECT_EQ(before, 0xb8 | inner);
        ASSERT_EQ(decapsulate_ecn(packet, before, static_cast<std::uint8_t>(0x20 | outer)),
                  expected != kDrop);
        if (expected == kDrop) continue;
        EXPECT_EQ(packet,
                  udp_packet(v4, filled(8), 1, 2, static_cast<std::uint8_t>(0xb8 | expected)))
            << v4 << int{inner} << int{outer};
      }
    }
  }
}

}  // namespace
}  // namespace espalier::dataplane::userspace
