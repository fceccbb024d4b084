// The status of certificates that has to be fetched: answers that are good, revoke, come late,
// never or out of date; and OCSP responses within IKE_AUTH (RFC 4806). Both roles, with loss.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/ocsp.hpp"
#include "crypto/pki_testing.hpp"
#include "ike/core/limits.hpp"
#include "sim/seeds.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

using crypto::RevocationPolicy;
using crypto::test::Issue;
using crypto::test::TestAuthority;
using ike::Counter;
using ::testing::HasSubstr;

constexpr std::int64_t kUtc = 1'800'000'000;  // the world's
constexpr const char* kHosts[] = {"bender", "flexo"};

struct Pki {
  TestAuthority root{"Root"};
  Bytes certificate(const std::string& host) const {
    return root.issue(host, Issue{false,
                                  {{NID_subject_alt_name, "DNS:" + host},
                                   {NID_info_access, "OCSP;URI:http://ocsp.example/"},
                                   {NID_crl_distribution_points, "URI:http://crl.example/a"}}});
  }
  // Of that host; revoked or not, and in force until then.
  std::shared_ptr<const crypto::RevocationLists> list(const std::string& revoked,
                                                      std::int64_t until = kUtc + 1000) const {
    crypto::test::Revoke what{{}, kUtc - 1000, until};
    if (!revoked.empty()) what.certificates.push_back(certificate(revoked));
    crypto::RevocationLists lists;
    EXPECT_TRUE(lists.add(root.revoke(what), {root.certificate}));
    return std::make_shared<const crypto::RevocationLists>(std::move(lists));
  }
  Bytes response(const std::string& host, int verdict = V_OCSP_CERTSTATUS_GOOD,
                 std::int64_t until = kUtc + 1000) const {
    return root.respond({certificate(host), verdict, kUtc - 1000, until});
  }
};

void by_certificate(policy::Connection& c, const Pki& pki, const std::string& host) {
  const Bytes hash = crypto::inspect_certificate(pki.root.certificate)->ca_key_hash;
  c.auth = policy::AuthKind::kCert;
  c.psk = SecretBytes();
  c.certificates = {{host, {pki.certificate(host)}, {hash}}};
  c.authorities = hash;
  c.anchors = {pki.root.certificate};
}

struct Net {
  World world;
  const Pki& pki;
  unsigned fetches = 0;

  Net(std::uint64_t seed, const Pki& with, RevocationPolicy policy, int initiator, double loss)
      : world(seed), pki(with) {
    ike::Settings settings;
    settings.election = false;
    world.add_host("bender", "10.0.0.1", settings);
    world.add_host("flexo", "10.0.0.2", settings);
    world.connect("bender", "flexo");
    for (const char* name : kHosts) {
      world.keys.keys[name] = TestAuthority::private_key(name);
      by_certificate(of(name), pki, name);
      of(name).revocation = policy;
    }
    if (initiator < 2) of(kHosts[1 - initiator]).start = policy::Start::kNone;
    world.network = {loss, loss / 2, 5ms, 100ms};
  }
  policy::Connection& of(const std::string& host) { return world.host(host).connections.front(); }
  std::uint64_t count(const std::string& host, Counter counter) {
    return world.host(host).engine.counter(counter);
  }
  std::uint64_t waits() {
    return count("bender", Counter::kRevocationWaits) + count("flexo", Counter::kRevocationWaits);
  }
  std::uint64_t late() {
    return count("bender", Counter::kRevocationLate) + count("flexo", Counter::kRevocationLate);
  }
  // The lists are there so long after they were first asked for; each fetch ends then.
  void answer(std::shared_ptr<const crypto::RevocationLists> lists, Duration after) {
    world.job_time = [this, lists, after](const Host&, const ike::Job& job) {
      if (!std::holds_alternative<ike::FetchJob>(job)) return std::optional<Duration>(0ns);
      ++fetches;
      world.at(world.now() + after, [this, lists] { world.keys.lists = lists; });
      return std::optional<Duration>(after);
    };
  }
  void never() {
    world.job_time = [this](const Host&, const ike::Job& job) {
      if (!std::holds_alternative<ike::FetchJob>(job)) return std::optional<Duration>(0ns);
      ++fetches;
      return std::optional<Duration>();
    };
  }
  bool comes_up(Duration limit) {
    world.configure_all();
    return world.run_until([&] { return world.all_up() && world.fault().empty(); }, limit);
  }
  std::string log() {
    std::string text = fmt::format("seed {}\n", world.seed());
    for (const char* name : kHosts) {
      for (const ike::Event& event : world.host(name).events) {
        text += fmt::format("{} {}: {}\n", name, ike::name(event.kind), event.text);
      }
    }
    return text;
  }
};

