#include "dataplane/kernel/kernel.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/check.hpp"
#include "dataplane/kernel/device_routes.hpp"
#include "dataplane/kernel/devices.hpp"
#include "dataplane/kernel/exceptions.hpp"
#include "dataplane/kernel/larval_drop.hpp"
#include "dataplane/kernel/left.hpp"
#include "dataplane/kernel/rebuild.hpp"
#include "dataplane/limits.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane {

using kernel::KernelPolicy;
using kernel::KernelSa;
using kernel::PolicyKey;
using kernel::SaId;

namespace {

// Packets that an outbound SA may send between being read and being replaced: no number of theirs
// is used again. A second at 10 million packets a second is more than any of our moves takes.
constexpr std::uint32_t kMoveSkip = 1u << 24;
constexpr std::uint32_t kMoveSkipWithoutEsn = 1u << 20;

// A flush of a thousand SAs says so a thousand times.
constexpr std::size_t kEventOctets = 4u << 20;

Error about(const std::string& what, const Error& error) {
  return make_error(error.code, fmt::format("{}: {}.", what, error.message));
}

IpAddress destination_of(Direction direction, const SocketAddress& local,
                         const SocketAddress& remote) {
  return direction == Direction::kIn ? local.ip : remote.ip;
}

}  // namespace

Result<std::unique_ptr<Kernel>> Kernel::make(KernelOptions options) {
  auto requests = Netlink::open(NETLINK_XFRM);
  if (!requests) {
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("This kernel has no XFRM, which is Linux' IPsec: {}",
                                  requests.error().message));
  }
  TRY_ASSIGN(Netlink events, Netlink::open(NETLINK_XFRM));
  events.widen(kEventOctets);
  for (const unsigned group :
       {XFRMNLGRP_ACQUIRE, XFRMNLGRP_EXPIRE, XFRMNLGRP_MAPPING, XFRMNLGRP_SA, XFRMNLGRP_POLICY}) {
    TRY(events.join(group));
  }
  std::unique_ptr<Kernel> plane(
      new Kernel(std::move(options), std::move(*requests), std::move(events)));
  plane->took_over_ = !plane->options_.keep;
  if (plane->took_over_) TRY(plane->remove_sas(Which::kAll));
  return plane;
}

int Kernel::notify_fd() const { return events_.fd(); }

Status Kernel::apply(std::span<const Change> changes) {
  for (const Change& change : changes) {
    TRY(std::visit([this](const auto& one) { return apply(one); }, change));
  }
  return {};
}

Status Kernel::apply(const AddSa& change) {
  const SaSpec& sa = change.sa;
  TRY(check(sa));
  const std::string what = fmt::format("Pair {}: {}", sa.pair, describe(sa.key()));
  if (locate(sa.key()) != sas_.end()) {
    return make_error(ErrorCode::kAlreadyExists, what + " is there already.");
  }
  if (sas_.size() >= kMaxSas) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("{}: there are {} SAs already.", what, kMaxSas));
  }
  TRY(install(sa, nullptr));
  sas_[sa.key()] = {
      sa.pair,       sa.reqid,       destination_of(sa.direction, sa.local, sa.remote),
      sa.local,      sa.remote,      sa.udp_encap,
      sa.tell_first, sa.soft_packets};
  sas_[sa.key()].mark = kernel::mark_of(sa);
  return {};
}

