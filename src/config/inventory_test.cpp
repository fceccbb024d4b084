#include "config/inventory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "config/limits.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"

namespace espalier::config {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

std::vector<std::string> faults(const std::string& text) {
  std::vector<std::string> list;
  for (const Diagnostic& d : load_inventory(text, "m").diagnostics) list.push_back(to_string(d));
  return list;
}

Inventory good(const std::string& text) {
  LoadOutcome outcome = load_inventory(text, "m");
  for (const Diagnostic& d : outcome.diagnostics) ADD_FAILURE() << to_string(d);
  return outcome.ok() ? std::move(*outcome.inventory) : Inventory{};
}

std::string example(const std::string& name) {
  std::ifstream file(std::string(ESPALIER_SOURCE) + "/examples/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Two plain hosts with `more` behind them, from line 5.
std::string two(const std::string& more) {
  return "mesh: prod\nhosts:\n  a: 192.0.2.1\n  b: 192.0.2.2\n" + more;
}
// Two hosts where line 4 is a's settings.
std::string a_with(const std::string& setting) {
  return "mesh: prod\nhosts:\n  a:\n    " + setting + "\n    address: 192.0.2.1\n  b: 192.0.2.2\n";
}

TEST(Inventory, ThreeHosts) {
  const Inventory inventory = good(example("three-hosts.yaml"));
  EXPECT_EQ(inventory.mesh, "planet-express");
  ASSERT_THAT(inventory.hosts, SizeIs(3));
  EXPECT_EQ(inventory.hosts[0].name, "bender");
  EXPECT_EQ(inventory.hosts[1].name, "flexo");
  const Host& amy = *inventory.find_host("amy");
  EXPECT_THAT(amy.addresses, ElementsAre(IpAddress::parse("10.77.0.3").value(),
                                         IpAddress::parse("fd77::3").value()));
  EXPECT_THAT(amy.subnets, ElementsAre(Prefix::parse("10.3.0.0/24").value()));
  EXPECT_EQ(policy::to_string(amy.id), "amy");
  EXPECT_EQ(amy.id.type, wire::ike::IdType::kFqdn);
  const PairSettings settings = inventory.settings_between("bender", "amy");
  EXPECT_EQ(settings.ike_proposals, policy::default_ike_proposals());
  EXPECT_EQ(settings.esp_proposals, policy::default_esp_proposals());
  EXPECT_EQ(settings.lifetimes, policy::Lifetimes{});
}

TEST(Inventory, FiveHostsV6) {
  const Inventory inventory = good(example("five-hosts-v6.yaml"));
  ASSERT_THAT(inventory.hosts, SizeIs(5));
  const PairSettings pair = inventory.settings_between("scruffy", "hermes");
  ASSERT_THAT(pair.esp_proposals, SizeIs(1));
  EXPECT_EQ(words(pair.esp_proposals[0]), "aes256gcm16-x25519");
  EXPECT_EQ(pair.dpd, 10s);
  EXPECT_EQ(pair.lifetimes.jitter_percent, 20u);
  EXPECT_EQ(pair.replay_window, 2048u);
  EXPECT_EQ(inventory.settings_between("hermes", "scruffy").replay_window, 1024u)
      << "a host's replay window is its own";
  EXPECT_EQ(inventory.settings_between("zapp", "kif").esp_proposals,
            policy::default_esp_proposals());
}

TEST(Inventory, ForeignPeers) {
  const Inventory inventory = good(example("foreign.yaml"));
  ASSERT_THAT(inventory.foreign, SizeIs(2));
  const Foreign& gateway = *inventory.find_foreign("gateway");
  EXPECT_EQ(gateway.secret_file, "gateway.secret");
  EXPECT_FALSE(gateway.nat);
  EXPECT_EQ(policy::to_string(gateway.id), "gw.example.net");
  const Foreign& attic = *inventory.find_foreign("attic");
  EXPECT_TRUE(attic.nat);
  EXPECT_THAT(attic.addresses, IsEmpty());
  EXPECT_EQ(attic.id.type, wire::ike::IdType::kRfc822);
  EXPECT_THAT(*attic.local_subnets, ElementsAre(Prefix::parse("10.11.0.0/16").value()));
  EXPECT_EQ(inventory.settings_between("walt", "attic").encap, policy::Encap::kAlways);
  EXPECT_EQ(inventory.settings_between("walt", "gateway").lifetimes.child, 30min);
  EXPECT_EQ(inventory.settings_between("larry", "gateway").lifetimes.child, 1h);
  EXPECT_EQ(words(inventory.settings_between("larry", "gateway").ike_proposals[0]),
            "aes256-sha384-ecp384");
}

TEST(Inventory, EverySetting) {
  const Inventory inventory = good(
      "mesh: prod\n"
      "defaults:\n"
      "  mode: tunnel\n  protect: require\n  start: none\n  auth: cert\n  except: []\n"
      "  proposals: {ike: [aes128gcm16-prfsha256-ecp256], esp: aes128gcm16}\n"
      "  lifetimes: {ike: 90m, child: 10s, child_bytes: 64MB, child_packets: 5000, jitter: 0%, "
      "reauth: 12h}\n"
      "  dpd: off\n  mobike: off\n  fragmentation: false\n  revocation: strict\n  esn: off\n  "
      "replay_window: 64\n"
      "  encap: always\n"
      "hosts: {a: 192.0.2.1, b: 192.0.2.2}\n");
  const PairSettings s = inventory.settings_between("a", "b");
  EXPECT_EQ(s.start, policy::Start::kNone);
  EXPECT_EQ(s.auth, policy::AuthKind::kCert);
  ASSERT_THAT(s.ike_proposals, SizeIs(1));
  EXPECT_EQ(words(s.ike_proposals[0]), "aes128gcm16-prfsha256-ecp256");
  ASSERT_THAT(s.esp_proposals, SizeIs(1));
  EXPECT_FALSE(s.esp_proposals[0].esn);
  EXPECT_TRUE(s.esp_proposals[0].no_esn);
  EXPECT_EQ(s.lifetimes.ike, 90min);
  EXPECT_EQ(s.lifetimes.child, 10s);
  EXPECT_EQ(s.lifetimes.reauth, 12h);
  EXPECT_EQ(s.lifetimes.child_bytes, 64'000'000u);
  EXPECT_EQ(s.lifetimes.child_packets, 5000u);
  EXPECT_EQ(s.lifetimes.jitter_percent, 0u);
  EXPECT_EQ(s.dpd, Duration::zero());
  EXPECT_FALSE(s.fragmentation);
  EXPECT_FALSE(s.mobike);
  EXPECT_EQ(s.revocation, crypto::RevocationPolicy::kStrict);
  EXPECT_EQ(s.replay_window, 64u);
  EXPECT_EQ(s.encap, policy::Encap::kAlways);
}

TEST(Inventory, Layers) {
  const Inventory inventory = good(
      "mesh: prod\n"
      "defaults: {dpd: 10s, auth: psk, lifetimes: {child: 2h}}\n"
      "hosts:\n"
      "  a: {address: 192.0.2.1, dpd: 20s, lifetimes: {child_bytes: 2MB}}\n"
      "  b: {address: 192.0.2.2, auth: cert, esn: off}\n"
      "  c: 192.0.2.3\n"
      "pairs:\n"
      "  c-a: {dpd: 40s, lifetimes: {child_bytes: none}}\n");
  EXPECT_EQ(inventory.settings_between("a", "b").dpd, 20s);
  EXPECT_EQ(inventory.settings_between("b", "a").dpd, 10s) << "a's dpd is what a does";
  EXPECT_EQ(inventory.settings_between("a", "c").dpd, 40s);
  EXPECT_EQ(inventory.settings_between("c", "a").dpd, 40s);
  EXPECT_EQ(inventory.settings_between("a", "b").lifetimes.child_bytes, 2'000'000u);
  EXPECT_EQ(inventory.settings_between("a", "b").lifetimes.child, 2h);
  EXPECT_EQ(inventory.settings_between("a", "c").lifetimes.child_bytes, std::nullopt);
  for (const char* peer : {"a", "c"}) {
    EXPECT_EQ(inventory.settings_between("b", peer).auth, policy::AuthKind::kCert);
    EXPECT_EQ(inventory.settings_between(peer, "b").auth, policy::AuthKind::kCert)
        << "what both ends need is the same at both";
    EXPECT_FALSE(inventory.settings_between(peer, "b").esp_proposals[0].esn);
  }
  EXPECT_EQ(inventory.settings_between("a", "c").auth, policy::AuthKind::kPsk);
}

TEST(Inventory, ProposalThatSaysEsnDecidesForItself) {
  const Inventory inventory =
      good(two("defaults: {esn: off, proposals: {esp: [aes256gcm16-esn, aes128gcm16-noesn, "
               "aes256gcm16]}}\n"));
  const PairSettings s = inventory.settings_between("a", "b");
  EXPECT_TRUE(s.esp_proposals[0].esn);
  EXPECT_FALSE(s.esp_proposals[1].esn);
  EXPECT_FALSE(s.esp_proposals[2].esn);
}

// a of 192.0.2.1 with `host`'s settings, b of 192.0.2.2, and the groups below.
std::string grouped(const std::string& host, const std::string& groups) {
  return "mesh: prod\nhosts:\n  a: {address: 192.0.2.1, " + host + "}\n  b: 192.0.2.2\ngroups:\n" +
         groups;
}

TEST(Inventory, AGroupSpeaksForItsHosts) {
  const Inventory inventory =
      good(grouped("groups: [edge, slow], lifetimes: {child: 20m}, dpd: 7s",
                   "  edge: {dpd: 9s, replay_window: 64, lifetimes: {child: 30m, ike: 2h}}\n"
                   "  slow: {fragmentation: off, lifetimes: {jitter: 5%}, replay_window: 64}\n"
                   "  none: {dpd: 1s}\n"));
  const PairSettings a = inventory.settings_between("a", "b");
  EXPECT_EQ(a.dpd, 7s) << "the host's own word stands";
  EXPECT_EQ(a.lifetimes.child, 20min);
  EXPECT_EQ(a.lifetimes.ike, 2h) << "lifetimes are taken over one by one";
  EXPECT_EQ(a.lifetimes.jitter_percent, 5u);
  EXPECT_EQ(a.replay_window, 64u) << "two groups may say the same";
  EXPECT_FALSE(a.fragmentation);
  const PairSettings b = inventory.settings_between("b", "a");
  EXPECT_EQ(b.dpd, 30s);
  EXPECT_EQ(b.replay_window, 1024u);
}

TEST(InventoryFaults, Groups) {
  EXPECT_THAT(faults(grouped("groups: [egde]", "  edge: {dpd: 9s}\n")),
              ElementsAre("m:3:36: there is no group 'egde'; did you mean 'edge'?"));
  EXPECT_THAT(faults(grouped("groups: [x, y]", "  x: {dpd: 9s}\n  y: {dpd: 8s}\n")),
              ElementsAre("m:7:7: 'a' is in groups that say different 'dpd' (here, in 'y', and at "
                          "6:7); say which in the host"));
  EXPECT_THAT(faults(grouped("dpd: 1s", "  x: {dpd: 0s, address: 192.0.2.9}\n")),
              ElementsAre(StartsWith("m:6:12: 'dpd' is '0s'"),
                          StartsWith("m:6:16: the key 'address' is unknown")));
  EXPECT_THAT(faults(grouped("dpd: 1s", "  x: 5\n")),
              ElementsAre("m:6:6: the group 'x' has '5' where a map of settings belongs"));
}

TEST(Inventory, WhatTheKernelCanHonour) {
  const LoadOutcome outcome = load_inventory(
      "mesh: p\ndefaults: {copy_df: off, copy_ecn: off, copy_dscp: no, set_mark_out: 0x42/0xff,\n"
      "  proposals: {esp: [aes128ccm16, null-sha256]}}\n"
      "hosts: {a: 192.0.2.1, b: 192.0.2.2}\n",
      "m", kKernelPlane);
  ASSERT_TRUE(outcome.ok());
  const policy::OuterHeader outer = outcome.inventory->settings_between("a", "b").outer;
  EXPECT_EQ(outer,
            (policy::OuterHeader{false, false, policy::CopyDscp::kNo, policy::Mark{0x42, 0xff}}));
  for (const char* wrong : {"0x142/0xff", "x", "0x", "66/", "4294967296"}) {
    EXPECT_EQ(load_inventory("mesh: p\ndefaults: {set_mark_out: \"" + std::string(wrong) +
                                 "\"}\nhosts: {a: 192.0.2.1, b: 192.0.2.2}\n",
                             "m", kKernelPlane)
                  .diagnostics.size(),
              1u)
        << wrong;
  }
}

TEST(Inventory, WhatBindsAPairToAnInterface) {
  const auto load = [](const std::string& settings) {
    return load_inventory("mesh: p\ndefaults: {" + settings +
                              "}\nhosts: {a: 192.0.2.1, b: {address: 192.0.2.2, if_id: 9}}\n",
                          "m", kKernelPlane);
  };
  const LoadOutcome outcome = load("if_id_out: 8, if_id: 7, mark: 0x42/0xff, mark_in: 0/0");
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.inventory->settings_between("a", "b").binding,
            (policy::Binding{7, 8, std::nullopt, policy::Mark{0x42, 0xff}}));
  // Each host's own: the peer has interfaces of its own.
  EXPECT_EQ(outcome.inventory->settings_between("b", "a").binding.if_id_out, 9u);
  struct Case {
    std::string text, says;
    ErrorCode code;
  };
  for (const Case& c : std::vector<Case>{
           {"if_id: \"%unique\"", "'if_id' is '%unique'; a number for each",
            ErrorCode::kUnsupported},
           {"if_id_in: \"%unique-dir\"", "'if_id_in' is '%unique-dir'", ErrorCode::kUnsupported},
           {"mark: \"%unique\"", "'mark' is '%unique'; a mark for each", ErrorCode::kUnsupported},
           {"if_id: 4294967296", "'if_id' is '4294967296'; it can be", ErrorCode::kBadInput},
           {"if_id: x", "'if_id' is 'x', which is no whole number", ErrorCode::kBadInput},
           {"mark_out: 0x142/0xff", "'mark_out' is '0x142/0xff'; write", ErrorCode::kBadInput}}) {
    const LoadOutcome refused = load(c.text);
    ASSERT_EQ(refused.diagnostics.size(), 1u) << c.text;
    EXPECT_THAT(refused.diagnostics[0].message, StartsWith(c.says));
    EXPECT_EQ(refused.diagnostics[0].code, c.code) << c.text;
  }
}

TEST(Inventory, AnInterface) {
  const auto load = [](const std::string& value) {
    return load_inventory(
        "mesh: p\ndefaults: {interface: " + value +
            "}\nhosts: {a: 192.0.2.1, b: {address: 192.0.2.2, interface: none}}\n",
        "m", kKernelPlane);
  };
  const LoadOutcome outcome = load("{name: v0, type: vti, device: eth0.5, mtu: 1400}");
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome.inventory->settings_between("a", "b").interface,
            (policy::TunnelDevice{"v0", "eth0.5", 1400, true}));
  EXPECT_EQ(outcome.inventory->settings_between("b", "a").interface, std::nullopt);
  EXPECT_EQ(load("ipsec0").inventory->settings_between("a", "b").interface,
            (policy::TunnelDevice{"ipsec0", "", 0, false}));
  for (const auto& [value, says] : std::vector<std::pair<std::string, std::string>>{
           {"an-interface-too-long", "'interface' is 'an-interface-too-long'; a device's name"},
           {"\"a/b\"", "'interface' is 'a/b'; a device's name has"},
           {"[x]", "'interface' is a list; it is a device's name, or a map"},
           {"{type: vti}", "'interface' has no 'name'"},
           {"{name: x, type: gre}", "'type' is 'gre', which is no value of it"},
           {"{name: x, mtu: 1279}", "'mtu' is '1279'; it can be 1280 to 65000"},
           {"{name: x, mtu: 65001}", "'mtu' is '65001'"},
           {"{name: x, key: 1}", "the key 'key' is unknown"}}) {
    const LoadOutcome refused = load(value);
    ASSERT_EQ(refused.diagnostics.size(), 1u) << value;
    EXPECT_THAT(refused.diagnostics[0].message, StartsWith(says));
  }
}

TEST(Inventory, WhatTheCallerCanHonour) {
  const std::string text =
      "mesh: p\ndefaults:\n  mode: transport\n  start: trap\n  protect: use\n"
      "hosts: {a: 192.0.2.1, b: 192.0.2.2}\n";
  EXPECT_EQ(load_inventory(text, "m").diagnostics.size(), 2u);
  const LoadOutcome outcome = load_inventory(text, "m", {true, true});
  ASSERT_TRUE(outcome.ok());
  const PairSettings settings = outcome.inventory->settings_between("a", "b");
  EXPECT_EQ(settings.mode, policy::Mode::kTransport);
  EXPECT_EQ(settings.start, policy::Start::kTrap);
  EXPECT_EQ(settings.protect, policy::Protect::kUse);
}

TEST(InventoryFaults, TopOfTheFile) {
  EXPECT_THAT(faults(""), ElementsAre(StartsWith("m:1:1: the file has nothing at its top")));
  EXPECT_THAT(faults("- a\n"), ElementsAre(StartsWith("m:1:1: the file has a list")));
  EXPECT_THAT(faults("{}"), ElementsAre(StartsWith("m:1:1: the key 'hosts' is missing"),
                                        StartsWith("m:1:1: the key 'mesh' is missing")));
  EXPECT_THAT(faults(two("hsots: {}\n")),
              ElementsAre("m:5:1: the key 'hsots' is unknown; did you mean 'hosts'?"));
  EXPECT_THAT(faults(two("groups: []\n")),
              ElementsAre("m:5:9: 'groups' is a list where a map belongs"));
  EXPECT_THAT(faults("mesh: a b\nhosts: {a: 192.0.2.1, b: 192.0.2.2}\n"),
              ElementsAre(StartsWith("m:1:7: 'a b' is no name for a mesh")));
  EXPECT_THAT(faults("mesh: prod\nhosts:\n"),
              ElementsAre("m:2:1: 'hosts' is nothing where a map belongs"));
  EXPECT_THAT(faults("mesh: prod\nhosts: {a: 192.0.2.1}\n"),
              ElementsAre(StartsWith("m:2:9: the mesh has 1 host and no foreign peer")));
  EXPECT_THAT(faults("mesh: prod\nhosts: {}\n"), ElementsAre(HasSubstr("it needs two hosts")));
}

TEST(InventoryFaults, AllAreFoundAndSorted) {
  const auto list = faults(
      "mesh: prod\n"                         // 1
      "defaults: {start: later, dpd: 30}\n"  // 2
      "hosts:\n"                             // 3
      "  a: 10.0.0.0/8\n"                    // 4
      "  b: {adress: 192.0.2.2}\n"           // 5
      "  b: 192.0.2.3\n"                     // 6
      "pairs: {a-x: {}}\n");                 // 7
  EXPECT_THAT(
      list,
      ElementsAre(
          "m:2:19: 'start' is 'later', which is no value of it; known here are: now, none",
          "m:2:31: 'dpd' is '30'; write a duration with its unit, such as 500ms, 30s, 5m, 4h or 1d",
          "m:4:6: 'address' is '10.0.0.0/8', a network; write the host's own address, without '/'",
          "m:5:3: host 'b' has no 'address'",
          "m:5:7: the key 'adress' is unknown; did you mean 'address'?",
          "m:6:3: the key 'b' stands here a second time; it is first at 5:3",
          StartsWith("m:7:9: 'a-x' names no pair: there is no host 'x'")));
}

TEST(InventoryFaults, NotSupportedYet) {
  struct Case {
    std::string text;
    std::string says;
  };
  for (const Case& c : std::vector<Case>{
           {a_with("mode: transport"),
            "m:4:11: 'mode: transport' is not supported yet; the kernel dataplane has it: run "
            "espalierd with --dataplane kernel"},
           {a_with("mode: beet"), "m:4:11: 'mode: beet' is not supported yet; write tunnel"},
           {a_with("hw_offload: auto"), "m:4:5: the key 'hw_offload' is not supported yet"},
           {a_with("proposals: {ah: sha256}"), "m:4:17: the key 'ah' is not supported yet"},
           {a_with("start: trap"), "m:4:12: 'start: trap' is not supported yet; the kernel"},
           {a_with("copy_df: off"), "m:4:14: 'copy_df: off' is not supported yet; the kernel"},
           {a_with("copy_dscp: no"), "m:4:16: 'copy_dscp: no' is not supported yet; the kernel"},
           {a_with("set_mark_out: 0x42"), "m:4:19: 'set_mark_out: 0x42' is not supported yet"},
           {a_with("if_id: 7"), "m:4:12: 'if_id: 7' is not supported yet; the kernel"},
           {a_with("interface: x"), "m:4:16: 'interface' is not supported yet; the kernel"},
           {a_with("mark_in: 7"), "m:4:14: 'mark_in: 7' is not supported yet; the kernel"},
           {a_with("proposals: {esp: aes128ccm16}"), "m:4:22: the proposal 'aes128ccm16'"},
           {a_with("encap: never"), "m:4:12: 'encap: never' is not supported yet"},
           {a_with("id: \"uri:a\""), "m:4:9: the identity 'uri:a'"},
           {a_with("proposals: {ike: 3des-sha1-modp2048}"), "m:4:22: the proposal '3des"},
           {"mesh: p\nhosts: {a: a.example.net, b: 192.0.2.2}\n", "m:2:12: 'address' is"},
           {two("foreign: {f: {vendor: routeros, address: 192.0.2.9, secret: \"file:f\"}}\n"),
            "m:5:15: the key 'vendor' is not supported yet"},
           {two("foreign: {f: {version: 1, address: 192.0.2.9, secret: \"file:f\"}}\n"),
            "m:5:24: 'version: 1' is not supported yet"},
           {a_with("subnets: [0.0.0.0/0]"), "m:4:15: 'subnets' is '0.0.0.0/0'"}}) {
    const LoadOutcome outcome = load_inventory(c.text, "m");
    ASSERT_THAT(outcome.diagnostics, SizeIs(1)) << c.text;
    EXPECT_THAT(to_string(outcome.diagnostics[0]), StartsWith(c.says));
    EXPECT_EQ(outcome.diagnostics[0].code, ErrorCode::kUnsupported) << c.text;
    EXPECT_FALSE(outcome.ok());
  }
}

TEST(Inventory, HowTheFirstExchangesGo) {
  const Inventory inventory = good(
      "mesh: p\n"
      "defaults: {childless: prefer, resumption: on}\n"
      "hosts: {a: {address: 192.0.2.1, childless: force, resumption: off}, b: 192.0.2.2}\n"
      "foreign:\n"
      "  f: {address: 192.0.2.9, null_auth: both}\n"
      "  g: {address: 192.0.2.8, null_auth: local, secret: \"file:g\",\n"
      "      redirect: {accept: [198.51.100.0/24, 203.0.113.1], to: 192.0.2.7, when: auth}}\n");
  EXPECT_EQ(inventory.settings_between("a", "b").childless, policy::Childless::kForce);
  EXPECT_EQ(inventory.settings_between("b", "a").childless, policy::Childless::kPrefer);
  EXPECT_FALSE(inventory.settings_between("a", "b").resumption);
  EXPECT_TRUE(inventory.settings_between("b", "a").resumption);
  EXPECT_EQ(inventory.find_foreign("f")->null_auth, policy::NullAuth::kBoth);
  EXPECT_FALSE(inventory.find_foreign("f")->redirect);
  const Foreign& g = *inventory.find_foreign("g");
  EXPECT_EQ(g.null_auth, policy::NullAuth::kLocal);
  ASSERT_TRUE(g.redirect);
  EXPECT_THAT(g.redirect->accept, SizeIs(2));
  EXPECT_EQ(g.redirect->to, IpAddress::parse("192.0.2.7").value());
  EXPECT_TRUE(g.redirect->after_auth);
}

TEST(InventoryFaults, HowTheFirstExchangesGo) {
  const auto foreign = [](const std::string& settings) {
    return faults(two("foreign: {f: {address: 192.0.2.9, " + settings + "}}\n"));
  };
  EXPECT_THAT(
      faults(a_with("childless: maybe")),
      ElementsAre("m:4:16: 'childless' is 'maybe', which is no value of it; known here are: "
                  "allow, prefer, force, never"));
  EXPECT_THAT(faults(a_with("null_auth: both")),
              ElementsAre(StartsWith("m:4:5: the key 'null_auth' is unknown")));
  EXPECT_THAT(foreign("null_auth: yes"),
              ElementsAre(_, StartsWith("m:5:46: 'null_auth' is 'yes', which is no value of it")));
  EXPECT_THAT(foreign("null_auth: both, secret: \"file:f\""),
              ElementsAre(HasSubstr("has a 'secret' that 'null_auth: both' does not use")));
  EXPECT_THAT(foreign("null_auth: both, id: gw"),
              ElementsAre(HasSubstr("'id' is of a peer that does not prove it")));
  EXPECT_THAT(foreign("null_auth: both, local_id: gw"),
              ElementsAre(HasSubstr("'local_id' is of hosts that do not prove it")));
  EXPECT_THAT(foreign("secret: \"file:f\", redirect: {when: auth}"),
              ElementsAre(HasSubstr("'when' of 'redirect' is about 'to', which is not there")));
  EXPECT_THAT(foreign("secret: \"file:f\", redirect: {to: gw.example.net}"),
              ElementsAre(HasSubstr("'to' is 'gw.example.net'")));
  EXPECT_THAT(foreign("secret: \"file:f\", redirect: {accept: 192.0.2.1/24}"),
              ElementsAre(HasSubstr("'accept' is wrong: '192.0.2.1/24' has bits set")));
  EXPECT_THAT(foreign("secret: \"file:f\", redirect: 192.0.2.1"),
              ElementsAre(HasSubstr("it is a map with the keys accept, to, when")));
}

TEST(InventoryFaults, Values) {
  struct Case {
    std::string setting;
    std::string says;
  };
  for (const Case& c : std::vector<Case>{
           {"replay_window: 0100",
            "m:4:20: 'replay_window' is '0100', a number with a leading zero"},
           {"replay_window: 16", "m:4:20: 'replay_window' is '16'; it can be 32 to 4096 packets"},
           {"dpd: 030s", "m:4:10: 'dpd' is '030', a number with a leading zero"},
           {"dpd: 500ms", "m:4:10: 'dpd' is '500ms'; it can be 1s to 1d, or off"},
           {"dpd: [1s]", "m:4:10: 'dpd' is a list where one value belongs"},
           {"dpd:", "m:4:5: 'dpd' is nothing where one value belongs"},
           {"esn: yes", "m:4:10: 'esn' is 'yes'; write on or off"},
           {"revocation: strikt",
            "m:4:17: 'revocation' is 'strikt', which is no value of it; did you mean 'strict'?"},
           {"auth: pks", "m:4:11: 'auth' is 'pks', which is no value of it; did you mean 'psk'?"},
           {"lifetimes: 1h", "m:4:16: 'lifetimes' is '1h'; it is a map with the keys ike, child"},
           {"lifetimes: {ike: 31d}", "m:4:22: 'ike' is '31d'; it can be 1s to 30d"},
           {"lifetimes: {reauth: 10s}", "m:4:25: 'reauth' is '10s'; it can be 1m to 30d, or none"},
           {"lifetimes: {jitter: 60%}", "m:4:25: 'jitter' is '60%'; it can be 0% to 50%"},
           {"lifetimes: {child_bytes: 10}", "m:4:30: 'child_bytes' is '10'; it can be 1MB or more"},
           {"lifetimes: {chld: 1h}", "m:4:17: the key 'chld' is unknown; did you mean 'child'?"},
           {"proposals: {ike: []}", "m:4:22: 'ike' is an empty list"},
           {"proposals: {esp: [aes256gcm16, aes256gcm16]}",
            "m:4:36: the proposal 'aes256gcm16' stands here a second time"},
           {"proposals: {ike: [aes256gcm16-x25519]}",
            "m:4:23: the proposal 'aes256gcm16-x25519' has no PRF"},
           {"subnets: [10.3.0.1/24]", "m:4:15: 'subnets' is wrong: '10.3.0.1/24' has bits set"},
           {"subnets: [{a: b}]", "m:4:15: the list 'subnets' has a map where a value belongs"},
           {"id: two words", "m:4:9: the identity 'two words' is no address"},
       }) {
    const auto list = faults(a_with(c.setting));
    ASSERT_THAT(list, SizeIs(1)) << c.setting;
    EXPECT_THAT(list[0], StartsWith(c.says));
  }
}

TEST(InventoryFaults, NamesAndIdentities) {
  EXPECT_THAT(faults(two("  A: 192.0.2.3\n")),
              ElementsAre(StartsWith("m:5:3: 'A' is named like 'a' at 3:3")));
  EXPECT_THAT(faults(two("  c_d: 192.0.2.3\n")),
              ElementsAre(StartsWith("m:5:3: the name 'c_d' may have only")));
  EXPECT_THAT(faults(two("  0100: 192.0.2.3\n")), ElementsAre(HasSubstr("digits only")));
  EXPECT_THAT(faults(two("  c: {address: 192.0.2.3, id: B}\n")),
              ElementsAre("m:5:3: 'c' has the identity 'B' of 'b' at 4:3; each needs its own"));
  EXPECT_THAT(faults(two("foreign: {a: {address: 192.0.2.3, id: x, secret: \"file:f\"}}\n")),
              ElementsAre(StartsWith("m:5:11: 'a' is named like 'a' at 3:3")));
}

TEST(InventoryFaults, AddressesAndNetworks) {
  EXPECT_THAT(faults(two("  c: 192.0.2.1\n")),
              ElementsAre("m:5:3: 'c' has the address 192.0.2.1 of 'a' at 3:3"));
  EXPECT_THAT(faults(two("  c: {address: [192.0.2.3, 192.0.2.3]}\n")),
              ElementsAre("m:5:28: 'address' has '192.0.2.3' a second time"));
  EXPECT_THAT(
      faults(two("  c: {address: 192.0.2.3, subnets: [10.0.0.0/8]}\n"
                 "  d: {address: 192.0.2.4, subnets: [10.3.0.0/16, 10.4.0.0/16]}\n")),
      ElementsAre("m:6:3: the network 10.3.0.0/16 of 'd' overlaps 10.0.0.0/8 of 'c' at 5:3",
                  "m:6:3: the network 10.4.0.0/16 of 'd' overlaps 10.0.0.0/8 of 'c' at 5:3"));
  EXPECT_THAT(faults(two("  c: {address: 192.0.2.3, subnets: [192.0.2.0/31, \"fd00::/8\"]}\n")),
              ElementsAre("m:5:3: the address 192.0.2.1 of 'a' at 3:3 is inside the network "
                          "192.0.2.0/31 of 'c' at 5:3; traffic to it would have two ways"));
  EXPECT_THAT(faults(two("  c: {address: 192.0.2.3, subnets: [10.0.0.0/8, 10.1.0.0/16]}\n")),
              ElementsAre(HasSubstr("which overlap; write only the wider")));
  // A gateway in its own network is right.
  EXPECT_THAT(faults(two("  c: {address: 10.1.0.1, subnets: [10.1.0.0/16]}\n")), IsEmpty());
  EXPECT_THAT(faults(two("  c: \"fd77::1\"\n")),
              ElementsAre("m:5:3: 'a' has only IPv4 addresses and 'c' only IPv6 ones; a pair needs "
                          "an address family in common"));
}

TEST(InventoryFaults, PostQuantumKeys) {
  const auto ppk = [](const std::string& body) {
    return faults(two("defaults:\n  ppk: " + body + "\n"));
  };
  EXPECT_THAT(ppk("{id: fleet, secret: \"file:pq\"}"), IsEmpty());
  EXPECT_THAT(ppk("off"), IsEmpty());
  EXPECT_THAT(ppk("{secret: \"file:pq\"}"),
              ElementsAre(StartsWith("m:6:3: 'ppk' needs an 'id' and a 'secret'")));
  EXPECT_THAT(ppk("on"), ElementsAre(HasSubstr("it is a map with the keys id, secret, required")));
  EXPECT_THAT(ppk("{id: \"a b\", secret: \"file:pq\"}"),
              ElementsAre(StartsWith("m:6:13: 'id' of 'ppk' is 'a b'; it can be 1 to 64")));
  const auto shown = ppk("{id: fleet, secret: hunter2}");
  ASSERT_THAT(shown, SizeIs(1));
  EXPECT_THAT(shown[0], StartsWith("m:6:28: 'secret' has to be file:NAME"));
  EXPECT_THAT(shown[0], Not(HasSubstr("hunter2")));
  EXPECT_THAT(ppk("{id: fleet, secret: \"file:pq\", required: maybe}"), SizeIs(1));
  EXPECT_THAT(ppk("{id: fleet, secret: \"file:pq\", require: on}"),
              ElementsAre(HasSubstr("'require' is unknown; did you mean 'required'")));
}

TEST(InventoryFaults, Foreign) {
  const auto foreign = [](const std::string& body) {
    return faults(two("foreign:\n  f: " + body + "\n"));
  };
  EXPECT_THAT(foreign("{address: 198.51.100.7, secret: \"file:f\"}"), IsEmpty());
  EXPECT_THAT(foreign("198.51.100.7"), ElementsAre(StartsWith("m:6:6: foreign peer 'f' has '198")));
  EXPECT_THAT(foreign("{address: 198.51.100.7}"),
              ElementsAre(StartsWith("m:6:3: foreign peer 'f' has no 'secret'")));
  EXPECT_THAT(foreign("{address: 198.51.100.7, auth: cert}"), IsEmpty());
  EXPECT_THAT(foreign("{address: 198.51.100.7, auth: cert, secret: \"file:f\"}"),
              ElementsAre(HasSubstr("'auth: cert' does not use")));
  EXPECT_THAT(foreign("{secret: \"file:f\"}"), ElementsAre(HasSubstr("has no 'address'")));
  EXPECT_THAT(foreign("{secret: \"file:f\", nat: on}"), ElementsAre(HasSubstr("has no 'subnets'")));
  EXPECT_THAT(foreign("{secret: \"file:f\", nat: on, subnets: [10.9.0.0/24]}"), IsEmpty());
  const auto shown = foreign("{address: 198.51.100.7, secret: hunter2hunter2}");
  ASSERT_THAT(shown, SizeIs(1));
  EXPECT_THAT(shown[0], StartsWith("m:6:38: 'secret' has to be file:NAME"));
  EXPECT_THAT(shown[0], Not(HasSubstr("hunter2"))) << "a secret in the wrong place is not repeated";
  EXPECT_THAT(foreign("{address: 198.51.100.7, secret: \"file:../f\"}"),
              ElementsAre(HasSubstr("hidden part")));
  EXPECT_THAT(foreign("{address: 198.51.100.7, secret: \"file:f\", subnets: [10.9.0.0/16], "
                      "local_subnets: [10.9.1.0/24]}"),
              ElementsAre(HasSubstr("one network cannot be on both sides")));
  EXPECT_THAT(foreign("{address: 198.51.100.7, secret: \"file:f\", version: 3}"),
              ElementsAre(HasSubstr("'version' is '3'; it can be 1 or 2")));
}

TEST(InventoryFaults, Pairs) {
  EXPECT_THAT(
      faults(two("pairs: {a-b: {}, b-a: {}}\n")),
      ElementsAre("m:5:18: the pair of 'a' and 'b' stands here a second time; it is first at 5:9"));
  EXPECT_THAT(faults(two("pairs: {a-a: {}}\n")),
              ElementsAre("m:5:9: 'a-a' pairs a host with itself"));
  EXPECT_THAT(faults(two("pairs: {a: {}}\n")),
              ElementsAre(StartsWith("m:5:9: 'a' names no pair; a pair is written A-B")));
  EXPECT_THAT(faults(two("pairs: {a-b: cert}\n")),
              ElementsAre(StartsWith("m:5:14: the pair 'a-b' has 'cert'")));
  EXPECT_THAT(faults(two("pairs: {a-b: {adress: x}}\n")),
              ElementsAre(StartsWith("m:5:15: the key 'adress' is unknown")));
  EXPECT_THAT(faults(two("pairs: {a-b: {address: x}}\n")),
              ElementsAre(StartsWith("m:5:15: the key 'address' is unknown")));
  EXPECT_THAT(faults(two("foreign:\n  f: {address: 198.51.100.7, secret: \"file:f\"}\n"
                         "  g: {address: 198.51.100.8, secret: \"file:g\"}\npairs: {f-g: {}}\n")),
              ElementsAre(StartsWith("m:8:9: 'f-g' pairs two foreign peers")));
}

TEST(Inventory, HyphensInNamesDoNoHarm) {
  const Inventory inventory = good(
      "mesh: p\nhosts: {web-1: 192.0.2.1, web-1-b: 192.0.2.2, c: 192.0.2.3}\n"
      "pairs: {web-1-web-1-b: {dpd: 5s}, c-web-1: {dpd: 6s}, web-1-b-c: {dpd: 7s}}\n");
  EXPECT_EQ(inventory.settings_between("web-1", "web-1-b").dpd, 5s);
  EXPECT_EQ(inventory.settings_between("web-1", "c").dpd, 6s);
  EXPECT_EQ(inventory.settings_between("c", "web-1-b").dpd, 7s);
  EXPECT_THAT(
      faults("mesh: p\nhosts: {a: 192.0.2.1, b-c: 192.0.2.2, a-b: 192.0.2.3, c: 192.0.2.4}\n"
             "pairs: {a-b-c: {}}\n"),
      ElementsAre(StartsWith("m:3:9: 'a-b-c' can be read in two ways: 'a' with 'b-c'")));
}

TEST(InventoryFaults, SettingsThatBothEndsNeed) {
  const std::string hosts =
      "mesh: p\nhosts:\n  a: {address: 192.0.2.1, auth: psk}\n  b: {address: 192.0.2.2, auth: "
      "cert}\n";
  EXPECT_THAT(faults(hosts),
              ElementsAre("m:4:33: 'a' and 'b' have different 'auth' (3:33 and 4:33), and both "
                          "ends of a pair need the same; say which in pairs: 'a-b'"));
  const Inventory inventory = good(hosts + "pairs: {a-b: {auth: psk}}\n");
  EXPECT_EQ(inventory.settings_between("b", "a").auth, policy::AuthKind::kPsk);
}

TEST(InventoryFaults, AreBounded) {
  std::string text = "mesh: p\nhosts:\n";
  for (int i = 0; i < 2000; ++i) text += "  h" + std::to_string(i) + ": 192.0.2.1\n";
  EXPECT_THAT(faults(text), SizeIs(kMaxDiagnostics));
  EXPECT_EQ(to_error(load_inventory("", "m").diagnostics).message.find("m:1:1: "), 0u);
}

TEST(Inventory, ManyHosts) {
  std::string text = "mesh: p\nhosts:\n";
  for (unsigned i = 0; i < kMaxHosts; ++i) {
    text += "  h" + std::to_string(i) +
            ": {address: " + IpAddress::v4(0x0a000001u + i).to_string() + ", subnets: [" +
            IpAddress::v4(0x0b000000u + 256 * i).to_string() + "/24]}\n";
  }
  EXPECT_THAT(good(text).hosts, SizeIs(kMaxHosts));
  EXPECT_THAT(faults(text + "  more: 192.0.2.1\n"), ElementsAre(HasSubstr("at most 4096")));
}

}  // namespace
}  // namespace espalier::config
