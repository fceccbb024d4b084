#include "reconcile/reconcile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/selectors.hpp"

namespace espalier::reconcile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Ours kOurs{ReqId(100), ReqId(200)};
const IpAddress kPeer = IpAddress::v4(0x0a000001), kOther = IpAddress::v4(0x0a000002);

SaName in(std::uint32_t spi) { return {Direction::kIn, Spi(spi), IpAddress()}; }
SaName out(std::uint32_t spi, IpAddress peer = kPeer) { return {Direction::kOut, Spi(spi), peer}; }
PolicySpec policy_of(std::uint32_t reqid, const char* remote) {
  return {"a-b", ReqId(reqid), {}, {policy::from_prefix(Prefix::parse(remote).value())}};
}

TEST(Reconcile, WhatAgreesIsLeftAlone) {
  const Repair repair =
      compare({{out(2), ReqId(100)}, {in(1), ReqId(100)}}, {policy_of(100, "10.0.0.0/8")},
              {{{Direction::kIn, Spi(1), kOther}, ReqId(100)}, {out(2), ReqId(100)}},
              {policy_of(100, "10.0.0.0/8")}, kOurs);
  EXPECT_TRUE(repair.empty());
}

TEST(Reconcile, WhatIsGoneIsRenewedAndNotPutBack) {
  const Repair repair = compare(
      {{in(1), ReqId(100)}, {out(2), ReqId(100)}, {in(3), ReqId(100), false}}, {}, {}, {}, kOurs);
  EXPECT_THAT(repair.renew, ElementsAre(in(1), out(2)));
  EXPECT_THAT(repair.remove, IsEmpty());
}

TEST(Reconcile, WhatNobodyWantsGoesUnlessItIsSomebodyElses) {
  const Repair repair = compare({{out(2), ReqId(100)}}, {},
                                {{in(9), ReqId(150)},
                                 {out(2), ReqId(100)},
                                 {out(2, kOther), ReqId(100)},
                                 {in(8), ReqId(99)},
                                 {in(7), ReqId(0)},
                                 {out(5), ReqId(201)}},
                                {policy_of(150, "10.0.0.0/8"), policy_of(7, "10.0.0.0/8")}, kOurs);
  EXPECT_THAT(repair.remove, ElementsAre(in(9), out(2, kOther)));
  EXPECT_THAT(repair.remove_policies, ElementsAre(ReqId(150)));
  EXPECT_THAT(repair.renew, IsEmpty());
}

TEST(Reconcile, AnSaThatIsOnItsWayOutMayStand) {
  const Repair repair = compare({{in(1), ReqId(100), false}}, {}, {{in(1), ReqId(100)}}, {}, kOurs);
  EXPECT_TRUE(repair.empty());
}

TEST(Reconcile, PoliciesAreSetWhenTheyAreMissingOrOthers) {
  const Repair repair = compare({}, {policy_of(100, "10.0.0.0/8"), policy_of(101, "10.1.0.0/16")},
                                {}, {policy_of(101, "10.2.0.0/16")}, kOurs);
  EXPECT_THAT(repair.set, ElementsAre(policy_of(100, "10.0.0.0/8"), policy_of(101, "10.1.0.0/16")));
  EXPECT_THAT(repair.remove_policies, IsEmpty());
}

}  // namespace
}  // namespace espalier::reconcile
