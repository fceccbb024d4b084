// Authentication by certificates: chains that need fragments (RFC 7383), the choice of a
// certificate, revocation before and after, at both ends and under loss.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crypto/pki_testing.hpp"
#include "policy/identity.hpp"
#include "sim/seeds.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

using crypto::test::Issue;
using crypto::test::Revoke;
using crypto::test::TestAuthority;

// Octets of nothing, to make a certificate large.
crypto::test::Extension padding(std::size_t octets) {
  return {NID_netscape_comment, std::string(octets, 'x')};
}

crypto::test::Extension named(const std::string& name) {
  return {NID_subject_alt_name, "DNS:" + name};
}

// Two roots; below the first two intermediates, the last of which issues.
struct Pki {
  explicit Pki(std::size_t extra)
      : root("Root"),
        middle("Middle", &root, Issue{true, {padding(extra)}}),
        low("Low", &middle, Issue{true, {padding(extra)}}),
        other("Other") {}
  TestAuthority root, middle, low, other;

  policy::OwnCertificate own(const std::string& host, std::size_t extra) const {
    policy::OwnCertificate out;
    out.private_key = host;
    out.chain = {low.issue(host, Issue{false, {named(host), padding(extra)}}), low.certificate,
                 middle.certificate};
    for (const TestAuthority* ca : {&low, &middle, &root}) {
      out.authorities.push_back(crypto::inspect_certificate(ca->certificate)->ca_key_hash);
    }
    return out;
  }
};

Bytes authorities(const std::vector<Bytes>& anchors) {
  Bytes out;
  for (const Bytes& anchor : anchors) {
    const Bytes hash = crypto::inspect_certificate(anchor)->ca_key_hash;
    out.insert(out.end(), hash.begin(), hash.end());
  }
  return out;
}

void by_certificate(policy::Connection& c, std::vector<policy::OwnCertificate> own,
                    std::vector<Bytes> anchors) {
  c.auth = policy::AuthKind::kCert;
  c.psk = SecretBytes();
  c.certificates = std::move(own);
  c.authorities = authorities(anchors);
  c.anchors = std::move(anchors);
}

constexpr const char* kHosts[] = {"bender", "flexo"};

World two_hosts(std::uint64_t seed, const Pki& pki, std::size_t extra, bool election) {
  World world(seed);
  ike::Settings settings;
  settings.election = election;
  world.add_host("bender", "10.0.0.1", settings);
  world.add_host("flexo", "10.0.0.2", settings);
  world.connect("bender", "flexo");
  for (const char* name : kHosts) {
    world.keys.keys[name] = TestAuthority::private_key(name);
    by_certificate(world.host(name).connections.front(), {pki.own(name, extra)},
                   {pki.root.certificate});
  }
  return world;
}

std::string log_of(World& world) {
  std::string text = fmt::format("seed {}\n", world.seed());
  for (const char* name : kHosts) {
    for (const ike::Event& event : world.host(name).events) {
      text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
    }
  }
  return text;
}

TEST(Certificates, ChainsInFragmentsUnderLossDuplicationAndReordering) {
  const Pki pki(1500);
  std::size_t largest = 0;
  for (const std::uint64_t seed : seeds(60)) {
    for (const int initiator : {0, 1, 2}) {  // bender, flexo, both
      World world = two_hosts(seed, pki, 2500, false);
      if (initiator < 2) {
        world.host(kHosts[1 - initiator]).connections.front().start = policy::Start::kNone;
      }
      world.network = {0.2, 0.1, 5ms, 200ms};
      world.filter = [&](const Host&, const Host&, ByteView datagram) {
        largest = std::max(largest, datagram.size());
        return true;
      };
      world.configure_all();
      ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 600s))
          << world.fault() << "\n"
          << log_of(world);
    }
  }
  EXPECT_LE(largest, 1280u) << "every message fits an IPv6 packet that nobody fragments";
  EXPECT_GT(largest, 1000u);
}

TEST(Certificates, ARunIsTheSameTwice) {
  const auto run = [] {
    const Pki pki(500);
    World world = two_hosts(5, pki, 500, false);
    world.network = {0.2, 0.1, 5ms, 100ms};
    Bytes all;
    world.filter = [&](const Host&, const Host&, ByteView datagram) {
      all.insert(all.end(), datagram.begin(), datagram.end());
      return true;
    };
    world.configure_all();
    world.run_for(30s);
    return all;
  };
  const Bytes once = run();
  EXPECT_GT(once.size(), 4000u);
  EXPECT_TRUE(once == run());
}

// bender has a certificate of each root; the one that flexo's CERTREQ asks for is sent.
TEST(Certificates, TheRequestChoosesTheCertificate) {
  const Pki pki(0);
  const TestAuthority unrelated("Unrelated");
  for (const bool second : {false, true}) {
    for (const bool bender_starts : {true, false}) {
      World world = two_hosts(1, pki, 0, false);
      policy::OwnCertificate old;
      old.private_key = "bender";
      old.chain = {pki.other.issue("bender", Issue{false, {named("bender")}})};
      old.authorities = {crypto::inspect_certificate(pki.other.certificate)->ca_key_hash};
      auto& bender = world.host("bender").connections.front();
      auto& flexo = world.host("flexo").connections.front();
      bender.certificates.insert(bender.certificates.begin() + (second ? 1 : 0), old);
      world.host(bender_starts ? "flexo" : "bender").connections.front().start =
          policy::Start::kNone;
      for (const bool root : {true, false}) {
        const Bytes& anchor = root ? pki.root.certificate : pki.other.certificate;
        flexo.anchors = {anchor};
        flexo.authorities = authorities({unrelated.certificate, anchor});
        world.configure_all();
        EXPECT_TRUE(world.run_until([&] { return world.all_up(); }, 20s)) << log_of(world);
        EXPECT_EQ(world.fault(), "");
        world.command("flexo", ike::Configure{});
        world.run_for(5s);
      }
    }
  }
}