Status Kernel::install(const SaSpec& sa, const kernel::ReplayState* resume) {
  NetlinkMessage message(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
  TRY(kernel::put_sa(message, sa, resume));
  const Status made = requests_.request(message);
  if (made) return {};
  return about(fmt::format("Pair {}: {} was refused by the kernel", sa.pair, describe(sa.key())),
               made.error());
}

Status Kernel::remove(const SaId& id) {
  NetlinkMessage message(XFRM_MSG_DELSA, 0);
  kernel::put_sa_id(message, id);
  const Status done = requests_.request(message);
  if (done || done.error().code == ErrorCode::kNotFound) return {};
  return about(fmt::format("SA {} to {} could not be removed", to_string(id.spi),
                           id.destination.to_string()),
               done.error());
}

Status Kernel::apply(const DeleteSa& change) {
  const auto at = locate(change.key);
  if (at == sas_.end()) return {};
  TRY(remove(at->second.id(at->first.spi)));
  sas_.erase(at);
  return {};
}

// In place where the kernel can; else the new one before the old one goes, unless both have one
// name.
Status Kernel::apply(const MoveSa& change) {
  const auto at = locate(change.key);
  if (at == sas_.end()) {
    return make_error(ErrorCode::kNotFound,
                      fmt::format("There is no {} to move.", describe(change.key)));
  }
  Held held = at->second;
  const SaKey before = at->first;
  const std::string what = fmt::format("Pair {}: moving {}", held.pair, describe(before));
  const SaKey after{before.direction, before.spi, change.remote.ip};
  if (after != before && locate(after) != at && locate(after) != sas_.end()) {
    return make_error(ErrorCode::kAlreadyExists,
                      fmt::format("{}: there is {} already.", what, describe(after)));
  }
  const SaId old = held.id(before.spi);
  // XFRM_MSG_UPDSA changes ports, but not addresses nor whether there is UDP.
  const bool same_place = held.local.ip == change.local.ip && held.remote.ip == change.remote.ip &&
                          held.udp_encap == change.udp_encap;
  held.destination = destination_of(before.direction, change.local, change.remote);
  const bool same_name = held.destination == old.destination;

  NetlinkMessage get(XFRM_MSG_GETSA, 0);
  kernel::put_sa_id(get, old);
  NetlinkMessage put(same_place ? XFRM_MSG_UPDSA : XFRM_MSG_NEWSA,
                     same_place ? NLM_F_REPLACE : NLM_F_CREATE | NLM_F_EXCL);
  Status built = make_error(ErrorCode::kNotFound, "the kernel does not have it any more");
  const Status read = requests_.visit(get, [&](const nlmsghdr& header) {
    const auto sa = kernel::parse_sa(header);
    const std::uint32_t skip = sa && sa->replay.esn ? kMoveSkip : kMoveSkipWithoutEsn;
    built = kernel::put_moved_sa(
        put, header,
        {before.direction, change.local, change.remote, same_place ? 0 : skip, change.udp_encap});
  });
  if (!read) return about(what, read.error());
  if (!built) return about(what, built.error());
  if (!same_place && same_name) TRY(remove(old));
  if (const Status moved = requests_.request(put); !moved) {
    if (same_name && !same_place) sas_.erase(at);
    return about(what, moved.error());
  }
  if (!same_name) TRY(remove(old));
  held.local = change.local;
  held.remote = change.remote;
  held.udp_encap = change.udp_encap;
  sas_.erase(at);
  sas_[after] = std::move(held);
  return {};
}

Status Kernel::put(const PolicyKey& key, const PolicySpec& policy) {
  NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0);
  kernel::put_policy(message, key, policy);
  const Status set = requests_.request(message);
  if (set) return {};
  return about(fmt::format("Pair {}: the policy {}", policy.pair, key.text()), set.error());
}

Status Kernel::put_exception(const PolicyKey& key) {
  NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0);
  kernel::put_exception(message, key);
  const Status set = requests_.request(message);
  if (set) return {};
  return about(fmt::format("The exception {}", key.text()), set.error());
}

Status Kernel::remove_policy(const PolicyKey& key) {
  NetlinkMessage message(XFRM_MSG_DELPOLICY, 0);
  kernel::put_policy_id(message, key);
  const Status done = requests_.request(message);
  if (done || done.error().code == ErrorCode::kNotFound) return {};
  return about(fmt::format("The policy {}", key.text()), done.error());
}

Status Kernel::apply(const SetPolicy& change) {
  const PolicySpec& policy = change.policy;
  TRY(check(policy));
  TRY_ASSIGN(const std::set<PolicyKey> wanted, kernel::expand(policy));
  std::set<PolicyKey> had;
  if (const auto old = policies_.find(policy.reqid); old != policies_.end()) {
    // It stands; if somebody took it away, repair() puts it back.
    if (old->second == policy) return {};
    TRY_ASSIGN(had, kernel::expand(old->second));
  } else if (policies_.size() >= kMaxPolicies) {
    return make_error(ErrorCode::kLimit, fmt::format("Pair {}: there are {} policies already.",
                                                     policy.pair, kMaxPolicies));
  }
  policies_[policy.reqid] = policy;
  for (const PolicyKey& key : wanted) {
    own(owners_[key], policy);
    if (owners_[key].back() == policy.reqid) TRY(put(key, policy));
  }
  for (const PolicyKey& key : had) {
    if (!wanted.contains(key)) TRY(release(key, policy.reqid));
  }
  return {};
}

