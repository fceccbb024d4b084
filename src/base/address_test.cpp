#include "base/address.hpp"

#include <gtest/gtest.h>

namespace espalier {
namespace {

IpAddress ip(std::string_view text) {
  auto address = IpAddress::parse(text);
  EXPECT_TRUE(address.ok()) << text;
  return address ? *address : IpAddress();
}

Prefix net(std::string_view text) {
  auto prefix = Prefix::parse(text);
  EXPECT_TRUE(prefix.ok()) << text;
  return prefix ? *prefix : Prefix();
}

TEST(IpAddress, ParsesAndPrints) {
  for (const std::string_view text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1",
                                      "2001:db8::12", "fe80::1", "::ffff:192.0.2.1"}) {
    EXPECT_EQ(ip(text).to_string(), text);
  }
  EXPECT_EQ(ip("2001:DB8:0:0::0012").to_string(), "2001:db8::12");
  EXPECT_TRUE(ip("192.0.2.1").is_v4());
  EXPECT_TRUE(ip("::ffff:192.0.2.1").is_v6());
  EXPECT_EQ(ip("192.0.2.1").bits(), 32u);
  EXPECT_EQ(ip("::1").bits(), 128u);
}

TEST(IpAddress, RefusesEverythingElse) {
  for (const std::string_view text :
       {"", "192.0.2", "192.0.2.256", "192.0.2.1.", "192.0.2.1:500", "[::1]", "fe80::1%eth0",
        "2001:db8::1::2", "localhost", " 192.0.2.1", "192.0.2.1 ", "192.0.2.01", "0x7f.0.0.1",
        "192.0.2.1/32", "12345::"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.error().code, ErrorCode::kMalformed);
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0.evil", 15)).ok());
  EXPECT_FALSE(IpAddress::parse(std::string_view("\0", 1)).ok());
}

TEST(IpAddress, FromOctets) {
  EXPECT_EQ(IpAddress::from_bytes(*from_hex("c0000201"))->to_string(), "192.0.2.1");
  EXPECT_EQ(IpAddress::from_bytes(*from_hex("20010db8000000000000000000000001"))->to_string(),
            "2001:db8::1");
  for (const std::size_t size : {0u, 3u, 5u, 15u, 17u}) {
    EXPECT_FALSE(IpAddress::from_bytes(Bytes(size)).ok());
  }
  EXPECT_EQ(to_hex(ip("192.0.2.1").bytes()), "c0000201");
  EXPECT_EQ(ip("::1").bytes().size(), 16u);
  EXPECT_EQ(IpAddress::v4(0xc0000201u), ip("192.0.2.1"));
  EXPECT_EQ(ip("192.0.2.1").v4_host_order(), 0xc0000201u);
}

TEST(IpAddress, ComparesAndCounts) {
  EXPECT_LT(ip("192.0.2.1"), ip("192.0.2.2"));
  EXPECT_LT(ip("192.0.2.255"), ip("::"));  // IPv4 before IPv6
  EXPECT_NE(ip("0.0.0.0"), ip("::"));
  EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
  EXPECT_TRUE(ip("::").is_unspecified());
  EXPECT_FALSE(ip("::1").is_unspecified());
  EXPECT_EQ(IpAddress::any(Family::kIpv6), ip("::"));
  EXPECT_EQ(ip("192.0.2.255").next(), ip("192.0.3.0"));
  EXPECT_EQ(ip("255.255.255.255").next(), ip("0.0.0.0"));
  EXPECT_EQ(ip("2001:db8::ffff").next(), ip("2001:db8::1:0"));
  EXPECT_EQ(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").next(), ip("::"));
}

TEST(SocketAddress, PrintsAsCharonDoes) {
  EXPECT_EQ((SocketAddress{ip("192.0.2.1"), 4500}.to_string()), "192.0.2.1[4500]");
  EXPECT_EQ((SocketAddress{ip("2001:db8::1"), 500}.to_string()), "2001:db8::1[500]");
  EXPECT_LT((SocketAddress{ip("192.0.2.1"), 500}), (SocketAddress{ip("192.0.2.1"), 4500}));
}

TEST(Prefix, ParsesAndPrints) {
  for (const std::string_view text : {"0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25", "192.0.2.1/32",
                                      "::/0", "2001:db8::/32", "2001:db8::1/128"}) {
    EXPECT_EQ(net(text).to_string(), text);
  }
  EXPECT_EQ(net("192.0.2.1").to_string(), "192.0.2.1/32");
  EXPECT_EQ(net("2001:db8::1").to_string(), "2001:db8::1/128");
}

TEST(Prefix, RefusesEverythingElse) {
  for (const std::string_view text :
       {"", "/", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8",
        "10.0.0.0/8 ", "10.0.0.0/ 8", "10.0.0.0/99999999999", "10.0.0.0/255.0.0.0", "/8"}) {
    ASSERT_FALSE(Prefix::parse(text).ok()) << text;
  }
  const auto host_bits = Prefix::parse("10.1.2.3/8");
  ASSERT_FALSE(host_bits.ok());
  EXPECT_NE(host_bits.error().message.find("10.0.0.0/8"), std::string::npos);
  EXPECT_FALSE(Prefix::make(ip("10.0.0.0"), 33).ok());
  EXPECT_EQ(Prefix::make(ip("10.1.2.3"), 8)->to_string(), "10.0.0.0/8");
  EXPECT_EQ(Prefix::make(ip("10.1.2.3"), 0)->to_string(), "0.0.0.0/0");
}

TEST(Prefix, Ranges) {
  EXPECT_EQ(net("192.0.2.64/26").first(), ip("192.0.2.64"));
  EXPECT_EQ(net("192.0.2.64/26").last(), ip("192.0.2.127"));
  EXPECT_EQ(net("0.0.0.0/0").last(), ip("255.255.255.255"));
  EXPECT_EQ(net("2001:db8::/33").last(), ip("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_EQ(Prefix::host(ip("::1")).last(), ip("::1"));
}

TEST(Prefix, Contains) {
  EXPECT_TRUE(net("10.0.0.0/8").contains(ip("10.255.255.255")));
  EXPECT_FALSE(net("10.0.0.0/8").contains(ip("11.0.0.0")));
  EXPECT_FALSE(net("10.0.0.0/8").contains(ip("9.255.255.255")));
  EXPECT_FALSE(net("0.0.0.0/0").contains(ip("::")));
  EXPECT_FALSE(net("::/0").contains(ip("10.0.0.1")));
  EXPECT_TRUE(net("10.0.0.0/8").contains(net("10.1.0.0/16")));
  EXPECT_TRUE(net("10.0.0.0/8").contains(net("10.0.0.0/8")));
  EXPECT_FALSE(net("10.0.0.0/8").contains(net("0.0.0.0/0")));
  EXPECT_FALSE(net("10.0.0.0/8").contains(net("10.0.0.0/7")));
  EXPECT_FALSE(net("::/0").contains(net("10.0.0.0/8")));
}

}  // namespace
}  // namespace espalier
