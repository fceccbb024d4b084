#include "dataplane/userspace/policy_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "dataplane/check.hpp"
#include "dataplane/limits.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane::userspace {
namespace {

unsigned port_count(const policy::TrafficSelector& selector) {
  if (selector.start_port > selector.end_port) return 0;  // OPAQUE
  return unsigned{selector.end_port} - selector.start_port;
}

Prefix mask(const IpAddress& address, unsigned length) {
  std::array<std::uint8_t, 16> octets{};
  const ByteView from = address.bytes();
  std::copy_n(from.begin(), length / 8, octets.begin());
  if (length % 8 != 0) {
    octets[length / 8] = from[length / 8] & static_cast<std::uint8_t>(0xff00u >> length % 8);
  }
  return {*IpAddress::from_bytes({octets.data(), from.size()}), static_cast<std::uint8_t>(length)};
}

}  // namespace

std::size_t PolicyIndex::PrefixHash::operator()(const Prefix& prefix) const {
  std::uint64_t words[2] = {0, 0};
  const ByteView octets = prefix.ip.bytes();
  std::memcpy(words, octets.data(), octets.size());
  std::uint64_t hash =
      words[0] * 0x9e3779b97f4a7c15 ^ (words[1] + prefix.length) * 0xc2b2ae3d27d4eb4f;
  hash ^= hash >> 29;
  hash *= 0xbf58476d1ce4e5b9;
  return static_cast<std::size_t>(hash ^ hash >> 32);
}

bool PolicyIndex::goes_before(const Entry& a, const Entry& b) {
  const bool a_protocol = a.remote.protocol != 0, b_protocol = b.remote.protocol != 0;
  if (a_protocol != b_protocol) return a_protocol;
  if (port_count(a.remote) != port_count(b.remote))
    return port_count(a.remote) < port_count(b.remote);
  return a.added > b.added;
}

Status PolicyIndex::set(const PolicySpec& policy) {
  TRY(dataplane::check(policy));
  if (policies_.size() >= kMaxPolicies && policies_.count(policy.reqid) == 0) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("The dataplane is full: it holds {} policies.", kMaxPolicies));
  }
  std::vector<std::pair<Prefix, const policy::TrafficSelector*>> wanted;
  for (const auto& selector : policy.remote_ts) {
    for (const Prefix& prefix : policy::to_prefixes(selector))
      wanted.emplace_back(prefix, &selector);
  }
  if (wanted.size() > kMaxPolicyPrefixes) {
    return make_error(
        ErrorCode::kLimit,
        fmt::format("Pair {}: the remote selectors of the policy with reqid {} come to {} "
                    "prefixes; at most {} are taken.",
                    policy.pair, policy.reqid.value, wanted.size(), kMaxPolicyPrefixes));
  }
  erase(policy.reqid);
  Stored& stored = policies_[policy.reqid];
  stored.spec = policy;
  ++added_;
  for (const auto& [prefix, selector] : wanted) {
    std::vector<Entry>& entries = entries_[prefix];
    const Entry entry{&stored.spec, *selector, added_};
    entries.insert(std::upper_bound(entries.begin(), entries.end(), entry, goes_before), entry);
    stored.prefixes.push_back(prefix);
    ++(prefix.ip.is_v4() ? lengths_v4_ : lengths_v6_)[prefix.length];
  }
  return {};
}

void PolicyIndex::erase(ReqId reqid) {
  const auto at = policies_.find(reqid);
  if (at == policies_.end()) return;
  for (const Prefix& prefix : at->second.prefixes) {
    --(prefix.ip.is_v4() ? lengths_v4_ : lengths_v6_)[prefix.length];
    const auto slot = entries_.find(prefix);
    if (slot == entries_.end()) continue;  // two selectors with one prefix: gone with the first
    std::erase_if(slot->second,
                  [&](const Entry& entry) { return entry.policy == &at->second.spec; });
    if (slot->second.empty()) entries_.erase(slot);
  }
  policies_.erase(at);
}

const PolicySpec* PolicyIndex::find_in(const std::vector<Entry>& entries, const Flow& flow) const {
  for (const Entry& entry : entries) {
    if (!matches(entry.remote, flow.destination, flow.protocol, flow.ports_known,
                 flow.destination_port)) {
      continue;
    }
    for (const auto& local : entry.policy->local_ts) {
      if (matches(local, flow.source, flow.protocol, flow.ports_known, flow.source_port)) {
        return entry.policy;
      }
    }
  }
  return nullptr;
}

const PolicySpec* PolicyIndex::find(const Flow& flow) const {
  const Lengths& lengths = flow.destination.is_v4() ? lengths_v4_ : lengths_v6_;
  for (unsigned length = flow.destination.bits() + 1; length-- > 0;) {
    if (lengths[length] == 0) continue;
    const auto at = entries_.find(mask(flow.destination, length));
    if (at == entries_.end()) continue;
    if (const PolicySpec* found = find_in(at->second, flow)) return found;
  }
  return nullptr;
}

std::vector<PolicySpec> PolicyIndex::list() const {
  std::vector<PolicySpec> out;
  for (const auto& [reqid, stored] : policies_) out.push_back(stored.spec);
  return out;
}

}  // namespace espalier::dataplane::userspace
