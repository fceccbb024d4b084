// A pair that stands, and whose configuration changes: nothing is taken away before what replaces
// it is there.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ike/core/core.hpp"
#include "ike/core/limits.hpp"
#include "ike/journal/journal.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike {
namespace {

using v2::IkeSa;
using v2::IkeState;

// Whether they differ only in what needs no other SA.
bool holds_as_it_is(const policy::Connection& old, const policy::Connection& now) {
  return what_sas_rest_on(old) == what_sas_rest_on(now);
}

// Whether another IKE SA may take over from the one there is: it is with the same peer.
bool is_same_peer(const policy::Connection& old, const policy::Connection& now) {
  return old.local_id == now.local_id && old.remote_id == now.remote_id && old.peer == now.peer &&
         old.null_auth == now.null_auth && now.null_auth == policy::NullAuth::kNone;
}

std::string_view level_word(policy::Protect level) {
  return level == policy::Protect::kUse ? "use" : "require";
}

// The policies say the new level; the SAs stay.
void set_level(Context& ctx, const Pair& pair) {
  std::set<ReqId> done;
  for (const IkeSpi spi : pair.sas) {
    const IkeSa* sa = ctx.find(spi);
    if (sa == nullptr) continue;
    for (const v2::ChildSa& child : sa->children) {
      if (done.insert(child.spec.reqid).second) ctx.effect(v2::policy_of(*sa, child));
    }
  }
  ctx.event(
      EventKind::kNote, LogLevel::kInfo, pair.connection->name,
      fmt::format("protect: {} from now on; its SAs stay", level_word(pair.connection->protect)));
}

}  // namespace

policy::Connection what_sas_rest_on(policy::Connection connection) {
  const policy::Connection usual;
  const auto reauth = connection.lifetimes.reauth;
  connection.lifetimes = usual.lifetimes;
  connection.lifetimes.reauth = reauth;
  connection.dpd = usual.dpd;
  connection.start = usual.start;
  connection.childless = usual.childless;
  connection.resumption = usual.resumption;
  connection.redirect = usual.redirect;
  connection.fragmentation = usual.fragmentation;
  // This host's own: no peer is asked about them.
  connection.protect = usual.protect;
  connection.except = usual.except;
  connection.device = usual.device;
  return connection;
}

bool is_outdated(const Pair& pair, const IkeSa& sa) {
  return pair.changed && pair.connection != sa.connection;
}

bool change_pair(Context& ctx, const std::string& name, const policy::Connection& now) {
  Pair& pair = ctx.core.pairs.at(name);
  const v2::ConnectionRef old = pair.connection;
  const bool soft = holds_as_it_is(*old, now);
  if (!soft && !is_same_peer(*old, now)) return false;
  pair.connection.ptr = std::make_shared<const policy::Connection>(now);
  if (ctx.core.settings.journal) pair.mark = journal::connection_mark(now);
  ctx.touch(name);
  pair.ticket.reset();
  const std::vector<IkeSpi> spis(pair.sas.begin(), pair.sas.end());
  if (soft) {
    for (const IkeSpi spi : spis) {
      IkeSa* sa = ctx.find(spi);
      if (sa != nullptr && sa->connection == old) sa->connection = pair.connection;
    }
    if (old->protect != now.protect) set_level(ctx, pair);
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
