// Two hosts whose files differ: both ends name what differs, what each has, and the line.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/inventory.hpp"
#include "mesh/plan.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* name;
  std::string bender;  // what bender's file has after the line `mesh: prod`; line 2 is its first
  std::string flexo;
  std::vector<const char*> at_bender;  // words of bender's last error
  std::vector<const char*> at_flexo;
  const char* bender_secret = "one";
  const char* flexo_secret = "one";
  const char* bender_ppk = "";
  const char* flexo_ppk = "";
};

constexpr const char* kHosts = "hosts:\n  bender: 10.0.0.1\n  flexo: 10.0.0.2\n";

SecretBytes secret(const std::string& text) {
  crypto::SeededRng rng(text.size() * 256 + static_cast<std::uint8_t>(text.front()));
  return SecretBytes(rng.bytes(32));
}

void configure(World& world, const std::string& self, const std::string& text,
               const std::string& mesh_secret, const std::string& ppk) {
  const std::string file = self + ".yaml";
  const auto loaded = config::load_inventory("mesh: prod\n" + text, file, {true, true});
  ASSERT_TRUE(loaded.ok()) << config::to_string(loaded.diagnostics.front());
  mesh::Credentials credentials;
  credentials.mesh_secret = secret(mesh_secret);
  if (!ppk.empty()) credentials.ppks["pq"] = secret(ppk);
  auto plan = mesh::compile(*loaded.inventory, self, credentials);
  ASSERT_TRUE(plan) << plan.error().message;
  world.host(self).connections = plan->connections;
}

// `lines` empty ones, so that the places differ, then the defaults.
std::string with(int lines, const std::string& defaults) {
  return std::string(static_cast<std::size_t>(lines), '\n') + "defaults: {" + defaults + "}\n" +
         kHosts;
}

std::vector<Case> of_proposals() {
  const std::string aes256 = with(0, "proposals: {ike: aes256gcm16-prfsha384-x25519}");
  const std::string aes128 = with(0, "proposals: {ike: aes128gcm16-prfsha384-x25519}");
  const std::string ecp384 = with(0, "proposals: {ike: aes256gcm16-prfsha384-ecp384}");
  const std::string esp_aes = with(1, "proposals: {esp: aes256gcm16}");
  const std::string esp_chacha = with(1, "proposals: {esp: chacha20poly1305}");
  const char* cipher = "only the encryption algorithm differs";
  const char* group = "only the Diffie-Hellman group differs";
  return {
      {"cipher of IKE",
       aes256,
       aes128,
       {"aes256gcm16", "aes128gcm16", cipher, "bender.yaml:2"},
       {"aes256gcm16", "aes128gcm16", cipher, "flexo.yaml:2"}},
      {"group",
       aes256,
       ecp384,
       {"x25519", "ecp384", group, "bender.yaml:2"},
       {"x25519", "ecp384", group, "flexo.yaml:2"}},
      {"cipher of ESP",
       esp_aes,
       esp_chacha,
       {"aes256gcm16", "chacha20poly1305", cipher, "bender.yaml:3"},
       {"aes256gcm16", "chacha20poly1305", cipher, "flexo.yaml:3"}},
  };
}

std::vector<Case> of_the_rest() {
  const std::string named =
      "hosts:\n  bender: 10.0.0.1\n  flexo: {address: 10.0.0.2, id: flexo.example}\n";
  const std::string transport = with(2, "mode: transport");
  const std::string ppk = with(0, "ppk: {id: fleet, secret: \"file:pq\"}");
  const char* same_mode = "set the same 'mode' on both sides";
  return {
      {"secret",
       kHosts,
       kHosts,
       {"the pre-shared keys differ", "bender", "flexo", "bender.yaml:4"},
       {"the pre-shared keys differ", "bender", "flexo", "flexo.yaml:3"},
       "one",
       "another"},
      {"identity",
       named,
       kHosts,
       {"no configured peer has the identity 'flexo'", "expects 'flexo.example'", "bender.yaml:4"},
       {"'flexo.example'", "flexo"}},
      {"mode",
       transport,
       kHosts,
       {"transport mode", "tunnel mode", same_mode, "bender.yaml:4"},
       {"transport mode", "tunnel mode", same_mode, "flexo.yaml:3"}},
      {"ppk missing",
       ppk,
       kHosts,
       {"post-quantum key", "'ppk': bender.yaml:2"},
       {"post-quantum key", "flexo.yaml:3"},
       "one",
       "one",
       "key"},
      {"ppk differs",
       ppk,
       ppk,
       {"the post-quantum secret ('ppk')"},
       {"the post-quantum secret ('ppk')"},
       "one",
       "one",
       "key",
       "lock"},
      {"peer unknown",
       kHosts,
       "defaults: {mobike: off}\nhosts:\n  flexo: 10.0.0.2\n  amy: 10.0.0.3\n",
       {"does not know our address", "10.0.0.2"},
       {}},
      // Peers that may move are heard from everywhere.
      {"peer that may move unknown",
       kHosts,
       "hosts:\n  flexo: 10.0.0.2\n  amy: 10.0.0.3\n",
       {"an unknown identity 'bender'", "10.0.0.2", "bender.yaml:4"},
       {}},
  };
}

