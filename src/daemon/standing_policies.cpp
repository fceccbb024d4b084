#include "daemon/standing_policies.hpp"

#include <algorithm>

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

// A tunnel's ends as far as they are known before there is one, of one family.
void set_ends(const policy::Connection& connection, dataplane::PolicySpec& spec) {
  if (connection.remote_addresses.empty()) return;
  spec.remote = connection.remote_addresses.front();
  spec.local = IpAddress::any(spec.remote.family());
  for (const IpAddress& address : connection.local_addresses) {
    if (address.family() != spec.remote.family()) continue;
    spec.local = address;
    return;
  }
}

bool traps(const policy::Connection& connection) {
  return connection.start == policy::Start::kTrap && !connection.behind_nat &&
         !connection.remote_addresses.empty();
}

// Whether what leaves is chosen by an interface or a mark. The kernel asks for a policy before the
// packet comes to the interface, or has the mark, so that one that closes the way out for all
// others would close it for these as well.
bool is_bound(const policy::Connection& connection) {
  return std::any_of(
      connection.children.begin(), connection.children.end(),
      [](const policy::ChildConfig& one) { return one.binding && one.binding->is_bound_out(); });
}

bool excepts_pings(const policy::Connection& connection) {
  const auto pairs = policy::exceptions_of(connection);
  return std::any_of(pairs.begin(), pairs.end(), [](const policy::SelectorPair& pair) {
    return pair.local.protocol == policy::kProtocolIcmp ||
           pair.local.protocol == policy::kProtocolIcmp6;
  });
}

// What of the connection is closed, each for itself.
std::vector<dataplane::PolicySpec> closed_of(const policy::Connection& connection) {
  std::vector<dataplane::PolicySpec> list;
  // Under `use` what has no SA passes in the clear.
  if (connection.protect != policy::Protect::kRequire) return list;
  const bool bound = is_bound(connection);
  const auto close = [&](const policy::SelectorList& local, const policy::SelectorList& remote) {
    list.push_back(spec(connection, local, remote, false));
    list.back().inbound_only = bound;
  };
  if (connection.bounds) {
    close(connection.bounds->local, connection.bounds->remote);
    if (!traps(connection)) return list;  // it closes the children's too
  }
  for (const policy::ChildConfig& child : connection.children) {
    if (bound || !traps(connection)) close(child.local_ts, child.remote_ts);
    if (!traps(connection)) continue;
    dataplane::PolicySpec one = spec(connection, child.local_ts, child.remote_ts, false);
    one.trap = true;
    one.mode = child.mode;
    if (child.binding) one.binding = *child.binding;
    set_ends(connection, one);
    list.push_back(std::move(one));
  }
  return list;
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
    const std::string name = one.pair +
                             (one.clear  ? " except "
                              : one.trap ? " trap "
                                         : " closed ") +
                             policy::to_string(one.local_ts) + " " +
                             policy::to_string(one.remote_ts);
    one.reqid = reqid_of(name, one.clear);
    used_.insert(one.reqid);
    if (held.emplace(name, one.reqid).second) list.push_back(std::move(one));
  };
  const auto add_all = [&](const policy::Connection& connection) {
    for (dataplane::PolicySpec& one : closed_of(connection)) {
      // ping finds its source address by connect(), with UDP.
      one.connects = !one.trap && excepts_pings(connection);
      add(std::move(one));
    }
    for (policy::SelectorPair& pair : policy::exceptions_of(connection)) {
      add(spec(connection, {pair.local}, {pair.remote}, true));
    }
  };
  for (const policy::Connection& connection : plan.connections) add_all(connection);
  for (const policy::ManualTunnel& tunnel : plan.manual) add_all(policy::traffic_of(tunnel));
  held_ = std::move(held);
  used_.clear();
  for (const auto& [name, reqid] : held_) used_.insert(reqid);
  return list;
}

}  // namespace espalier::daemon
