#include "ike/v2/mobike.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/negotiate.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::NotifyPayload;

bool contains(const std::vector<IpAddress>& list, const IpAddress& address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

void add_once(std::vector<IpAddress>& list, const IpAddress& address) {
  if (!contains(list, address)) list.push_back(address);
}

// The addresses to call from: those that the configuration names and the host has, then whatever
// else it has.
std::vector<IpAddress> own_candidates(const Core& core, const policy::Connection& connection) {
  if (core.own_addresses.empty()) return connection.local_addresses;
  std::vector<IpAddress> list;
  for (const IpAddress& address : connection.local_addresses) {
    if (contains(core.own_addresses, address)) add_once(list, address);
  }
  for (const IpAddress& address : core.own_addresses) add_once(list, address);
  return list;
}

// Our addresses that the peer is told of, beside the one in use.
std::vector<IpAddress> others(const std::vector<IpAddress>& own, const IkeSa& sa) {
  std::vector<IpAddress> list;
  const std::vector<IpAddress>& named = sa.connection->local_addresses;
  for (const IpAddress& address : own.empty() ? named : own) {
    const bool is_ours = named.empty() || contains(named, address);
    if (is_ours && address != sa.path.local.ip && list.size() < kMobikeAddressesMax) {
      add_once(list, address);
    }
  }
  return list;
}

// Every pair of addresses that may work, the peer's present one first (section 3.10).
std::vector<Path> candidates(const Context& ctx, const IkeSa& sa) {
  std::vector<IpAddress> remotes;
  if (!sa.mobike->listed) {
    remotes.push_back(sa.path.remote.ip);
    for (const IpAddress& address : sa.connection->remote_addresses) add_once(remotes, address);
  }
  for (const IpAddress& address : sa.mobike->peer_addresses) add_once(remotes, address);
  const std::vector<IpAddress> locals = own_candidates(ctx.core, *sa.connection);
  const std::uint16_t port = ctx.core.settings.nat_port;
  std::vector<Path> paths;
  for (const IpAddress& remote : remotes) {
    for (const IpAddress& local : locals) {
      if (local.family() != remote.family()) continue;
      const bool same = remote == sa.path.remote.ip;
      paths.push_back({{local, sa.path.local.port}, {remote, same ? sa.path.remote.port : port}});
    }
  }
  return paths;
}

void queue_tell(Context& ctx, IkeSa& sa, Instant at) {
  add_task(ctx, sa, {TaskKind::kTellAddresses, Spi(), "", at});
}

void set_path(Context& ctx, IkeSa& sa, const Path& path) {
  Mobike& mobike = *sa.mobike;
  ctx.event(
      EventKind::kNote, LogLevel::kInfo, sa.pair(),
      fmt::format("the IKE SA goes from {} to {} now (was {} to {})", path.local.to_string(),
                  path.remote.to_string(), sa.path.local.to_string(), sa.path.remote.to_string()));
  sa.path = path;
  ++mobike.epoch;
  mobike.update = mobike.initiator;
  ctx.core.dirty.insert(sa.local_spi());
}

bool is_list(NotifyType type) {
  return type == NotifyType::kAdditionalIp4Address || type == NotifyType::kAdditionalIp6Address ||
         type == NotifyType::kNoAdditionalAddresses;
}

// The whole new list of the peer's other addresses (section 3.6), or nothing.
std::optional<std::vector<IpAddress>> read_list(const Message& message) {
  std::optional<std::vector<IpAddress>> list;
  for (const Payload& payload : message.payloads) {
    const auto* notify = std::get_if<NotifyPayload>(&payload);
    if (notify == nullptr || !is_list(notify->type)) continue;
    if (!list) list.emplace();
    if (notify->type == NotifyType::kNoAdditionalAddresses) continue;
    const std::size_t octets = notify->type == NotifyType::kAdditionalIp4Address ? 4 : 16;
    const auto address = IpAddress::from_bytes(notify->data);
    if (notify->data.size() != octets || !address || list->size() >= kMobikeAddressesMax) continue;
    if (!address->is_unspecified()) add_once(*list, *address);
  }
  return list;
}

void add_list(const Context& ctx, const IkeSa& sa, std::vector<Payload>& payloads) {
  for (const IpAddress& address : others(ctx.core.own_addresses, sa)) {
    payloads.push_back(make_notify(
        address.is_v4() ? NotifyType::kAdditionalIp4Address : NotifyType::kAdditionalIp6Address,
        address.bytes()));
  }
}

// Why the peer may not move there; nothing when it may.
std::optional<std::string> unacceptable(const Context& ctx, const IkeSa& sa, const Path& path) {
  if (path.remote.ip.is_unspecified() || path.remote.port == 0 ||
      contains(ctx.core.own_addresses, path.remote.ip)) {
    return "no peer can be there";
  }
  const bool bound = std::any_of(sa.children.begin(), sa.children.end(), [](const ChildSa& child) {
    return child.spec.mode == policy::Mode::kTransport;
  });
  if (bound) return "a child in transport mode is bound to its addresses";
  return std::nullopt;
}

// UPDATE_SA_ADDRESSES at the responder (section 3.5).
void take_update(Context& ctx, IkeSa& sa, const Path& arrival, const Message& message,
                 std::vector<Payload>& answer) {
  if (const auto why = unacceptable(ctx, sa, arrival)) {
    ctx.count(Counter::kMobikeRefused);
    ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(),
              fmt::format("the peer wants to move to {}, which is refused: {}",
                          arrival.remote.to_string(), *why));
    answer.push_back(make_notify(NotifyType::kUnacceptableAddresses));
    return;
  }
  ctx.count(Counter::kMobikeUpdates);
  if (sa.path != arrival) set_path(ctx, sa, arrival);
  const NatView view = read_nat_detection(sa, arrival, message);
  apply_nat_view(ctx, sa, view);
  if (view.seen) add_nat_detection(ctx, sa, arrival, answer);
  // An address that our file names as the peer's is no third party's: children go there at once.
  // At any other one it has to show that it gets what is sent there (section 3.7).
  const bool known = std::all_of(sa.children.begin(), sa.children.end(), [&](const ChildSa& child) {
    return child.spec.path.remote.ip == arrival.remote.ip;
  });
  if (known || contains(sa.connection->remote_addresses, arrival.remote.ip)) {
    return move_children(ctx, sa);
  }
  add_task(ctx, sa, {TaskKind::kCheckRoute, Spi(), "", ctx.now});
}

