#include "mesh/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::mesh {
namespace {

using policy::Connection;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

config::Inventory load(const std::string& text) {
  config::LoadOutcome outcome = config::load_inventory(text, "mesh.yaml");
  for (const auto& d : outcome.diagnostics) ADD_FAILURE() << to_string(d);
  return outcome.ok() ? std::move(*outcome.inventory) : config::Inventory{};
}

config::Inventory example(const std::string& name) {
  std::ifstream file(std::string(ESPALIER_SOURCE) + "/examples/" + name, std::ios::binary);
  return load({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
}

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }
SecretBytes secret(std::string_view text) { return SecretBytes(as_bytes(text)); }

// A self-signed certificate made for this test: subject O=Espalier test, CN=walt, dNSName walt.
const char* const kWaltCertificate =
    "308201b63082015ca00302010202147799fad1add17be447717a3b81e2754526a39146300a06082a8648ce3d04"
    "0302302731163014060355040a0c0d457370616c6965722074657374310d300b06035504030c0477616c743020"
    "170d3236313132313031343731305a180f32313236313032383031343731305a302731163014060355040a0c0d"
    "457370616c6965722074657374310d300b06035504030c0477616c743059301306072a8648ce3d020106082a86"
    "48ce3d03010703420004ad5938d7263f3f8d8d8d4c52b27162eea5692b5b0719030fdd7b3468f71af7d7e13ddf"
    "09e4f43c1ca366647b4ba277c73de29d2651ae348f8209e399db4ee097a3643062301d0603551d0e04160414d2"
    "8f72c1093ed2fc623ab492292d735a1c2d7e41301f0603551d23041830168014d28f72c1093ed2fc623ab49229"
    "2d735a1c2d7e41300f0603551d130101ff040530030101ff300f0603551d1104083006820477616c74300a0608"
    "2a8648ce3d0403020348003045022100acae5d9d712f5df0d858bc77185dfdfe55eb3cdb6eb8d54d54f4359369"
    "16a13d0220491203d04f24c48904978d36108c500375915ec54066c8854c29c7fdcc3f3de8";

Credentials credentials() {
  Credentials c;
  c.mesh_secret = secret("k7#QzP!v02_xLm9w");
  c.foreign_secrets = {{"gateway.secret", secret("h%2kPq0.zzT-81aB")},
                       {"attic.secret", secret("x9!cRw3_mm=Q45nD")}};
  return c;
}

Credentials certificates() {
  Credentials c = credentials();
  c.certificates = {{"x509/walt.pem", "walt", {from_hex(kWaltCertificate).value()}}};

  c.anchors = c.certificates[0].chain;
  return c;
}

HostPlan plan_of(const config::Inventory& inventory, const std::string& self,
                 const Credentials& with = credentials()) {
  auto plan = compile(inventory, self, with);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return plan ? std::move(plan).value() : HostPlan{};
}

const Connection& find(const HostPlan& plan, const std::string& name) {
  for (const Connection& c : plan.connections) {
    if (c.name == name) return c;
  }
  ADD_FAILURE() << name;
  static const Connection kNone;
  return kNone;
}

std::vector<std::string> names(const HostPlan& plan) {
  std::vector<std::string> list;
  for (const Connection& c : plan.connections) list.push_back(c.name);
  return list;
}

TEST(Compile, ThreeHosts) {
  const HostPlan plan = plan_of(example("three-hosts.yaml"), "bender");
  EXPECT_EQ(plan.mesh, "planet-express");
  EXPECT_EQ(plan.self, "bender");
  EXPECT_THAT(plan.own_addresses, ElementsAre(ip("10.77.0.1"), ip("fd77::1")));
  EXPECT_THAT(plan.own_subnets, IsEmpty());
  EXPECT_THAT(plan.warnings, IsEmpty());
  ASSERT_THAT(names(plan), ElementsAre("bender-amy", "bender-flexo"));
  const Connection& amy = plan.connections[0];
  EXPECT_EQ(amy.peer, "amy");
  EXPECT_THAT(amy.local_addresses, ElementsAre(ip("10.77.0.1"), ip("fd77::1")));
  EXPECT_THAT(amy.remote_addresses, ElementsAre(ip("10.77.0.3"), ip("fd77::3")));
  EXPECT_EQ(amy.remote_port, 500);
  EXPECT_EQ(policy::to_string(amy.local_id), "bender");
  EXPECT_EQ(policy::to_string(amy.remote_id), "amy");
  EXPECT_EQ(amy.auth, policy::AuthKind::kPsk);
  EXPECT_EQ(amy.psk.size(), 32u);
  EXPECT_EQ(amy.proposals, policy::default_ike_proposals());
  EXPECT_EQ(amy.start, policy::Start::kNow);
  EXPECT_EQ(amy.protect, policy::Protect::kRequire);
  EXPECT_FALSE(amy.foreign || amy.behind_nat);
  ASSERT_THAT(amy.children, SizeIs(1));
  EXPECT_EQ(amy.children[0].name, "net");
  EXPECT_EQ(amy.children[0].mode, policy::Mode::kTunnel);
  EXPECT_EQ(policy::to_string(amy.children[0].local_ts), "10.77.0.1/32 fd77::1/128");
  EXPECT_EQ(policy::to_string(amy.children[0].remote_ts), "10.77.0.3/32 fd77::3/128 10.3.0.0/24");
  EXPECT_EQ(amy.children[0].proposals, policy::default_esp_proposals());
  EXPECT_EQ(amy.children[0].replay_window, 1024u);
}

// The two ends of every pair fit each other.
TEST(Compile, EndsMirrorEachOther) {
  for (const char* file : {"three-hosts.yaml", "five-hosts-v6.yaml"}) {
    const config::Inventory inventory = example(file);
    std::vector<SecretBytes> keys;
    for (const config::Host& a : inventory.hosts) {
      const HostPlan ours = plan_of(inventory, a.name);
      ASSERT_EQ(ours.connections.size(), inventory.hosts.size() - 1);
      for (const Connection& here : ours.connections) {
        const HostPlan theirs = plan_of(inventory, here.peer);
        const Connection& there = find(theirs, here.peer + "-" + a.name);
        EXPECT_EQ(here.psk, there.psk);
        EXPECT_EQ(here.local_id, there.remote_id);
        EXPECT_EQ(here.remote_id, there.local_id);
        EXPECT_EQ(here.local_addresses, there.remote_addresses);
        EXPECT_EQ(here.proposals, there.proposals);
        EXPECT_EQ(here.children[0].local_ts, there.children[0].remote_ts);
        EXPECT_EQ(here.children[0].remote_ts, there.children[0].local_ts);
        EXPECT_EQ(here.children[0].proposals, there.children[0].proposals);
        if (a.name < here.peer) keys.push_back(here.psk);
      }
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(keys[i] == keys[j]) << "a key for each pair";
    }
  }
}

TEST(Compile, FamiliesThatOneSideLacksAreLeftOut) {
  const config::Inventory inventory = load(
      "mesh: p\nhosts:\n  a: {address: [192.0.2.1, \"2001:db8::1\"], subnets: [\"fd01::/64\"]}\n"
      "  b: 192.0.2.2\n  c: {address: 192.0.2.3, subnets: [\"fd03::/64\"]}\n");
  const HostPlan plan = plan_of(inventory, "a");
  const Connection& b = find(plan, "a-b");
  EXPECT_THAT(b.local_addresses, ElementsAre(ip("192.0.2.1")));
  EXPECT_EQ(policy::to_string(b.children[0].local_ts), "192.0.2.1/32");
  EXPECT_EQ(policy::to_string(b.children[0].remote_ts), "192.0.2.2/32");
  // IPv6 inside IPv4: c has an IPv6 network, though no IPv6 address.
  const Connection& c = find(plan, "a-c");
  EXPECT_EQ(policy::to_string(c.children[0].local_ts), "192.0.2.1/32 2001:db8::1/128 fd01::/64");
  EXPECT_EQ(policy::to_string(c.children[0].remote_ts), "192.0.2.3/32 fd03::/64");
}

// Transport mode is between one address of each, and both ends mean the same two, in whatever order
// they list them.
TEST(Compile, BothEndsOfATransportChildMeanTheSameAddresses) {
  const auto loaded = config::load_inventory(
      "mesh: prod\ndefaults: {mode: transport}\nhosts:\n"
      "  amy: {address: [\"2001:db8::1\", 192.0.2.1]}\n"
      "  walt: {address: [192.0.2.2, \"2001:db8::2\"]}\n",
      "mesh.yaml", {true, true});
  ASSERT_TRUE(loaded.ok());
  const HostPlan amy = plan_of(*loaded.inventory, "amy"), walt = plan_of(*loaded.inventory, "walt");
  const Connection& one = find(amy, "amy-walt");
  const Connection& other = find(walt, "walt-amy");
  ASSERT_EQ(one.children.front().mode, policy::Mode::kTransport);
  EXPECT_EQ(one.children.front().local_ts, other.children.front().remote_ts);
  EXPECT_EQ(one.children.front().remote_ts, other.children.front().local_ts);
  EXPECT_EQ(one.remote_addresses, other.local_addresses);
  EXPECT_EQ(one.remote_addresses, std::vector{IpAddress::parse("2001:db8::2").value()});
}

// A management host: one port needs IPsec, everything else between the two is closed.
TEST(Compile, OnlyOnePortOfAHost) {
  const config::Inventory inventory = load(
      "mesh: p\ndefaults: {except: [ssh]}\nhosts:\n  a: 192.0.2.1\n  b: 192.0.2.2\n"
      "  puppet: {address: 192.0.2.9, only: {proto: tcp, port: 8140, side: local}}\n");
  const HostPlan plan = plan_of(inventory, "a");
  const Connection& c = find(plan, "a-puppet");
  ASSERT_EQ(c.children.size(), 1u);
  EXPECT_EQ(policy::to_string(c.children[0].local_ts), "192.0.2.1/32[tcp]");
  EXPECT_EQ(policy::to_string(c.children[0].remote_ts), "192.0.2.9/32[tcp/8140]");
  ASSERT_TRUE(c.bounds);
  EXPECT_EQ(policy::to_string(c.bounds->local), "192.0.2.1/32");
  EXPECT_EQ(policy::to_string(c.bounds->remote), "192.0.2.9/32");
  EXPECT_EQ(c.except.size(), 1u);
  const HostPlan other = plan_of(inventory, "puppet");
  const Connection& mirrored = find(other, "puppet-a");
  EXPECT_EQ(mirrored.children[0].local_ts, c.children[0].remote_ts);
  EXPECT_EQ(mirrored.children[0].remote_ts, c.children[0].local_ts);
  EXPECT_FALSE(find(plan, "a-b").bounds);
}

TEST(Compile, OnlyAtEitherEndIsTwoChildren) {
  const config::Inventory inventory = load(
      "mesh: p\ndefaults: {only: [{proto: tcp, port: 80}, {proto: icmp}]}\nhosts:\n"
      "  a: {address: [192.0.2.1, \"2001:db8::1\"]}\n  b: {address: [192.0.2.2, "
      "\"2001:db8::2\"]}\n");
  const HostPlan plan = plan_of(inventory, "a");
  const auto& children = find(plan, "a-b").children;
  ASSERT_EQ(children.size(), 3u);
  EXPECT_EQ(policy::to_string(children[0].local_ts),
            "192.0.2.1/32[tcp/80] 2001:db8::1/128[tcp/80]");
  EXPECT_EQ(policy::to_string(children[1].remote_ts),
            "192.0.2.2/32[tcp/80] 2001:db8::2/128[tcp/80]");
  EXPECT_EQ(policy::to_string(children[2].local_ts),
            "192.0.2.1/32[icmp] 2001:db8::1/128[ipv6-icmp]");
}

TEST(Compile, OnlyWhatNeitherHasIsRefused) {
  const config::Inventory inventory =
      load("mesh: p\ndefaults: {only: {net: 10.0.0.0/8}}\nhosts: {a: 192.0.2.1, b: 192.0.2.2}\n");
  const auto plan = compile(inventory, "a", credentials());
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.error().message, HasSubstr("a-b has nothing left to protect"));
}

TEST(Compile, GatewayInItsOwnNetwork) {
  const config::Inventory inventory =
      load("mesh: p\nhosts: {a: {address: 10.1.0.1, subnets: [10.1.0.0/16]}, b: 192.0.2.2}\n");
  EXPECT_EQ(policy::to_string(find(plan_of(inventory, "a"), "a-b").children[0].local_ts),
            "10.1.0.0/16");
  EXPECT_EQ(policy::to_string(find(plan_of(inventory, "b"), "b-a").children[0].remote_ts),
            "10.1.0.0/16");
}

TEST(Compile, ForeignPeers) {
  const HostPlan plan = plan_of(example("foreign.yaml"), "walt");
  ASSERT_THAT(names(plan), ElementsAre("walt-attic", "walt-gateway", "walt-larry"));
  const Connection& gateway = find(plan, "walt-gateway");
  EXPECT_TRUE(gateway.foreign);
  EXPECT_FALSE(gateway.behind_nat);
  EXPECT_EQ(gateway.psk, secret("h%2kPq0.zzT-81aB")) << "its own secret, not a derived one";
  EXPECT_EQ(policy::to_string(gateway.remote_id), "gw.example.net");
  EXPECT_EQ(policy::to_string(gateway.children[0].local_ts), "192.0.2.11/32 10.11.0.0/16");
  EXPECT_EQ(policy::to_string(gateway.children[0].remote_ts), "198.51.100.7/32 10.9.0.0/24");
  EXPECT_EQ(gateway.lifetimes.child, 30min);
  const Connection& attic = find(plan, "walt-attic");
  EXPECT_TRUE(attic.foreign && attic.behind_nat);
  EXPECT_THAT(attic.remote_addresses, IsEmpty());
  EXPECT_THAT(attic.local_addresses, ElementsAre(ip("192.0.2.11")));
  EXPECT_EQ(attic.start, policy::Start::kNone) << "nobody to call";
  EXPECT_EQ(policy::to_string(attic.children[0].local_ts), "10.11.0.0/16");
  EXPECT_EQ(policy::to_string(attic.children[0].remote_ts), "10.10.0.0/24");
  EXPECT_EQ(attic.encap, policy::Encap::kAlways);
  EXPECT_FALSE(find(plan, "walt-larry").foreign);
}

TEST(Compile, ForeignPeerWithNothingInCommon) {
  const config::Inventory inventory = load(
      "mesh: p\nhosts: {a: 192.0.2.1}\nforeign:\n"
      "  f: {nat: on, address: 192.0.2.9, subnets: [\"fd00::/64\"], secret: "
      "\"file:attic.secret\"}\n");
  const auto plan = compile(inventory, "a", credentials());
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.error().message, HasSubstr("a-f has nothing to protect"));
}

