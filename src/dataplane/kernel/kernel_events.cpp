// What the kernel says by itself: expirations, acquires, and what somebody else changed.
#include <fmt/format.h>

#include <algorithm>

#include "dataplane/kernel/kernel.hpp"
#include "dataplane/limits.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane {

using kernel::KernelAcquire;
using kernel::KernelSa;

namespace {

bool contains(const policy::SelectorList& list, const IpAddress& address) {
  return policy::contains(list, {policy::from_prefix(Prefix::host(address))});
}

}  // namespace

void Kernel::soft_expired(Sas::const_iterator at, std::vector<Event>& events) {
  if (!at->second.tell_first) return events.push_back(SoftExpire{at->first});
  Held& held = sas_.at(at->first);
  held.tell_first = false;
  events.push_back(FirstPacket{at->first});
  NetlinkMessage get(XFRM_MSG_GETSA, 0);
  kernel::put_sa_id(get, held.id(at->first.spi));
  NetlinkMessage put(XFRM_MSG_UPDSA, NLM_F_REPLACE);
  Status built = make_error(ErrorCode::kNotFound, "the kernel does not have it any more");
  Status done = requests_.visit(get, [&](const nlmsghdr& header) {
    built = kernel::put_soft_packets(put, header, held.soft_packets);
  });
  if (done) done = std::move(built);
  if (done) done = requests_.request(put);
  // Without its limit it ends at the hard one; better now than then.
  if (!done && held.soft_packets) events.push_back(SoftExpire{at->first});
}

void Kernel::take_expire(const nlmsghdr& header, std::vector<Event>& events) {
  const auto expire = kernel::parse_expire(header);
  if (!expire || !kernel::is_ours(expire->sa.reqid)) return;
  if (expire->sa.larval()) {
    const auto known = larvals_.find(ReqId(expire->sa.reqid));
    if (known == larvals_.end()) return;
    std::erase_if(known->second,
                  [&](const KernelAcquire& one) { return one.seq == expire->sa.seq; });
    return;
  }
  const auto held = find(expire->sa);
  if (held == sas_.end()) return;
  if (!expire->hard) return soft_expired(held, events);
  events.push_back(HardExpire{held->first});
  sas_.erase(held);  // the kernel has removed it
}

void Kernel::take_acquire(const nlmsghdr& header, std::vector<Event>& events) {
  const auto acquire = kernel::parse_acquire(header);
  if (!acquire || !kernel::is_ours(acquire->reqid)) return;
  const ReqId reqid(acquire->reqid);
  const auto policy = policies_.find(reqid);
  if (policy == policies_.end()) return;
  auto& known = larvals_[reqid];
  if (known.size() >= kMaxLarvals) known.erase(known.begin());  // the oldest
  known.push_back(*acquire);
  ++counters_["acquires"];
  events.push_back(Acquire{reqid, policy->second.pair});
}

void Kernel::take_mapping(const nlmsghdr& header, std::vector<Event>& events) {
  const auto mapping = kernel::parse_mapping(header);
  if (!mapping) return;
  const auto held = locate({Direction::kIn, mapping->spi, {}});
  if (held != sas_.end() && held->second.local.ip == mapping->destination) {
    events.push_back(PeerMoved{held->first, mapping->from});
  }
}

void Kernel::drift(std::vector<Event>& events) {
  const bool known = std::any_of(events.begin(), events.end(), [](const Event& event) {
    return std::holds_alternative<Drifted>(event);
  });
  if (!known) events.push_back(Drifted{});
}

// What others asked of the kernel. Another program's own entries are none of our business.
void Kernel::take_change(const nlmsghdr& header, std::vector<Event>& events) {
  if (header.nlmsg_pid == requests_.port()) return;
  switch (header.nlmsg_type) {
    case XFRM_MSG_FLUSHSA:
    case XFRM_MSG_FLUSHPOLICY: return drift(events);
    case XFRM_MSG_NEWSA:
    case XFRM_MSG_UPDSA:
    case XFRM_MSG_DELSA: {
      const auto sa = kernel::parse_sa_change(header);
      if (!sa || sa->larval()) return;
      const auto held = find(*sa);
      if (held != sas_.end() && header.nlmsg_type == XFRM_MSG_UPDSA) {
        sas_.at(held->first).tampered = true;
      }
      if (held != sas_.end() || kernel::is_ours(sa->reqid)) drift(events);
      return;
    }
    default: {
      const auto policy = kernel::parse_policy_change(header);
      if (policy && (is_known(policy->key) || kernel::is_our_priority(policy->priority))) {
        drift(events);
      }
    }
  }
}

void Kernel::take_event(const nlmsghdr& header, std::vector<Event>& events) {
  switch (header.nlmsg_type) {
    case XFRM_MSG_EXPIRE: return take_expire(header, events);
    case XFRM_MSG_ACQUIRE: return take_acquire(header, events);
    case XFRM_MSG_MAPPING: return take_mapping(header, events);
    case XFRM_MSG_NEWSA:
    case XFRM_MSG_UPDSA:
    case XFRM_MSG_DELSA:
    case XFRM_MSG_FLUSHSA:
    case XFRM_MSG_NEWPOLICY:
    case XFRM_MSG_UPDPOLICY:
    case XFRM_MSG_DELPOLICY:
    case XFRM_MSG_FLUSHPOLICY: return take_change(header, events);
    default: return;
  }
}

std::vector<Event> Kernel::poll_events() {
  std::vector<Event> events = std::move(waiting_);
  waiting_.clear();
  const Status read =
      events_.receive_waiting([&](const nlmsghdr& header) { take_event(header, events); });
  if (!read) {
    // Too many at once: what was lost is found by comparing.
    ++counters_["events-lost"];
    drift(events);
  }
  return events;
}

// By an SPI, which is all that one can be removed by.
Status Kernel::remove_larval(const KernelAcquire& larval) {
  NetlinkMessage message(XFRM_MSG_ALLOCSPI, 0);
  kernel::put_larval_spi(message, larval);
  std::optional<KernelSa> named;
  TRY(requests_.visit(message, [&](const nlmsghdr& header) { named = kernel::parse_sa(header); }));
  if (!named || named->larval()) return {};
  return remove({named->destination, named->spi, larval.mark});
}

// The kernel asks once for each larval SA, and has it for minutes (net.core.xfrm_acq_expires). A
// trap that stands again is to ask at once.
void Kernel::rearm(ReqId reqid) {
  const auto known = larvals_.find(reqid);
  if (known == larvals_.end()) return;
  for (const KernelAcquire& larval : known->second) {
    if (!remove_larval(larval)) ++counters_["larvals-left"];
  }
  larvals_.erase(known);
}

// What the kernel asked for while nobody listened, by the packet that wanted it: reqids may be
// others now.
void Kernel::pick_up_acquires() {
  for (const KernelSa& larval : left_larvals_) {
    if (!larval.flow_source || !larval.flow_destination) continue;
    for (const auto& [reqid, policy] : policies_) {
      if (!policy.trap || !contains(policy.local_ts, *larval.flow_source) ||
          !contains(policy.remote_ts, *larval.flow_destination) ||
          policy.binding.if_id_out != larval.if_id || policy.binding.mark_out != larval.mark) {
        continue;
      }
      ++counters_["acquires"];
      waiting_.push_back(Acquire{reqid, policy.pair});
      break;
    }
    if (!remove_larval(larval.acquire())) {
      ++counters_["larvals-left"];
    }
  }
  left_larvals_.clear();
}

}  // namespace espalier::dataplane