void peer_refused(Context& ctx, IkeSa& sa, NotifyType type) {
  Mobike& mobike = *sa.mobike;
  ctx.count(Counter::kMobikeRefused);
  const bool once_more = ++mobike.refusals <= kMobikeRefusalsMax;
  ctx.event(EventKind::kNote, LogLevel::kWarning, sa.pair(),
            fmt::format("the peer refuses our move to {} with {}: {}", sa.path.local.to_string(),
                        wire::ike::name(type),
                        once_more ? "tried again" : "the IKE SA is closed and made anew"));
  if (!once_more) return add_task(ctx, sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
  if (type == NotifyType::kUnacceptableAddresses && try_other_path(ctx, sa)) return;
  queue_tell(ctx, sa, ctx.now + kMobikeRetry);
}

// Our address of the SA is gone, or others came or went.
void own_changed(Context& ctx, IkeSa& sa, const std::vector<IpAddress>& before) {
  const IpAddress local = sa.path.local.ip;
  const bool here = local.is_unspecified() || contains(ctx.core.own_addresses, local);
  if (here && others(before, sa) == others(ctx.core.own_addresses, sa)) return;
  Mobike& mobike = *sa.mobike;
  if (!here) {
    const std::vector<Path> paths = candidates(ctx, sa);
    if (paths.empty()) {
      ctx.event(EventKind::kNote, LogLevel::kWarning, sa.pair(),
                fmt::format("this host lost its address {} and has none to reach {} from",
                            local.to_string(), sa.path.remote.ip.to_string()));
      return;
    }
    set_path(ctx, sa, paths.front());
    // Section 3.5: what a responder sends cannot wait for the initiator when its address is gone.
    if (!mobike.initiator) move_children(ctx, sa);
    if (sa.outstanding) {
      sa.outstanding->sent = 1;
      sa.outstanding->resend_at = ctx.now;
    }
  }
  ++mobike.epoch;
  mobike.list = true;
  queue_tell(ctx, sa, ctx.now);
  run_tasks(ctx, sa);
}

}  // namespace

bool may_use_mobike(const policy::Connection& connection) {
  return connection.mobike && std::all_of(connection.children.begin(), connection.children.end(),
                                          [](const policy::ChildConfig& child) {
                                            return child.mode == policy::Mode::kTunnel;
                                          });
}

void offer_mobike(const Context& ctx, const IkeSa& sa, std::vector<Payload>& payloads) {
  payloads.push_back(make_notify(NotifyType::kMobikeSupported));
  add_list(ctx, sa, payloads);
}

