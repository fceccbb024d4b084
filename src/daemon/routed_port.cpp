#include "daemon/routed_port.hpp"

#include <algorithm>
#include <iterator>

#include "policy/selectors.hpp"

namespace espalier::daemon {

using dataplane::userspace::HostNetwork;
using dataplane::userspace::ProtectedPair;

namespace {

std::vector<Prefix> prefixes(const policy::SelectorList& selectors) {
  std::vector<Prefix> list;
  for (const policy::TrafficSelector& selector : selectors) {
    for (const Prefix& prefix : policy::to_prefixes(selector)) {
      if (std::find(list.begin(), list.end(), prefix) == list.end()) list.push_back(prefix);
    }
  }
  return list;
}

bool is_subset(const std::set<ReqId>& some, const std::set<ReqId>& all) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

}  // namespace

void RoutedPort::State::note(const dataplane::Change& change) {
  if (const auto* set = std::get_if<dataplane::SetPolicy>(&change)) {
    policies[set->policy.reqid] = set->policy;
  } else if (const auto* gone = std::get_if<dataplane::DeletePolicy>(&change)) {
    policies.erase(gone->reqid);
  } else if (const auto* add = std::get_if<dataplane::AddSa>(&change)) {
    if (add->sa.direction == dataplane::Direction::kOut) outbound[add->sa.key()] = add->sa.reqid;
  } else if (const auto* removal = std::get_if<dataplane::DeleteSa>(&change)) {
    outbound.erase(removal->key);
  } else if (const auto* move = std::get_if<dataplane::MoveSa>(&change)) {
    auto node = outbound.extract(move->key);
    if (node.empty()) return;
    node.key().peer = move->remote.ip;
    outbound.insert(std::move(node));
  }
}

std::set<ReqId> RoutedPort::State::routed(const HostNetwork& network) const {
  std::set<std::string_view> open;
  for (const ProtectedPair& pair : network.pairs) {
    if (!pair.closed) open.insert(pair.name);
  }
  std::set<ReqId> list;
  if (open.empty()) return list;
  for (const auto& [key, reqid] : outbound) {
    const auto policy = policies.find(reqid);
    if (policy != policies.end() && open.contains(policy->second.pair)) list.insert(reqid);
  }
  return list;
}

HostNetwork RoutedPort::wanted(const std::set<ReqId>& routed) const {
  HostNetwork network = *network_;
  std::erase_if(network.pairs, [](const ProtectedPair& pair) { return !pair.closed; });
  for (const ReqId reqid : routed) {
    const dataplane::PolicySpec& policy = state_.policies.at(reqid);
    const auto of = std::find_if(network_->pairs.begin(), network_->pairs.end(),
                                 [&](const auto& pair) { return pair.name == policy.pair; });
    ProtectedPair pair = *of;
    pair.local = prefixes(policy.local_ts);
    pair.remote = prefixes(policy.remote_ts);
    network.pairs.push_back(std::move(pair));
  }
  return network;
}

Status RoutedPort::apply_routes() {
  return dataplane::userspace::apply_routes(wanted(state_.routed(*network_)));
}

Status RoutedPort::apply(std::span<const dataplane::Change> changes) {
  const auto report = [&](const Status& applied) {
    if (applied || applied.error().code == ErrorCode::kBusy) return;
    log_.log({LogLevel::kWarning, "daemon", "", applied.error().message});
  };
  const std::set<ReqId> before = state_.routed(*network_);
  State after = state_;
  for (const dataplane::Change& change : changes) after.note(change);
  const std::set<ReqId> routed = after.routed(*network_);
  std::set<ReqId> kept;
  std::set_intersection(before.begin(), before.end(), routed.begin(), routed.end(),
                        std::inserter(kept, kept.end()));
  // What goes, goes before the SA does: until then it is protected, afterwards in the clear.
  if (kept != before) report(dataplane::userspace::apply_routes(wanted(kept)));
  const Status applied = plane_.apply(changes);
  state_ = std::move(after);
  if (!is_subset(routed, kept)) report(apply_routes());
  return applied;
}

}  // namespace espalier::daemon
