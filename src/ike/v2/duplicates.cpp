// The rule for simultaneous starts. NORMATIVE between Espalier versions; docs/simultaneous-start.md
// says it for readers.
//
// RFC 7296 decides collisions of rekeys (section 2.8) but not of first exchanges. Two ends that
// initiate at once would keep two IKE SAs, or with INITIAL_CONTACT on both (section 2.4) delete
// both. So:
//
//  1. Two established IKE SAs of one pair of identities CROSS when different ends initiated them
//     and each was begun (its IKE_SA_INIT request sent or received) before the other was
//     established.
//  2. Of two that cross, the one initiated by the end with the bytewise lower identity (type octet,
//     then data, in canonical form) SURVIVES. INITIAL_CONTACT is not applied between them.
//     Between two anonymous ends (RFC 7619) the lower initiator's SPI.
//  3. The initiator of the one that survives deletes the other with a normal Delete, as soon as
//     both are established there: it is the last to know, so both ends hold what stays. The other
//     end does so only when nothing came within kDuplicateGrace and the peer has said something in
//     the SA that survives; it asks (a liveness check) if need be, and keeps the other meanwhile.
//  4. An end that establishes an IKE SA as responder abandons its own attempts with that peer that
//     have not yet sent IKE_AUTH.
//  5. Of two that do not cross the younger survives. Its initiator, which repeats the
//     authentication, deletes the older one when the younger has all its children; whoever answered
//     it does so silently if INITIAL_CONTACT came, else after kOutboundGrace, unless the younger is
//     gone. Of two that one end began the younger is the one begun later, whichever came up first.
//  6. Who answered an SA sends nothing on its child while another SA of the pair carries the
//     traffic, until that goes or kOutboundGrace has passed. What a rekey made crosses nothing.
//
// Every deletion is an ordinary Delete of RFC 7296, so a peer that knows nothing of the rule is
// left with one SA too.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "policy/identity_match.hpp"

