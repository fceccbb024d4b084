// `espalier check --host`, `espalier firewall` and the guard against locking oneself out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/fake_environment.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HostVerbs : public ::testing::Test {
 protected:
  HostVerbs() {
    env.files["/etc/espalier/mesh.yaml"] =
        "mesh: prod\nhosts:\n  bender: {address: 192.0.2.1}\n"
        "  flexo: {address: [192.0.2.2, \"2001:db8::2\"]}\n";
    env.facts.release = "6.1.0";
    env.facts.has_module_file = true;
    env.facts.files["/proc/net/xfrm_stat"] = "";
    env.facts.suites = std::vector<dataplane::kernel::SuiteTrial>{{"aes256gcm16", ""}};
  }
  int call(std::vector<std::string> words) {
    env.out_text.clear();
    env.err_text.clear();
    return run(env, words);
  }
  FakeEnvironment env;
};

TEST_F(HostVerbs, AHealthyHost) {
  EXPECT_EQ(call({"check", "--host"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("--dataplane auto takes kernel: it has ESP"));
  EXPECT_THAT(env.out_text, HasSubstr("For bender of /etc/espalier/mesh.yaml"));
  EXPECT_THAT(env.out_text, HasSubstr("Nothing to mend."));
  EXPECT_EQ(env.looked_at.pairs.size(), 1u);
}

TEST_F(HostVerbs, ManualTunnelsCount) {
  env.files["/etc/espalier/mesh.yaml"] =
      "mesh: prod\nhosts:\n  bender: {address: 192.0.2.1}\nmanual:\n"
      "  bender-attic: {address: 198.51.100.7, spi: 256, secret: \"file:k\"}\n";
  EXPECT_EQ(call({"check", "--host"}), kDone) << env.err_text;
  EXPECT_EQ(env.looked_at.pairs.size(), 1u);
  EXPECT_EQ(call({"firewall"}), kDone) << env.err_text;
  EXPECT_THAT(env.out_text, HasSubstr("198.51.100.7"));
}

TEST_F(HostVerbs, WhatIsWrongComesWithItsCommand) {
  env.facts.nft =
      "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; "
      "policy drop;\n\t}\n}\n";
  EXPECT_EQ(call({"check", "--host"}), kFailed);
  EXPECT_THAT(env.out_text, HasSubstr("fault: IKE (udp/500) over IPv4 is dropped"));
  EXPECT_THAT(env.out_text, HasSubstr("    nft insert rule ip filter INPUT udp dport 500 accept"));
  EXPECT_EQ(call({"check", "--host", "--json"}), kFailed);
  EXPECT_THAT(env.out_text, HasSubstr("\"code\": \"firewall-drops\""));
  EXPECT_THAT(env.out_text, HasSubstr("\"ok\": false"));
  EXPECT_THAT(env.out_text, HasSubstr("\"dataplane\": \"kernel\""));
}

TEST_F(HostVerbs, WithoutAnInventory) {
  env.files.clear();
  EXPECT_EQ(call({"check", "--host"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("No inventory was looked at"));
  EXPECT_EQ(call({"check", "--host", "missing.yaml"}), kBadInputFile);
  EXPECT_EQ(call({"check"}), kBadInputFile);
  EXPECT_EQ(call({"firewall"}), kBadInputFile);
}

TEST_F(HostVerbs, FirewallRules) {
  EXPECT_EQ(call({"firewall"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("add element inet filter espalier_peers4 { 192.0.2.2 }\n"
                                      "insert rule inet filter input ip saddr @espalier_peers4 udp "
                                      "dport { 500, 4500 } accept\n"));
  EXPECT_THAT(env.out_text, HasSubstr("insert rule inet filter input meta secpath exists accept"));
  EXPECT_THAT(env.out_text, Not(HasSubstr("forward")));
  EXPECT_THAT(env.out_text, Not(HasSubstr("2001:db8::2"))) << "bender has no IPv6";
  EXPECT_EQ(call({"firewall", "--iptables"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("iptables -I INPUT -s 192.0.2.2 -p esp -j ACCEPT\n"));
  EXPECT_EQ(call({"firewall", "--ufw"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("ufw allow proto udp from 192.0.2.2 to any port 500,4500\n"));
  EXPECT_EQ(call({"firewall", "--ufw", "--iptables"}), kWrongUsage);
}

TEST_F(HostVerbs, CheckRefusesWhatLocksTheOperatorOut) {
  const std::string file = "/etc/espalier/mesh.yaml";
  EXPECT_EQ(call({"check", file}), kDone);
  env.ssh = "192.0.2.2 50000 192.0.2.1 22";
  EXPECT_EQ(call({"check", file}), kFailed);
  EXPECT_THAT(env.err_text, HasSubstr("somebody is logged in from 192.0.2.2"));
  EXPECT_THAT(env.err_text, HasSubstr("except: [ssh]"));
  EXPECT_EQ(call({"check", file, "--force"}), kDone);
  env.files[file] += "defaults: {except: ssh}\n";
  EXPECT_EQ(call({"check", file}), kDone);
}

}  // namespace
}  // namespace espalier::cli
