#include "crypto/ocsp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/limits.hpp"
#include "crypto/pki_testing.hpp"

namespace espalier::crypto {
namespace {

using test::Answer;
using test::Issue;
using test::TestAuthority;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::int64_t kNow = test::kPkiStart + 1000 * 86400;
const Bytes kNonce(32, 0x5a);

// A root, and a host with a responder and a list.
struct Pki {
  TestAuthority root{"Root"}, other{"Other"};
  Bytes leaf = root.issue(
      "host", Issue{false,
                    {{NID_info_access,
                      "OCSP;URI:http://ocsp.example/,caIssuers;URI:"
                      "http://ca.example/ca.crt"},
                     {NID_crl_distribution_points, "URI:ldap://no,URI:http://crl.example/a.crl"}}});
  Bytes second = root.issue("second");
  PathCertificate certificate = path(leaf);

  PathCertificate path(const Bytes& der) const {
    return validate_path({der}, {root.certificate}, kNow).value().front();
  }
  // The responder's own certificate.
  Bytes delegate(const TestAuthority& ca, const char* usage = "OCSPSigning",
                 std::int64_t until = test::kPkiEnd) const {
    return ca.issue("responder",
                    Issue{false, {{NID_ext_key_usage, usage}}, test::kPkiStart, until});
  }
};

std::string why(const Result<OcspStatus>& status) {
  return status ? std::string() : status.error().message;
}

std::string read(const Pki& pki, const Bytes& response, ByteView nonce = {}) {
  return why(read_ocsp(response, pki.certificate, nonce, kNow));
}

TEST(Ocsp, TheCertificateSaysWhereToAsk) {
  const Pki pki;
  EXPECT_THAT(pki.certificate.ocsp_urls, ElementsAre("http://ocsp.example/"));
  EXPECT_THAT(pki.certificate.crl_urls, ElementsAre("http://crl.example/a.crl"));
  EXPECT_TRUE(pki.certificate.names_a_list);
  EXPECT_TRUE(pki.path(pki.second).ocsp_urls.empty());
  std::string many = "URI:http://a/0";
  for (int i = 1; i < 20; ++i) many += ",URI:http://a/" + std::to_string(i);
  const Bytes greedy =
      pki.root.issue("greedy", Issue{false, {{NID_crl_distribution_points, many}}});
  EXPECT_EQ(pki.path(greedy).crl_urls.size(), kMaxStatusAddresses);
}

TEST(Ocsp, TheRequestIsAboutTheCertificateAndHasTheNonce) {
  const Pki pki;
  const auto request = ocsp_request(pki.certificate, kNonce);
  ASSERT_TRUE(request);
  const unsigned char* at = request->data();
  const std::unique_ptr<OCSP_REQUEST, void (*)(OCSP_REQUEST*)> parsed(
      d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(request->size())), OCSP_REQUEST_free);
  ASSERT_NE(parsed, nullptr);
  EXPECT_EQ(OCSP_request_onereq_count(parsed.get()), 1);
  const auto holds = [&](const Bytes& part) {
    return std::search(request->begin(), request->end(), part.begin(), part.end()) !=
           request->end();
  };
  EXPECT_TRUE(holds(kNonce));
  EXPECT_TRUE(holds(pki.certificate.id.serial));
  EXPECT_LT(ocsp_request(pki.certificate, {})->size(), request->size());
}

TEST(Ocsp, GoodRevokedAndUnknown) {
  const Pki pki;
  using Verdict = OcspStatus::Verdict;
  const auto verdict = [&](int word) {
    const auto status =
        read_ocsp(pki.root.respond({pki.leaf, word}), pki.certificate, kNonce, kNow);
    EXPECT_TRUE(status) << why(status);
    return status ? *status : OcspStatus();
  };
  EXPECT_EQ(verdict(V_OCSP_CERTSTATUS_GOOD).verdict, Verdict::kGood);
  EXPECT_EQ(verdict(V_OCSP_CERTSTATUS_UNKNOWN).verdict, Verdict::kUnknown);
  const OcspStatus revoked = verdict(V_OCSP_CERTSTATUS_REVOKED);
  EXPECT_EQ(revoked.verdict, Verdict::kRevoked);
  EXPECT_EQ(revoked.reason, OCSP_REVOKED_STATUS_KEYCOMPROMISE);
  EXPECT_EQ(revoked.at, test::kPkiStart);
  EXPECT_EQ(revoked.usable_until, test::kPkiEnd);
  EXPECT_EQ(revoked.responder, "CN=Root,O=Test");
}

TEST(Ocsp, OnlyTheCaOrWhoItLetsSign) {
  const Pki pki;
  const auto by = [&](const TestAuthority& ca, const Bytes& certificate) {
    Answer answer{pki.leaf};
    answer.signer = "responder";
    answer.signer_certificate = certificate;
    return read(pki, ca.respond(answer));
  };
  EXPECT_EQ(by(pki.root, pki.delegate(pki.root)), "");
  EXPECT_THAT(by(pki.root, pki.delegate(pki.root, "serverAuth")),
              HasSubstr("lacks the extended key usage OCSPSigning"));
  EXPECT_THAT(by(pki.root, pki.root.issue("responder")), HasSubstr("lacks the extended key usage"));
  EXPECT_THAT(by(pki.root, pki.delegate(pki.other)),
              HasSubstr("signed by a certificate that the CA did not issue"));
  EXPECT_THAT(by(pki.root, pki.delegate(pki.root, "OCSPSigning", kNow - 1)),
              HasSubstr("out of its dates"));
  // Below another CA that the root issued: RFC 6960 wants the very issuer.
  const TestAuthority sub("Sub", &pki.root);
  EXPECT_THAT(by(pki.root, pki.delegate(sub)), HasSubstr("did not issue itself"));
  // What it says was changed on the way.
  Bytes response = pki.root.respond({pki.leaf, V_OCSP_CERTSTATUS_GOOD, kNow, kNow + 9});
  const std::string time = "20280927000009Z";
  const auto at = std::search(response.begin(), response.end(), time.begin(), time.end());
  ASSERT_NE(at, response.end());
  at[4] = '1';
  EXPECT_THAT(read(pki, response), HasSubstr("not signed by the responder that it names"));
}

TEST(Ocsp, AboutAnotherCertificateOrOfAnotherCa) {
  const Pki pki;
  EXPECT_THAT(read(pki, pki.root.respond({pki.second})), HasSubstr("is about another certificate"));
  EXPECT_THAT(read(pki, pki.other.respond({pki.leaf})), HasSubstr("is about another certificate"));
}

TEST(Ocsp, NoncesAndOldResponses) {
  const Pki pki;
  const auto respond = [&](const Bytes& nonce, std::int64_t from, std::int64_t until) {
    return pki.root.respond({pki.leaf, V_OCSP_CERTSTATUS_GOOD, from, until, nonce});
  };
  EXPECT_EQ(read(pki, respond(kNonce, kNow, kNow + 10), kNonce), "");
  EXPECT_EQ(read(pki, respond({}, kNow, kNow + 10), kNonce), "") << "many responders give none";
  EXPECT_EQ(read(pki, respond(kNonce, kNow, kNow + 10)), "") << "a stapled one";
  EXPECT_THAT(read(pki, respond(Bytes(32, 1), kNow, kNow + 10), kNonce),
              HasSubstr("its nonce is not ours"));
  // Clocks may differ by five minutes.
  EXPECT_EQ(read(pki, respond({}, kNow - 1000, kNow - kOcspSkew)), "");
  EXPECT_THAT(read(pki, respond({}, kNow - 1000, kNow - kOcspSkew - 1)),
              AllOf(HasSubstr("is an old one"), HasSubstr("was in force until")));
  EXPECT_EQ(read(pki, respond({}, kNow + kOcspSkew, kNow + 9000)), "");
  EXPECT_THAT(read(pki, respond({}, kNow + kOcspSkew + 1, kNow + 9000)),
              HasSubstr("compare the clocks"));
  // Without nextUpdate five minutes, and the skew.
  EXPECT_EQ(read(pki, respond({}, kNow - kOcspWithoutNextUpdate, 0)), "");
  EXPECT_THAT(read(pki, respond({}, kNow - kOcspWithoutNextUpdate - kOcspSkew - 1, 0)),
              HasSubstr("is an old one"));
  EXPECT_THAT(read(pki, respond({}, kNow, kNow - 10)), HasSubstr("a nextUpdate that cannot be"));
}

TEST(Ocsp, WhatIsNoResponse) {
  const Pki pki;
  const Bytes good = pki.root.respond({pki.leaf});
  EXPECT_EQ(read(pki, good), "");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(read(pki, Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))), "");
  }
  Bytes more = good;
  more.push_back(0);
  EXPECT_THAT(read(pki, more), HasSubstr("is not one in DER form"));
  // Each octet changed: never a crash; only what the signature does not cover may still pass.
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x41;
    const auto status = read_ocsp(bad, pki.certificate, {}, kNow);
    if (status) EXPECT_EQ(status->verdict, OcspStatus::Verdict::kGood);
  }
  EXPECT_THAT(read(pki, Bytes(kMaxOcspOctets + 1, 0x30)), HasSubstr("is larger than"));
  EXPECT_THAT(read(pki, *from_hex("30030a0103")), HasSubstr("it has no time now"));
  EXPECT_THAT(read(pki, *from_hex("30030a0106")),
              HasSubstr("does not answer for this certificate"));
}