TEST(Compile, WeakAndMissingSecrets) {
  const config::Inventory inventory = example("foreign.yaml");
  Credentials weak = credentials();
  weak.mesh_secret = secret("badpassword");
  EXPECT_THAT(compile(inventory, "walt", weak).error().message, HasSubstr("espalier secret new"));
  Credentials none = credentials();
  none.mesh_secret = SecretBytes();
  EXPECT_EQ(compile(inventory, "walt", none).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(compile(inventory, "walt", none).error().message, HasSubstr("private/mesh.secret"));
  Credentials foreign = credentials();
  foreign.foreign_secrets.erase("attic.secret");
  EXPECT_THAT(compile(inventory, "walt", foreign).error().message,
              HasSubstr("private/attic.secret"));
  Credentials short_one = credentials();
  short_one.foreign_secrets["attic.secret"] = secret("hunter2");
  const HostPlan plan = plan_of(inventory, "walt", short_one);
  ASSERT_THAT(plan.warnings, SizeIs(1));
  EXPECT_THAT(plan.warnings[0], HasSubstr("walt-attic"));
  EXPECT_THAT(plan.warnings[0], Not(HasSubstr("hunter2")));
}

TEST(Compile, Certificates) {
  const config::Inventory inventory =
      load("mesh: p\ndefaults: {auth: cert}\nhosts: {walt: 192.0.2.1, larry: 192.0.2.2}\n");
  const HostPlan plan = plan_of(inventory, "walt", certificates());
  const Connection& larry = find(plan, "walt-larry");
  EXPECT_EQ(larry.auth, policy::AuthKind::kCert);
  EXPECT_TRUE(larry.psk.empty());
  ASSERT_THAT(larry.certificates, SizeIs(1));
  EXPECT_EQ(larry.certificates[0].chain, certificates().certificates[0].chain);
  EXPECT_EQ(larry.certificates[0].private_key, "walt");
  EXPECT_EQ(larry.anchors, certificates().anchors);
  EXPECT_THAT(compile(inventory, "walt", credentials()).error().message,
              HasSubstr("x509/walt.pem"));
  Credentials no_ca = certificates();
  no_ca.anchors.clear();
  EXPECT_THAT(compile(inventory, "walt", no_ca).error().message, HasSubstr("x509ca/"));
  EXPECT_THAT(compile(inventory, "larry", certificates()).error().message,
              HasSubstr("does not speak for the identity 'larry'"));
}

TEST(Compile, PostQuantumKeys) {
  const config::Inventory inventory = load(
      "mesh: p\ndefaults: {ppk: {id: fleet, secret: \"file:pq\"}}\n"
      "hosts: {walt: 192.0.2.1, larry: 192.0.2.2, dale: 192.0.2.3}\n"
      "pairs:\n  walt-larry: {ppk: off}\n"
      "  larry-dale: {ppk: {id: two, secret: \"file:two\", required: off}}\n");
  Credentials keys = credentials();
  keys.ppks = {{"pq", secret("0123456789abcdef0123456789abcdef")}};
  const HostPlan plan = plan_of(inventory, "walt", keys);
  EXPECT_FALSE(find(plan, "walt-larry").ppk);
  ASSERT_TRUE(find(plan, "walt-dale").ppk);
  EXPECT_EQ(find(plan, "walt-dale").ppk->id, to_vector(as_bytes("fleet")));
  EXPECT_TRUE(find(plan, "walt-dale").ppk->required);
  const auto files = required_files(inventory, "dale");
  ASSERT_THAT(files, SizeIs(3));
  EXPECT_EQ(files[1].kind, RequiredFile::Kind::kPpk);
  EXPECT_EQ(files[1].path, "private/pq");
  EXPECT_EQ(files[2].name, "two");
  EXPECT_THAT(compile(inventory, "dale", keys).error().message,
              HasSubstr("dale-larry needs the post-quantum key 'two': put it into private/two"));
  keys.ppks["two"] = secret("short");
  const std::string weak = compile(inventory, "dale", keys).error().message;
  EXPECT_THAT(weak, HasSubstr("has 5 octets, and it needs 32"));
  EXPECT_THAT(weak, Not(HasSubstr("short")));
}

TEST(Compile, PeersThatStayAnonymous) {
  const auto with = [](const std::string& words) {
    return load("mesh: p\nhosts: {a: 192.0.2.1}\nforeign: {f: {address: 192.0.2.9, " + words +
                "}}\n");
  };
  const policy::Identity nobody{wire::ike::IdType::kNull, {}};
  const config::Inventory both = with("null_auth: both");
  EXPECT_THAT(required_files(both, "a"), IsEmpty());
  const auto plan = compile(both, "a", Credentials{});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->connections.front().local_id, nobody);
  EXPECT_EQ(plan->connections.front().remote_id, nobody);
  EXPECT_TRUE(plan->connections.front().psk.empty());
  // We stay anonymous: the peer's certificate is checked, and we need none.
  const config::Inventory local = with("null_auth: local, auth: cert");
  EXPECT_THAT(required_files(local, "a"), SizeIs(1));
  // The peer does: the other way round.
  const config::Inventory remote = with("null_auth: remote, auth: cert");
  EXPECT_THAT(required_files(remote, "a"), SizeIs(2));
}

