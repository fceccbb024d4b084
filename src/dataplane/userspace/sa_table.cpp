#include "dataplane/userspace/sa_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/check.hpp"
#include "dataplane/limits.hpp"
#include "dataplane/userspace/sockaddr.hpp"

namespace espalier::dataplane::userspace {
namespace {

bool reached(std::uint64_t value, const std::optional<std::uint64_t>& limit) {
  return limit && value >= *limit;
}

esp::SaParameters parameters(const SaSpec& sa) {
  esp::SaParameters out;
  out.spi = sa.spi;
  out.mode = sa.mode;
  out.suite = sa.suite;
  out.encr_key = sa.encr_key.reveal();
  out.integ_key = sa.integ_key.reveal();
  out.esn = sa.esn;
  out.replay_window = sa.replay_window;
  return out;
}

template <class Sa>
void fill(Sa& out, const SaSpec& sa) {
  out.key = sa.key();
  out.reqid = sa.reqid;
  out.local = sa.local;
  out.remote = sa.remote;
  out.limits = {sa.soft_bytes, sa.hard_bytes, sa.soft_packets, sa.hard_packets};
}

Status supported(const SaSpec& sa) {
  if (!sa.udp_encap) {
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("Pair {}: {} is without UDP encapsulation, which the userspace "
                                  "dataplane cannot send. Set encap: always for the pair.",
                                  sa.pair, describe(sa.key())));
  }
  if (sa.mode != policy::Mode::kTunnel) {
    return make_error(
        ErrorCode::kUnsupported,
        fmt::format("Pair {}: {} is in transport mode; the userspace dataplane carries "
                    "tunnel mode only. Set mode: tunnel for the pair.",
                    sa.pair, describe(sa.key())));
  }
  return {};
}

}  // namespace

std::uint64_t SaCommon::packets_left() const {
  if (!limits.hard_packets) return UINT64_MAX;
  return *limits.hard_packets > counters.packets ? *limits.hard_packets - counters.packets : 0;
}

bool SaCommon::soft_reached() const {
  return reached(counters.bytes, limits.soft_bytes) ||
         reached(counters.packets, limits.soft_packets);
}

bool SaCommon::hard_reached() const {
  return reached(counters.bytes, limits.hard_bytes) ||
         reached(counters.packets, limits.hard_packets);
}

void OutSa::set_addresses(const SocketAddress& local_address, const SocketAddress& remote_address) {
  local = local_address;
  remote = remote_address;
  to_octets = to_sockaddr(remote_address, to);
  gso_refused = SIZE_MAX;  // another route
}

Status SaTable::apply(const Change& change) {
  if (const auto* add_sa = std::get_if<AddSa>(&change)) return add(add_sa->sa);
  if (const auto* delete_sa = std::get_if<DeleteSa>(&change)) {
    remove(delete_sa->key);
    return {};
  }
  if (const auto* move_sa = std::get_if<MoveSa>(&change)) return move(*move_sa);
  if (const auto* set = std::get_if<SetPolicy>(&change)) return policies_.set(set->policy);
  const ReqId gone = std::get<DeletePolicy>(change).reqid;
  policies_.erase(gone);
  const auto bundle = bundles_.find(gone);
  if (bundle != bundles_.end() && bundle->second.sas.empty()) bundles_.erase(bundle);
  return {};
}

InSa* SaTable::inbound(Spi spi) {
  const auto at = inbound_.find(spi);
  return at == inbound_.end() ? nullptr : at->second.get();
}