void read_mobike(IkeSa& sa, const Message& message) {
  if (!may_use_mobike(*sa.connection) || message.notify(NotifyType::kMobikeSupported) == nullptr) {
    return;
  }
  Mobike mobike;
  mobike.initiator = sa.role == Role::kInitiator;
  mobike.peer_addresses = read_list(message).value_or(std::vector<IpAddress>());
  sa.mobike = std::move(mobike);
}

bool addresses_are_untouched(const Message& message, const Path& path) {
  const NotifyPayload* notify = message.notify(NotifyType::kNoNatsAllowed);
  if (notify == nullptr) return true;
  Writer seen;  // section 4.2.6
  seen.bytes(path.remote.ip.bytes());
  seen.bytes(path.local.ip.bytes());
  seen.u16(path.remote.port);
  seen.u16(path.local.port);
  return equal(seen.view(), notify->data);
}

void own_addresses_changed(Context& ctx, const std::vector<IpAddress>& addresses) {
  if (ctx.core.own_addresses == addresses) return;
  const std::vector<IpAddress> before = std::move(ctx.core.own_addresses);
  ctx.core.own_addresses = addresses;
  for (auto& [spi, sa] : ctx.core.sas) {
    if (sa.mobike && sa.state == IkeState::kEstablished) own_changed(ctx, sa, before);
  }
}

void request_from_elsewhere(Context& ctx, IkeSa& sa, const Path& path) {
  sa.reply_path = path;
  const bool other_port =
      path.remote.ip == sa.path.remote.ip && path.remote.port != sa.path.remote.port;
  if (!sa.mobike->initiator || !sa.nat_there || !other_port || sa.state != IkeState::kEstablished) {
    return;
  }
  set_path(ctx, sa, {sa.path.local, path.remote});
  queue_tell(ctx, sa, ctx.now);
}

bool try_other_path(Context& ctx, IkeSa& sa) {
  if (!sa.mobike || sa.state != IkeState::kEstablished) return false;
  const bool tells = sa.active && sa.active->task.kind == TaskKind::kTellAddresses;
  if (!sa.mobike->initiator && !tells) return false;
  // In an order that does not depend on where we are, or two of them would take turns.
  std::vector<Path> paths = candidates(ctx, sa);
  std::sort(paths.begin(), paths.end());
  if (paths.empty() || (paths.size() == 1 && paths.front() == sa.path)) return false;
  const auto next = std::upper_bound(paths.begin(), paths.end(), sa.path);
  set_path(ctx, sa, next == paths.end() ? paths.front() : *next);
  queue_tell(ctx, sa, ctx.now);
  return true;
}

void hand_mobike_over(Context& ctx, const IkeSa& old, IkeSa& successor) {
  if (!old.mobike || !successor.mobike) return;
  // Either may have moved since the successor was made: the newer path holds.
  if (old.mobike->epoch > successor.mobike->epoch) {
    successor.mobike = old.mobike;
    successor.path = old.path;
    successor.nat_here = old.nat_here;
    successor.nat_there = old.nat_there;
    successor.encap = old.encap;
  }
  successor.mobike->seen_as.clear();  // the hash has the IKE SPIs in it
  if (successor.mobike->update || successor.mobike->list)
    return queue_tell(ctx, successor, ctx.now);
  if (has_task(old, TaskKind::kCheckRoute) || has_task(successor, TaskKind::kCheckRoute)) {
    return add_task(ctx, successor, {TaskKind::kCheckRoute, Spi(), "", ctx.now});
  }
  move_children(ctx, successor);
}

void handle_mobike(Context& ctx, IkeSa& sa, const Message& message, std::vector<Payload>& answer) {
  Mobike& mobike = *sa.mobike;
  const Path arrival = sa.reply_path ? *sa.reply_path : sa.path;
  if (const NotifyPayload* cookie = message.notify(NotifyType::kCookie2)) {
    answer.push_back(make_notify(NotifyType::kCookie2, cookie->data));
  }
  const bool update = message.notify(NotifyType::kUpdateSaAddresses) != nullptr;
  auto list = read_list(message);
  if ((update || list) && !addresses_are_untouched(message, arrival)) {
    ctx.count(Counter::kMobikeRefused);
    ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(),
              fmt::format("the peer allows no NAT, and one changed the addresses of its message "
                          "from {}",
                          arrival.remote.to_string()));
    answer.push_back(make_notify(NotifyType::kUnexpectedNatDetected));
    return;
  }
  if (list) {
    mobike.peer_addresses = std::move(*list);
    add_once(mobike.peer_addresses, arrival.remote.ip);
    mobike.listed = true;
  }
  if (update && !mobike.initiator) return take_update(ctx, sa, arrival, message, answer);
  if (message.notify(NotifyType::kNatDetectionDestinationIp) != nullptr) {
    add_nat_detection(ctx, sa, arrival, answer);
  }
  // The responder has left the address in use (section 3.6).
  const bool left = list && sa.path.remote.ip != arrival.remote.ip &&
                    !contains(mobike.peer_addresses, sa.path.remote.ip);
  if (!mobike.initiator || !left || sa.state != IkeState::kEstablished) return;
  set_path(ctx, sa, arrival);
  queue_tell(ctx, sa, ctx.now);
}

