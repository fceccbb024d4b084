// A pair that stands, and whose configuration changes: nothing is taken away before what replaces
// it is there.
#include <algorithm>

#include "ike/core/core.hpp"
#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike {
namespace {

using v2::IkeSa;
using v2::IkeState;

// What holds from the next rekey, check or attempt on, and needs no other SA.
bool holds_as_it_is(policy::Connection old, const policy::Connection& now) {
  if (old.lifetimes.reauth != now.lifetimes.reauth) return false;
  old.lifetimes = now.lifetimes;
  old.dpd = now.dpd;
  old.start = now.start;
  old.childless = now.childless;
  old.resumption = now.resumption;
  old.redirect = now.redirect;
  old.fragmentation = now.fragmentation;
  return old == now;
}

// Whether another IKE SA may take over from the one there is: it is with the same peer.
bool is_same_peer(const policy::Connection& old, const policy::Connection& now) {
  return old.local_id == now.local_id && old.remote_id == now.remote_id && old.peer == now.peer &&
         old.null_auth == now.null_auth && now.null_auth == policy::NullAuth::kNone;
}

}  // namespace

bool is_outdated(const Pair& pair, const IkeSa& sa) {
  return pair.changed && pair.connection != sa.connection;
}

bool change_pair(Context& ctx, const std::string& name, const policy::Connection& now) {
  Pair& pair = ctx.core.pairs.at(name);
  const v2::ConnectionRef old = pair.connection;
  const bool soft = holds_as_it_is(*old, now);
  if (!soft && !is_same_peer(*old, now)) return false;
  pair.connection.ptr = std::make_shared<const policy::Connection>(now);
  ctx.touch(name);
  pair.ticket.reset();
  const std::vector<IkeSpi> spis(pair.sas.begin(), pair.sas.end());
  if (soft) {
    for (const IkeSpi spi : spis) {
      IkeSa* sa = ctx.find(spi);
      if (sa != nullptr && sa->connection == old) sa->connection = pair.connection;
    }
    return true;
  }
  pair.changed = true;
  pair.parts.clear();
  bool replaces = false;
  for (const IkeSpi spi : spis) {
    IkeSa* sa = ctx.find(spi);
    if (sa == nullptr) continue;
    if (sa->state == IkeState::kEstablished && sa->connection == pair.connection) {
      // Changed, and changed back before anything came of it.
      const auto& reauth = now.lifetimes.reauth;
      sa->reauth_by = reauth ? std::optional<Instant>(ctx.now + *reauth) : std::nullopt;
      sa->reauth_at = reauth ? std::optional<Instant>(ctx.now + *reauth / 2) : std::nullopt;
    } else if (sa->state == IkeState::kEstablished) {
      sa->reauth_at.reset();
      sa->reauth_by = ctx.now + kChangeGrace;
      replaces = true;
    } else if (v2::is_attempt(sa->state) && sa->state != IkeState::kAuth) {
      // In IKE_AUTH the peer may have it already: that one is to be replaced in its turn.
      v2::destroy(ctx, *sa, "");
    }
  }
  pair.retry_at.reset();
  if (replaces) {
    ctx.event(EventKind::kNote, LogLevel::kInfo, name,
              "its configuration has changed: a new IKE SA is made, and then the old one goes");
  }
  schedule_start(ctx, pair, replaces);
  return true;
}

}  // namespace espalier::ike