// The last has the kernel's policy. An exception has it before all others; a closed one has it when
// nobody else wants it; and transport mode comes before a tunnel for the same packets, whichever
// was set first, since both ends must choose the same. Otherwise the later one has it, and keeps
// its place when it is set again.
void Kernel::own(std::vector<ReqId>& owners, const PolicySpec& policy) {
  const auto rank = [](const PolicySpec& one) {
    if (one.closed) return 0;
    if (one.clear) return 3;
    return one.mode == policy::Mode::kTransport ? 2 : 1;
  };
  const auto at = std::find(owners.begin(), owners.end(), policy.reqid);
  const bool in_place = at != owners.end() &&
                        (at == owners.begin() || rank(policies_.at(*(at - 1))) <= rank(policy)) &&
                        (at + 1 == owners.end() || rank(policy) <= rank(policies_.at(*(at + 1))));
  if (in_place) return;
  if (at != owners.end()) owners.erase(at);
  const auto before = std::find_if(owners.begin(), owners.end(), [&](ReqId other) {
    return rank(policies_.at(other)) > rank(policy);
  });
  owners.insert(before, policy.reqid);
}

Status Kernel::apply(const DeletePolicy& change) {
  const auto old = policies_.find(change.reqid);
  if (old == policies_.end()) return {};
  TRY_ASSIGN(const std::set<PolicyKey> had, kernel::expand(old->second));
  policies_.erase(old);
  larvals_.erase(change.reqid);
  for (const PolicyKey& key : had) TRY(release(key, change.reqid));
  return {};
}

// The kernel has one policy of each key: with its last owner it goes, else the owner before has it.
Status Kernel::release(const PolicyKey& key, ReqId reqid) {
  const auto at = owners_.find(key);
  if (at == owners_.end()) return {};
  const bool was_active = at->second.back() == reqid;
  std::erase(at->second, reqid);
  if (!at->second.empty()) {
    if (!was_active) return {};
    const PolicySpec& next = policies_.at(at->second.back());
    TRY(put(key, next));
    if (next.trap && key.direction == kernel::PolicyDirection::kOut) rearm(next.reqid);
    return {};
  }
  owners_.erase(at);
  return remove_policy(key);
}

// Only what is not there: a reload touches what changed.
Status Kernel::put_outside(const std::vector<KernelPolicy>& found) {
  std::set<PolicyKey> there;
  for (const KernelPolicy& policy : found) {
    const bool good = policy.priority == kernel::kPriorityOutside && policy.allow;
    if (good && policy.reqid == 0) there.insert(policy.key);
  }
  for (const PolicyKey& key : kernel::always_outside()) {
    if (there.contains(key)) continue;
    TRY(put_exception(key));
  }
  exceptions_stand_ = true;
  return {};
}

Status Kernel::close(const std::vector<PolicySpec>& standing) {
  if (!took_over_) TRY(import_left());
  TRY_ASSIGN(std::vector<KernelPolicy> found, dump_policies());
  TRY(put_outside(found));
  std::erase_if(found, [this](const KernelPolicy& one) { return owners_.contains(one.key); });
  std::set<ReqId> wanted;
  // Exceptions first: what they let through is never closed for a moment.
  for (const bool clear : {true, false}) {
    for (const PolicySpec& policy : standing) {
      ASSERT(policy.closed != policy.clear);
      if (policy.clear != clear) continue;
      wanted.insert(policy.reqid);
      TRY(apply(SetPolicy{policy}));
    }
  }
  std::vector<ReqId> gone;
  for (const auto& [reqid, policy] : policies_) {
    if ((policy.closed || policy.clear) && !wanted.contains(reqid)) gone.push_back(reqid);
  }
  for (const ReqId reqid : gone) TRY(apply(DeletePolicy{reqid}));
  pick_up_acquires();
  return remove_left_policies(found);
}

