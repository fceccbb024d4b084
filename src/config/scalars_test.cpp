#include "config/scalars.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::config {
namespace {

using ::testing::HasSubstr;

TEST(Scalars, Numbers) {
  EXPECT_EQ(parse_number("0").value(), 0u);
  EXPECT_EQ(parse_number("18446744073709551615").value(), 18446744073709551615ull);
  for (const char* bad :
       {"", "-1", "+1", "1 ", " 1", "0x10", "1e3", "18446744073709551616", "1_000"}) {
    EXPECT_FALSE(parse_number(bad).ok()) << bad;
  }
  EXPECT_THAT(parse_number("0100").error().message, HasSubstr("octal"));
  EXPECT_FALSE(parse_number("00").ok());
}

TEST(Scalars, Durations) {
  EXPECT_EQ(parse_duration("500ms").value(), 500ms);
  EXPECT_EQ(parse_duration("30s").value(), 30s);
  EXPECT_EQ(parse_duration("5m").value(), 5min);
  EXPECT_EQ(parse_duration("4h").value(), 4h);
  EXPECT_EQ(parse_duration("1d").value(), 24h);
  EXPECT_EQ(parse_duration("0s").value(), 0s);
  for (const char* bad : {"", "30", "s", "-1s", "1.5h", "30 s", "30S", "1w", "030s", "1h30m"}) {
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
  }
  EXPECT_THAT(parse_duration("99999999999999d").error().message, HasSubstr("too large"));
  EXPECT_THAT(parse_duration("30").error().message, HasSubstr("with its unit"));
}

TEST(Scalars, DurationsAsText) {
  for (const char* text : {"500ms", "30s", "5m", "4h", "1d", "90s", "0s"}) {
    EXPECT_EQ(to_text(parse_duration(text).value()), text);
  }
  EXPECT_EQ(to_text(parse_duration("60s").value()), "1m");
}

TEST(Scalars, PercentOctetsSwitches) {
  EXPECT_EQ(parse_percent("10%").value(), 10u);
  EXPECT_FALSE(parse_percent("10").ok());
  EXPECT_FALSE(parse_percent("101%").ok());
  EXPECT_FALSE(parse_percent("05%").ok());
  EXPECT_FALSE(parse_percent("%").ok());
  EXPECT_EQ(parse_octets("1000").value(), 1000u);
  EXPECT_EQ(parse_octets("64MB").value(), 64'000'000u);
  EXPECT_EQ(parse_octets("64GiB").value(), 64ull << 30);
  EXPECT_FALSE(parse_octets("64G").ok());
  EXPECT_FALSE(parse_octets("99999999999TiB").ok());
  EXPECT_TRUE(parse_switch("on").value());
  EXPECT_TRUE(parse_switch("true").value());
  EXPECT_FALSE(parse_switch("off").value());
  EXPECT_FALSE(parse_switch("false").value());
  EXPECT_THAT(parse_switch("yes").error().message, HasSubstr("write on or off"));
}

TEST(Scalars, HostAddresses) {
  for (const char* good : {"192.0.2.1", "2001:db8::1", "fd77::3", "10.0.0.1", "169.254.3.4"}) {
    EXPECT_TRUE(parse_host_address(good).ok()) << good;
  }
  for (const auto& [bad, why] :
       std::vector<std::pair<const char*, const char*>>{{"224.0.0.1", "multicast"},
                                                        {"ff02::1", "multicast"},
                                                        {"127.0.0.1", "loopback"},
                                                        {"::1", "loopback"},
                                                        {"0.0.0.0", "unspecified"},
                                                        {"::", "unspecified"},
                                                        {"255.255.255.255", "broadcast"},
                                                        {"fe80::1", "link-local"},
                                                        {"::ffff:192.0.2.1", "IPv4-mapped"},
                                                        {"10.0.0.0/8", "without '/'"},
                                                        {"10.0.0.01", "no IPv4 or IPv6 address"},
                                                        {"10.0.0.256", "no IPv4 or IPv6 address"},
                                                        {"", "no IPv4 or IPv6 address"}}) {
    const auto got = parse_host_address(bad);
    ASSERT_FALSE(got.ok()) << bad;
    EXPECT_EQ(got.error().code, ErrorCode::kBadInput) << bad;
    EXPECT_THAT(got.error().message, HasSubstr(why)) << bad;
  }
  EXPECT_EQ(parse_host_address("bender.example.net").error().code, ErrorCode::kUnsupported);
}

TEST(Scalars, Subnets) {
  EXPECT_EQ(parse_subnet("10.3.0.0/24").value(), Prefix::parse("10.3.0.0/24").value());
  EXPECT_EQ(parse_subnet("10.3.0.1").value().length, 32);
  EXPECT_THAT(parse_subnet("10.3.0.1/24").error().message, HasSubstr("10.3.0.0/24"));
  EXPECT_THAT(parse_subnet("10.0.0.0/08").error().message, HasSubstr("leading zero"));
  EXPECT_THAT(parse_subnet("126.0.0.0/7").error().message, HasSubstr("loopback"));
  EXPECT_EQ(parse_subnet("0.0.0.0/0").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(parse_subnet("::/0").error().code, ErrorCode::kUnsupported);
  for (const char* bad : {"", "/", "10.0.0.0/", "10.0.0.0/33", "224.0.0.0/8", "fe80::/64", "x/8"}) {
    EXPECT_FALSE(parse_subnet(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace espalier::config
