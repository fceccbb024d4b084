#include "daemon/manual_keying.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "policy/selectors.hpp"

namespace espalier::daemon {
namespace {

using dataplane::AddSa;
using dataplane::DeletePolicy;
using dataplane::DeleteSa;
using dataplane::Direction;
using dataplane::PolicySpec;
using dataplane::SaKey;
using dataplane::SaSpec;
using dataplane::SetPolicy;
using dataplane::kernel::kManualReqIdFirst;
using dataplane::kernel::kManualReqIdLast;
using policy::ManualKeys;
using policy::ManualTunnel;

constexpr std::uint16_t kEncapPort = 4500;  // RFC 3948

SaSpec sa_of(const ManualTunnel& tunnel, ReqId reqid, const ManualKeys& keys, Direction direction) {
  const bool in = direction == Direction::kIn;
  SaSpec sa;
  sa.direction = direction;
  sa.spi = in ? keys.spi_in : keys.spi_out;
  sa.reqid = reqid;
  sa.pair = tunnel.name;
  sa.local = {tunnel.local, kEncapPort};
  sa.remote = {tunnel.remote, kEncapPort};
  sa.udp_encap = tunnel.udp_encap;
  sa.mode = tunnel.mode;
  sa.suite = tunnel.suite;
  sa.encr_key = in ? keys.encr_in : keys.encr_out;
  sa.integ_key = in ? keys.integ_in : keys.integ_out;
  sa.replay_window = tunnel.replay_window;
  sa.local_ts = tunnel.local_ts;
  sa.remote_ts = tunnel.remote_ts;
  return sa;
}

// FNV-1a: spreads names over the reqids.
std::uint32_t spread(std::string_view name) {
  std::uint32_t hash = 0x811c9dc5;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x01000193;
  return hash;
}

std::vector<std::string> texts(const policy::SelectorList& list) {
  std::vector<std::string> out;
  for (const auto& selector : list) out.push_back(policy::to_string(selector));
  return out;
}

// Nobody negotiates, so nobody says what does not fit: only the traffic shows it.
constexpr std::uint64_t kUnanswered = 10;  // packets

void judge(control::PairStatus& pair) {
  std::uint64_t in = 0, out = 0;
  for (const control::ChildStatus& child : pair.children) {
    in += child.packets_in;
    out += child.packets_out;
  }
  if (pair.reason || in > 0 || out < kUnanswered) return;
  pair.reason = fmt::format(
      "{} packets sent and none received: compare the other end with 'espalier manual sheet {}', "
      "and look for a filter that drops {} on the way",
      out, pair.peer,
      !pair.children.empty() && pair.children.front().udp_encap ? "UDP port 4500"
                                                                : "ESP (IP protocol 50)");
}

}  // namespace

ManualWanted manual_wanted(const ManualTunnel& tunnel, ReqId reqid, std::int64_t unix_now) {
  const policy::ManualUse use = policy::manual_use(tunnel, unix_now);
  ManualWanted wanted;
  for (const std::size_t i : use.inbound) {
    wanted.sas.push_back(sa_of(tunnel, reqid, tunnel.keys[i], Direction::kIn));
  }
  wanted.sas.push_back(sa_of(tunnel, reqid, tunnel.keys[use.outbound], Direction::kOut));
  wanted.policy = {tunnel.name, reqid,        tunnel.local_ts, tunnel.remote_ts,
                   tunnel.mode, tunnel.local, tunnel.remote};
  return wanted;
}

// From the name, so that the next daemon finds what this one leaves. Two names with one hash may
// change places with a restart: then their SAs are made anew.
ReqId ManualKeying::reqid_of(const std::string& name) {
  const auto found = reqids_.find(name);
  if (found != reqids_.end()) return found->second;
  std::set<std::uint32_t> taken;
  for (const auto& [other, reqid] : reqids_) taken.insert(reqid.value);
  // There are more numbers than tunnels (config::kMaxManual).
  constexpr std::uint32_t kSpan = kManualReqIdLast - kManualReqIdFirst + 1;
  std::uint32_t offset = spread(name) % kSpan;
  while (taken.contains(kManualReqIdFirst + offset)) offset = (offset + 1) % kSpan;
  return reqids_[name] = ReqId(kManualReqIdFirst + offset);
}

ManualKeying::Wanted ManualKeying::begin(std::vector<ManualTunnel> tunnels, std::int64_t unix_now) {
  tunnels_ = std::move(tunnels);
  Wanted wanted;
  for (const ManualTunnel& tunnel : tunnels_) {
    ManualWanted one = manual_wanted(tunnel, reqid_of(tunnel.name), unix_now);
    for (SaSpec& sa : one.sas) wanted.sas.push_back(std::move(sa));
    wanted.policies.push_back(std::move(one.policy));
  }
  return wanted;
}

void ManualKeying::take_over(const dataplane::Snapshot& snapshot, Instant now,
                             std::int64_t unix_now) {
  std::map<SaKey, ReqId> there;
  for (const dataplane::SaState& sa : snapshot.sas) there.emplace(sa.key, sa.reqid);
  for (const ManualTunnel& tunnel : tunnels_) {
    const ReqId reqid = reqid_of(tunnel.name);
    std::size_t taken = 0;
    for (SaSpec& sa : manual_wanted(tunnel, reqid, unix_now).sas) {
      const auto found = there.find(sa.key());
      if (found == there.end() || found->second != reqid) continue;
      const SaKey key = sa.key();
      sas_[key] = {std::move(sa), now};
      ++taken;
    }
    if (taken == 0) continue;
    log_.log({LogLevel::kInfo, "manual", tunnel.name,
              fmt::format("{} SAs with manual keys of the daemon before go on", taken)});
  }
  update(now, unix_now);
}

bool ManualKeying::apply(const dataplane::Change& change, const std::string& pair) {
  const Status done = plane_.apply({&change, 1});
  if (done) return true;
  std::string message = done.error().message;
  const auto* add = std::get_if<AddSa>(&change);
  if (add != nullptr && done.error().code == ErrorCode::kAlreadyExists) {
    message += " Another program has an SA with the SPI " + policy::spi_words(add->sa.spi) +
               " to the same address: remove it there, or take another SPI at both ends.";
  }
  std::string& fault = faults_[pair];
  if (fault.empty()) fault = message;
  // It is tried again with each comparison, and told once.
  if (std::exchange(told_[pair], message) != message) {
    log_.log({LogLevel::kError, "manual", pair, std::move(message)});
  }
  return false;
}

void ManualKeying::drop(const SaKey& key) {
  const auto at = sas_.find(key);
  if (at == sas_.end()) return;
  apply(DeleteSa{key}, at->second.sa.pair);
  sas_.erase(at);
}

void ManualKeying::set(std::vector<ManualTunnel> tunnels, Instant now, std::int64_t unix_now) {
  tunnels_ = std::move(tunnels);
  update(now, unix_now);
}

// Additions before removals, tunnel by tunnel: nobody is without SAs meanwhile. The newest outbound
// SA of a reqid carries the traffic, and the one before goes right after it came.
void ManualKeying::update(Instant now, std::int64_t unix_now) {
  std::map<SaKey, SaSpec> wanted;
  std::map<ReqId, PolicySpec> policies;
  std::set<std::string> names;
  faults_.clear();
  next_change_.reset();
  for (const ManualTunnel& tunnel : tunnels_) {
    names.insert(tunnel.name);
    const ReqId reqid = reqid_of(tunnel.name);
    ManualWanted all = manual_wanted(tunnel, reqid, unix_now);
    policies[reqid] = std::move(all.policy);
    for (SaSpec& sa : all.sas) wanted.emplace(sa.key(), std::move(sa));
    const auto change = policy::manual_use(tunnel, unix_now).next_change;
    if (change && (!next_change_ || *change < *next_change_)) next_change_ = change;
    announce(tunnel, unix_now);
  }
  for (const auto& [key, sa] : wanted) {
    const auto at = sas_.find(key);
    if (at != sas_.end() && at->second.sa == sa) continue;
    drop(key);  // another key under the same SPI: one name, so the old one goes first
    if (apply(AddSa{sa}, sa.pair)) sas_[key] = {sa, now};
  }
  for (const auto& [reqid, policy] : policies) {
    const auto at = policies_.find(reqid);
    if (at != policies_.end() && at->second == policy) continue;
    apply(SetPolicy{policy}, policy.pair);
  }
  std::vector<SaKey> over;
  for (const auto& [key, installed] : sas_) {
    if (!wanted.contains(key)) over.push_back(key);
  }
  for (const SaKey& key : over) drop(key);
  for (const auto& [reqid, policy] : policies_) {
    if (!policies.contains(reqid)) apply(DeletePolicy{reqid}, policy.pair);
  }
  policies_ = std::move(policies);
  std::erase_if(told_, [&](const auto& entry) { return !faults_.contains(entry.first); });
  std::erase_if(reqids_, [&](const auto& entry) { return !names.contains(entry.first); });
  std::erase_if(announced_, [&](const auto& entry) { return !names.contains(entry.first); });
}

void ManualKeying::announce(const ManualTunnel& tunnel, std::int64_t unix_now) {
  const std::size_t index = policy::manual_use(tunnel, unix_now).outbound;
  const auto told = announced_.find(tunnel.name);
  if (told != announced_.end() && told->second == index) return;
  announced_[tunnel.name] = index;
  const ManualKeys& keys = tunnel.keys[index];
  log_.log({LogLevel::kInfo, "manual", tunnel.name,
            fmt::format("manual keys {} of {}: sending with SPI {}, receiving with {}", index + 1,
                        tunnel.keys.size(), policy::spi_words(keys.spi_out),
                        policy::spi_words(keys.spi_in))});
}

std::size_t ManualKeying::reconcile(const dataplane::Snapshot& snapshot, Instant now,
                                    std::int64_t unix_now) {
  const auto ours = [](ReqId reqid) { return dataplane::kernel::is_manual(reqid.value); };
  std::set<SaKey> there;
  std::size_t wrong = 0;
  for (const dataplane::SaState& sa : snapshot.sas) {
    if (!ours(sa.reqid)) continue;
    there.insert(sa.key);
    if (sas_.contains(sa.key)) continue;
    apply(DeleteSa{sa.key}, "");
    ++wrong;
  }
  for (auto at = sas_.begin(); at != sas_.end();) {
    if (there.contains(at->first)) {
      ++at;
      continue;
    }
    log_.log(
        {LogLevel::kWarning, "manual", at->second.sa.pair,
         "the SA with SPI " + policy::spi_words(at->first.spi) +
             " was gone from the dataplane or changed: it is installed again, and its sequence "
             "numbers start at 1 (a peer with a replay window drops them until they pass what "
             "it saw)"});
    ++restored_;
    // The plane may still have its own record of it.
    apply(DeleteSa{at->first}, at->second.sa.pair);
    at = sas_.erase(at);
    ++wrong;
  }
  std::map<ReqId, const PolicySpec*> policies;
  for (const PolicySpec& policy : snapshot.policies) {
    if (ours(policy.reqid) && !policy.closed) policies[policy.reqid] = &policy;
  }
  for (auto at = policies_.begin(); at != policies_.end();) {
    const auto found = policies.find(at->first);
    const bool same = found != policies.end() && found->second->local_ts == at->second.local_ts &&
                      found->second->remote_ts == at->second.remote_ts;
    if (same) {
      ++at;
      continue;
    }
    log_.log({LogLevel::kWarning, "manual", at->second.pair,
              "its policy was gone from the dataplane or changed; it is set again"});
    at = policies_.erase(at);
    ++wrong;
  }
  for (const auto& [reqid, policy] : policies) {
    if (policies_.contains(reqid)) continue;
    apply(DeletePolicy{reqid}, policy->pair);
    ++wrong;
  }
  if (wrong > 0 || !faults_.empty()) update(now, unix_now);
  return wrong;
}

std::vector<control::PairStatus> ManualKeying::status(const dataplane::Snapshot& snapshot,
                                                      Instant now, std::int64_t unix_now) const {
  std::map<SaKey, dataplane::SaCounters> use;
  for (const dataplane::SaState& sa : snapshot.sas) use[sa.key] = sa.counters;
  std::vector<control::PairStatus> out;
  for (const ManualTunnel& tunnel : tunnels_) {
    control::PairStatus pair;
    pair.name = tunnel.name;
    pair.peer = tunnel.peer;
    pair.state = "up";
    if (const auto fault = faults_.find(tunnel.name); fault != faults_.end()) {
      pair.state = "down";
      pair.reason = fault->second;
    }
    const policy::ManualUse in_use = policy::manual_use(tunnel, unix_now);
    for (const std::size_t i : in_use.inbound) {
      const ManualKeys& keys = tunnel.keys[i];
      const SaKey in{Direction::kIn, keys.spi_in, tunnel.remote};
      const SaKey sent{Direction::kOut, keys.spi_out, tunnel.remote};
      const auto installed = sas_.find(in);
      if (installed == sas_.end()) continue;
      control::ChildStatus child;
      child.name = fmt::format("manual-{}", i + 1);
      child.mode = std::string(policy::name(tunnel.mode));
      child.state = i == in_use.outbound ? "installed" : "inbound";
      child.suite = policy::suite_words(tunnel.suite);
      child.spi_in = to_string(keys.spi_in);
      child.spi_out = to_string(keys.spi_out);
      child.reqid = installed->second.sa.reqid.value;
      child.udp_encap = tunnel.udp_encap;
      child.manual = true;
      child.bytes_in = use[in].bytes;
      child.packets_in = use[in].packets;
      child.bytes_out = use[sent].bytes;
      child.packets_out = use[sent].packets;
      child.installed_s = whole_seconds(now - installed->second.at);
      child.local_ts = texts(tunnel.local_ts);
      child.remote_ts = texts(tunnel.remote_ts);
      pair.children.push_back(std::move(child));
    }
    judge(pair);
    out.push_back(std::move(pair));
  }
  return out;
}

std::vector<std::string> ManualKeying::names() const {
  std::vector<std::string> list;
  for (const ManualTunnel& tunnel : tunnels_) list.push_back(tunnel.name);
  return list;
}

std::string ManualKeying::resolve(const std::string& name) const {
  for (const ManualTunnel& tunnel : tunnels_) {
    if (tunnel.name == name || tunnel.peer == name) return tunnel.name;
  }
  return "";
}

}  // namespace espalier::daemon
