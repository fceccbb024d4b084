#include "policy/selectors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace espalier::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TrafficSelector net(const char* prefix) { return from_prefix(Prefix::parse(prefix).value()); }
TrafficSelector range(const char* from, const char* to, std::uint8_t protocol = 0,
                      std::uint16_t start = 0, std::uint16_t end = 65535) {
  return {protocol, start, end, IpAddress::parse(from).value(), IpAddress::parse(to).value()};
}

TEST(Selectors, Text) {
  EXPECT_EQ(to_string(net("10.3.0.0/16")), "10.3.0.0/16");
  EXPECT_EQ(to_string(net("2001:db8::/32")), "2001:db8::/32");
  EXPECT_EQ(to_string(range("10.0.0.1", "10.0.0.9")), "10.0.0.1..10.0.0.9");
  EXPECT_EQ(to_string(range("192.0.2.1", "192.0.2.1", 6, 8140, 8140)), "192.0.2.1/32[tcp/8140]");
  EXPECT_EQ(to_string(range("192.0.2.1", "192.0.2.1", 17)), "192.0.2.1/32[udp]");
  EXPECT_EQ(to_string(range("192.0.2.1", "192.0.2.1", 0, 1, 9)), "192.0.2.1/32[0/1-9]");
  EXPECT_EQ(to_string(range("192.0.2.1", "192.0.2.1", 1, 0x800, 0x8ff)), "192.0.2.1/32[icmp/8]");
  EXPECT_EQ(to_string(range("::1", "::1", 58, 0x8001, 0x8001)), "::1/128[ipv6-icmp/128(1)]");
  EXPECT_EQ(to_string(range("192.0.2.1", "192.0.2.1", 6, 65535, 0)), "192.0.2.1/32[tcp/OPAQUE]");
  EXPECT_EQ(to_string(SelectorList{net("10.0.0.0/8"), net("fd00::/8")}), "10.0.0.0/8 fd00::/8");
}

TEST(Selectors, PrefixesCoverARangeExactly) {
  std::vector<std::string> text;
  for (const Prefix& p : to_prefixes(range("10.0.0.1", "10.0.0.9"))) text.push_back(p.to_string());
  EXPECT_THAT(text, ElementsAre("10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/31"));
  EXPECT_THAT(to_prefixes(range("0.0.0.0", "255.255.255.255")),
              ElementsAre(Prefix::parse("0.0.0.0/0").value()));
  EXPECT_THAT(to_prefixes(net("::/0")), ElementsAre(Prefix::parse("::/0").value()));
  EXPECT_THAT(to_prefixes(range("10.0.0.9", "10.0.0.1")), IsEmpty());
  // The worst range there is: two prefixes per bit, less two.
  EXPECT_EQ(to_prefixes(range("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")).size(), 254u);
}

TEST(Selectors, Intersection) {
  EXPECT_EQ(intersect(net("10.0.0.0/8"), net("10.3.0.0/16")), net("10.3.0.0/16"));
  EXPECT_EQ(intersect(net("10.0.0.0/16"), net("10.3.0.0/16")), std::nullopt);
  EXPECT_EQ(intersect(net("0.0.0.0/0"), net("::/0")), std::nullopt);
  EXPECT_EQ(intersect(range("10.0.0.0", "10.0.0.9", 6), range("10.0.0.5", "10.0.0.20", 0, 80, 90)),
            range("10.0.0.5", "10.0.0.9", 6, 80, 90));
  EXPECT_EQ(intersect(range("10.0.0.0", "10.0.0.9", 6), range("10.0.0.0", "10.0.0.9", 17)),
            std::nullopt);
  EXPECT_EQ(
      intersect(range("10.0.0.0", "10.0.0.9", 6, 1, 5), range("10.0.0.0", "10.0.0.9", 6, 6, 9)),
      std::nullopt);
}

TEST(Selectors, OpaquePorts) {
  const auto opaque = range("10.0.0.1", "10.0.0.1", 6, 65535, 0);
  const auto any = range("10.0.0.0", "10.0.0.255", 6);
  const auto some = range("10.0.0.0", "10.0.0.255", 6, 0, 80);
  EXPECT_EQ(intersect(opaque, any), opaque);
  EXPECT_EQ(intersect(opaque, some), std::nullopt);
  EXPECT_TRUE(contains(any, opaque));
  EXPECT_FALSE(contains(opaque, any));
  EXPECT_TRUE(contains(opaque, opaque));
}

TEST(Selectors, Containment) {
  EXPECT_TRUE(contains(net("10.0.0.0/8"), net("10.3.0.0/16")));
  EXPECT_FALSE(contains(net("10.3.0.0/16"), net("10.0.0.0/8")));
  EXPECT_FALSE(contains(range("10.0.0.0", "10.0.0.9", 6), range("10.0.0.0", "10.0.0.9")));
  const SelectorList outer{net("10.0.0.0/8"), net("fd00::/8")};
  EXPECT_TRUE(contains(outer, SelectorList{net("fd77::1/128"), net("10.1.0.0/16")}));
  EXPECT_FALSE(contains(outer, SelectorList{net("fd77::1/128"), net("11.1.0.0/16")}));
  EXPECT_TRUE(contains(outer, SelectorList{}));
}

