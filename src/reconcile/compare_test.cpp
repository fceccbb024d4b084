#include "reconcile/compare.hpp"

#include <gtest/gtest.h>

#include "policy/selectors.hpp"

namespace espalier::reconcile {
namespace {

const Own kOwn{ReqId(0xe5000001), ReqId(0xe5ffffff)};
const IpAddress kFlexo = IpAddress::parse("10.0.0.2").value();
const IpAddress kAmy = IpAddress::parse("10.0.0.3").value();

Sa in(std::uint32_t spi, std::uint32_t reqid = 0xe5000001) {
  return {Direction::kIn, Spi(spi), kFlexo, ReqId(reqid), false};
}
Sa out(std::uint32_t spi, const IpAddress& peer = kFlexo, std::uint32_t reqid = 0xe5000001) {
  return {Direction::kOut, Spi(spi), peer, ReqId(reqid), false};
}
Policy policy_of(std::uint32_t reqid, const char* remote) {
  return {ReqId(reqid),
          {policy::from_prefix(Prefix::parse("10.0.0.1/32").value())},
          {policy::from_prefix(Prefix::parse(remote).value())}};
}

TEST(Reconcile, NothingToDo) {
  State state{{in(1), out(2)}, {policy_of(0xe5000001, "10.0.0.2/32")}};
  EXPECT_TRUE(compare(state, state, kOwn).empty());
  EXPECT_TRUE(compare({}, {}, kOwn).empty());
  // The inbound SA's peer moved: it is the same SA.
  State moved = state;
  moved.sas[0].peer = kAmy;
  EXPECT_TRUE(compare(state, moved, kOwn).empty());
}

TEST(Reconcile, WhatIsGoneIsToldAndNotInstalledAgain) {
  const State desired{{in(1), out(2), out(2, kAmy)}, {}};
  const Repairs repairs = compare(desired, {{out(2, kAmy)}, {}}, kOwn);
  EXPECT_EQ(repairs.lost, (std::vector<Sa>{in(1), out(2)}));
  EXPECT_TRUE(repairs.orphans.empty());
  // One SPI in the other direction, or at another peer, is another SA.
  EXPECT_EQ(compare({{in(2)}, {}}, {{out(2)}, {}}, kOwn).lost, std::vector<Sa>{in(2)});
}

TEST(Reconcile, WhatIsLeavingMayBeThereOrNot) {
  State desired{{in(1)}, {}};
  desired.sas[0].leaving = true;
  EXPECT_TRUE(compare(desired, {}, kOwn).empty());
  EXPECT_TRUE(compare(desired, {{in(1)}, {}}, kOwn).empty());
}

TEST(Reconcile, OnlyOurOwnIsRemoved) {
  const State actual{{in(1), in(3, 7), out(4, kAmy, 0xe6000000)},
                     {policy_of(0xe5000009, "10.0.0.9/32"), policy_of(7, "10.0.0.8/32")}};
  const Repairs repairs = compare({}, actual, kOwn);
  EXPECT_EQ(repairs.orphans, std::vector<Sa>{in(1)});
  EXPECT_EQ(repairs.orphaned_policies, std::vector<ReqId>{ReqId(0xe5000009)});
  EXPECT_TRUE(repairs.lost.empty() && repairs.missing_policies.empty());
}

TEST(Reconcile, PoliciesAreSetAgain) {
  const State desired{{},
                      {policy_of(0xe5000001, "10.0.0.2/32"), policy_of(0xe5000002, "10.0.0.3/32")}};
  const Repairs repairs = compare(desired, {{}, {policy_of(0xe5000002, "10.0.0.4/32")}}, kOwn);
  EXPECT_EQ(repairs.missing_policies, desired.policies) << "one is gone, one is another's";
  EXPECT_TRUE(repairs.orphaned_policies.empty());
}

}  // namespace
}  // namespace espalier::reconcile
