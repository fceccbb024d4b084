// Authentication is repeated by making a whole new IKE SA with its children, and only then deleting
// the old one: "make before break" (RFC 7296 section 2.8.3 leaves the order open; RFC 4478 says who
// begins).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike::v2 {
namespace {

bool can_initiate(const IkeSa& sa) {
  return !sa.connection->remote_addresses.empty() && !sa.connection->behind_nat;
}

bool is_under_way(Context& ctx, const IkeSa& old) {
  const Pair* pair = ctx.pair_of(old);
  return pair == nullptr || std::any_of(pair->sas.begin(), pair->sas.end(), [&](IkeSpi spi) {
           const auto found = ctx.core.sas.find(spi);
           return found != ctx.core.sas.end() && found->second.reauthenticates == old.local_spi();
         });
}

void begin(Context& ctx, IkeSa& old) {
  const Pair* pair = ctx.pair_of(old);
  if (pair == nullptr || pair->disabled || is_under_way(ctx, old)) return;
  if (has_task(old, TaskKind::kDeleteIke) || old.discard_at)
    return;  // a younger one stands already
  if (pair->connection != old.connection || pair->sas.size() >= kIkeSasPerPairMax) return;
  ctx.count(Counter::kReauthentications);
  ctx.event(EventKind::kNote, LogLevel::kInfo, old.pair(),
            fmt::format("authenticating anew before IKE SA {}_i {}_r goes", to_string(old.spi_i),
                        to_string(old.spi_r)));
  // To where the peer is now; a fresh IKE_SA_INIT finds a NAT by itself.
  Path path = old.path;
  const Settings& settings = ctx.core.settings;
  if (path.local.port == settings.nat_port && path.remote.port == settings.nat_port &&
      old.connection->remote_port == settings.port) {
    path.local.port = path.remote.port = settings.port;
  }
  IkeSa& made = start_init(ctx, old.connection, path);
  made.reauthenticates = old.local_spi();
}

std::optional<Duration> lifetime_of(const Message& message) {
  const auto* notify = message.notify(NotifyType::kAuthLifetime);
  if (notify == nullptr) return std::nullopt;
  Reader reader(notify->data);
  const auto value = reader.u32();
  if (!value || !reader.empty()) return std::nullopt;
  return std::chrono::seconds(*value);
}

}  // namespace

void schedule_reauth(Context& ctx, IkeSa& sa, const Message& auth_message) {
  sa.began = sa.role == Role::kInitiator;
  const policy::Lifetimes& lifetimes = sa.connection->lifetimes;
  std::optional<Duration> life = lifetimes.reauth;
  const std::optional<Duration> peers = sa.began ? lifetime_of(auth_message) : std::nullopt;
  // Section 5 of RFC 4478: limits of the initiator; a peer may not make us begin again and again.
  if (peers) {
    const Duration limit = std::max<Duration>(*peers, kReauthMin);
    life = std::min(life.value_or(limit), limit);
  }
  sa.reauth_at.reset();
  sa.reauth_by.reset();
  if (!life) return;
  // Up to three of it are taken off: a large jitter must leave an SA the better part of its life.
  const Duration early = *life * std::clamp(lifetimes.jitter_percent, 5u, kReauthJitterMax) / 100;
  sa.reauth_by = ctx.now + *life;
  // The responder begins only if the initiator has let most of its time pass.
  sa.reauth_at = *sa.reauth_by - early - (sa.began ? early + ctx.jitter(early) : Duration(0));
}

void add_auth_lifetime(const IkeSa& sa, std::vector<Payload>& payloads) {
  const auto& reauth = sa.connection->lifetimes.reauth;
  if (!reauth) return;
  Writer seconds;
  seconds.u32(static_cast<std::uint32_t>(whole_seconds(*reauth)));
  payloads.push_back(make_notify(NotifyType::kAuthLifetime, seconds.view()));
}

bool handle_reauth_timers(Context& ctx, IkeSa& sa) {
  if (sa.reauth_by && ctx.now >= *sa.reauth_by) {
    const Pair* changed = ctx.pair_of(sa);
    const std::string why =
        changed != nullptr && is_outdated(*changed, sa)
            ? "its configuration was changed, and the peer made no other with the new one"
            : "its authentication is too old and was not repeated";
    ctx.event(EventKind::kRekeyFailed, LogLevel::kWarning, sa.pair(), "the IKE SA goes: " + why);
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
    sa.reauth_by.reset();
    sa.reauth_at.reset();
    add_task(ctx, sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
    run_tasks(ctx, sa);
    return sa.state == IkeState::kEstablished;
  }
  if (sa.reauth_at && ctx.now >= *sa.reauth_at) {
    sa.reauth_at = ctx.now + kRekeyRetry;  // should this attempt come to nothing
    if (can_initiate(sa)) begin(ctx, sa);
  }
  return true;
}

void reauth_goes_on(Context& ctx, IkeSa& old, IkeSa& successor) {
  successor.reauthenticates = std::exchange(old.reauthenticates, IkeSpi());
  const Pair* pair = ctx.pair_of(old);
  if (pair == nullptr) return;
  for (const IkeSpi spi : pair->sas) {
    const auto other = ctx.core.sas.find(spi);
    if (other != ctx.core.sas.end() && other->second.reauthenticates == old.local_spi()) {
      other->second.reauthenticates = successor.local_spi();
    }
  }
}

void finish_reauth(Context& ctx, const std::string& name) {
  const auto found = ctx.core.pairs.find(name);
  if (found == ctx.core.pairs.end()) return;
  const std::vector<IkeSpi> all(found->second.sas.begin(), found->second.sas.end());
  for (const IkeSpi spi : all) {
    const auto entry = ctx.core.sas.find(spi);
    if (entry == ctx.core.sas.end()) continue;
    IkeSa& made = entry->second;
    if (made.reauthenticates.value == 0 || made.state != IkeState::kEstablished) continue;
    const bool busy = has_task(made, TaskKind::kDeleteIke) ||
                      (made.active && made.active->task.kind == TaskKind::kCreateChild) ||
                      std::any_of(made.tasks.begin(), made.tasks.end(), [](const Task& task) {
                        return task.kind == TaskKind::kCreateChild;
                      });
    if (busy) continue;
    IkeSa* old = ctx.find(made.reauthenticates);
    made.reauthenticates = IkeSpi();
    if (old == nullptr || old->state != IkeState::kEstablished) continue;
    const auto stays = [&](const ChildSa& child) {
      return child.state != ChildState::kInstalled ||
             (child.spec.mode == policy::Mode::kTransport
                  ? is_covered(made, child.spec.child, {}, {})
                  : is_covered(made, child.spec.child, child.spec.local_ts, child.spec.remote_ts));
    };
    // After a change the new children are what they are.
    const bool whole = old->connection == made.connection
                           ? std::all_of(old->children.begin(), old->children.end(), stays)
                           : !made.children.empty();
    IkeSa& goes = whole ? *old : made;
    if (&goes == &made) {
      ctx.event(EventKind::kRekeyFailed, LogLevel::kWarning, name,
                "the IKE SA that authenticated anew did not get all the child SAs: the old one "
                "stays, and it is tried again");
    }
    IkeSa* going = ctx.find(goes.local_spi());
    add_task(ctx, *going, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
    run_tasks(ctx, *going);
  }
}

}  // namespace espalier::ike::v2
