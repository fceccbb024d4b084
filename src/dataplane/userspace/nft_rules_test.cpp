#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/userspace/host_setup.hpp"
#include "dataplane/userspace/prefix_cover.hpp"

namespace espalier::dataplane::userspace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Prefix p(const char* text) {
  auto prefix = Prefix::parse(text);
  EXPECT_TRUE(prefix.ok()) << text;
  return *prefix;
}

std::vector<std::string> words(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> result;
  for (const auto& prefix : prefixes) result.push_back(prefix.to_string());
  return result;
}

TEST(PrefixCover, SubtractLeavesExactlyTheRest) {
  const std::vector<Prefix> holes = {p("10.1.0.0/16"), p("10.128.0.0/9")};
  EXPECT_THAT(words(subtract(p("10.0.0.0/8"), holes)),
              ElementsAre("10.0.0.0/16", "10.2.0.0/15", "10.4.0.0/14", "10.8.0.0/13",
                          "10.16.0.0/12", "10.32.0.0/11", "10.64.0.0/10"));
}

TEST(PrefixCover, HolesOutsideAroundOrEqualChangeNothing) {
  const std::vector<Prefix> holes = {p("192.0.2.0/24"), p("0.0.0.0/0"), p("10.0.0.0/8"),
                                     p("fd00::/8")};
  EXPECT_THAT(words(subtract(p("10.0.0.0/8"), holes)), ElementsAre("10.0.0.0/8"));
}

TEST(PrefixCover, HalvesOfIpv6AreCutAtAnyBit) {
  const std::vector<Prefix> holes = {p("fd77::1/128")};
  const auto rest = subtract(p("fd77::/125"), holes);
  EXPECT_THAT(words(rest), ElementsAre("fd77::/128", "fd77::2/127", "fd77::4/126"));
}

TEST(PrefixCover, ContainedPrefixesGo) {
  EXPECT_THAT(words(without_contained(
                  {p("10.3.0.0/24"), p("10.0.0.0/8"), p("10.0.0.0/8"), p("11.0.0.1/32")})),
              ElementsAre("10.0.0.0/8", "11.0.0.1/32"));
}

TEST(PrefixCover, PartsAreDisjoint) {
  const auto parts =
      disjoint_parts({p("10.0.0.0/30"), p("10.0.0.1/32"), p("10.0.0.1/32"), p("fd77::1/128")});
  EXPECT_THAT(words(parts),
              ElementsAre("10.0.0.0/32", "10.0.0.1/32", "10.0.0.2/31", "fd77::1/128"));
}

HostNetwork bender() {
  HostNetwork network;
  network.pairs = {
      {"bender-flexo",
       {p("10.77.0.1/32"), p("fd77::1/128")},
       {p("10.77.0.2/32"), p("fd77::2/128")},
       *IpAddress::parse("10.77.0.1"),
       *IpAddress::parse("fd77::1")},
      {"bender-amy",
       {p("10.77.0.1/32"), p("fd77::1/128")},
       {p("10.77.0.3/32"), p("fd77::3/128"), p("10.3.0.0/24")},
       *IpAddress::parse("10.77.0.1"),
       *IpAddress::parse("fd77::1")},
  };
  return network;
}

// The whole text: a change of what is let past IPsec must be seen by a person.
constexpr const char* kGolden = R"(table inet espalier {
  counter dropped_in { }
  counter dropped_out { }
  set protected4_1 {  # local . remote
    type ipv4_addr . ipv4_addr
    flags interval
    elements = {
      10.77.0.1/32 . 10.3.0.0/24,
      10.77.0.1/32 . 10.77.0.2/32,
      10.77.0.1/32 . 10.77.0.3/32,
    }
  }
  set protected6_1 {  # local . remote
    type ipv6_addr . ipv6_addr
    flags interval
    elements = {
      fd77::1/128 . fd77::2/128,
      fd77::1/128 . fd77::3/128,
    }
  }
  chain outside_1 {
    meta l4proto esp accept
    icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } accept
    icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } accept
    icmp type destination-unreachable icmp code frag-needed accept
    icmpv6 type packet-too-big accept
    udp sport . udp dport { 67 . 67, 67 . 68, 68 . 67, 546 . 547, 547 . 546, 547 . 547 } accept
  }
  chain arriving_1 {
    type filter hook prerouting priority mangle; policy accept;
    iifname { "lo", "espalier0" } accept
    udp dport { 500, 4500 } fib daddr type local meta mark set 0xe5000000 accept
    ip frag-off & 0x1fff != 0 accept
    frag frag-off != 0 accept
    jump outside_1
    ip daddr . ip saddr @protected4_1 counter name dropped_in drop
    ip6 daddr . ip6 saddr @protected6_1 counter name dropped_in drop
  }
  chain own_1 {
    type route hook output priority mangle; policy accept;
    udp sport . udp dport { 68 . 67, 546 . 547 } meta mark set 0xe5000000
  }
  chain leaving_1 {
    type filter hook postrouting priority srcnat + 10; policy accept;
    oifname { "lo", "espalier0" } accept
    meta mark 0xe5000000 udp sport { 500, 4500 } accept
    meta mark 0xe5000000 udp dport { 500, 4500 } accept
    jump outside_1
    ip saddr . ip daddr @protected4_1 counter name dropped_out drop
    ip6 saddr . ip6 daddr @protected6_1 counter name dropped_out drop
  }
}
)";

