// What the kernel has against what was set: repaired one entry at a time, never flushed.
#include <fmt/format.h>

#include <algorithm>

#include "dataplane/kernel/exceptions.hpp"
#include "dataplane/kernel/kernel.hpp"

namespace espalier::dataplane {

using kernel::KernelPolicy;
using kernel::KernelSa;
using kernel::PolicyKey;

bool Kernel::is_known(const PolicyKey& key) const {
  if (owners_.contains(key)) return true;
  const std::vector<PolicyKey>& exceptions = kernel::always_outside();
  return exceptions_stand_ &&
         std::find(exceptions.begin(), exceptions.end(), key) != exceptions.end();
}

KernelPolicy Kernel::expected(const PolicyKey& key) const {
  const auto owners = owners_.find(key);
  return kernel::expected_policy(
      key, owners == owners_.end() ? nullptr : &policies_.at(owners->second.back()));
}

Status Kernel::repair_policies(std::vector<Repaired>& repaired) {
  std::map<PolicyKey, KernelPolicy> found;
  NetlinkMessage message(XFRM_MSG_GETPOLICY, 0);
  TRY(requests_.dump(message, [&](const nlmsghdr& header) {
    auto policy = kernel::parse_policy(header);
    if (!policy || !(kernel::is_our_priority(policy->priority) || is_known(policy->key))) return;
    const PolicyKey key = policy->key;
    found.insert_or_assign(key, std::move(*policy));
  }));
  const auto mend = [&](const PolicyKey& key, const PolicySpec* owner) -> Status {
    const auto there = found.find(key);
    const bool missing = there == found.end();
    if (!missing && there->second == kernel::expected_policy(key, owner)) return {};
    if (owner != nullptr) {
      TRY(put(key, *owner));
    } else {
      TRY(put_exception(key));
    }
    ++counters_["policies-restored"];
    repaired.push_back({owner != nullptr ? owner->pair : std::string(),
                        fmt::format("somebody {} the policy {}: it is as it was",
                                    missing ? "removed" : "changed", key.text())});
    return {};
  };
  for (const auto& [key, owners] : owners_) TRY(mend(key, &policies_.at(owners.back())));
  if (exceptions_stand_) {
    for (const PolicyKey& key : kernel::always_outside()) TRY(mend(key, nullptr));
  }
  for (const auto& [key, policy] : found) {
    if (is_known(key) || !took_over_) continue;
    TRY(remove_policy(key));
    ++counters_["policies-removed"];
    repaired.push_back(
        {"", fmt::format("the policy {} had a priority of ours ({}) and was nobody's "
                         "here: removed",
                         key.text(), policy.priority)});
  }
  return {};
}

Status Kernel::repair_sas(std::vector<Repaired>& repaired) {
  TRY_ASSIGN(const std::vector<KernelSa> found, dump_sas());
  for (const KernelSa& sa : found) {
    if (sa.larval() || find(sa) != sas_.end()) continue;
    TRY(remove(sa.id()));
    ++counters_["sas-removed"];
    const auto policy = policies_.find(ReqId(sa.reqid));
    repaired.push_back(
        {policy == policies_.end() ? std::string() : policy->second.pair,
         fmt::format("the SA {} from {} to {} had a reqid of ours ({:#x}) and was nobody's here: "
                     "removed",
                     to_string(sa.spi), sa.source.to_string(), sa.destination.to_string(),
                     sa.reqid)});
  }
  return {};
}

Result<std::vector<Kernel::Repaired>> Kernel::repair() {
  std::vector<Repaired> repaired;
  TRY(repair_policies(repaired));
  TRY(repair_sas(repaired));
  return repaired;
}

Result<std::size_t> Kernel::foreign_entries() {
  std::size_t foreign = 0;
  NetlinkMessage states(XFRM_MSG_GETSA, 0);
  TRY(requests_.dump(states, [&](const nlmsghdr& header) {
    const auto sa = kernel::parse_sa(header);
    if (!sa || !kernel::is_ours(sa->reqid)) ++foreign;
  }));
  NetlinkMessage policies(XFRM_MSG_GETPOLICY, 0);
  TRY(requests_.dump(policies, [&](const nlmsghdr& header) {
    if (kernel::is_of_a_socket(header)) return;
    const auto policy = kernel::parse_policy(header);
    if (!policy || !kernel::is_our_priority(policy->priority)) ++foreign;
  }));
  return foreign;
}

}  // namespace espalier::dataplane