Status Kernel::remove_left_policies(const std::vector<KernelPolicy>& found) {
  const std::vector<PolicyKey>& exceptions = kernel::always_outside();
  std::size_t removed = 0;
  for (const KernelPolicy& policy : found) {
    const bool exempt =
        std::find(exceptions.begin(), exceptions.end(), policy.key) != exceptions.end();
    if (exempt || owners_.contains(policy.key)) continue;
    TRY(remove_policy(policy.key));
    ++removed;
  }
  if (removed > 0 && options_.log != nullptr) {
    options_.log->log(
        {LogLevel::kInfo, "dataplane", "",
         fmt::format("{} policies of an earlier daemon removed from the kernel: nothing wants them",
                     removed)});
  }
  return {};
}

Kernel::Sas::iterator Kernel::locate(const SaKey& key) {
  if (key.direction == Direction::kOut) return sas_.find(key);
  // Ordered by direction, then SPI: an inbound SPI has one peer.
  const auto at = sas_.lower_bound(SaKey{Direction::kIn, key.spi, IpAddress::any(Family::kIpv4)});
  return at != sas_.end() && at->first.direction == Direction::kIn && at->first.spi == key.spi
             ? at
             : sas_.end();
}

Kernel::Sas::const_iterator Kernel::find(const KernelSa& sa) const {
  auto& self = const_cast<Kernel&>(*this);
  const auto in = self.locate({Direction::kIn, sa.spi, {}});
  if (in != sas_.end() && in->second.destination == sa.destination) return in;
  return sas_.find({Direction::kOut, sa.spi, sa.destination});
}

Result<std::vector<KernelSa>> Kernel::dump_sas() {
  std::vector<KernelSa> found;
  NetlinkMessage message(XFRM_MSG_GETSA, 0);
  TRY(requests_.dump(message, [&](const nlmsghdr& header) {
    auto sa = kernel::parse_sa(header);
    if (sa && kernel::is_ours(sa->reqid)) found.push_back(std::move(*sa));
  }));
  return found;
}

Result<std::vector<KernelPolicy>> Kernel::dump_policies() {
  std::vector<KernelPolicy> found;
  NetlinkMessage message(XFRM_MSG_GETPOLICY, 0);
  TRY(requests_.dump(message, [&](const nlmsghdr& header) {
    auto policy = kernel::parse_policy(header);
    if (policy && kernel::is_our_priority(policy->priority)) found.push_back(std::move(*policy));
  }));
  return found;
}

Status Kernel::remove_sas(Which which) {
  TRY_ASSIGN(const std::vector<KernelSa> left, dump_sas());
  left_larvals_.clear();
  std::size_t removed = 0;
  for (const KernelSa& sa : left) {
    if (sa.larval()) {
      left_larvals_.push_back(sa);
      continue;
    }
    if (which == Which::kNegotiated && kernel::is_manual(sa.reqid)) continue;
    TRY(remove(sa.id()));
    ++removed;
  }
  std::erase_if(sas_, [&](const auto& entry) {
    return which == Which::kAll || !kernel::is_manual(entry.second.reqid.value);
  });
  if (removed > 0 && options_.log != nullptr) {
    options_.log->log(
        {LogLevel::kInfo, "dataplane", "", fmt::format("{} SAs removed from the kernel", removed)});
  }
  return {};
}

SaState Kernel::state_of(const SaKey& key, const Held& held, const KernelSa& sa) const {
  SaState state;
  state.key = key;
  state.reqid = ReqId(sa.reqid);
  const bool in = key.direction == Direction::kIn;
  state.local = {in ? sa.destination : sa.source, in ? sa.destination_port : sa.source_port};
  state.remote = {in ? sa.source : sa.destination, in ? sa.source_port : sa.destination_port};
  if (!sa.udp_encap) {
    state.local.port = held.local.port;
    state.remote.port = held.remote.port;
  }
  state.counters.bytes = sa.bytes;
  state.counters.packets = sa.packets;
  if (sa.packets > 0 && sa.last_used > 0) {
    const std::int64_t ago = options_.unix_now() - static_cast<std::int64_t>(sa.last_used);
    state.counters.last_used =
        options_.clock() - std::chrono::seconds(std::max<std::int64_t>(ago, 0));
  }
  return state;
}

