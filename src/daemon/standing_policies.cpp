#include "daemon/standing_policies.hpp"

#include "dataplane/kernel/xfrm_sa.hpp"
#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::daemon {
namespace {

dataplane::PolicySpec spec(const policy::Connection& connection, policy::SelectorList local,
                           policy::SelectorList remote, bool clear) {
  dataplane::PolicySpec out;
  out.pair = connection.name;
  out.local_ts = std::move(local);
  out.remote_ts = std::move(remote);
  out.closed = !clear;
  out.clear = clear;
  return out;
}

}  // namespace

ReqId StandingPolicies::reqid_of(const std::string& name, bool clear) {
  using namespace dataplane::kernel;
  const auto known = held_.find(name);
  if (known != held_.end()) return known->second;
  const std::uint32_t first = clear ? kClearReqIdFirst : kClosedReqIdFirst;
  const std::uint32_t size = kReqIdLast - kClearReqIdFirst;  // far more than kMaxPolicies
  std::uint32_t& next = next_[clear ? 1 : 0];
  while (used_.contains(ReqId(first + next % size))) ++next;
  return ReqId(first + next++ % size);
}

std::vector<dataplane::PolicySpec> StandingPolicies::of(const mesh::HostPlan& plan) {
  std::vector<dataplane::PolicySpec> list;
  std::map<std::string, ReqId> held;
  const auto add = [&](dataplane::PolicySpec one) {
    const std::string name = one.pair + (one.clear ? " except " : " closed ") +
                             policy::to_string(one.local_ts) + " " +
                             policy::to_string(one.remote_ts);
    one.reqid = reqid_of(name, one.clear);
    used_.insert(one.reqid);
    if (held.emplace(name, one.reqid).second) list.push_back(std::move(one));
  };
  for (const policy::Connection& connection : plan.connections) {
    // Under `use` what has no SA passes in the clear.
    const bool closed = connection.protect == policy::Protect::kRequire;
    if (closed && connection.bounds) {
      add(spec(connection, connection.bounds->local, connection.bounds->remote, false));
    } else if (closed) {
      for (const policy::ChildConfig& child : connection.children) {
        add(spec(connection, child.local_ts, child.remote_ts, false));
      }
    }
    bool pings = false;
    for (policy::SelectorPair& pair : policy::exceptions_of(connection)) {
      const std::uint8_t protocol = pair.local.protocol;
      pings |= protocol == policy::kProtocolIcmp || protocol == policy::kProtocolIcmp6;
      add(spec(connection, {pair.local}, {pair.remote}, true));
    }
    // dataplane/kernel/xfrm_policy.cpp says why.
    if (closed && pings) {
      policy::Bounds bounds = policy::bounds_of(connection);
      for (auto* ends : {&bounds.local, &bounds.remote}) {
        for (policy::TrafficSelector& one : *ends) one.protocol = policy::kProtocolUdp;
      }
      add(spec(connection, bounds.local, bounds.remote, false));
    }
  }
  held_ = std::move(held);
  used_.clear();
  for (const auto& [name, reqid] : held_) used_.insert(reqid);
  return list;
}

}  // namespace espalier::daemon
