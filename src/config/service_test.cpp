// `except` and `only`: words, maps, layers and faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/inventory.hpp"

namespace espalier::config {
namespace {

using policy::Service;
using policy::Side;
using ::testing::ElementsAre;
using ::testing::StartsWith;

Inventory good(const std::string& text) {
  LoadOutcome outcome = load_inventory(text, "m");
  for (const Diagnostic& each : outcome.diagnostics) ADD_FAILURE() << to_string(each);
  return outcome.inventory ? *outcome.inventory : Inventory{};
}

std::vector<std::string> faults(const std::string& entries, const std::string& key = "except") {
  const LoadOutcome outcome = load_inventory(
      "mesh: p\nhosts: {a: 192.0.2.1, b: 192.0.2.2}\ndefaults:\n  " + key + ": " + entries + "\n",
      "m");
  std::vector<std::string> list;
  for (const Diagnostic& each : outcome.diagnostics) list.push_back(to_string(each));
  return list;
}

const Service kSsh{policy::kProtocolTcp, 22, 22, Side::kEither, {}};
const Service kPuppet{policy::kProtocolTcp, 8140, 8140, Side::kLocal, {}};

TEST(Services, WordsAndMaps) {
  const Inventory inventory = good(
      "mesh: p\ndefaults:\n  except: [ssh, icmp, openvpn, {proto: udp, port: 8000-8099, net: "
      "10.0.0.0/8}, {proto: 89}, {net: 10.9.0.0/16}]\nhosts: {a: 192.0.2.1, b: 192.0.2.2}\n");
  const auto list = inventory.settings_between("a", "b").except.list();
  ASSERT_EQ(list.size(), 7u);
  EXPECT_EQ(list[0], kSsh);
  EXPECT_EQ(list[1], Service{policy::kProtocolIcmp});
  EXPECT_EQ(to_string(list[2]), "udp/1194 at either end");
  EXPECT_EQ(to_string(list[4]), "udp/8000-8099 at either end within 10.0.0.0/8");
  EXPECT_EQ(to_string(list[5]), "ospf");
  EXPECT_EQ(to_string(list[6]), "any within 10.9.0.0/16");
  EXPECT_EQ(inventory.settings_between("b", "a").except,
            inventory.settings_between("a", "b").except);
}

TEST(Services, ASideIsOfWhoeverSaysIt) {
  const std::string head =
      "mesh: p\nhosts:\n  b: {address: 192.0.2.2}\n  c: {address: 192.0.2.3}\n";
  const std::string only = "only: {proto: tcp, port: 8140, side: local}";
  const auto of = [&](const Inventory& inventory, const char* self, const char* peer) {
    return inventory.settings_between(self, peer).only.list();
  };
  const Inventory host = good(head + "  a: {address: 192.0.2.1, " + only + "}\n");
  EXPECT_THAT(of(host, "a", "b"), ElementsAre(kPuppet));
  EXPECT_THAT(of(host, "b", "a"), ElementsAre(flipped(kPuppet)));
  EXPECT_TRUE(of(host, "b", "c").empty());
  // In `defaults` both say it.
  const Inventory all = good(head + "defaults: {" + only + "}\n");
  EXPECT_THAT(of(all, "b", "c"), ElementsAre(kPuppet, flipped(kPuppet)));
  // In a pair, the first name of the key.
  for (const auto& [key, owner, other] :
       {std::array{"b-c", "b", "c"}, std::array{"c-b", "c", "b"}}) {
    const Inventory pair = good(head + "pairs: {" + key + ": {" + only + "}}\n");
    EXPECT_THAT(of(pair, owner, other), ElementsAre(kPuppet)) << key;
    EXPECT_THAT(of(pair, other, owner), ElementsAre(flipped(kPuppet))) << key;
  }
}

TEST(Services, AnEmptyListTakesTheDefaultsAway) {
  const Inventory inventory = good(
      "mesh: p\ndefaults: {except: ssh}\nhosts: {a: 192.0.2.1, b: {address: 192.0.2.2, except: "
      "[]}, "
      "c: 192.0.2.3}\n");
  EXPECT_TRUE(inventory.settings_between("a", "b").except.empty());
  EXPECT_THAT(inventory.settings_between("a", "c").except.list(), ElementsAre(kSsh));
}

TEST(ServiceFaults, HaveAPlaceAndAReason) {
  EXPECT_THAT(faults("[shs]"),
              ElementsAre(StartsWith("m:4:12: 'except' has 'shs', which is unknown; "
                                     "did you mean 'ssh'?")));
  EXPECT_THAT(faults("[[ssh]]"), ElementsAre(StartsWith("m:4:12: an entry of 'except' is a list")));
  EXPECT_THAT(faults("{prot: tcp, net: 10.0.0.0/8}"),
              ElementsAre("m:4:12: the key 'prot' is unknown; did you mean 'proto'?"));
  EXPECT_THAT(faults("{proto: tpc, port: 1}"), ElementsAre(StartsWith("m:4:19: 'proto' is 'tpc'"),
                                                           StartsWith("m:4:24: 'port' needs")));
  EXPECT_THAT(faults("{proto: icmp, port: 8}"), ElementsAre(StartsWith("m:4:25: 'port' needs")));
  EXPECT_THAT(faults("{proto: tcp, port: 70000}"),
              ElementsAre("m:4:30: 'port' is '70000'; it can be 1 to 65535, or a range such as "
                          "8000-8099"));
  EXPECT_THAT(faults("{proto: tcp, port: 9-8}"),
              ElementsAre(StartsWith("m:4:30: 'port' is '9-8'")));
  EXPECT_THAT(faults("{proto: tcp, side: local}"),
              ElementsAre("m:4:24: 'side' says whose port it is, and there is no 'port'"));
  EXPECT_THAT(faults("{proto: tcp, port: 1, side: here}"),
              ElementsAre(StartsWith("m:4:39: 'side'")));
  EXPECT_THAT(faults("{proto: tcp, net: 10.0.0.1/8}"), ElementsAre(StartsWith("m:4:29: 'net' is")));
  EXPECT_THAT(faults("{}", "only"),
              ElementsAre(StartsWith("m:4:9: an entry of 'only' says neither")));
}

TEST(ServiceFaults, TwoHostsThatSayDifferentThings) {
  const LoadOutcome outcome = load_inventory(
      "mesh: p\nhosts:\n  a: {address: 192.0.2.1, except: ssh}\n  b: {address: 192.0.2.2, except: "
      "icmp}\n",
      "m");
  ASSERT_EQ(outcome.diagnostics.size(), 1u);
  EXPECT_THAT(to_string(outcome.diagnostics[0]),
              StartsWith("m:4:35: 'a' and 'b' have different 'except' (3:35 and 4:35)"));
}

}  // namespace
}  // namespace espalier::config