namespace espalier::ike::v2 {
namespace {

// What a rekey made stood before in another shape: it crosses nothing.
bool cross(const IkeSa& a, const IkeSa& b) {
  if (a.rekeyed || b.rekeyed) return false;
  return a.role != b.role && a.begun <= b.established_at && b.begun <= a.established_at;
}

// Whether the SA was initiated by the end with the lower identity. Of a wildcard's peer that is the
// identity it came with: both ends have to decide the same.
bool initiated_by_lower(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  const policy::Identity& remote =
      pair != nullptr && pair->holder ? *pair->holder : sa.connection->remote_id;
  const bool we_are_lower = policy::canonical(sa.connection->local_id) < policy::canonical(remote);
  return (sa.role == Role::kInitiator) == we_are_lower;
}

// Of two that cross. Two anonymous ends (RFC 7619) have the same identity: there the lower SPI of
// the initiator decides, which both know.
bool survives(Context& ctx, const IkeSa& established, const IkeSa& other) {
  if (established.connection->null_auth == policy::NullAuth::kBoth) {
    return established.spi_i < other.spi_i;
  }
  return initiated_by_lower(ctx, established);
}

void give_up_loser(Context& ctx, IkeSa& loser, const IkeSa& winner) {
  ctx.count(Counter::kDuplicates);
  ctx.event(EventKind::kDuplicateResolved, LogLevel::kInfo, loser.pair(),
            fmt::format("both ends started at once: IKE SA {}_i stays, {}_i goes",
                        to_string(winner.spi_i), to_string(loser.spi_i)));
  if (winner.role == Role::kInitiator) {
    add_task(ctx, loser, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
    run_tasks(ctx, loser);
  } else {
    loser.discard_at = ctx.now + kDuplicateGrace;
  }
}

void replace_older(Context& ctx, IkeSa& older, const IkeSa& younger) {
  // Only the end that answered the younger one acts; the other learns by the Delete, or knew when
  // it began anew.
  if (younger.role != Role::kResponder) return;
  ctx.event(EventKind::kDuplicateResolved, LogLevel::kInfo, older.pair(),
            fmt::format("the peer made a new IKE SA {}_i; the one before, {}_i, goes",
                        to_string(younger.spi_i), to_string(older.spi_i)));
  // Its children carry our traffic until the peer has our answer for sure; the peer may be quicker.
  add_task(ctx, older, {TaskKind::kDeleteIke, Spi(), "", ctx.now + outbound_grace(older) + 1ms});
}

bool is_leaving(const IkeSa& sa) { return has_task(sa, TaskKind::kDeleteIke) || sa.discard_at; }

// The peer began both, and the one that came up now is the older attempt: its IKE_AUTH was late.
bool is_late(const IkeSa& established, const IkeSa& other) {
  return established.role == Role::kResponder && other.role == Role::kResponder && !other.rekeyed &&
         established.begun < other.begun;
}

// The peer said that it has no SA but the one we answered (INITIAL_CONTACT, RFC 7296 section 2.4):
// what stood before, in whatever state, waits for nothing any more. What it began later it cannot
// have meant.
bool is_forgotten(const IkeSa& established, const IkeSa& other) {
  const bool standing = other.state == IkeState::kEstablished || other.state == IkeState::kDeleting;
  return established.role == Role::kResponder && established.if_handshake() &&
         established.if_handshake()->initial_contact && standing && !cross(established, other) &&
         !is_late(established, other);
}

// Whether the peer has the SA for sure: it made it, or it has said something in it since.
bool stands_at_peer(const IkeSa& sa) {
  return sa.role == Role::kInitiator || sa.rekeyed || sa.last_heard > sa.established_at;
}

}  // namespace

void duplicate_is_due(Context& ctx, IkeSa& loser) {
  loser.discard_at.reset();
  const Pair* pair = ctx.pair_of(loser);
  bool asked = false;
  for (const IkeSpi spi : pair != nullptr ? pair->sas : std::set<IkeSpi>{}) {
    IkeSa* other = ctx.find(spi);
    if (other == nullptr || other == &loser || other->state != IkeState::kEstablished ||
        is_leaving(*other)) {
      continue;
    }
    if (stands_at_peer(*other)) {
      return add_task(ctx, loser, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
    }
    if (!asked) loser.discard_at = ctx.now + kDuplicateGrace;
    asked = true;
    // Not a quick check: it outlasts the peer's own repetitions of IKE_AUTH.
    add_task(ctx, *other, {TaskKind::kLiveness, Spi(), "", ctx.now});
    run_tasks(ctx, *other);
  }
}

bool another_carries(Context& ctx, const IkeSa& established) {
  const Pair* pair = ctx.pair_of(established);
  if (pair == nullptr) return false;
  return std::any_of(pair->sas.begin(), pair->sas.end(), [&](IkeSpi spi) {
    const IkeSa* other = spi == established.local_spi() ? nullptr : ctx.find(spi);
    if (other == nullptr || other->state != IkeState::kEstablished) return false;
    return !is_forgotten(established, *other) &&
           std::any_of(other->children.begin(), other->children.end(),
                       [](const ChildSa& child) { return child.outbound_installed; });
  });
}

void resolve_duplicates(Context& ctx, IkeSa& established) {
  Pair* pair = ctx.pair_of(established);
  if (pair == nullptr) return;
  const std::vector<IkeSpi> others(pair->sas.begin(), pair->sas.end());
  for (const IkeSpi spi : others) {
    if (spi == established.local_spi()) continue;
    IkeSa* other = ctx.find(spi);
    if (other == nullptr || other->state == IkeState::kDead) continue;
    const bool still_init =
        other->role == Role::kInitiator &&
        (other->state == IkeState::kInit || other->state == IkeState::kIntermediate);
    if (still_init && established.role == Role::kResponder) {
      destroy(ctx, *other, "");  // 4.
    } else if (is_forgotten(established, *other)) {
      destroy(ctx, *other, "the peer started anew (INITIAL_CONTACT)");
    } else if (other->state == IkeState::kEstablished) {
      if (is_leaving(*other)) continue;
      if (cross(established, *other)) {
        IkeSa& loser = survives(ctx, established, *other) ? *other : established;
        give_up_loser(ctx, loser, &loser == other ? established : *other);
        if (&loser == &established) return;
      } else if (is_late(established, *other)) {
        return replace_older(ctx, established, *other);
      } else {
        replace_older(ctx, *other, established);
      }
    }
  }
}

void keep_the_last(Context& ctx, const Pair& pair) {
  std::vector<IkeSa*> leaving;
  for (const IkeSpi spi : pair.sas) {
    IkeSa* sa = ctx.find(spi);
    if (sa == nullptr || sa->state != IkeState::kEstablished) continue;
    if (!is_leaving(*sa)) return;
    leaving.push_back(sa);
  }
  for (IkeSa* sa : leaving) {
    sa->discard_at.reset();
    std::erase_if(sa->tasks, [&](const Task& task) {
      return task.kind == TaskKind::kDeleteIke && task.not_before > ctx.now;
    });
  }
}

}  // namespace espalier::ike::v2