TEST(Compile, Redirects) {
  Credentials c = credentials();
  c.foreign_secrets["f"] = secret("h%2kPq0.zzT-81aB");
  const auto plan = compile(load("mesh: p\nhosts: {a: 192.0.2.1}\n"
                                 "foreign: {f: {address: 192.0.2.9, secret: \"file:f\", "
                                 "childless: force, resumption: on,\n"
                                 "  redirect: {accept: 198.51.100.0/24, to: 192.0.2.7}}}\n"),
                            "a", c);
  ASSERT_TRUE(plan) << plan.error().message;
  const Connection& f = plan->connections.front();
  ASSERT_TRUE(f.redirect);
  EXPECT_EQ(f.redirect->to, ip("192.0.2.7"));
  EXPECT_THAT(f.redirect->accept, SizeIs(1));
  EXPECT_EQ(f.start, policy::Start::kNone) << "whom we send elsewhere we do not call";
  EXPECT_EQ(f.childless, policy::Childless::kForce);
  EXPECT_TRUE(f.resumption);
}

TEST(RequiredFiles, OnlyWhatIsUsed) {
  using Kind = RequiredFile::Kind;
  const auto files = required_files(example("foreign.yaml"), "walt");
  ASSERT_THAT(files, SizeIs(3));
  EXPECT_EQ(files[0].kind, Kind::kMeshSecret);
  EXPECT_EQ(files[0].path, "private/mesh.secret");
  EXPECT_EQ(files[1].path, "private/attic.secret");
  EXPECT_EQ(files[1].name, "attic.secret");
  EXPECT_EQ(files[2].path, "private/gateway.secret");
  EXPECT_THAT(files[2].why, HasSubstr("walt-gateway"));
  std::vector<std::string> paths;
  for (const auto& file : required_files(
           load("mesh: p\nhosts: {a: {address: 192.0.2.1, auth: cert}, b: 192.0.2.2}\n"), "b")) {
    paths.push_back(file.path);
  }
  EXPECT_THAT(paths, ElementsAre("private/b.pem", "x509/b.pem", "x509ca"));
}

