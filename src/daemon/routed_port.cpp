#include "daemon/routed_port.hpp"

#include <algorithm>

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

}  // namespace

void RoutedPort::use(const HostNetwork& network) {
  network_ = &network;
  open_.clear();
  for (const ProtectedPair& pair : network.pairs) {
    if (!pair.closed) open_.insert(pair.name);
  }
  routed_.clear();
  for (const auto& [reqid, sas] : sas_) {
    if (is_routed(reqid)) routed_.insert(reqid);
  }
}

bool RoutedPort::is_routed(ReqId reqid) const {
  const auto policy = policies_.find(reqid);
  const auto sas = sas_.find(reqid);
  return policy != policies_.end() && sas != sas_.end() && sas->second > 0 &&
         open_.contains(policy->second.pair);
}

void RoutedPort::count(ReqId reqid, int by) {
  const int now = sas_[reqid] += by;
  if (now <= 0) sas_.erase(reqid);
}

std::optional<ReqId> RoutedPort::note(const dataplane::Change& change) {
  if (const auto* set = std::get_if<dataplane::SetPolicy>(&change)) {
    policies_[set->policy.reqid] = set->policy;
    return set->policy.reqid;
  }
  if (const auto* gone = std::get_if<dataplane::DeletePolicy>(&change)) {
    policies_.erase(gone->reqid);
    return gone->reqid;
  }
  if (const auto* add = std::get_if<dataplane::AddSa>(&change)) {
    if (add->sa.direction != dataplane::Direction::kOut) return std::nullopt;
    if (outbound_.emplace(add->sa.key(), add->sa.reqid).second) count(add->sa.reqid, 1);
    return add->sa.reqid;
  }
  if (const auto* removal = std::get_if<dataplane::DeleteSa>(&change)) {
    const auto node = outbound_.extract(removal->key);
    if (node.empty()) return std::nullopt;
    count(node.mapped(), -1);
    return node.mapped();
  }
  if (const auto* move = std::get_if<dataplane::MoveSa>(&change)) {
    auto node = outbound_.extract(move->key);
    if (node.empty()) return std::nullopt;
    node.key().peer = move->remote.ip;
    outbound_.insert(std::move(node));
  }
  return std::nullopt;
}

HostNetwork RoutedPort::wanted() const {
  HostNetwork network = *network_;
  std::erase_if(network.pairs, [](const ProtectedPair& pair) { return !pair.closed; });
  for (const ReqId reqid : routed_) {
    const dataplane::PolicySpec& policy = policies_.at(reqid);
    const auto of = std::find_if(network_->pairs.begin(), network_->pairs.end(),
                                 [&](const auto& pair) { return pair.name == policy.pair; });
    ProtectedPair pair = *of;
    pair.local = prefixes(policy.local_ts);
    pair.remote = prefixes(policy.remote_ts);
    network.pairs.push_back(std::move(pair));
  }
  return network;
}

Status RoutedPort::apply_routes() { return dataplane::userspace::apply_routes(wanted()); }

Status RoutedPort::apply(std::span<const dataplane::Change> changes) {
  std::set<ReqId> touched;
  for (const dataplane::Change& change : changes) {
    if (const auto reqid = note(change)) touched.insert(*reqid);
  }
  if (open_.empty()) return plane_.apply(changes);
  std::set<ReqId> more;
  bool fewer = false;
  for (const ReqId reqid : touched) {
    const bool routed = is_routed(reqid);
    if (!routed && routed_.erase(reqid) > 0) fewer = true;
    if (routed && !routed_.contains(reqid)) more.insert(reqid);
  }
  const auto report = [&](const Status& applied) {
    if (applied || applied.error().code == ErrorCode::kBusy) return;
    log_.log({LogLevel::kWarning, "daemon", "", applied.error().message});
  };
  // What goes, goes before the SA does: until then it is protected, afterwards in the clear.
  if (fewer) report(apply_routes());
  const Status applied = plane_.apply(changes);
  routed_.insert(more.begin(), more.end());
  if (!more.empty()) report(apply_routes());
  return applied;
}

}  // namespace espalier::daemon