void start_tell_addresses(Context& ctx, IkeSa& sa, const Task& task) {
  if (!sa.mobike || sa.state != IkeState::kEstablished) return;
  const Mobike& mobike = *sa.mobike;
  if (!mobike.update && !mobike.list) return;
  sa.active = ActiveTask{};
  sa.active->task = task;
  sa.active->epoch = mobike.epoch;
  std::vector<Payload> payloads;
  if (mobike.update) {
    payloads.push_back(make_notify(NotifyType::kUpdateSaAddresses));
    add_nat_detection(ctx, sa, sa.path, payloads);
  }
  if (mobike.list) {
    const std::size_t before = payloads.size();
    add_list(ctx, sa, payloads);
    if (payloads.size() == before) {
      payloads.push_back(make_notify(NotifyType::kNoAdditionalAddresses));
    }
  }
  send_request(ctx, sa, ExchangeType::kInformational, payloads);
}

void addresses_told(Context& ctx, IkeSa& sa, const MobikeRequest& sent, const Message& response) {
  if (!sa.mobike || sa.state != IkeState::kEstablished) return;
  Mobike& mobike = *sa.mobike;
  // Something changed since: which address the peer answers about, nobody knows.
  if (mobike.epoch != sent.epoch) return queue_tell(ctx, sa, ctx.now);
  if (const auto* error = find_error(response)) return peer_refused(ctx, sa, error->type);
  mobike.refusals = 0;
  mobike.list = false;
  if (!mobike.update) return;
  mobike.update = false;
  ctx.count(Counter::kMobikeUpdates);
  const NatView view = read_nat_detection(sa, sa.path, response);
  apply_nat_view(ctx, sa, view);
  if (view.seen) mobike.seen_as = view.seen_as;
  move_children(ctx, sa);
}

void start_check_route(Context& ctx, IkeSa& sa, const Task& task) {
  if (!sa.mobike || sa.state != IkeState::kEstablished) return;
  sa.active = ActiveTask{};
  sa.active->task = task;
  sa.active->epoch = sa.mobike->epoch;
  sa.active->cookie2 = ctx.rng.bytes(kCookie2Octets);
  send_request(ctx, sa, ExchangeType::kInformational,
               {make_notify(NotifyType::kCookie2, sa.active->cookie2)});
}

void route_checked(Context& ctx, IkeSa& sa, const MobikeRequest& sent, const Message& response) {
  if (!sa.mobike || sa.state != IkeState::kEstablished) return;
  const NotifyPayload* cookie = response.notify(NotifyType::kCookie2);
  if (cookie == nullptr || cookie->data != sent.cookie2) {
    return bad_response(ctx, sa,
                        "the peer did not return our COOKIE2: it may not be where it says it is "
                        "(RFC 4555 section 3.7)");
  }
  // Section 3.7: sent to several addresses, the answer does not say which of them it proves.
  if (sa.mobike->epoch != sent.epoch) {
    return add_task(ctx, sa, {TaskKind::kCheckRoute, Spi(), "", ctx.now});
  }
  move_children(ctx, sa);
}

std::vector<Payload> look_for_nat_changes(Context& ctx, IkeSa& sa) {
  std::vector<Payload> payloads;
  if (!sa.mobike || !sa.mobike->initiator || !sa.nat_here) return payloads;
  sa.active->epoch = sa.mobike->epoch;
  add_nat_detection(ctx, sa, sa.path, payloads);
  return payloads;
}

void see_nat_changes(Context& ctx, IkeSa& sa, const MobikeRequest& sent, const Message& response) {
  if (!sa.mobike || !sa.mobike->initiator || sa.state != IkeState::kEstablished ||
      sent.epoch != sa.mobike->epoch) {
    return;
  }
  Mobike& mobike = *sa.mobike;
  const NatView view = read_nat_detection(sa, sa.path, response);
  if (!view.seen || view.seen_as == mobike.seen_as) return;
  // The first time nothing is known to compare with: section 3.8 calls the extra update harmless.
  mobike.seen_as = view.seen_as;
  ++mobike.epoch;
  mobike.update = true;
  queue_tell(ctx, sa, ctx.now);
}

}  // namespace espalier::ike::v2