TEST(FindSelf, ByNameThenLabelThenAddress) {
  const config::Inventory inventory =
      load("mesh: p\nhosts: {bender: 192.0.2.1, flexo.example.net: 192.0.2.2, Amy: 192.0.2.3}\n");
  EXPECT_EQ(find_self(inventory, "bender", {}).value(), "bender");
  EXPECT_EQ(find_self(inventory, "BENDER.example.net", {}).value(), "bender");
  EXPECT_EQ(find_self(inventory, "flexo", {}).value(), "flexo.example.net");
  EXPECT_EQ(find_self(inventory, "amy", {}).value(), "Amy");
  EXPECT_EQ(find_self(inventory, "localhost", {ip("10.0.0.1"), ip("192.0.2.2")}).value(),
            "flexo.example.net");
  EXPECT_EQ(find_self(inventory, "flexo.example.org", {}).error().code, ErrorCode::kNotFound)
      << "another domain is another host";
  const auto nobody = find_self(inventory, "zoidberg", {ip("10.0.0.1")});
  EXPECT_EQ(nobody.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(nobody.error().message, HasSubstr("--self NAME"));
  const auto both = find_self(inventory, "x", {ip("192.0.2.1"), ip("192.0.2.3")});
  EXPECT_THAT(both.error().message, HasSubstr("'bender', 'Amy'"));
}

TEST(FindSelf, Named) {
  const config::Inventory inventory = example("foreign.yaml");
  EXPECT_EQ(named_self(inventory, "walt").value(), "walt");
  EXPECT_THAT(named_self(inventory, "wlat").error().message, HasSubstr("did you mean 'walt'?"));
  EXPECT_THAT(named_self(inventory, "attic").error().message, HasSubstr("foreign peer"));
}

TEST(PlanDiff, AddedRemovedChanged) {
  const std::string head = "mesh: p\nhosts:\n  a: 192.0.2.1\n  b: 192.0.2.2\n";
  const HostPlan before = plan_of(load(head + "  c: 192.0.2.3\n"), "a");
  const HostPlan after = plan_of(load(head + "  d: 192.0.2.4\npairs: {a-b: {dpd: 7s}}\n"), "a");
  const PlanDiff same = plan_diff(before, before);
  EXPECT_TRUE(same.empty());
  EXPECT_EQ(same.unchanged, 2u);
  const PlanDiff diff = plan_diff(before, after);
  EXPECT_THAT(diff.added, ElementsAre("a-d"));
  EXPECT_THAT(diff.removed, ElementsAre("a-c"));
  EXPECT_THAT(diff.changed, ElementsAre("a-b"));
  EXPECT_EQ(diff.unchanged, 0u);
  EXPECT_FALSE(diff.own_changed || diff.empty());
}

TEST(PlanDiff, OrderAndCommentsAreNoChange) {
  const HostPlan before =
      plan_of(load("mesh: p\nhosts: {a: 192.0.2.1, b: 192.0.2.2, c: 192.0.2.3}\n"), "a");
  const HostPlan after = plan_of(load("# moved\nhosts:\n  c: 192.0.2.3\n  a: {address: "
                                      "[192.0.2.1]}\n  b: 192.0.2.2\nmesh: p\n"),
                                 "a");
  EXPECT_EQ(before, after);
  Credentials other = credentials();
  other.mesh_secret = secret("another secret of the mesh, 42");
  const auto rekeyed =
      compile(load("mesh: p\nhosts: {a: 192.0.2.1, b: 192.0.2.2, c: 192.0.2.3}\n"), "a", other);
  ASSERT_TRUE(rekeyed.ok()) << rekeyed.error().message;
  EXPECT_THAT(plan_diff(before, rekeyed.value()).changed, ElementsAre("a-b", "a-c"));
  const HostPlan moved =
      plan_of(load("mesh: p\nhosts: {a: 192.0.2.9, b: 192.0.2.2, c: 192.0.2.3}\n"), "a");
  EXPECT_TRUE(plan_diff(before, moved).own_changed);
}

}  // namespace
}  // namespace espalier::mesh
