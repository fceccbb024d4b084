// The supervisor: desired pairs against actual SAs. It looks at a pair after anything that touched
// it, and sees to it that what should be up comes up; it never gives up.
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/core.hpp"
#include "ike/core/limits.hpp"
#include "ike/journal/journal.hpp"
#include "ike/v2/lifecycle.hpp"
#include "policy/identity_match.hpp"

namespace espalier::ike {
namespace {

using v2::IkeSa;
using v2::IkeState;
using v2::TaskKind;

bool can_initiate(const policy::Connection& connection) {
  return !connection.remote_addresses.empty() && !connection.behind_nat;
}

// Whether it is for us to bring it up.
bool is_wanted(const Context& ctx, const Pair& pair) {
  switch (pair.connection->start) {
    case policy::Start::kNow: return true;
    case policy::Start::kTrap: return ctx.now < pair.wanted_until;
    case policy::Start::kNone: return false;
  }
  return false;
}

bool we_are_elected(const Context& ctx, const policy::Connection& connection) {
  return !ctx.core.settings.election || connection.foreign ||
         connection.local_id < connection.remote_id;
}

// Adds the connection unless one is there that answers IKE_SA_INIT in the same way.
void add_profile(std::vector<v2::ConnectionRef>& profiles, const v2::ConnectionRef& connection) {
  for (const v2::ConnectionRef& known : profiles) {
    if (known->proposals == connection->proposals && known->auth == connection->auth &&
        known->anchors == connection->anchors && known->encap == connection->encap &&
        known->fragmentation == connection->fragmentation &&
        known->ppk.has_value() == connection->ppk.has_value()) {
      return;
    }
  }
  profiles.push_back(connection);
}

void index(Core& core) {
  core.by_address.clear();
  core.by_identity.clear();
  core.any_address.clear();
  core.pairs_at.clear();
  core.name_masks.clear();
  for (const auto& [name, pair] : core.pairs) {
    const policy::Connection& connection = *pair.connection;
    for (const IpAddress& address : connection.remote_addresses) {
      add_profile(core.by_address[address], pair.connection);
      core.pairs_at[address].push_back(name);
    }
    // A peer that may move (RFC 4555) may have moved before it calls.
    if (!can_initiate(connection) || connection.mobike)
      add_profile(core.any_address, pair.connection);
    core.by_identity[policy::canonical(connection.remote_id)].push_back(name);
    const std::uint32_t mask = policy::name_mask(connection.remote_id);
    auto& masks = core.name_masks;
    if (mask != 0 && std::find(masks.begin(), masks.end(), mask) == masks.end()) {
      masks.insert(std::lower_bound(masks.begin(), masks.end(), mask, policy::more_specific_mask),
                   mask);
    }
  }
}

void close_sas(Context& ctx, const Pair& pair) {
  const std::vector<IkeSpi> spis(pair.sas.begin(), pair.sas.end());
  for (const IkeSpi spi : spis) {
    IkeSa* sa = ctx.find(spi);
    if (sa == nullptr) continue;
    if (sa->state == IkeState::kEstablished) {
      v2::add_task(ctx, *sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
      v2::run_tasks(ctx, *sa);
    } else if (v2::is_attempt(sa->state)) {
      v2::destroy(ctx, *sa, "");
    }
  }
}

void remove_pair(Context& ctx, const std::string& name) {
  const auto found = ctx.core.pairs.find(name);
  const Pair pair = found->second;
  close_sas(ctx, pair);
  if (pair.armed) ctx.core.pair_timers.erase({*pair.armed, name});
  ctx.core.pairs.erase(name);
  // While its peer is asked to delete the SAs, and may not be there to answer, nothing of it keeps
  // the packets.
  for (const IkeSpi spi : pair.sas) {
    const IkeSa* sa = ctx.find(spi);
    if (sa == nullptr) continue;
    for (const v2::ChildSa& child : sa->children) {
      ctx.effect(DeletePolicy{name, child.spec.reqid});
    }
  }
  ctx.event(EventKind::kPairDown, LogLevel::kInfo, name, "removed from the configuration");
}

// The peer's addresses in turn; but a child in transport mode is between the addresses of the IKE
// SA, so that its peer's is the only one.
IpAddress address_to_try(const Pair& pair) {
  const auto& addresses = pair.connection->remote_addresses;
  for (const policy::ChildConfig& child : pair.connection->children) {
    if (child.mode != policy::Mode::kTransport || child.remote_ts.empty()) continue;
    const IpAddress& only = child.remote_ts.front().start;
    if (only == child.remote_ts.front().end &&
        std::find(addresses.begin(), addresses.end(), only) != addresses.end()) {
      return only;
    }
  }
  return addresses[pair.next_address % addresses.size()];
}

Path path_to(const Context& ctx, const Pair& pair) {
  const policy::Connection& connection = *pair.connection;
  const IpAddress remote = address_to_try(pair);
  IpAddress local = IpAddress::any(remote.family());
  for (const IpAddress& address : connection.local_addresses) {
    const auto& own = ctx.core.own_addresses;
    const bool here = own.empty() || std::find(own.begin(), own.end(), address) != own.end();
    if (address.family() == remote.family() && (here || !connection.mobike)) {
      local = address;
      break;
    }
  }
  const bool own_port = connection.remote_port != ctx.core.settings.port;
  return {{local, own_port ? ctx.core.settings.nat_port : ctx.core.settings.port},
          {remote, connection.remote_port}};
}

struct Actual {
  bool established = false;
  bool handshake = false;     // one is under way
  IkeSa* best = nullptr;      // an established SA that is to stay
  IkeSa* outdated = nullptr;  // one of a configuration before a change; it is none of the above
  Coverage coverage;          // by the children of established SAs
};

Actual look(Context& ctx, Pair& pair) {
  Actual actual;
  std::vector<const IkeSa*> live;
  for (const IkeSpi spi : pair.sas) {
    const auto found = ctx.core.sas.find(spi);
    if (found == ctx.core.sas.end()) continue;
    IkeSa& sa = found->second;
    if (v2::is_attempt(sa.state)) actual.handshake = true;
    if (sa.state != IkeState::kEstablished || v2::has_task(sa, TaskKind::kDeleteIke)) continue;
    if (sa.discard_at && sa.children.empty()) continue;  // its peer was redirected
    if (is_outdated(pair, sa)) {
      if (!sa.reauth_by) ctx.find(spi)->reauth_by = ctx.now + kChangeGrace;
      actual.outdated = &sa;
      continue;
    }
    actual.established = true;
    live.push_back(&sa);
    if (actual.best == nullptr || sa.established_at > actual.best->established_at)
      actual.best = &sa;
  }
  actual.coverage = look_at_coverage(ctx, pair, live);
  return actual;
}

void back_off(Context& ctx, Pair& pair) {
  const Duration base = std::max(pair.backoff, kRetryFirst);
  pair.retry_at = ctx.now + base * 3 / 4 + ctx.jitter(base / 2);
  pair.backoff = std::min(base * 2, kRetryMax);
}

void note_up(Context& ctx, Pair& pair, const std::string& name) {
  pair.up = true;
  pair.attempts = 0;
  pair.backoff = kRetryFirst;
  pair.last_error.clear();
  pair.refused.reset();
  ctx.event(EventKind::kPairUp, LogLevel::kInfo, name, "up");
}

}  // namespace

void schedule_start(Context& ctx, Pair& pair, bool anyway) {
  pair.backoff = kRetryFirst;
  const bool wanted = anyway || pair.connection->start == policy::Start::kNow;
  if (!wanted || !can_initiate(*pair.connection)) return;
  const Duration grace = we_are_elected(ctx, *pair.connection) ? Duration(0) : kElectionGrace;
  pair.retry_at = ctx.now + grace + ctx.jitter(kStartJitter);
}

void configure(Context& ctx, const std::vector<policy::Connection>& connections) {
  std::map<std::string, const policy::Connection*> wanted;
  for (const policy::Connection& connection : connections) wanted[connection.name] = &connection;
  std::vector<std::string> gone, changed;
  for (const auto& [name, pair] : ctx.core.pairs) {
    const auto found = wanted.find(name);
    if (found == wanted.end()) {
      gone.push_back(name);
    } else if (*found->second != *pair.connection) {
      changed.push_back(name);
    }
  }
  for (const std::string& name : changed) {
    if (!change_pair(ctx, name, *wanted.at(name))) gone.push_back(name);
  }
  for (const std::string& name : gone) remove_pair(ctx, name);
  for (const auto& [name, connection] : wanted) {
    ASSERT(!connection->proposals.empty() && !connection->children.empty());
    if (const auto known = ctx.core.pairs.find(name); known != ctx.core.pairs.end()) {
      auto& held = known->second.connection.ptr;
      if (!held->lines.is_same(connection->lines)) {  // the same, elsewhere in the file
        held = std::make_shared<const policy::Connection>(*connection);
      }
      continue;
    }
    Pair pair;
    pair.connection.ptr = std::make_shared<const policy::Connection>(*connection);
    if (ctx.core.settings.journal) pair.mark = journal::connection_mark(*connection);
    schedule_start(ctx, pair);
    ctx.core.pairs.emplace(name, std::move(pair));
    ctx.touch(name);
  }
  index(ctx.core);
}

void supervise(Context& ctx, const std::string& name) {
  v2::finish_reauth(ctx, name);
  const auto found = ctx.core.pairs.find(name);
  if (found == ctx.core.pairs.end()) return;
  Pair& pair = found->second;
  const Actual actual = look(ctx, pair);
  const bool up = actual.established && actual.coverage.whole;
  const bool whole_child_missing = !actual.coverage.missing.empty();
  if (up) {
    pair.retry_at = actual.coverage.next;
    if (!pair.up) note_up(ctx, pair, name);
    pair.attempts = 0;
    return;
  }
  if (pair.up && actual.outdated == nullptr) {
    pair.up = false;
    ctx.event(EventKind::kPairDown, LogLevel::kWarning, name,
              pair.disabled
                  ? "down by the operator's wish"
                  : (pair.last_error.empty() ? std::string("down") : "down: " + explain(pair)));
  }
  if (pair.disabled) {
    pair.retry_at.reset();
    return;
  }
  if (actual.established && !whole_child_missing) {
    pair.retry_at = actual.coverage.next;
    return;
  }
  if (actual.handshake || pair.retry_at) return;
  const bool trapped = pair.connection->start == policy::Start::kTrap;
  const bool wanted = is_wanted(ctx, pair);
  const bool ours_to_do =
      actual.established ? !trapped || wanted
                         : (wanted || actual.outdated != nullptr) && can_initiate(*pair.connection);
  if (!ours_to_do) return;
  if (actual.established && actual.best->active)
    return;  // an exchange is under way; its end touches the pair
  back_off(ctx, pair);
}

void pair_timeout(Context& ctx, const std::string& name) {
  Pair& pair = ctx.core.pairs.at(name);
  pair.retry_at.reset();
  if (pair.disabled) return;
  const Actual actual = look(ctx, pair);
  if (actual.handshake) return;
  if (actual.established) {
    IkeSa* sa = ctx.find(actual.best->local_spi());
    for (const std::string& child : actual.coverage.missing) {
      v2::add_task(ctx, *sa, {TaskKind::kCreateChild, Spi(), child, ctx.now});
    }
    if (!actual.coverage.missing.empty()) ++pair.attempts;
    ask_for_parts(ctx, pair, *sa);
    v2::run_tasks(ctx, *sa);
    return;
  }
  ++pair.attempts;
  IkeSa& made = v2::start_init(ctx, pair.connection, path_to(ctx, pair));
  if (actual.outdated != nullptr) made.reauthenticates = actual.outdated->local_spi();
}

void acquired(Context& ctx, const std::string& name) {
  const auto found = ctx.core.pairs.find(name);
  if (found == ctx.core.pairs.end()) return;
  Pair& pair = found->second;
  if (pair.disabled || pair.connection->start != policy::Start::kTrap) return;
  pair.wanted_until = ctx.now + kDemandLifetime;
  const Actual actual = look(ctx, pair);
  const bool served = actual.established && actual.coverage.whole;
  // An attempt is under way, or waits for its time: the kernel's asking makes it no sooner.
  if (served || actual.handshake || pair.retry_at) return;
  if (!actual.established && !can_initiate(*pair.connection)) return;
  ctx.count(Counter::kAcquires);
  ctx.touch(name);
  pair.backoff = kRetryFirst;
  pair_timeout(ctx, name);
}

void initiate_pair(Context& ctx, const std::string& name) {
  Pair& pair = ctx.core.pairs.at(name);
  pair.disabled = false;
  pair.wanted_until = ctx.now + kDemandLifetime;
  ctx.touch(name);
  const Actual actual = look(ctx, pair);
  if (actual.established && actual.coverage.whole) {
    ctx.event(EventKind::kPairUp, LogLevel::kInfo, name, "up already");
    return;
  }
  if (actual.handshake) return;
  if (!actual.established && !can_initiate(*pair.connection)) {
    attempt_failed(ctx, name,
                   "this peer has no address to connect to (it is behind a NAT): it must initiate");
    return;
  }
  pair.backoff = kRetryFirst;
  pair_timeout(ctx, name);
}

void terminate_pair(Context& ctx, const std::string& name, bool disable) {
  Pair& pair = ctx.core.pairs.at(name);
  pair.disabled = disable;
  pair.retry_at.reset();
  pair.ticket.reset();  // RFC 5723 section 6.2
  ctx.touch(name);
  close_sas(ctx, pair);
}

Status rekey_pair(Context& ctx, const std::string& name, bool ike) {
  const Actual actual = look(ctx, ctx.core.pairs.at(name));
  if (!actual.established) {
    return make_error(
        ErrorCode::kInvalidArgument,
        name + " is not up: there is nothing to rekey ('espalier up " + name + "' brings it up)");
  }
  IkeSa* sa = ctx.find(actual.best->local_spi());
  if (ike) {
    v2::add_task(ctx, *sa, {TaskKind::kRekeyIke, Spi(), "", ctx.now});
  } else {
    for (const v2::ChildSa& child : sa->children) {
      if (child.state == v2::ChildState::kInstalled) {
        v2::add_task(ctx, *sa, {TaskKind::kRekeyChild, child.spec.spi_in, "", ctx.now});
      }
    }
  }
  v2::run_tasks(ctx, *sa);
  return {};
}

Status redirect_pair(Context& ctx, const std::string& name, const IpAddress& to) {
  const Actual actual = look(ctx, ctx.core.pairs.at(name));
  if (!actual.established) {
    return make_error(ErrorCode::kInvalidArgument,
                      name + " is not up: there is nobody to redirect");
  }
  return v2::redirect_peer(ctx, *ctx.find(actual.best->local_spi()), to);
}

void attempt_failed(Context& ctx, const std::string& name, const std::string& why) {
  ctx.count(Counter::kAttemptsFailed);
  if (const auto found = ctx.core.pairs.find(name); found != ctx.core.pairs.end()) {
    found->second.last_error = why;
    ++found->second.next_address;
  }
  ctx.touch(name);
  ctx.event(EventKind::kAttemptFailed, LogLevel::kWarning, name, why);
}

}  // namespace espalier::ike