TEST(Certificates, AWrongCaAnExpiredOneAndAMissingIntermediateAreNamed) {
  const Pki pki(0);
  struct Fault {
    std::function<void(policy::Connection&)> make;
    const char* says;
  };
  const Fault faults[] = {
      {[&](policy::Connection& c) {
         c.certificates[0].chain = {pki.other.issue("flexo", Issue{false, {named("flexo")}})};
       },
       "its issuer 'CN=Other,O=Test' is neither one of our CAs"},
      {[&](policy::Connection& c) {
         c.certificates[0].chain[0] = pki.low.issue(
             "flexo",
             Issue{
                 false, {named("flexo")}, crypto::test::kPkiStart, crypto::test::kPkiStart + 100});
       },
       "it was valid until"},
      {[&](policy::Connection& c) { c.certificates[0].chain.pop_back(); },
       "its issuer 'CN=Middle,O=Test' is neither"},
      {[&](policy::Connection& c) {
         c.certificates[0].chain[0] = pki.low.issue("flexo", Issue{false, {named("leela")}});
       },
       "does not name its identity 'flexo'"},
      {[&](policy::Connection& c) { c.certificates[0].chain.clear(); }, "sent no certificate"},
  };
  for (const Fault& fault : faults) {
    for (const bool flexo_starts : {true, false}) {
      World world = two_hosts(1, pki, 0, false);
      fault.make(world.host("flexo").connections.front());
      world.host(flexo_starts ? "bender" : "flexo").connections.front().start =
          policy::Start::kNone;
      world.configure_all();
      world.run_for(10s);
      EXPECT_FALSE(world.all_up());
      const std::string log = log_of(world);
      EXPECT_NE(log.find(fault.says), std::string::npos) << fault.says << "\n" << log;
    }
  }
}

TEST(Certificates, ARevokedPeerDoesNotComeUpAndAnEstablishedOneIsClosed) {
  const Pki pki(0);
  for (const std::uint64_t seed : seeds(20)) {
    for (const bool ca : {false, true}) {
      World world = two_hosts(seed, pki, 0, false);
      world.network = {0.1, 0.1, 5ms, 50ms};
      world.configure_all();
      ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 300s)) << log_of(world);
      // What the path was validated by goes with the IKE SA through a rekey.
      world.command("bender", ike::Rekey{"bender-flexo", true});
      world.run_for(10s);
      const Bytes flexo = world.host("flexo").connections.front().certificates[0].chain[ca ? 1 : 0];
      auto lists = std::make_shared<crypto::RevocationLists>();
      const TestAuthority& issuer = ca ? pki.middle : pki.low;
      ASSERT_TRUE(lists->add(issuer.revoke(Revoke{{flexo}}), {issuer.certificate}).ok());
      world.keys.lists = lists;
      world.command("bender", ike::CheckRevocation{lists});
      ASSERT_TRUE(world.run_until([&] { return !world.all_up(); }, 60s));
      world.run_for(60s);
      const auto pair = world.host("bender").engine.snapshot().front();
      EXPECT_NE(pair.state, "up") << log_of(world);
      // A revoked CA is above both, and either may be the first to say no.
      if (!ca) {
        EXPECT_NE(pair.last_error.find("was revoked by"), std::string::npos) << pair.last_error;
      }
      EXPECT_NE(log_of(world).find("the IKE SA is closed: the"), std::string::npos);
      EXPECT_TRUE(world.host("bender").twin.inbound.empty());
    }
  }
}

TEST(Certificates, ListsThatRevokeSomebodyElseChangeNothing) {
  const Pki pki(0);
  World world = two_hosts(1, pki, 0, true);
  world.configure_all();
  ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 10s));
  auto lists = std::make_shared<crypto::RevocationLists>();
  const Bytes someone = pki.low.issue("leela");
  ASSERT_TRUE(lists->add(pki.low.revoke(Revoke{{someone}}), {pki.low.certificate}).ok());
  const auto spi = world.host("bender").engine.snapshot().front().ike->spi_local;
  world.command("bender", ike::CheckRevocation{lists});
  world.run_for(30s);
  EXPECT_EQ(world.host("bender").engine.snapshot().front().ike->spi_local, spi);
  EXPECT_EQ(world.fault(), "");
}

TEST(Certificates, StrictNeedsListsInForce) {
  const Pki pki(0);
  for (const bool complete : {false, true}) {
    World world = two_hosts(1, pki, 0, true);
    for (const char* name : kHosts) {
      world.host(name).connections.front().revocation = crypto::RevocationPolicy::kStrict;
    }
    auto lists = std::make_shared<crypto::RevocationLists>();
    for (const TestAuthority* ca : {&pki.low, &pki.middle, &pki.root}) {
      if (ca == &pki.middle && !complete) continue;
      ASSERT_TRUE(lists->add(ca->revoke(Revoke{}), {ca->certificate}).ok());
    }
    world.keys.lists = lists;
    world.configure_all();
    EXPECT_EQ(world.run_until([&] { return world.all_up(); }, 20s), complete) << log_of(world);
    EXPECT_EQ(log_of(world).find("there is no revocation list of its issuer 'CN=Middle") ==
                  std::string::npos,
              complete);
  }
}

}  // namespace
}  // namespace espalier::sim