constexpr RevocationPolicy kPolicies[] = {RevocationPolicy::kRelaxed, RevocationPolicy::kIfUri,
                                          RevocationPolicy::kStrict};

TEST(FetchedStatus, GoodAndInTime) {
  const Pki pki;
  for (const std::uint64_t seed : seeds(20)) {
    for (const RevocationPolicy policy : kPolicies) {
      for (const int initiator : {0, 1, 2}) {
        Net net(seed, pki, policy, initiator, 0.2);
        net.answer(pki.list(""), 3s);
        ASSERT_TRUE(net.comes_up(300s)) << net.log();
        EXPECT_GE(net.fetches, 1u);
        EXPECT_EQ(net.late(), 0u) << net.log();
      }
    }
  }
}

TEST(FetchedStatus, RevokedIsRefusedByNameAtBothEnds) {
  const Pki pki;
  for (const std::uint64_t seed : seeds(10)) {
    for (const RevocationPolicy policy : kPolicies) {
      for (const int initiator : {0, 1, 2}) {
        Net net(seed, pki, policy, initiator, 0.2);
        net.answer(pki.list("flexo"), 1s);
        EXPECT_FALSE(net.comes_up(120s));
        const std::string log = net.log();
        EXPECT_THAT(log, HasSubstr("the certificate 'CN=flexo,O=Test' is refused: it was revoked "
                                   "by 'CN=Root,O=Test'"));
        EXPECT_THAT(log, HasSubstr("AUTHENTICATION_FAILED")) << "flexo hears that it is refused";
        EXPECT_FALSE(net.world.host("bender").engine.snapshot().front().ike &&
                     net.world.host("bender").engine.snapshot().front().ike->established);
      }
    }
  }
}

// The policy decides when the time is over, not sooner and not much later.
TEST(FetchedStatus, NeverAnswered) {
  const Pki pki;
  for (const std::uint64_t seed : seeds(10)) {
    for (const int initiator : {0, 1}) {
      Net relaxed(seed, pki, RevocationPolicy::kRelaxed, initiator, 0);
      relaxed.never();
      ASSERT_TRUE(relaxed.comes_up(60s)) << relaxed.log();
      // Both ends wait, one after the other.
      EXPECT_GE(relaxed.world.now() - Instant{}, 2 * ike::kRevocationWait);
      EXPECT_LE(relaxed.world.now() - Instant{}, 2 * ike::kRevocationWait + 5s);
      EXPECT_EQ(relaxed.late(), 2u);
      for (const RevocationPolicy policy : {RevocationPolicy::kIfUri, RevocationPolicy::kStrict}) {
        Net net(seed, pki, policy, initiator, 0.2);
        net.never();
        EXPECT_FALSE(net.comes_up(120s));
        EXPECT_THAT(net.log(), HasSubstr("could not be had from http://ocsp.example/, "
                                         "http://crl.example/a"));
      }
    }
  }
}

// What comes after the decision still counts: the daemon has it checked, and the IKE SA goes.
TEST(FetchedStatus, LateAndRevoked) {
  const Pki pki;
  for (const int initiator : {0, 1}) {
    Net net(1, pki, RevocationPolicy::kRelaxed, initiator, 0);
    net.answer(pki.list("flexo"), 40s);
    ASSERT_TRUE(net.comes_up(30s)) << net.log();
    net.world.run_for(60s);
    net.world.command("bender", ike::CheckRevocation{net.world.keys.lists});
    net.world.run_for(5s);
    EXPECT_THAT(net.log(),
                HasSubstr("the IKE SA is closed: the peer's certificate with the serial"));
    EXPECT_FALSE(net.world.all_up());
  }
}

TEST(FetchedStatus, OutOfDate) {
  const Pki pki;
  Net relaxed(1, pki, RevocationPolicy::kRelaxed, 0, 0);
  relaxed.answer(pki.list("", kUtc - 10), 1s);
  EXPECT_TRUE(relaxed.comes_up(60s)) << relaxed.log();
  Net strict(1, pki, RevocationPolicy::kStrict, 0, 0);
  strict.answer(pki.list("", kUtc - 10), 1s);
  EXPECT_FALSE(strict.comes_up(60s));
  EXPECT_THAT(strict.log(), HasSubstr("was in force until"));
  Net old(1, pki, RevocationPolicy::kRelaxed, 0, 0);
  old.answer(pki.list("flexo", kUtc - 10), 1s);
  EXPECT_FALSE(old.comes_up(60s)) << "what an old list revoked stays revoked";
}