TEST(ProtectionRuleset, Golden) { EXPECT_EQ(protection_ruleset(bender()), kGolden); }

TEST(ProtectionRuleset, RulesAreTheSameForAnyNumberOfPairs) {
  HostNetwork many = bender();
  for (unsigned i = 0; i < 100; ++i) {
    const auto peer = IpAddress::v4(0x0A4E0000u + i);
    many.pairs.push_back({"bender-x", {p("10.77.0.1/32")}, {Prefix::host(peer)}, {}, {}});
  }
  const auto rules = [](const std::string& text) {
    return text.substr(text.find("  chain outside_1"));
  };
  EXPECT_EQ(rules(protection_ruleset(many)), rules(protection_ruleset(bender())));
}

TEST(ProtectionRuleset, APeersLargerSubnetLeavesOwnSubnetsOut) {
  HostNetwork network;
  network.own_subnets = {p("10.3.0.0/24")};
  network.pairs = {
      {"amy-flexo", {p("10.77.0.3/32"), p("10.3.0.0/24")}, {p("10.0.0.0/14")}, {}, {}}};
  const auto text = protection_ruleset(network);
  EXPECT_THAT(text, Not(HasSubstr(". 10.3.0.0/24")));
  EXPECT_THAT(text, HasSubstr("10.3.0.0/24 . 10.3.1.0/24,"));
  EXPECT_THAT(text, HasSubstr("10.77.0.3/32 . 10.0.0.0/15,"));
}

TEST(ProtectionRuleset, APeerInsideAnOwnSubnetStaysClosed) {
  HostNetwork network;
  network.own_subnets = {p("10.77.0.0/24")};
  network.pairs = {{"amy-flexo", {p("10.77.0.3/32")}, {p("10.77.0.2/32")}, {}, {}}};
  EXPECT_THAT(protection_ruleset(network), HasSubstr("10.77.0.3/32 . 10.77.0.2/32,"));
}

// With exceptions of all pairs the protected sets serve; of some, their addresses stand in the
// rule.
TEST(ProtectionRuleset, ExceptionsAreARuleForEachDirection) {
  HostNetwork network = bender();
  const auto ssh = policy::find_service_word("ssh")->services.front();
  for (auto& pair : network.pairs) pair.except = {ssh};
  network.pairs[1].except.push_back({policy::kProtocolIcmp});
  network.pairs[1].except.push_back(
      {policy::kProtocolUdp, 8000, 8099, policy::Side::kLocal, p("10.0.0.0/8")});
  const auto text = protection_ruleset(network);
  EXPECT_THAT(text, HasSubstr(R"(  chain except_in_1 {
    meta l4proto 1 ip daddr . ip saddr { 10.77.0.1/32 . 10.3.0.0/24, 10.77.0.1/32 . 10.77.0.3/32 } meta mark set 0xe5000000 accept
    meta l4proto 58 ip6 daddr . ip6 saddr { fd77::1/128 . fd77::3/128 } meta mark set 0xe5000000 accept
    meta l4proto 6 th dport 22 ip daddr . ip saddr @protected4_1 meta mark set 0xe5000000 accept
    meta l4proto 6 th sport 22 ip daddr . ip saddr @protected4_1 meta mark set 0xe5000000 accept
    meta l4proto 6 th dport 22 ip6 daddr . ip6 saddr @protected6_1 meta mark set 0xe5000000 accept
    meta l4proto 6 th sport 22 ip6 daddr . ip6 saddr @protected6_1 meta mark set 0xe5000000 accept
    meta l4proto 17 th dport 8000-8099 ip daddr . ip saddr { 10.77.0.1/32 . 10.3.0.0/24, 10.77.0.1/32 . 10.77.0.3/32 } meta mark set 0xe5000000 accept
  }
  chain except_out_1 {
    meta l4proto 1 ip saddr . ip daddr {)"));
  EXPECT_THAT(text, HasSubstr(R"(    jump outside_1
    jump except_in_1
    jump except_out_1
    ip daddr . ip saddr @protected4_1 counter name dropped_in drop)"));
  EXPECT_THAT(text, HasSubstr(R"(    jump outside_1
    jump except_out_1
    ip saddr . ip daddr @protected4_1 counter name dropped_out drop)"));
  EXPECT_THAT(text, HasSubstr("meta mark set 0xe5000000\n    jump except_out_1\n"));
}

TEST(ProtectionRuleset, WithoutPairsTheSetsAreEmpty) {
  EXPECT_THAT(protection_ruleset(HostNetwork{}), Not(HasSubstr("elements")));
}

}  // namespace
}  // namespace espalier::dataplane::userspace
