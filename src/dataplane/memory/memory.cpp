#include "dataplane/memory/memory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/check.hpp"
#include "dataplane/limits.hpp"

namespace espalier::dataplane {

Memory::Sas::iterator Memory::locate(const SaKey& key) {
  if (key.direction == Direction::kOut) return sas_.find(key);
  return std::find_if(sas_.begin(), sas_.end(), [&](const auto& entry) {
    return entry.first.direction == Direction::kIn && entry.first.spi == key.spi;
  });
}

const SaSpec* Memory::find(const SaKey& key) const {
  const auto at = const_cast<Memory*>(this)->locate(key);
  return at == sas_.end() ? nullptr : &at->second;
}

const SaSpec* Memory::newest_outbound(ReqId reqid) const {
  const auto at = outbound_.find(reqid);
  return at == outbound_.end() || at->second.empty() ? nullptr : find(at->second.back());
}

void Memory::erase(Sas::iterator at) {
  if (at->first.direction == Direction::kOut) {
    std::vector<SaKey>& list = outbound_[at->second.reqid];
    list.erase(std::find(list.begin(), list.end(), at->first));
  }
  traffic_.erase(at->first);
  sas_.erase(at);
}

Status Memory::apply(const AddSa& change) {
  if (fail_next_) return std::move(*std::exchange(fail_next_, std::nullopt));
  const SaSpec& sa = change.sa;
  TRY(check(sa));
  if (locate(sa.key()) != sas_.end()) {
    return make_error(ErrorCode::kAlreadyExists,
                      fmt::format("Pair {}: there is an {} already.", sa.pair, describe(sa.key())));
  }
  if (sas_.size() >= kMaxSas) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("The dataplane is full: it holds {} SAs.", kMaxSas));
  }
  if (sa.direction == Direction::kOut) outbound_[sa.reqid].push_back(sa.key());
  sas_.emplace(sa.key(), sa);
  traffic_[sa.key()];
  return {};
}

Status Memory::apply(const DeleteSa& change) {
  const auto at = locate(change.key);
  if (at != sas_.end()) erase(at);
  return {};
}

Status Memory::apply(const MoveSa& change) {
  const auto at = locate(change.key);
  if (at == sas_.end()) {
    return make_error(ErrorCode::kNotFound,
                      fmt::format("There is no {} to move.", describe(change.key)));
  }
  SaSpec moved = at->second;
  moved.local = change.local;
  moved.remote = change.remote;
  moved.udp_encap = change.udp_encap;
  TRY(check(moved));
  const SaKey before = at->first, after = moved.key();
  if (after != before && sas_.count(after) > 0) {
    return make_error(ErrorCode::kAlreadyExists,
                      fmt::format("There is an {} already.", describe(after)));
  }
  sas_.erase(at);
  sas_.emplace(after, std::move(moved));
  auto node = traffic_.extract(before);
  node.key() = after;
  traffic_.insert(std::move(node));
  for (auto& [reqid, keys] : outbound_) std::replace(keys.begin(), keys.end(), before, after);
  return {};
}

Status Memory::apply(const SetPolicy& change) {
  TRY(check(change.policy));
  if (policies_.size() >= kMaxPolicies && policies_.count(change.policy.reqid) == 0) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("The dataplane is full: it holds {} policies.", kMaxPolicies));
  }
  policies_[change.policy.reqid] = change.policy;
  return {};
}

Status Memory::apply(const DeletePolicy& change) {
  policies_.erase(change.reqid);
  return {};
}

Status Memory::apply(std::span<const Change> changes) {
  for (const Change& change : changes) {
    TRY(std::visit([this](const auto& one) { return apply(one); }, change));
  }
  return {};
}

Result<Snapshot> Memory::query() {
  Snapshot out;
  for (const auto& [key, sa] : sas_) {
    out.sas.push_back({key, sa.reqid, sa.local, sa.remote, traffic_.at(key).counters});
  }
  for (const auto& [reqid, policy] : policies_) out.policies.push_back(policy);
  out.counters.assign(counters_.begin(), counters_.end());
  return out;
}

std::vector<Event> Memory::poll_events() { return std::exchange(events_, {}); }

bool Memory::lose(const SaKey& key) {
  const auto at = locate(key);
  if (at == sas_.end()) return false;
  erase(at);
  return true;
}

bool Memory::account(const SaKey& key, std::uint64_t packets, std::uint64_t bytes, Instant now) {
  const auto at = locate(key);
  if (at == sas_.end()) return false;
  const SaSpec& sa = at->second;
  Traffic& traffic = traffic_.at(at->first);
  if (sa.tell_first && packets > 0 && traffic.counters.packets == 0) emit(FirstPacket{at->first});
  traffic.counters.packets += packets;
  traffic.counters.bytes += bytes;
  traffic.counters.last_used = now;
  const auto reached = [](std::uint64_t value, std::optional<std::uint64_t> limit) {
    return limit && value >= *limit;
  };
  if (!traffic.soft_sent && (reached(traffic.counters.bytes, sa.soft_bytes) ||
                             reached(traffic.counters.packets, sa.soft_packets))) {
    traffic.soft_sent = true;
    emit(SoftExpire{at->first});
  }
  if (reached(traffic.counters.bytes, sa.hard_bytes) ||
      reached(traffic.counters.packets, sa.hard_packets)) {
    emit(HardExpire{at->first});
    erase(at);
  }
  return true;
}

}  // namespace espalier::dataplane
