// A daemon that starts takes over what the one before it left in the kernel.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "dataplane/kernel/kernel.hpp"
#include "dataplane/kernel/rebuild.hpp"
#include "dataplane/kernel/same_sa.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane {

namespace kernel {
namespace {

void add_once(policy::SelectorList& list, const Prefix& prefix, std::uint8_t protocol,
              std::uint16_t port, std::uint16_t mask) {
  policy::TrafficSelector selector = policy::from_prefix(prefix);
  selector.protocol = protocol;
  if (mask != 0) {
    selector.start_port = port;
    selector.end_port = static_cast<std::uint16_t>(port | static_cast<std::uint16_t>(~mask));
  }
  if (std::find(list.begin(), list.end(), selector) == list.end()) list.push_back(selector);
}

void add_binding(policy::Binding& binding, const PolicyKey& key) {
  const bool out = key.direction == PolicyDirection::kOut;
  (out ? binding.if_id_out : binding.if_id_in) = key.if_id;
  if (key.mark_mask == 0) return;
  (out ? binding.mark_out : binding.mark_in) = policy::Mark{key.mark, key.mark_mask};
}

}  // namespace

PolicySpec rebuild(ReqId reqid, const std::map<PolicyKey, KernelPolicy>& entries) {
  PolicySpec spec;
  spec.reqid = reqid;
  for (const auto& [key, policy] : entries) {
    // An optional template, or something nobody here wants: it is set again unless it is asked for.
    spec.optional = spec.optional || policy.odd;
    add_binding(spec.binding, key);
    if (key.direction != PolicyDirection::kOut) continue;
    add_once(spec.local_ts, key.source, key.protocol, key.source_port, key.source_mask);
    add_once(spec.remote_ts, key.destination, key.protocol, key.destination_port,
             key.destination_mask);
    spec.mode = policy.mode;
    spec.local = policy.source;
    spec.remote = policy.destination;
  }
  return spec;
}

}  // namespace kernel

using kernel::KernelPolicy;
using kernel::KernelSa;
using kernel::PolicyKey;

// The policies so that closing does not take the place of a policy that carries traffic. Those of
// closed children and of traps are set again by close().
Status Kernel::import_left() {
  TRY_ASSIGN(const std::vector<KernelSa> sas, dump_sas());
  std::copy_if(sas.begin(), sas.end(), std::back_inserter(left_larvals_),
               [](const KernelSa& sa) { return sa.larval(); });
  TRY_ASSIGN(const std::vector<KernelPolicy> found, dump_policies());
  std::map<ReqId, std::map<PolicyKey, KernelPolicy>> by_reqid;
  for (const KernelPolicy& policy : found) {
    if (policy.reqid < kernel::kReqIdFirst || policy.reqid >= kernel::kClosedReqIdFirst) continue;
    by_reqid[ReqId(policy.reqid)][policy.key] = policy;
  }
  for (const auto& [reqid, entries] : by_reqid) {
    PolicySpec spec = kernel::rebuild(reqid, entries);
    const auto keys = kernel::expand(spec);
    if (!keys) continue;  // nobody's in this shape: close() removes it
    for (const PolicyKey& key : *keys) owners_[key].push_back(reqid);
    policies_[reqid] = std::move(spec);
  }
  took_over_ = true;
  return {};
}

Result<bool> Kernel::has_same(const SaSpec& sa) {
  NetlinkMessage get(XFRM_MSG_GETSA, 0);
  kernel::put_sa_id(get, {sa.direction == Direction::kIn ? sa.local.ip : sa.remote.ip, sa.spi});
  bool same = false;
  const Status read =
      requests_.visit(get, [&](const nlmsghdr& header) { same = kernel::is_same_sa(header, sa); });
  if (!read && read.error().code != ErrorCode::kNotFound) return read.error();
  return same;
}

Status Kernel::adopt(std::span<const SaSpec> sas, std::span<const PolicySpec> policies) {
  TRY_ASSIGN(const std::vector<KernelSa> found, dump_sas());
  std::map<std::pair<IpAddress, Spi>, const KernelSa*> by_name;
  const bool none = std::none_of(
      sas.begin(), sas.end(), [](const SaSpec& sa) { return !kernel::is_manual(sa.reqid.value); });
  std::size_t removed = 0;
  for (const KernelSa& sa : found) {
    if (sa.larval()) continue;
    by_name[{sa.destination, sa.spi}] = &sa;
    if (!none || (took_over_ && kernel::is_manual(sa.reqid))) continue;
    TRY(remove(sa.id()));
    ++removed;
  }
  if (removed > 0 && options_.log != nullptr) {
    options_.log->log({LogLevel::kInfo, "dataplane", "",
                       fmt::format("{} SAs of an earlier daemon removed from the kernel: their IKE "
                                   "SAs are gone",
                                   removed)});
  }
  for (const SaSpec& sa : sas) {
    const IpAddress destination = sa.direction == Direction::kIn ? sa.local.ip : sa.remote.ip;
    const auto at = by_name.find({destination, sa.spi});
    if (at == by_name.end()) continue;
    if (kernel::is_manual(sa.reqid.value)) {
      TRY_ASSIGN(const bool same, has_same(sa));
      if (!same) {
        TRY(remove({destination, sa.spi}));
        continue;
      }
    }
    if (at->second->reqid != sa.reqid.value) continue;
    if (at->second->if_id != kernel::if_id_of(sa)) continue;
    if (at->second->mark != kernel::mark_of(sa)) continue;
    sas_[sa.key()] = {sa.pair,   sa.reqid,     destination, sa.local,
                      sa.remote, sa.udp_encap, false,       sa.soft_packets};
    sas_[sa.key()].mark = kernel::mark_of(sa);
  }
  if (!took_over_) return {};
  std::set<ReqId> wanted;
  for (const PolicySpec& policy : policies) {
    wanted.insert(policy.reqid);
    TRY_ASSIGN(const std::set<PolicyKey> keys, kernel::expand(policy));
    const auto known = policies_.find(policy.reqid);
    const auto had = known == policies_.end() ? Result<std::set<PolicyKey>>(std::set<PolicyKey>())
                                              : kernel::expand(known->second);
    const bool same = had && *had == keys && known->second.mode == policy.mode &&
                      known->second.optional == policy.optional &&
                      known->second.local == policy.local && known->second.remote == policy.remote;
    if (same) {
      known->second = policy;
    } else {
      TRY(apply(SetPolicy{policy}));
    }
  }
  std::vector<ReqId> gone;
  for (const auto& [reqid, policy] : policies_) {
    const bool stands = policy.closed || policy.clear;  // close()'s own
    if (!stands && !wanted.contains(reqid)) gone.push_back(reqid);
  }
  for (const ReqId reqid : gone) TRY(apply(DeletePolicy{reqid}));
  return {};
}

}  // namespace espalier::dataplane
