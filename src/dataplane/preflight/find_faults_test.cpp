#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/preflight/facts.hpp"

namespace espalier::dataplane::preflight {
namespace {

using kernel::SuiteTrial;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

HostFacts good() {
  HostFacts facts;
  facts.release = "6.1.0-30-amd64";
  facts.module_folders = {"6.1.0-30-amd64"};
  facts.has_module_file = true;
  facts.suites = {{"aes256gcm16", ""}, {"chacha20poly1305", ""}};
  facts.files["/proc/net/xfrm_stat"] = "XfrmInError 0\n";
  facts.files["/proc/sys/net/core/xfrm_larval_drop"] = "1\n";
  facts.files["/proc/sys/net/core/xfrm_acq_expires"] = "30\n";
  facts.files["/proc/sys/net/ipv4/neigh/default/gc_thresh3"] = "1024\n";
  facts.files["/proc/net/udp"] = "   sl  local_address\n  1: 00000000:0044 00000000:0000 07\n";
  facts.nft = "";
  return facts;
}

// The finding of that code; fails when there is none.
Finding one(const HostFacts& facts, const std::string& code, const Needs& needs = {}) {
  for (Finding& finding : find_faults(facts, needs)) {
    if (finding.code == code) return finding;
  }
  ADD_FAILURE() << "no " << code;
  return {};
}

TEST(FindFaults, NothingIsWrongWithAGoodHost) { EXPECT_THAT(find_faults(good(), {}), IsEmpty()); }

TEST(FindFaults, TheKernel) {
  HostFacts facts = good();
  facts.suites->back().error = "not found";
  EXPECT_THAT(one(facts, "no-cipher").text, HasSubstr("chacha20poly1305"));
  EXPECT_EQ(one(facts, "no-cipher").command, "modprobe chacha20poly1305");
  facts.suites->front().error = "no gcm";
  EXPECT_EQ(one(facts, "no-esp").severity, Severity::kWarning);
  Needs transport;
  transport.transport = true;
  EXPECT_EQ(one(facts, "no-esp", transport).severity, Severity::kFault);
  facts.module_folders = {"6.1.0-31-amd64"};
  EXPECT_THAT(one(facts, "modules-gone").text, HasSubstr("6.1.0-31-amd64"));
  EXPECT_EQ(one(facts, "no-esp").command, "reboot");
  EXPECT_EQ(find_faults(facts, {}).front().code, "modules-gone") << "the gravest first";
  facts.suites.reset();
  facts.suites_error = "This kernel has no XFRM.";
  EXPECT_THAT(one(facts, "no-xfrm").text, HasSubstr("This kernel has no XFRM."));
  facts.suites_not_permitted = true;
  EXPECT_EQ(one(facts, "not-root").severity, Severity::kNote);
  facts.files.erase("/proc/net/xfrm_stat");
  facts.has_module_file = false;
  EXPECT_EQ(one(facts, "no-xfrm-statistics").severity, Severity::kNote);
  EXPECT_EQ(one(facts, "no-xfrm-interface").severity, Severity::kNote);
}

TEST(FindFaults, Settings) {
  HostFacts facts = good();
  facts.files["/proc/sys/net/ipv4/xfrm4_gc_thresh"] = "1024\n";
  EXPECT_THAT(find_faults(facts, {}), IsEmpty()) << "of old kernels only";
  facts.release = "3.10.0-1160";
  facts.module_folders = {"3.10.0-1160"};
  EXPECT_EQ(one(facts, "gc-thresh").command, "sysctl -w net.ipv4.xfrm4_gc_thresh=32768");
  facts = good();
  Needs needs;
  needs.trap = true;
  EXPECT_THAT(one(facts, "larval-drop", needs).command, HasSubstr("xfrm_larval_drop=0"));
  needs.hosts = 2000;
  EXPECT_EQ(one(facts, "neighbour-table", needs).command,
            "sysctl -w net.ipv4.neigh.default.gc_thresh3=8000");
  facts.files["/proc/sys/net/core/xfrm_acq_expires"] = "165\n";
  EXPECT_THAT(one(facts, "acq-expires").text, HasSubstr("165"));
  facts.files["/proc/sys/net/netfilter/nf_conntrack_count"] = "65000\n";
  facts.files["/proc/sys/net/netfilter/nf_conntrack_max"] = "65536\n";
  EXPECT_EQ(one(facts, "conntrack-full").severity, Severity::kFault);
  facts.files["/proc/sys/net/netfilter/nf_conntrack_generic_timeout"] = "30\n";
  EXPECT_THAT(one(facts, "conntrack-esp").command, HasSubstr("generic_timeout=600"));
  facts.userspace_warnings = {{"Reverse path filtering is strict on eth0.", "sysctl -w x=2"}};
  EXPECT_EQ(one(facts, "host-setting").command, "sysctl -w x=2");
}

TEST(FindFaults, TheFirewall) {
  HostFacts facts = good();
  facts.nft =
      "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; "
      "policy drop;\n\t\tudp dport 500 accept\n\t}\n}\n";
  const auto findings = find_faults(facts, {});
  ASSERT_EQ(findings.size(), 2u);  // udp/4500 and ESP, over IPv4
  EXPECT_EQ(findings[0].severity, Severity::kFault);
  EXPECT_EQ(
      findings[0].text,
      "IKE and ESP behind NAT (udp/4500) over IPv4 is dropped by the policy of chain input of "
      "table inet filter.");
  EXPECT_EQ(findings[0].command, "nft insert rule inet filter input udp dport 4500 accept");
  EXPECT_EQ(findings[1].command, "nft insert rule inet filter input meta l4proto esp accept");
  facts.ufw = true;
  EXPECT_EQ(find_faults(facts, {})[1].command, "ufw allow proto esp from any");
  facts = good();
  facts.iptables6 = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n";
  Needs v6;
  v6.v6 = true;
  EXPECT_EQ(one(facts, "firewall-drops", v6).command,
            "ip6tables -I INPUT -p udp --dport 500 -j ACCEPT");
}

TEST(FindFaults, AnOldVpn) {
  HostFacts facts = good();
  facts.files["/proc/net/udp"] += "  2: 00000000:04AA 00000000:0000 07\n";  // 1194
  EXPECT_THAT(one(facts, "old-vpn").text, HasSubstr("Add `openvpn` to `except`"));
  Needs needs;
  needs.except = policy::find_service_word("openvpn")->services;
  EXPECT_THAT(find_faults(facts, needs), IsEmpty());
}

TEST(Choose, TheKernelWhereItHasAll) {
  EXPECT_TRUE(choose(std::vector<SuiteTrial>{{"a", ""}, {"b", ""}}, "").kernel);
  const Choice some = choose(std::vector<SuiteTrial>{{"a", ""}, {"b", "no"}}, "");
  EXPECT_FALSE(some.kernel);
  EXPECT_EQ(some.why, "userspace: this kernel's ESP lacks b");
  EXPECT_THAT(choose(std::vector<SuiteTrial>{{"a", "x"}}, "").why, HasSubstr("no ESP (x)"));
  EXPECT_EQ(choose(std::nullopt, "No XFRM.").why, "userspace: No XFRM.");
}

}  // namespace
}  // namespace espalier::dataplane::preflight