// Ours as they were set where the kernel has them whole; else what it has. One that a later policy
// covers is whole while that one is there.
Result<std::vector<PolicySpec>> Kernel::compare(const std::vector<KernelPolicy>& found) const {
  std::map<PolicyKey, KernelPolicy> active;
  std::map<ReqId, std::map<PolicyKey, KernelPolicy>> by_reqid;
  for (const KernelPolicy& policy : found) {
    active[policy.key] = policy;
    if (took_over_ && policy.reqid != 0) by_reqid[ReqId(policy.reqid)][policy.key] = policy;
  }
  std::map<ReqId, PolicySpec> specs;
  for (const auto& [reqid, entries] : by_reqid) specs[reqid] = kernel::rebuild(reqid, entries);
  for (const auto& [reqid, held] : policies_) {
    TRY_ASSIGN(const std::set<PolicyKey> wanted, kernel::expand(held));
    const bool whole = std::all_of(wanted.begin(), wanted.end(), [&](const PolicyKey& key) {
      const auto now = active.find(key);
      return now != active.end() && now->second == expected(key);
    });
    const auto rebuilt = specs.find(reqid);
    if (whole) {
      specs[reqid] = held;
    } else if (rebuilt != specs.end()) {
      rebuilt->second.pair = held.pair;
    }
  }
  std::vector<PolicySpec> list;
  for (auto& [reqid, spec] : specs) list.push_back(std::move(spec));
  return list;
}

Result<Snapshot> Kernel::query() {
  Snapshot snapshot;
  TRY_ASSIGN(const std::vector<KernelSa> sas, dump_sas());
  for (const KernelSa& sa : sas) {
    const auto held = find(sa);
    if (held != sas_.end() && !held->second.tampered)
      snapshot.sas.push_back(state_of(held->first, held->second, sa));
  }
  std::sort(snapshot.sas.begin(), snapshot.sas.end(),
            [](const SaState& a, const SaState& b) { return a.key < b.key; });

  TRY_ASSIGN(const std::vector<KernelPolicy> policies, dump_policies());
  TRY_ASSIGN(snapshot.policies, compare(policies));
  snapshot.counters.assign(counters_.begin(), counters_.end());
  return snapshot;
}

Result<std::size_t> Kernel::open() {
  TRY_ASSIGN(const std::vector<KernelPolicy> found, dump_policies());
  Status first;
  for (const KernelPolicy& policy : found) {
    const Status removed = remove_policy(policy.key);
    if (first && !removed) first = removed;
  }
  for (const KernelSa& sa : left_larvals_) {
    const Status removed = remove_larval(sa.acquire());
    if (first && !removed) first = removed;
  }
  left_larvals_.clear();
  policies_.clear();
  owners_.clear();
  if (!first) return first.error();
  return found.size();
}

namespace {

Status teardown_devices(Logger& logger) {
  const auto routing = kernel::remove_routing();
  const auto devices = kernel::remove_devices({});
  if (routing && *routing > 0) {
    logger.log(
        {LogLevel::kInfo, "dataplane", "",
         fmt::format("{} routes and rules of table {} removed", *routing, kernel::kDeviceTable)});
  }
  if (devices && !devices->empty()) {
    logger.log({LogLevel::kInfo, "dataplane", "",
                fmt::format("the interfaces {} removed", fmt::join(*devices, ", "))});
  }
  if (!routing) return routing.error();
  return devices ? Status() : Status(devices.error());
}

}  // namespace

Status teardown_kernel(Logger& logger, const std::string& run) {
  const auto restored = LarvalDrop(run + "/xfrm_larval_drop").restore();
  KernelOptions options;
  options.log = &logger;
  end_socket_holder(run);
  remove_journal(run);
  const Status led = teardown_devices(logger);
  auto plane = Kernel::make(std::move(options));  // which removes the SAs
  if (!plane && plane.error().code == ErrorCode::kUnsupported) return {};
  if (!plane) return plane.error();
  TRY_ASSIGN(const std::size_t removed, (*plane)->open());
  if (removed > 0) {
    logger.log({LogLevel::kInfo, "dataplane", "",
                fmt::format("{} policies removed from the kernel", removed)});
  }
  if (!led) return led;
  return restored ? Status() : Status(restored.error());
}

}  // namespace espalier::dataplane
