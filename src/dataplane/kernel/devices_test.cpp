// Messages about devices, routes and rules as the kernel gets them; no kernel is asked.
#include "dataplane/kernel/devices.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>

#include <cstring>

#include "dataplane/kernel/device_routes.hpp"

namespace espalier::dataplane::kernel {
namespace {

const nlattr* inside(const nlattr* outer, std::uint16_t type) {
  EXPECT_NE(outer, nullptr);
  if (outer == nullptr) return nullptr;
  const auto all = attributes(*outer);
  const auto found = all.find(type);
  return found == all.end() ? nullptr : found->second;
}

const nlattr* attribute_of(NetlinkMessage& message, std::uint16_t type, std::size_t body) {
  const auto all = attributes(*message.header(), body);
  const auto found = all.find(type);
  return found == all.end() ? nullptr : found->second;
}

std::uint32_t u32(const nlattr* attribute) {
  EXPECT_NE(attribute, nullptr);
  return attribute == nullptr ? 0 : mnl_attr_get_u32(attribute);
}

Device xfrm() {
  Device device;
  device.name = "ipsec0";
  device.number = 42;
  device.mtu = 1406;
  return device;
}

// include/uapi/linux/if_link.h: IFLA_LINKINFO with the kind's word and what the kind wants.
TEST(Devices, AnXfrmInterface) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE);
  put_device(message, xfrm(), 3);
  const nlattr* info = attribute_of(message, IFLA_LINKINFO, sizeof(ifinfomsg));
  EXPECT_STREQ(mnl_attr_get_str(inside(info, IFLA_INFO_KIND)), "xfrm");
  const nlattr* data = inside(info, IFLA_INFO_DATA);
  EXPECT_EQ(u32(inside(data, IFLA_XFRM_IF_ID)), 42u);
  EXPECT_EQ(u32(inside(data, IFLA_XFRM_LINK)), 3u);
  EXPECT_EQ(u32(attribute_of(message, IFLA_GROUP, sizeof(ifinfomsg))), kDeviceGroup);
  EXPECT_EQ(u32(attribute_of(message, IFLA_MTU, sizeof(ifinfomsg))), 1406u);
  const auto read = parse_device(*message.header());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->device, xfrm());
  EXPECT_EQ(read->underlying, 3u);
  EXPECT_TRUE(read->ours);
  EXPECT_FALSE(read->up);
  // Without an underlying device there is none to name: 0 would be one that is not there.
  NetlinkMessage free(RTM_NEWLINK, NLM_F_CREATE);
  put_device(free, xfrm(), 0);
  const nlattr* bare = inside(attribute_of(free, IFLA_LINKINFO, sizeof(ifinfomsg)), IFLA_INFO_DATA);
  EXPECT_EQ(inside(bare, IFLA_XFRM_LINK), nullptr);
}

TEST(Devices, AVtiDeviceHasItsKeyInNetworkOrder) {
  Device device = xfrm();
  device.kind = DeviceKind::kVti;
  device.local = IpAddress::parse("192.0.2.1").value();
  device.remote = IpAddress::parse("192.0.2.2").value();
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE);
  put_device(message, device, 0);
  const nlattr* info = attribute_of(message, IFLA_LINKINFO, sizeof(ifinfomsg));
  EXPECT_STREQ(mnl_attr_get_str(inside(info, IFLA_INFO_KIND)), "vti");
  const nlattr* data = inside(info, IFLA_INFO_DATA);
  EXPECT_EQ(u32(inside(data, IFLA_VTI_IKEY)), htonl(42));
  EXPECT_EQ(u32(inside(data, IFLA_VTI_OKEY)), htonl(42));
  EXPECT_EQ(mnl_attr_get_payload_len(inside(data, IFLA_VTI_REMOTE)), 4u);
  const auto read = parse_device(*message.header());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->device, device);
}

TEST(Devices, OthersAreNoneOfOurs) {
  NetlinkMessage plain(RTM_NEWLINK, 0);
  plain.body<ifinfomsg>().ifi_index = 7;
  EXPECT_FALSE(parse_device(*plain.header()));
  NetlinkMessage vlan(RTM_NEWLINK, 0);
  vlan.body<ifinfomsg>();
  nlattr* info = mnl_attr_nest_start(vlan.header(), IFLA_LINKINFO);
  mnl_attr_put_strz(vlan.header(), IFLA_INFO_KIND, "vlan");
  nlattr* data = mnl_attr_nest_start(vlan.header(), IFLA_INFO_DATA);
  mnl_attr_nest_end(vlan.header(), data);
  mnl_attr_nest_end(vlan.header(), info);
  EXPECT_FALSE(parse_device(*vlan.header()));
}

TEST(DeviceRoutes, ARuleIsReadAsItIsPut) {
  const Prefix here = Prefix::parse("192.0.2.1/32").value();
  const Prefix there = Prefix::parse("192.0.2.2/32").value();
  for (const PastRule& rule :
       {PastRule{here, there, 6, 22, 22, 0, 65535}, PastRule{here, there, 17, 0, 65535, 8000, 8099},
        PastRule{here, there, 1, 0, 65535, 0, 65535},
        PastRule{Prefix::parse("2001:db8::/32").value(), Prefix::parse("::/0").value(), 0, 0, 65535,
                 0, 65535}}) {
    NetlinkMessage message(RTM_NEWRULE, 0);
    put_past_rule(message, rule);
    const auto& body = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message.header()));
    EXPECT_EQ(body.action, FR_ACT_GOTO);
    EXPECT_EQ(u32(attribute_of(message, FRA_GOTO, sizeof body)), kLandingRule);
    EXPECT_EQ(u32(attribute_of(message, FRA_PRIORITY, sizeof body)), kPastRule);
    const auto read = parse_past_rule(*message.header());
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, rule);
  }
  // include/uapi/linux/fib_rules.h: first and last, in the machine's order.
  NetlinkMessage message(RTM_NEWRULE, 0);
  put_past_rule(message, {here, there, 6, 22, 23, 0, 65535});
  const nlattr* ports = attribute_of(message, FRA_SPORT_RANGE, sizeof(fib_rule_hdr));
  ASSERT_NE(ports, nullptr);
  fib_rule_port_range range{};
  std::memcpy(&range, mnl_attr_get_payload(ports), sizeof range);
  EXPECT_EQ(range.start, 22);
  EXPECT_EQ(range.end, 23);
  EXPECT_EQ(attribute_of(message, FRA_DPORT_RANGE, sizeof(fib_rule_hdr)), nullptr);
}

}  // namespace
}  // namespace espalier::dataplane::kernel
