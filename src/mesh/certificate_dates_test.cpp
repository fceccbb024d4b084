#include "mesh/certificate_dates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/pki_testing.hpp"

namespace espalier::mesh {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int64_t kDay = 86400;
constexpr std::int64_t kYear = 365 * kDay;

std::optional<DateState> state(Dated what, std::int64_t now) {
  const auto notice = judge(what, now);
  if (!notice) return std::nullopt;
  EXPECT_NE(notice->text, "");
  return notice->state;
}

TEST(CertificateDates, ThirtyDaysSevenDaysAndTheEnd) {
  const Dated year{DateKind::kOwn, "x509/bender.pem", "CN=bender", 1000, 1000 + kYear};
  EXPECT_EQ(state(year, 999), DateState::kFuture);
  EXPECT_EQ(state(year, 1000), std::nullopt);
  EXPECT_EQ(state(year, year.until - 30 * kDay - 1), std::nullopt);
  EXPECT_EQ(state(year, year.until - 30 * kDay), DateState::kSoon);
  EXPECT_EQ(state(year, year.until - 7 * kDay - 1), DateState::kSoon);
  EXPECT_EQ(state(year, year.until - 7 * kDay), DateState::kUrgent);
  EXPECT_EQ(state(year, year.until), DateState::kUrgent);
  EXPECT_EQ(state(year, year.until + 1), DateState::kOver);
}

// A certificate of a day is not "expiring soon" from its first minute.
TEST(CertificateDates, ShortLivesHaveShorterNotice) {
  const Dated day{DateKind::kPeer, "bender-flexo", "CN=flexo", 0, kDay};
  EXPECT_EQ(state(day, kDay / 2), std::nullopt);
  EXPECT_EQ(state(day, kDay - kDay / 3), DateState::kSoon);
  EXPECT_EQ(state(day, kDay - kDay / 10), DateState::kUrgent);
  const Dated list{DateKind::kList, "x509crl", "CN=root", 0, 10 * kDay};
  EXPECT_EQ(state(list, 8 * kDay), std::nullopt);
  EXPECT_EQ(state(list, 9 * kDay), DateState::kSoon);
  EXPECT_EQ(state(list, 9 * kDay + kDay / 2), DateState::kUrgent);
}

TEST(CertificateDates, TheSentenceSaysWhatToDoNext) {
  const Dated own{DateKind::kOwn, "x509/bender.pem", "CN=bender", 0, kYear};
  const auto over = judge(own, kYear + 1);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->level(), LogLevel::kError);
  EXPECT_EQ(over->text,
            "x509/bender.pem: the certificate 'CN=bender' was valid until 1971-01-01 00:00:00 UTC: "
            "peers refuse it; issue a new one, put it in that file's place with its key in "
            "private/, and run 'espalier reload'");
  const auto soon = judge(own, kYear - 3 * kDay - 5);
  ASSERT_TRUE(soon);
  EXPECT_EQ(soon->level(), LogLevel::kWarning);
  EXPECT_THAT(soon->text, AllOf(HasSubstr("for 3 days more"), HasSubstr("issue a new one")));
}

TEST(CertificateDates, OneOfOurOwnThatIsRevoked) {
  const Dated own{DateKind::kOwn, "x509/bender.pem", "CN=bender", 0, kYear};
  const DateNotice notice = revoked_notice(own, "was revoked by 'CN=root' on a day");
  EXPECT_EQ(notice.level(), LogLevel::kError);
  EXPECT_EQ(name(notice.state), "revoked");
  EXPECT_THAT(notice.text, HasSubstr("x509/bender.pem: the certificate 'CN=bender' was revoked by "
                                     "'CN=root' on a day: peers refuse it; issue a new one"));
}

TEST(CertificateDates, OfFilesAndLists) {
  using crypto::test::Issue;
  using crypto::test::kPkiEnd;
  using crypto::test::kPkiStart;
  const crypto::test::TestAuthority root("Root");
  const std::int64_t now = kPkiStart + kYear;
  const std::vector<OwnFile> own = {
      {"x509/a.pem", "private/a.pem", {root.issue("a", Issue{false, {}, kPkiStart, now - 1})}}};
  crypto::RevocationLists lists;
  ASSERT_TRUE(lists.add(root.revoke({{}, now - 10 * kDay, now - 1}), {root.certificate}));
  const auto certificates = judge(dated(own, {root.certificate}), now);
  ASSERT_THAT(certificates, SizeIs(1));
  EXPECT_EQ(certificates[0].what.where, "x509/a.pem");
  EXPECT_EQ(certificates[0].state, DateState::kOver);
  const auto of_lists = judge(dated(lists), now);
  ASSERT_THAT(of_lists, SizeIs(1));
  EXPECT_THAT(of_lists[0].text, HasSubstr("the revocation list of 'CN=Root,O=Test' was valid"));
  EXPECT_THAT(judge(dated(own, {root.certificate}), kPkiEnd + 1), SizeIs(2));
}

}  // namespace
}  // namespace espalier::mesh
