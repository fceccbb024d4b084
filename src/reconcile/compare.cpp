#include "reconcile/compare.hpp"

#include <map>
#include <set>
#include <tuple>

namespace espalier::reconcile {
namespace {

using Name = std::tuple<Direction, Spi, IpAddress>;

// Inbound SAs are named by the SPI alone, which we chose.
Name name_of(const Sa& sa) {
  return {sa.direction, sa.spi, sa.direction == Direction::kOut ? sa.peer : IpAddress()};
}

bool is_own(ReqId reqid, const Own& own) {
  return reqid.value >= own.first.value && reqid.value <= own.last.value;
}

std::map<ReqId, const Policy*> by_reqid(const std::vector<Policy>& policies) {
  std::map<ReqId, const Policy*> out;
  for (const Policy& each : policies) out[each.reqid] = &each;
  return out;
}

}  // namespace

Repairs compare(const State& desired, const State& actual, const Own& own) {
  Repairs repairs;
  const auto wanted_policies = by_reqid(desired.policies), policies = by_reqid(actual.policies);
  for (const auto& [reqid, policy] : wanted_policies) {
    const auto there = policies.find(reqid);
    if (there == policies.end() || !(*there->second == *policy)) {
      repairs.missing_policies.push_back(*policy);
    }
  }
  for (const auto& [reqid, policy] : policies) {
    if (is_own(reqid, own) && !wanted_policies.contains(reqid)) {
      repairs.orphaned_policies.push_back(reqid);
    }
  }
  std::set<Name> wanted, there;
  for (const Sa& sa : desired.sas) wanted.insert(name_of(sa));
  for (const Sa& sa : actual.sas) {
    there.insert(name_of(sa));
    if (is_own(sa.reqid, own) && !wanted.contains(name_of(sa))) repairs.orphans.push_back(sa);
  }
  for (const Sa& sa : desired.sas) {
    if (!sa.leaving && !there.contains(name_of(sa))) repairs.lost.push_back(sa);
  }
  return repairs;
}

}  // namespace espalier::reconcile
