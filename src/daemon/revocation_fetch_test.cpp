// What is asked for, in which order, what is kept, and what is tried again when.
#include "daemon/revocation_fetch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "crypto/limits.hpp"
#include "crypto/pki_testing.hpp"

namespace espalier::daemon {
namespace {

using crypto::PathCertificate;
using crypto::test::Issue;
using crypto::test::TestAuthority;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kUtc = crypto::test::kPkiStart + 86400 * 365;

struct FakeHttp final : HttpClient {
  std::vector<HttpRequest> asked;
  std::vector<HttpAnswer> answers;
  bool full = false;
  Status submit(HttpRequest request) override {
    if (full) return make_error(ErrorCode::kBusy, "too many fetches wait already");
    asked.push_back(std::move(request));
    return {};
  }
  std::vector<HttpAnswer> take() override { return std::exchange(answers, {}); }
  void answer(Bytes body) { answers.push_back({asked.back().id, std::nullopt, std::move(body)}); }
  void fail() {
    answers.push_back({asked.back().id, make_error(ErrorCode::kTimeout, "it took too long"), {}});
  }
};

struct Lines final : Logger {
  std::vector<LogLine> lines;
  void log(const LogLine& line) override { lines.push_back(line); }
  std::string warnings() const {
    std::string all;
    for (const LogLine& line : lines) {
      if (line.level <= LogLevel::kWarning) all += line.text + "\n";
    }
    return all;
  }
};

class Fetch : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/espalier-fetch-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
    fetcher = made();
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::unique_ptr<RevocationFetcher> made() {
    auto out = std::make_unique<RevocationFetcher>(
        RevocationFetcher::Parts{http, log, rng, folder + "/revocation"});
    out->load(now, kUtc);
    out->use(nullptr, {}, now);
    return out;
  }
  PathCertificate host(const std::string& name, bool ocsp, bool list) {
    std::vector<crypto::test::Extension> extensions;
    if (ocsp) extensions.push_back({NID_info_access, "OCSP;URI:http://ocsp/"});
    if (list)
      extensions.push_back({NID_crl_distribution_points, "URI:http://crl/a,URI:http://crl/b"});
    const Bytes der = root.issue(name, Issue{false, extensions});
    return crypto::validate_path({der}, {root.certificate}, kUtc).value().front();
  }
  std::vector<std::uint64_t> handle(std::int64_t utc = kUtc) {
    const auto outcome = fetcher->handle(now, utc);
    changed = outcome.changed;
    std::vector<std::uint64_t> out;
    for (const ike::JobId job : outcome.done) out.push_back(job.value);
    return out;
  }
  void want(std::uint64_t job, const std::vector<PathCertificate>& which) {
    fetcher->want({job}, which, now, kUtc);
  }
  Bytes list(const std::vector<Bytes>& revoked = {}, std::int64_t until = kUtc + 4000) {
    return root.revoke({revoked, kUtc - 10, until});
  }

