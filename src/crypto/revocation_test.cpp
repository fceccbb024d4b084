#include "crypto/revocation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/limits.hpp"
#include "crypto/pki_testing.hpp"

namespace espalier::crypto {
namespace {

using test::Issue;
using test::Revoke;
using test::TestAuthority;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::int64_t kNow = 1795219200;  // 2026-11-21

struct Pki {
  TestAuthority root{"Root"};
  TestAuthority sub{"Sub", &root};
  Bytes leaf = sub.issue("leaf");
  Bytes with_uri = sub.issue(
      "with-uri", Issue{false, {{NID_crl_distribution_points, "URI:http://crl.example.net/sub"}}});
  std::vector<Bytes> cas{root.certificate, sub.certificate};

  std::vector<PathCertificate> path(const Bytes& certificate) const {
    auto made = validate_path({certificate, sub.certificate}, {root.certificate}, kNow);
    EXPECT_TRUE(made.ok()) << (made ? "" : made.error().message);
    return made ? *made : std::vector<PathCertificate>();
  }
};

std::string why(const Status& status) { return status ? std::string() : status.error().message; }

TEST(Revocation, RelaxedNeedsNoList) {
  const Pki pki;
  const RevocationLists none;
  EXPECT_THAT(pki.path(pki.leaf), SizeIs(2));
  EXPECT_EQ(why(none.check(pki.path(pki.leaf), RevocationPolicy::kRelaxed, kNow)), "");
  EXPECT_EQ(why(none.check(pki.path(pki.leaf), RevocationPolicy::kIfUri, kNow)), "");
  EXPECT_THAT(why(none.check(pki.path(pki.with_uri), RevocationPolicy::kIfUri, kNow)),
              HasSubstr("CN=with-uri,O=Test' is refused: its status could not be had from "
                        "http://crl.example.net/sub (the log says why) (revocation: ifuri)"));
  EXPECT_THAT(why(none.check(pki.path(pki.leaf), RevocationPolicy::kStrict, kNow)),
              HasSubstr("CN=leaf,O=Test' is refused: there is no revocation list of its issuer "
                        "'CN=Sub,O=Test': put it into x509crl (revocation: strict)"));
}

TEST(Revocation, ARevokedLeafAndARevokedCaAreNamed) {
  const Pki pki;
  for (const bool leaf : {true, false}) {
    RevocationLists lists;
    const Bytes crl =
        leaf ? pki.sub.revoke({{pki.leaf}}) : pki.root.revoke({{pki.sub.certificate}});
    ASSERT_EQ(why(lists.add(crl, pki.cas)), "");
    for (const auto policy :
         {RevocationPolicy::kRelaxed, RevocationPolicy::kIfUri, RevocationPolicy::kStrict}) {
      const std::string text = why(lists.check(pki.path(pki.leaf), policy, kNow));
      if (leaf || policy != RevocationPolicy::kStrict) {
        EXPECT_THAT(text,
                    HasSubstr(leaf ? "'CN=leaf,O=Test' is refused: it was revoked by 'CN=Sub"
                                   : "'CN=Sub,O=Test' is refused: it was revoked by 'CN=Root"));
        EXPECT_THAT(text, HasSubstr("its key was compromised"));
      } else {
        EXPECT_THAT(text, HasSubstr("there is no revocation list"));
      }
    }
    EXPECT_EQ(why(lists.check(pki.path(pki.with_uri), RevocationPolicy::kRelaxed, kNow)).empty(),
              leaf);
  }
}

TEST(Revocation, StrictIsContentWithListsInForceOfEachCa) {
  const Pki pki;
  RevocationLists lists;
  ASSERT_EQ(why(lists.add(pki.sub.revoke({}), pki.cas)), "");
  EXPECT_THAT(why(lists.check(pki.path(pki.leaf), RevocationPolicy::kStrict, kNow)),
              HasSubstr("CN=Sub,O=Test' is refused: there is no revocation list of its issuer "
                        "'CN=Root"));
  EXPECT_EQ(why(lists.check(pki.path(pki.with_uri), RevocationPolicy::kIfUri, kNow)), "");
  ASSERT_EQ(why(lists.add(pki.root.revoke({}), pki.cas)), "");
  EXPECT_EQ(why(lists.check(pki.path(pki.leaf), RevocationPolicy::kStrict, kNow)), "");
  EXPECT_EQ(lists.size(), 2u);
}

TEST(Revocation, ListsOutOfTheirDates) {
  const Pki pki;
  RevocationLists lists;
  ASSERT_EQ(why(lists.add(pki.root.revoke({}), pki.cas)), "");
  ASSERT_EQ(why(lists.add(pki.sub.revoke({{pki.with_uri}, kNow - 100, kNow - 1}), pki.cas)), "");
  EXPECT_THAT(why(lists.check(pki.path(pki.leaf), RevocationPolicy::kStrict, kNow)),
              HasSubstr("was in force until"));
  EXPECT_EQ(why(lists.check(pki.path(pki.leaf), RevocationPolicy::kRelaxed, kNow)), "");
  EXPECT_THAT(why(lists.check(pki.path(pki.with_uri), RevocationPolicy::kRelaxed, kNow)),
              HasSubstr("was revoked"))
      << "what an outdated list revoked stays revoked";
  ASSERT_THAT(lists.dates(), SizeIs(2));
  EXPECT_EQ(lists.dates()[0].next_update == kNow - 1, lists.dates()[1].next_update != kNow - 1);
  RevocationLists early;
  ASSERT_EQ(why(early.add(pki.sub.revoke({{}, kNow + 1, kNow + 100}), pki.cas)), "");
  EXPECT_THAT(why(early.check(pki.path(pki.leaf), RevocationPolicy::kStrict, kNow)),
              HasSubstr("is in force only from"));
}

TEST(Revocation, HugeListsAreRefused) {
  const Pki pki;
  RevocationLists lists;
  EXPECT_THAT(why(lists.add(Bytes(kMaxCrlOctets + 1, 0x30), pki.cas)),
              HasSubstr("is larger than 8388608 octets"));
  EXPECT_THAT(why(lists.add(Bytes(kMaxCrlOctets, 0x30), pki.cas)),
              HasSubstr("is no revocation list"));
  EXPECT_TRUE(lists.empty());
}

TEST(Revocation, TheYoungerOfTwoListsHolds) {
  const Pki pki;
  const Bytes older = pki.sub.revoke({{pki.leaf}, kNow - 100, kNow + 100});
  const Bytes younger = pki.sub.revoke({{}, kNow - 50, kNow + 100});
  for (const bool older_first : {true, false}) {
    RevocationLists lists;
    ASSERT_EQ(why(lists.add(older_first ? older : younger, pki.cas)), "");
    ASSERT_EQ(why(lists.add(older_first ? younger : older, pki.cas)), "");
    EXPECT_EQ(why(lists.check(pki.path(pki.leaf), RevocationPolicy::kRelaxed, kNow)), "");
  }
}

TEST(Revocation, ListsThatCannotBeUsedAreRefusedByName) {
  const Pki pki;
  RevocationLists lists;
  const auto error = [&](ByteView file, const std::vector<Bytes>& cas) {
    const Status added = lists.add(file, cas);
    EXPECT_FALSE(added.ok());
    return why(added);
  };
  const Bytes list = pki.sub.revoke({{pki.leaf}});
  EXPECT_THAT(error(list, {pki.root.certificate}), HasSubstr("'CN=Sub,O=Test', whose certificate "
                                                             "is not in x509ca"));
  // The same name, another key.
  const TestAuthority impostor("Sub", &pki.root, Issue{true, {}, test::kPkiStart, test::kPkiEnd});
  Bytes forged = list;
  forged.back() ^= 1;
  EXPECT_THAT(error(forged, pki.cas), HasSubstr("is not signed by the CA 'CN=Sub"));
  const TestAuthority no_lists("Sub", &pki.root,
                               Issue{true, {{NID_key_usage, "critical,keyCertSign"}}});
  EXPECT_THAT(error(no_lists.revoke({}), {no_lists.certificate}), HasSubstr("may not sign lists"));
  EXPECT_THAT(error(pki.sub.revoke({{}, kNow, kNow + 9, {{NID_delta_crl, "critical,DER:020101"}}}),
                    pki.cas),
              HasSubstr("delta list"));
  EXPECT_THAT(
      error(pki.sub.revoke(
                {{}, kNow, kNow + 9, {{NID_issuing_distribution_point, "critical,onlyuser:TRUE"}}}),
            pki.cas),
      HasSubstr("for a part of the CA's certificates"));
  EXPECT_THAT(error(Bytes{1, 2, 3}, pki.cas), HasSubstr("no revocation list"));
  EXPECT_THAT(error(as_bytes("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), pki.cas),
              HasSubstr("cannot be read at its list 1"));
  for (std::size_t size = 0; size < list.size(); ++size) {
    EXPECT_FALSE(lists.add(ByteView(list).first(size), pki.cas).ok()) << size;
  }
  EXPECT_TRUE(lists.empty());
}

TEST(Revocation, ASerialNumberIsOfItsIssuerOnly) {
  const Pki pki;
  const TestAuthority other("Other");
  const Bytes same_serial = other.issue("leaf");
  RevocationLists lists;
  ASSERT_EQ(why(lists.add(other.revoke({{same_serial}}), {other.certificate})), "");
  EXPECT_EQ(why(lists.check(pki.path(pki.leaf), RevocationPolicy::kRelaxed, kNow)), "");
}

TEST(Path, NameConstraintsPathLengthAndIntermediatesOfOurOwn) {
  const Pki pki;
  const TestAuthority fenced("Fenced", &pki.root,
                             Issue{true, {{NID_name_constraints, "critical,permitted;DNS:a.net"}}});
  const auto with_name = [&](const char* name) {
    return fenced.issue("x", Issue{false, {{NID_subject_alt_name, std::string("DNS:") + name}}});
  };
  EXPECT_TRUE(
      validate_path({with_name("h.a.net"), fenced.certificate}, {pki.root.certificate}, kNow).ok());
  EXPECT_THAT(
      validate_path({with_name("h.b.net"), fenced.certificate}, {pki.root.certificate}, kNow)
          .error()
          .message,
      HasSubstr("name constraints"));
  const TestAuthority flat("Flat", &pki.root,
                           Issue{true, {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"}}});
  const TestAuthority below("Below", &flat);
  EXPECT_THAT(validate_path({below.issue("y"), below.certificate, flat.certificate},
                            {pki.root.certificate}, kNow)
                  .error()
                  .message,
              HasSubstr("too many CAs"));
  // x509ca may hold intermediates beside the root: then the peer need not send them.
  EXPECT_THAT(validate_path({pki.leaf}, pki.cas, kNow).value(), SizeIs(2));
  const TestAuthority expired("Expired", &pki.root,
                              Issue{true, {}, test::kPkiStart, test::kPkiStart + 10});
  EXPECT_THAT(validate_path({expired.issue("z"), expired.certificate}, {pki.root.certificate}, kNow)
                  .error()
                  .message,
              HasSubstr("CN=Expired,O=Test' is refused: it was valid until"));
}

}  // namespace
}  // namespace espalier::crypto
