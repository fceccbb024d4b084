#include "dataplane/preflight/firewall.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::dataplane::preflight {
namespace {

using ::testing::HasSubstr;

constexpr Probe kIke{17, 500, false}, kNatT{17, 4500, false}, kEsp{50, 0, false};
constexpr Probe kIke6{17, 500, true};

std::string table(const std::string& rules, const std::string& policy = "drop",
                  const std::string& family = "inet") {
  return "table " + family +
         " filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy " +
         policy + ";\n" + rules + "\t}\n}\n";
}

TEST(Nft, AnEmptyFirewallLetsAllIn) {
  EXPECT_EQ(judge_nft("", kIke), Judgement{});
  EXPECT_EQ(judge_nft(table("", "accept"), kIke), Judgement{});
}

TEST(Nft, ThePolicyDrops) {
  const Judgement judged = judge_nft(table("\t\tct state established,related accept\n"
                                           "\t\tiifname \"lo\" accept\n\t\ttcp dport 22 accept\n"),
                                     kIke);
  EXPECT_EQ(judged.fate, Fate::kDropped);
  EXPECT_EQ(judged.where, "the policy of chain input of table inet filter");
}

TEST(Nft, WhatLetsItIn) {
  for (const char* rule :
       {"udp dport 500 accept", "udp dport { 500, 4500 } accept", "udp dport 400-600 accept",
        "udp dport isakmp counter packets 3 bytes 400 accept", "meta l4proto udp accept",
        "ip protocol udp accept", "meta l4proto { udp, esp } log prefix \"a b\" accept",
        "ct state new udp dport != 53 accept comment \"IKE\"", "iifname != \"lo\" accept",
        "ct state vmap { established : accept, new : accept }", "counter accept",
        "meta nfproto ipv4 accept", "udp dport { 22,\n\t\t\t     500 } accept"}) {
    EXPECT_EQ(judge_nft(table("\t\t" + std::string(rule) + "\n"), kIke).fate, Fate::kPasses)
        << rule;
  }
}

TEST(Nft, WhatDoesNot) {
  for (const char* rule :
       {"udp dport 4500 accept", "tcp dport 500 accept", "ip6 nexthdr udp accept",
        "meta l4proto esp accept", "udp dport != 500 accept", "ct state established accept",
        "ct state vmap { established : accept, related : accept }", "iif \"lo\" accept",
        "meta nfproto ipv6 accept",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
        "icmp type echo-request accept", "esp spi 256 accept", "jump nowhere",
        "udp dport 500 reject with icmp port-unreachable"}) {
    EXPECT_EQ(judge_nft(table("\t\t" + std::string(rule) + "\n"), kIke).fate, Fate::kDropped)
        << rule;
  }
}

TEST(Nft, WhatCannotBeSaid) {
  for (const char* rule : {"ip saddr 192.0.2.0/24 udp dport 500 accept", "ip saddr @peers accept",
                           "iifname \"eth0\" accept", "meta mark 0x1 accept",
                           "udp sport 500 accept", "limit rate 10/second accept"}) {
    EXPECT_EQ(judge_nft(table("\t\t" + std::string(rule) + "\n"), kIke).fate, Fate::kUnclear)
        << rule;
  }
  // What drops only some is taken to mean others.
  EXPECT_EQ(judge_nft(table("\t\tip saddr 192.0.2.66 drop\n", "accept"), kIke).fate, Fate::kPasses);
}

TEST(Nft, JumpsReturnAndGo) {
  const std::string chains =
      "\tchain early {\n\t\ttcp dport 22 accept\n\t\tudp dport 4500 return\n\t\tudp dport 500 "
      "accept\n\t}\n";
  const auto ruleset = [&](const std::string& verb) {
    return "table inet filter {\n" + chains +
           "\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n\t\t" +
           verb + " early\n\t\tudp dport { 500, 4500 } drop\n\t}\n}\n";
  };
  EXPECT_EQ(judge_nft(ruleset("jump"), kIke).fate, Fate::kPasses);
  const Judgement dropped = judge_nft(ruleset("jump"), kNatT);
  EXPECT_EQ(dropped.fate, Fate::kDropped);
  EXPECT_EQ(dropped.where,
            "the rule 'udp dport { 500, 4500 } drop' of chain input of table inet filter");
  EXPECT_EQ(judge_nft(ruleset("goto"), kNatT).fate, Fate::kPasses);
}

TEST(Nft, FamiliesAndOurOwnTable) {
  EXPECT_EQ(judge_nft(table("", "drop", "ip"), kIke6).fate, Fate::kPasses);
  EXPECT_EQ(judge_nft(table("", "drop", "ip6"), kIke6).fate, Fate::kDropped);
  EXPECT_EQ(judge_nft("table inet espalier {\n\tchain leaving_1 {\n\t\ttype filter hook input "
                      "priority 0; policy drop;\n\t}\n}\n",
                      kIke)
                .fate,
            Fate::kPasses);
  // The strictest of two tables decides.
  EXPECT_EQ(judge_nft(table("", "accept") + table("", "drop", "ip"), kEsp).fate, Fate::kDropped);
}

TEST(Nft, AnythingIsRead) {
  for (const char* text :
       {"{", "}", "table", "table inet x {\nchain", "table inet x {\nchain y {\n{\n",
        "table inet x {\nchain y {\ntype\nudp\nct state vmap\nip\njump\n}", "\n,\n"}) {
    EXPECT_EQ(judge_nft(text, kIke).fate, Fate::kPasses) << text;
  }
}

const char* const kSaved =
    "# Generated\n*nat\n:PREROUTING DROP [0:0]\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP "
    "[0:0]\n:ufw-in - [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate "
    "RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -j LOG --log-prefix \"x y\"\n-A INPUT -j ufw-in\n"
    "-A ufw-in -p udp -m udp --dport 500 -m comment --comment \"dapp_IKE\" -j ACCEPT\n"
    "-A ufw-in -s 192.0.2.0/24 -p esp -j ACCEPT\nCOMMIT\n";

TEST(Iptables, ItsRules) {
  EXPECT_EQ(judge_iptables(kSaved, kIke).fate, Fate::kPasses);
  const Judgement dropped = judge_iptables(kSaved, kNatT);
  EXPECT_EQ(dropped.fate, Fate::kDropped);
  EXPECT_EQ(dropped.where, "the policy of chain INPUT of iptables");
  EXPECT_EQ(judge_iptables(kSaved, kEsp).fate, Fate::kUnclear);
  EXPECT_EQ(judge_iptables("", kIke).fate, Fate::kPasses);
  EXPECT_EQ(judge_iptables("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -m multiport --dports "
                           "500,4500 -j REJECT --reject-with icmp-port-unreachable\nCOMMIT\n",
                           kNatT)
                .fate,
            Fate::kDropped);
  EXPECT_EQ(judge_iptables("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT ! -p tcp -j DROP\n", kEsp).fate,
            Fate::kDropped);
}

}  // namespace
}  // namespace espalier::dataplane::preflight