std::vector<Case> cases() {
  std::vector<Case> all = of_proposals();
  for (const Case& one : of_the_rest()) all.push_back(one);
  return all;
}

TEST(Mismatch, IsNamedAtBothEnds) {
  for (const Case& one : cases()) {
    SCOPED_TRACE(one.name);
    World world(11);
    world.add_host("bender", "10.0.0.1");
    world.add_host("flexo", "10.0.0.2");
    world.add_host("amy", "10.0.0.3");
    configure(world, "bender", one.bender, one.bender_secret, one.bender_ppk);
    configure(world, "flexo", one.flexo, one.flexo_secret, one.flexo_ppk);
    world.configure_all();
    world.run_for(90s);
    const auto said = [&](const char* host, const char* pair) {
      const auto snapshot = world.host(host).engine.snapshot(pair);
      return snapshot ? snapshot->last_error : std::string("no such pair");
    };
    for (const char* words : one.at_bender) {
      EXPECT_THAT(said("bender", "bender-flexo"), HasSubstr(words));
    }
    for (const char* words : one.at_flexo) {
      EXPECT_THAT(said("flexo", "flexo-bender"), HasSubstr(words));
    }
    const auto up = world.host("bender").engine.snapshot("bender-flexo");
    EXPECT_NE(up->state, "up");
  }
}

TEST(Mismatch, SelectorsWithNothingInCommon) {
  Two two(3);
  for (const char* name : {"bender", "flexo"}) {
    auto& lines = two.of(name).lines;
    lines.file = {std::string(name) + ".yaml"};
    lines[policy::Setting::kPeer] = 9;
  }
  two.of("bender").children.front().remote_ts.front().start = IpAddress::parse("10.7.0.0").value();
  two.of("bender").children.front().remote_ts.front().end = IpAddress::parse("10.7.0.255").value();
  EXPECT_FALSE(two.start());
  two.world.run_for(60s);
  for (const char* name : {"bender", "flexo"}) {
    const std::string said = two.pair(name).last_error;
    EXPECT_THAT(said, HasSubstr("10.7.0.0/24"));
    EXPECT_THAT(said, HasSubstr("10.0.0.2/32"));
    EXPECT_THAT(said, HasSubstr(std::string(name) + ".yaml:9"));
  }
}

TEST(Mismatch, AnAnswerInIkeVersion1IsNamed) {
  Two two(3);
  two.of("flexo").start = policy::Start::kNone;
  two.world.filter = [&](const Host& from, const Host& to, ByteView datagram) {
    if (from.name != "bender") return false;
    Bytes answer = to_vector(datagram.subspan(0, 28));
    answer[16] = 11;    // an ISAKMP notification
    answer[17] = 0x10;  // version 1.0
    answer[18] = 5;
    answer[19] = 0;
    answer[24] = answer[25] = answer[26] = 0;
    answer[27] = 28;
    two.world.at(two.world.now(), [&two, &from, &to, answer] {
      Host& bender = two.world.host(from.name);
      const ike::Path path{{from.address, 500}, {to.address, 500}};
      bender.engine.handle_datagram(two.world.now(), bender.rng, path, answer);
    });
    return false;
  };
  EXPECT_FALSE(two.start());
  two.world.run_for(60s);
  EXPECT_THAT(two.pair("bender").last_error, HasSubstr("answered in IKE version 1")) << two.log();
}

// What is said before anybody has proved who they are says nothing of the configuration.
TEST(Mismatch, NothingIsToldToWhoHasProvedNothing) {
  Two two(3);
  std::vector<policy::IkeProposal> proposals = two.of("flexo").proposals;
  for (auto& proposal : proposals) proposal.dh = {crypto::DhId::kEcp521};
  two.of("flexo").proposals = std::move(proposals);
  two.of("flexo").start = policy::Start::kNone;
  std::size_t longest = 0;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    if (from.name == "flexo") longest = std::max(longest, datagram.size());
    return true;
  };
  EXPECT_FALSE(two.start());
  EXPECT_EQ(longest, 36u) << "a header and NO_PROPOSAL_CHOSEN";
}

}  // namespace
}  // namespace espalier::sim
