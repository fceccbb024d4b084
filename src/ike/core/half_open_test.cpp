#include "ike/core/half_open.hpp"

#include <gtest/gtest.h>

#include "ike/core/limits.hpp"

namespace espalier::ike {
namespace {

IpAddress at(const char* text) { return IpAddress::parse(text).value(); }

TEST(HalfOpen, APrefixThatFloodsIsAskedForCookiesAndOthersAreNot) {
  HalfOpen half_open;
  for (std::uint64_t i = 1; i <= kCookiePrefixThreshold; ++i) {
    EXPECT_FALSE(half_open.demands_cookie(at("192.0.2.9")));
    half_open.add(Instant(), IkeSpi(i), at("192.0.2.1"), false);
  }
  EXPECT_TRUE(half_open.demands_cookie(at("192.0.2.9")));
  EXPECT_FALSE(half_open.demands_cookie(at("192.0.3.9")));
  half_open.remove(Instant(), IkeSpi(1), at("192.0.2.1"), false);
  EXPECT_FALSE(half_open.demands_cookie(at("192.0.2.9")));
}

TEST(HalfOpen, OfIpv6ThePrefixIsAHostsOwn64) {
  HalfOpen half_open;
  for (std::uint64_t i = 1; i <= kCookiePrefixThreshold; ++i)
    half_open.add(Instant(), IkeSpi(i), at("2001:db8::1"), false);
  EXPECT_TRUE(half_open.demands_cookie(at("2001:db8::ffff:1")));
  EXPECT_FALSE(half_open.demands_cookie(at("2001:db8:0:1::1")));
}

TEST(HalfOpen, ManyPrefixesTogetherAreAFloodToo) {
  HalfOpen half_open;
  for (std::uint32_t i = 0; i < kCookieThreshold; ++i) {
    EXPECT_FALSE(half_open.demands_cookie(at("203.0.113.1")));
    half_open.add(Instant(), IkeSpi(i + 1), IpAddress::v4(0x0a000001u + (i << 8)), false);
  }
  EXPECT_TRUE(half_open.demands_cookie(at("203.0.113.1")));
}

TEST(HalfOpen, WhoReturnedACookieCountsAgainstNobody) {
  HalfOpen half_open;
  for (std::uint64_t i = 1; i <= 10 * kCookieThreshold; ++i)
    half_open.add(Instant(), IkeSpi(i), at("192.0.2.1"), true);
  EXPECT_EQ(half_open.size(), 10 * kCookieThreshold);
  EXPECT_FALSE(half_open.demands_cookie(at("192.0.2.9")));
}

TEST(HalfOpen, TheOldestMakesRoomOnceItIsOldEnough) {
  HalfOpen half_open;
  half_open.add(Instant() + 2s, IkeSpi(7), at("192.0.2.1"), true);
  half_open.add(Instant() + 1s, IkeSpi(9), at("192.0.2.1"), false);
  EXPECT_EQ(half_open.oldest(Instant() + 1s), std::nullopt);
  EXPECT_EQ(half_open.oldest(Instant() + 2s), IkeSpi(9));
  half_open.remove(Instant() + 1s, IkeSpi(9), at("192.0.2.1"), false);
  EXPECT_EQ(half_open.oldest(Instant() + 5s), IkeSpi(7));
  half_open.remove(Instant() + 2s, IkeSpi(7), at("192.0.2.1"), true);
  EXPECT_EQ(half_open, HalfOpen());
}

}  // namespace
}  // namespace espalier::ike