  TestAuthority root{"Root"}, other{"Other"};
  std::string folder;
  FakeHttp http;
  Lines log;
  crypto::SeededRng rng{1};
  Instant now{1000s};
  bool changed = false;
  std::unique_ptr<RevocationFetcher> fetcher;
};

TEST_F(Fetch, AListOnceForAllCertificatesOfItsCa) {
  const auto a = host("a", false, true), b = host("b", false, true);
  want(1, {a});
  want(2, {b});
  ASSERT_EQ(http.asked.size(), 1u);
  EXPECT_EQ(http.asked[0].url, "http://crl/a");
  EXPECT_TRUE(http.asked[0].body.empty());
  EXPECT_THAT(handle(), IsEmpty());
  http.answer(list({a.der}));
  EXPECT_THAT(handle(), ElementsAre(1u, 2u));
  EXPECT_TRUE(changed);
  EXPECT_TRUE(fetcher->lists()->revoked(a.id));
  EXPECT_TRUE(fetcher->lists()->is_known_good(b.id, kUtc));
  want(3, {a, b});
  EXPECT_EQ(http.asked.size(), 1u) << "known already";
  EXPECT_THAT(handle(), ElementsAre(3u));
  EXPECT_FALSE(changed);
}

TEST_F(Fetch, OcspFirstThenTheListsInTurn) {
  const auto a = host("a", true, true);
  want(1, {a});
  ASSERT_EQ(http.asked.size(), 1u);
  EXPECT_EQ(http.asked[0].url, "http://ocsp/");
  EXPECT_EQ(http.asked[0].content_type, "application/ocsp-request");
  EXPECT_FALSE(http.asked[0].body.empty());
  http.fail();
  EXPECT_THAT(handle(), IsEmpty());
  ASSERT_EQ(http.asked.size(), 2u);
  EXPECT_EQ(http.asked[1].url, "http://crl/a");
  http.answer(list({}, kUtc - 5));  // one that is not in force any more
  EXPECT_THAT(handle(), IsEmpty());
  ASSERT_EQ(http.asked.size(), 3u);
  EXPECT_EQ(http.asked[2].url, "http://crl/b");
  http.answer(list());
  EXPECT_THAT(handle(), ElementsAre(1u));
  EXPECT_THAT(log.warnings(), HasSubstr("the status of 'CN=a,O=Test' could not be had from "
                                        "http://ocsp/: it took too long; tried again in 10 s"));
  EXPECT_THAT(log.warnings(), HasSubstr("http://crl/a: what it sent it is not in force now"));
}

// All in vain: the engine hears at once, and nobody waits for these addresses until they are due.
TEST_F(Fetch, BackOff) {
  const auto a = host("a", true, false);
  want(1, {a});
  Duration expected = kFetchRetryFirst;
  for (int i = 0; i < 12; ++i) {
    http.fail();
    const auto done = handle();
    EXPECT_EQ(done.size(), i == 0 ? 1u : 0u);
    ASSERT_TRUE(fetcher->next());
    EXPECT_EQ(*fetcher->next(), now + expected);
    want(100, {a});
    EXPECT_THAT(handle(), ElementsAre(100u)) << "no wait while it is backing off";
    now += expected;
    EXPECT_THAT(handle(), IsEmpty());
    EXPECT_EQ(http.asked.size(), static_cast<std::size_t>(i) + 2);
    expected = std::min<Duration>(expected * 2, kFetchRetryMost);
  }
  EXPECT_EQ(std::count_if(log.lines.begin(), log.lines.end(),
                          [](const LogLine& line) { return line.level == LogLevel::kWarning; }),
            1)
      << "said once";
  http.answer(root.respond({a.der, V_OCSP_CERTSTATUS_GOOD, kUtc - 10, kUtc + 4000}));
  handle();
  EXPECT_EQ(*fetcher->next(), now + 1000s) << "a quarter of its time";
}

TEST_F(Fetch, RefreshedAheadAndARevocationShows) {
  const auto a = host("a", false, true);
  want(1, {a});
  http.answer(list());
  handle();
  EXPECT_EQ(*fetcher->next(), now + 1000s);
  now += 1000s;
  handle();
  ASSERT_EQ(http.asked.size(), 2u);
  http.answer(list({a.der}));
  const auto before = fetcher->lists();
  handle();
  EXPECT_TRUE(changed);
  EXPECT_FALSE(before->revokes_the_same(*fetcher->lists()));
  // Nobody needs it for a day: it is let go; a certificate in use keeps it.
  for (int i = 0; i < 40; ++i) {
    now += 1h;
    fetcher->keep({a.id}, now);
    handle();
    http.answer(list({a.der}));
    handle();
  }
  const std::size_t asked = http.asked.size();
  EXPECT_GE(asked, 40u);
  now += kFetchForget + 2h;
  handle();
  EXPECT_EQ(http.asked.size(), asked);
  EXPECT_FALSE(fetcher->next());
}

TEST_F(Fetch, WhatIsNotTheCasIsRefused) {
  const auto a = host("a", false, true);
  for (const Bytes& bad :
       {other.revoke({}), Bytes{1, 2, 3},
        root.revoke({{}, kUtc, kUtc + 9, {{NID_delta_crl, "critical,DER:020101"}}}),
        Bytes(crypto::kMaxCrlOctets + 1, 0x30)}) {
    fetcher = made();
    want(1, {a});
    http.answer(bad);
    handle();
    EXPECT_FALSE(fetcher->lists()->known_until(a.id, kUtc));
  }
  EXPECT_THAT(log.warnings(), HasSubstr("is a delta list"));
  EXPECT_THAT(log.warnings(), HasSubstr("is of the CA 'CN=Other,O=Test'"));
}

// A replayed response: of another request, of another certificate, old.
TEST_F(Fetch, ReplayedResponses) {
  const auto a = host("a", true, false), b = host("b", true, false);
  for (const Bytes& bad :
       {root.respond({a.der, V_OCSP_CERTSTATUS_GOOD, kUtc, kUtc + 60, Bytes(32, 1)}),
        root.respond({b.der, V_OCSP_CERTSTATUS_GOOD, kUtc, kUtc + 60}),
        root.respond({a.der, V_OCSP_CERTSTATUS_GOOD, kUtc - 9000, kUtc - 8000})}) {
    fetcher = made();
    want(1, {a});
    http.answer(bad);
    EXPECT_THAT(handle(), ElementsAre(1u));
    EXPECT_FALSE(fetcher->lists()->known_until(a.id, kUtc));
  }
  EXPECT_THAT(log.warnings(), HasSubstr("its nonce is not ours"));
  EXPECT_THAT(log.warnings(), HasSubstr("is about another certificate"));
  EXPECT_THAT(log.warnings(), HasSubstr("is an old one"));
}

TEST_F(Fetch, ListsOutliveTheDaemon) {
  const auto a = host("a", false, true);
  want(1, {a});
  http.answer(list({a.der}));
  handle();
  fetcher = made();
  EXPECT_TRUE(fetcher->lists()->revoked(a.id));
  handle();
  EXPECT_EQ(http.asked.size(), 2u) << "and is fetched anew";
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/revocation")) {
    EXPECT_EQ(entry.status().permissions() & std::filesystem::perms::mask,
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    std::filesystem::resize_file(entry.path(), 100);
  }
  fetcher = made();
  EXPECT_FALSE(fetcher->lists()->revoked(a.id)) << "half a file is no list";
}

// A daemon that goes on with the IKE SAs of the one before it asks for their peers at once.
TEST_F(Fetch, WhereAPeersStatusIsAskedOutlivesTheDaemon) {
  const auto a = host("a", true, false);
  want(1, {a});
  http.answer(root.respond({a.der, V_OCSP_CERTSTATUS_GOOD, kUtc - 10, kUtc + 4000}));
  handle();
  fetcher->watch({{a, kUtc + 4000}}, now, kUtc);
  fetcher = made();
  http.asked.clear();
  handle();
  ASSERT_EQ(http.asked.size(), 1u);
  EXPECT_EQ(http.asked[0].url, "http://ocsp/");
  http.answer(root.respond({a.der, V_OCSP_CERTSTATUS_REVOKED, kUtc, kUtc + 4000}));
  handle();
  EXPECT_TRUE(fetcher->lists()->revoked(a.id));
  // Nobody has an IKE SA with it any more.
  now += kFetchForget + 1h;
  handle();
  fetcher = made();
  http.asked.clear();
  handle();
  EXPECT_TRUE(http.asked.empty());
}

TEST_F(Fetch, OurOwnStatusForPeers) {
  const auto a = host("a", true, false);
  fetcher->use(nullptr, {{"private/a.pem", {a}}}, now);
  handle();
  ASSERT_EQ(http.asked.size(), 1u);
  EXPECT_THAT(fetcher->own_status("private/a.pem", kUtc), IsEmpty());
  const Bytes good = root.respond({a.der, V_OCSP_CERTSTATUS_GOOD, kUtc - 10, kUtc + 4000});
  http.answer(good);
  handle();
  EXPECT_EQ(fetcher->own_status("private/a.pem", kUtc), good);
  EXPECT_THAT(fetcher->own_status("private/b.pem", kUtc), IsEmpty());
  EXPECT_THAT(fetcher->own_status("private/a.pem", kUtc + 4001), IsEmpty()) << "no old one";
  now += 1000s;
  handle();
  http.answer(root.respond({a.der, V_OCSP_CERTSTATUS_REVOKED, kUtc, kUtc + 4000}));
  handle();
  EXPECT_THAT(fetcher->own_status("private/a.pem", kUtc), IsEmpty());
  EXPECT_TRUE(fetcher->lists()->revoked(a.id)) << "status says so";
}

// What the peer stapled need not be fetched now, but is asked for before it ends.
TEST_F(Fetch, WhatPeersShowedIsKeptFresh) {
  const auto a = host("a", true, true);
  fetcher->watch({{a, kUtc + 400}}, now, kUtc);
  EXPECT_EQ(*fetcher->next(), now + 100s);
  handle();
  EXPECT_TRUE(http.asked.empty());
  now += 100s;
  fetcher->watch({{a, kUtc + 400}}, now, kUtc);
  handle();
  ASSERT_EQ(http.asked.size(), 1u);
  EXPECT_EQ(http.asked[0].url, "http://ocsp/");
  http.answer(root.respond({a.der, V_OCSP_CERTSTATUS_REVOKED, kUtc, kUtc + 4000}));
  handle();
  EXPECT_TRUE(fetcher->lists()->revoked(a.id));
}

TEST_F(Fetch, TooManyAtOnce) {
  http.full = true;
  const auto a = host("a", true, true);
  want(1, {a});
  EXPECT_THAT(handle(), ElementsAre(1u));
}

}  // namespace
}  // namespace espalier::daemon