TEST(Selectors, Narrowing) {
  const SelectorList configured{net("10.77.0.1/32"), net("10.3.0.0/24"), net("fd77::1/128")};
  EXPECT_EQ(narrow({net("0.0.0.0/0"), net("::/0")}, configured), configured);
  EXPECT_EQ(narrow({net("10.3.0.0/16")}, configured), SelectorList{net("10.3.0.0/24")});
  EXPECT_THAT(narrow({net("192.0.2.0/24")}, configured), IsEmpty());
  EXPECT_THAT(narrow({}, configured), IsEmpty());
  EXPECT_THAT(narrow({net("10.3.0.0/16")}, {}), IsEmpty());
  // The packet's own selector that an initiator puts first (RFC 7296 section 2.9) is within the
  // next.
  EXPECT_EQ(narrow({range("10.3.0.7", "10.3.0.7", 6, 80, 80), net("10.3.0.0/24")}, configured),
            SelectorList{net("10.3.0.0/24")});
  EXPECT_EQ(narrow({net("10.3.0.0/24"), net("10.3.0.0/24")}, configured),
            SelectorList{net("10.3.0.0/24")});
}

TEST(Selectors, NarrowingIsBounded) {
  SelectorList many;
  for (unsigned i = 0; i < 600; ++i) {
    const IpAddress ip = IpAddress::v4(0x0a000000u + 2 * i);
    many.push_back({0, 0, 65535, ip, ip});
  }
  EXPECT_EQ(narrow(many, {net("10.0.0.0/8")}).size(), 255u);
}

// A small world where every address and port can be tried: 16 addresses, 4 ports, 3 protocols.
class SelectorWorld : public ::testing::Test {
 protected:
  TrafficSelector random_selector() {
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random_() % n); };
    const unsigned a = below(16), b = below(16);
    const auto p = static_cast<std::uint16_t>(below(4)), q = static_cast<std::uint16_t>(below(4));
    TrafficSelector s{static_cast<std::uint8_t>(below(3) * 6), std::min(p, q), std::max(p, q),
                      IpAddress::v4(0x0a000000u + std::min(a, b)),
                      IpAddress::v4(0x0a000000u + std::max(a, b))};
    if (below(3) == 0) s.start_port = 0, s.end_port = 65535;
    return s;
  }
  SelectorList random_list() {
    SelectorList list(1 + random_() % 4);
    for (TrafficSelector& s : list) s = random_selector();
    return list;
  }
  static bool covers(const TrafficSelector& s, unsigned protocol, unsigned port, unsigned host) {
    const IpAddress ip = IpAddress::v4(0x0a000000u + host);
    return (s.protocol == 0 || s.protocol == protocol) && s.start_port <= port &&
           port <= s.end_port && s.start <= ip && ip <= s.end;
  }
  static bool covers(const SelectorList& list, unsigned protocol, unsigned port, unsigned host) {
    return std::any_of(list.begin(), list.end(),
                       [&](const TrafficSelector& s) { return covers(s, protocol, port, host); });
  }
  template <class F>
  static void every_packet(F check) {
    for (const unsigned protocol : {1u, 6u, 12u}) {
      for (unsigned port = 0; port < 5; ++port) {
        for (unsigned host = 0; host < 16; ++host) check(protocol, port, host);
      }
    }
  }
  std::mt19937 random_{20240607};
};

TEST_F(SelectorWorld, NarrowIsTheIntersectionOfSets) {
  for (int round = 0; round < 1500; ++round) {
    const SelectorList offered = random_list();
    const SelectorList configured = random_list();
    const SelectorList got = narrow(offered, configured);
    every_packet([&](unsigned protocol, unsigned port, unsigned host) {
      ASSERT_EQ(covers(got, protocol, port, host),
                covers(offered, protocol, port, host) && covers(configured, protocol, port, host))
          << to_string(offered) << " with " << to_string(configured);
    });
    EXPECT_TRUE(contains(offered, got));
    EXPECT_TRUE(contains(configured, got));
    EXPECT_EQ(narrow(got, configured), got) << "narrowing twice changes nothing";
    for (std::size_t i = 0; i < got.size(); ++i) {
      for (std::size_t j = 0; j < got.size(); ++j) {
        EXPECT_TRUE(i == j || !contains(got[i], got[j]));
      }
    }
  }
}

TEST_F(SelectorWorld, ContainsIsTheSubsetOfSets) {
  for (int round = 0; round < 3000; ++round) {
    const TrafficSelector a = random_selector();
    const TrafficSelector b = random_selector();
    EXPECT_EQ(intersect(a, b), intersect(b, a));
    EXPECT_TRUE(contains(a, a));
    const auto both = intersect(a, b);
    EXPECT_TRUE(!both || (contains(a, *both) && contains(b, *both)));
    if (contains(a, b)) {
      every_packet([&](unsigned protocol, unsigned port, unsigned host) {
        ASSERT_TRUE(!covers(b, protocol, port, host) || covers(a, protocol, port, host));
      });
    }
  }
}

TEST_F(SelectorWorld, PrefixesCoverEveryAddressOnce) {
  for (int round = 0; round < 500; ++round) {
    const TrafficSelector s = random_selector();
    const auto prefixes = to_prefixes(s);
    for (unsigned host = 0; host < 32; ++host) {
      const IpAddress ip = IpAddress::v4(0x0a000000u + host);
      const auto count = std::count_if(prefixes.begin(), prefixes.end(),
                                       [&](const Prefix& p) { return p.contains(ip); });
      ASSERT_EQ(count, s.start <= ip && ip <= s.end ? 1 : 0) << to_string(s);
    }
    EXPECT_TRUE(std::is_sorted(prefixes.begin(), prefixes.end()));
  }
}

}  // namespace
}  // namespace espalier::policy