TEST(Ocsp, WhatIsKnownOfAPath) {
  const Pki pki;
  const auto status = [&](int verdict, std::int64_t from = kNow, std::int64_t until = kNow + 100) {
    return read_ocsp(pki.root.respond({pki.leaf, verdict, from, until}), pki.certificate, {}, kNow)
        .value();
  };
  const std::vector<PathCertificate> path{pki.certificate};
  const auto fault = [&](const RevocationLists& lists, RevocationPolicy policy,
                         std::int64_t now = kNow) {
    const Status checked = lists.check(path, policy, now);
    return checked ? std::string() : checked.error().message;
  };
  RevocationLists lists;
  EXPECT_EQ(fault(lists, RevocationPolicy::kRelaxed), "");
  EXPECT_THAT(fault(lists, RevocationPolicy::kIfUri),
              AllOf(HasSubstr("could not be had from http://ocsp.example/, http://crl.example/"),
                    HasSubstr("(revocation: ifuri)")));
  lists.add(pki.certificate.id, status(V_OCSP_CERTSTATUS_UNKNOWN));
  EXPECT_EQ(fault(lists, RevocationPolicy::kRelaxed), "");
  EXPECT_THAT(fault(lists, RevocationPolicy::kStrict),
              HasSubstr("the OCSP responder 'CN=Root,O=Test' does not know it"));
  lists.add(pki.certificate.id, status(V_OCSP_CERTSTATUS_GOOD));
  EXPECT_EQ(fault(lists, RevocationPolicy::kStrict), "");
  EXPECT_EQ(lists.known_until(pki.certificate.id, kNow), kNow + 100);
  EXPECT_NE(fault(lists, RevocationPolicy::kStrict, kNow + 100 + kOcspSkew + 1), "") << "too old";
  lists.add(pki.certificate.id, status(V_OCSP_CERTSTATUS_REVOKED, kNow - 10));
  EXPECT_EQ(fault(lists, RevocationPolicy::kStrict), "") << "the younger one holds";
  const RevocationLists before = lists;
  lists.add(pki.certificate.id, status(V_OCSP_CERTSTATUS_REVOKED, kNow + 1));
  EXPECT_FALSE(lists.revokes_the_same(before));
  EXPECT_THAT(fault(lists, RevocationPolicy::kRelaxed),
              AllOf(HasSubstr("'CN=host,O=Test' is refused: it was revoked on"),
                    HasSubstr("its key was compromised"), HasSubstr("the OCSP responder")));
  // A list that is in force and does not name it does not take that back.
  ASSERT_TRUE(lists.add(pki.root.revoke({}), {pki.root.certificate}));
  EXPECT_NE(fault(lists, RevocationPolicy::kRelaxed), "");
  lists.forget_ocsp([](const CertificateId&) { return false; });
  EXPECT_EQ(fault(lists, RevocationPolicy::kStrict), "");
}

TEST(Ocsp, MergedListsHaveTheYounger) {
  const Pki pki;
  RevocationLists a, b;
  ASSERT_TRUE(a.add(pki.root.revoke({{pki.leaf}, kNow - 10, kNow + 10}), {pki.root.certificate}));
  ASSERT_TRUE(b.add(pki.root.revoke({{}, kNow - 5, kNow + 20}), {pki.root.certificate}));
  RevocationLists merged = a;
  merged.merge(b);
  EXPECT_FALSE(merged.revoked(pki.certificate.id));
  RevocationLists back = b;
  back.merge(a);
  EXPECT_TRUE(back == merged);
  EXPECT_TRUE(back.revokes_the_same(RevocationLists()));
  EXPECT_FALSE(back.revokes_the_same(a));
}

}  // namespace
}  // namespace espalier::crypto