Status SaTable::add(const SaSpec& sa) {
  TRY(dataplane::check(sa));
  TRY(supported(sa));
  const bool taken = sa.direction == Direction::kIn ? inbound_.count(sa.spi) > 0
                                                    : outbound_.count({sa.spi, sa.remote.ip}) > 0;
  if (taken) {
    return make_error(ErrorCode::kAlreadyExists,
                      fmt::format("Pair {}: there is an {} already.", sa.pair, describe(sa.key())));
  }
  if (inbound_.size() + outbound_.size() >= kMaxSas) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("The dataplane is full: it holds {} SAs.", kMaxSas));
  }
  if (sa.direction == Direction::kIn) {
    TRY_ASSIGN(esp::InboundSa core, esp::InboundSa::make(parameters(sa)));
    auto in = std::make_unique<InSa>(std::move(core));
    fill(*in, sa);
    in->local_ts = sa.local_ts;
    in->remote_ts = sa.remote_ts;
    in->tell_first = sa.tell_first;
    inbound_.emplace(sa.spi, std::move(in));
    return {};
  }
  TRY_ASSIGN(esp::OutboundSa core, esp::OutboundSa::make(parameters(sa)));
  auto out = std::make_unique<OutSa>(std::move(core));
  fill(*out, sa);
  out->set_addresses(sa.local, sa.remote);
  bundles_[sa.reqid].sas.push_back(out.get());
  outbound_.emplace(OutName{sa.spi, sa.remote.ip}, std::move(out));
  return {};
}

void SaTable::erase_outbound(Outbound::iterator at) {
  const auto bundle = bundles_.find(at->second->reqid);
  std::erase(bundle->second.sas, at->second.get());
  if (bundle->second.sas.empty()) bundles_.erase(bundle);
  outbound_.erase(at);
}

void SaTable::remove(const SaKey& key) {
  if (key.direction == Direction::kIn) {
    inbound_.erase(key.spi);
    return;
  }
  const auto at = outbound_.find({key.spi, key.peer});
  if (at != outbound_.end()) erase_outbound(at);
}

Status SaTable::move(const MoveSa& change) {
  if (change.local.ip.family() != change.remote.ip.family() || change.remote.ip.is_unspecified() ||
      change.remote.port == 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("{} cannot move to {} and {}.", describe(change.key),
                                  change.local.to_string(), change.remote.to_string()));
  }
  if (!change.udp_encap) {
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("{} cannot leave UDP encapsulation: the userspace dataplane has "
                                  "no other.",
                                  describe(change.key)));
  }
  const SaKey after{change.key.direction, change.key.spi, change.remote.ip};
  if (change.key.direction == Direction::kIn) {
    if (InSa* in = inbound(change.key.spi)) {
      in->key = after;
      in->local = change.local;
      in->remote = change.remote;
      in->moved_sent.reset();
      return {};
    }
  } else if (const auto at = outbound_.find({change.key.spi, change.key.peer});
             at != outbound_.end()) {
    const OutName name{after.spi, after.peer};
    if (after != change.key && outbound_.count(name) > 0) {
      return make_error(ErrorCode::kAlreadyExists,
                        fmt::format("There is an {} already.", describe(after)));
    }
    at->second->key = after;
    at->second->set_addresses(change.local, change.remote);
    auto node = outbound_.extract(at);
    node.key() = name;
    outbound_.insert(std::move(node));
    return {};
  }
  return make_error(ErrorCode::kNotFound,
                    fmt::format("There is no {} to move.", describe(change.key)));
}

void SaTable::sweep() {
  if (!any_dead_) return;
  any_dead_ = false;
  std::erase_if(inbound_, [](const auto& entry) { return entry.second->dead; });
  for (auto at = outbound_.begin(); at != outbound_.end();) {
    const auto here = at++;
    if (here->second->dead) erase_outbound(here);
  }
}

std::vector<SaState> SaTable::states() const {
  std::vector<SaState> out;
  const auto add_state = [&](const SaCommon& sa) {
    if (!sa.dead) out.push_back({sa.key, sa.reqid, sa.local, sa.remote, sa.counters});
  };
  for (const auto& [spi, sa] : inbound_) add_state(*sa);
  for (const auto& [name, sa] : outbound_) add_state(*sa);
  std::sort(out.begin(), out.end(),
            [](const SaState& a, const SaState& b) { return a.key < b.key; });
  return out;
}

}  // namespace espalier::dataplane::userspace