// A wait holds up nobody else, and what comes when its SA is gone does no harm.
TEST(FetchedStatus, OthersDoNotWait) {
  const Pki pki;
  Net net(1, pki, RevocationPolicy::kStrict, 1, 0);
  net.world.add_host("amy", "10.0.0.3");
  net.world.connect("bender", "amy");
  net.answer(pki.list(""), 7s);
  for (const char* name : kHosts) {
    net.world.command(name, ike::Configure{net.world.host(name).connections});
  }
  ASSERT_TRUE(net.world.run_until([&] { return net.waits() == 1; }, 3s)) << net.log();
  EXPECT_EQ(net.world.host("bender").engine.core().half_open.size(), 1u)
      << "who waits counts, so that a flood of them meets the limit";
  net.world.command("amy", ike::Configure{net.world.host("amy").connections});
  EXPECT_TRUE(net.world.run_until(
      [&] { return net.world.host("amy").engine.snapshot().front().state == "up"; }, 3s));
  net.world.command("flexo", ike::Terminate{"flexo-bender"});
  net.world.command("bender", ike::Terminate{"bender-flexo"});
  net.world.run_for(60s);
  EXPECT_TRUE(net.world.fault().empty() || !net.world.all_up());
}

// A certificate that somebody merely shows makes nobody fetch: the signature comes first.
TEST(FetchedStatus, NotForWhoDoesNotHaveTheKey) {
  const Pki pki;
  for (const int initiator : {0, 1}) {
    Net net(1, pki, RevocationPolicy::kStrict, initiator, 0);
    net.world.keys.keys["flexo"] = TestAuthority::private_key("thief");
    net.answer(pki.list(""), 1s);
    EXPECT_FALSE(net.comes_up(60s));
    EXPECT_EQ(net.count("bender", Counter::kRevocationWaits), 0u) << net.log();
  }
}

// RFC 4806: the response comes with the certificate, and nothing has to be fetched.
TEST(StapledStatus, GoodNeedsNoFetch) {
  const Pki pki;
  for (const std::uint64_t seed : seeds(20)) {
    for (const int initiator : {0, 1, 2}) {
      Net net(seed, pki, RevocationPolicy::kStrict, initiator, 0.2);
      for (const char* name : kHosts) net.world.keys.statuses[name] = pki.response(name);
      net.never();
      ASSERT_TRUE(net.comes_up(120s)) << net.log();
      EXPECT_EQ(net.fetches, 0u);
    }
  }
}

TEST(StapledStatus, Revoked) {
  const Pki pki;
  for (const int initiator : {0, 1}) {
    Net net(1, pki, RevocationPolicy::kRelaxed, initiator, 0);
    net.world.keys.statuses["flexo"] = pki.response("flexo", V_OCSP_CERTSTATUS_REVOKED);
    net.answer(pki.list(""), 1s);
    EXPECT_FALSE(net.comes_up(60s));
    EXPECT_THAT(net.log(), HasSubstr("says the OCSP responder 'CN=Root,O=Test'"));
  }
}

// Of another certificate, of another CA, old, or no response at all: it is as if there were none.
TEST(StapledStatus, WhatIsOfNoUse) {
  const Pki pki;
  const TestAuthority impostor("Impostor");
  const Bytes bad[] = {pki.response("bender"), impostor.respond({pki.certificate("flexo")}),
                       pki.response("flexo", V_OCSP_CERTSTATUS_GOOD, kUtc - 600),
                       Bytes(20'000, 0x30), Bytes{1}};
  for (const Bytes& response : bad) {
    Net strict(1, pki, RevocationPolicy::kStrict, 0, 0);
    strict.world.keys.statuses["flexo"] = response;
    strict.answer(pki.list(""), 1s);
    ASSERT_TRUE(strict.comes_up(60s)) << strict.log();
    EXPECT_GE(strict.count("bender", Counter::kResponsesUnused), 1u);
    EXPECT_THAT(strict.log(), HasSubstr("the OCSP response that the peer sent is not used: it "));
    EXPECT_GE(strict.fetches, 1u);
    Net refused(1, pki, RevocationPolicy::kStrict, 1, 0);
    refused.world.keys.statuses["flexo"] = response;
    refused.never();
    EXPECT_FALSE(refused.comes_up(60s));
  }
}

}  // namespace
}  // namespace espalier::sim
