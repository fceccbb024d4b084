#include "reconcile/reconcile.hpp"

#include <algorithm>

namespace espalier::reconcile {
namespace {

bool is_ours(ReqId reqid, const Ours& ours) {
  return ours.first.value <= reqid.value && reqid.value <= ours.last.value;
}

// An inbound SA is found by its SPI alone: where its peer is makes no difference.
template <class Sa>
void sort_by_name(std::vector<Sa>& list) {
  for (Sa& sa : list) {
    if (sa.name.direction == Direction::kIn) sa.name.peer = IpAddress();
  }
  std::sort(list.begin(), list.end(), [](const Sa& a, const Sa& b) { return a.name < b.name; });
}

void compare_sas(std::vector<DesiredSa>& desired, std::vector<ActualSa>& actual, const Ours& ours,
                 Repair& repair) {
  sort_by_name(desired);
  sort_by_name(actual);
  auto have = actual.begin();
  const auto surplus = [&](const ActualSa& sa) {
    if (is_ours(sa.reqid, ours)) repair.remove.push_back(sa.name);
  };
  for (const DesiredSa& want : desired) {
    while (have != actual.end() && have->name < want.name) surplus(*have++);
    if (have != actual.end() && have->name == want.name) {
      ++have;
    } else if (want.needed) {
      repair.renew.push_back(want.name);
    }
  }
  while (have != actual.end()) surplus(*have++);
}

void compare_policies(std::vector<PolicySpec>& desired, std::vector<PolicySpec>& actual,
                      const Ours& ours, Repair& repair) {
  const auto by_reqid = [](const PolicySpec& a, const PolicySpec& b) { return a.reqid < b.reqid; };
  std::sort(desired.begin(), desired.end(), by_reqid);
  std::sort(actual.begin(), actual.end(), by_reqid);
  auto have = actual.begin();
  const auto surplus = [&](const PolicySpec& policy) {
    if (is_ours(policy.reqid, ours)) repair.remove_policies.push_back(policy.reqid);
  };
  for (PolicySpec& want : desired) {
    while (have != actual.end() && have->reqid < want.reqid) surplus(*have++);
    const bool there = have != actual.end() && have->reqid == want.reqid;
    const bool same = there && *have == want;
    if (there) ++have;
    if (!same) repair.set.push_back(std::move(want));
  }
  while (have != actual.end()) surplus(*have++);
}

}  // namespace

Repair compare(std::vector<DesiredSa> desired, std::vector<PolicySpec> desired_policies,
               std::vector<ActualSa> actual, std::vector<PolicySpec> actual_policies, Ours ours) {
  Repair repair;
  compare_policies(desired_policies, actual_policies, ours, repair);
  compare_sas(desired, actual, ours, repair);
  return repair;
}

}  // namespace espalier::reconcile
