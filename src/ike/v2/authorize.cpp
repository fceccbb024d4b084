#include "ike/v2/authorize.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/proof.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::IdPayload;

bool suite_is_acceptable(const policy::Connection& connection, const policy::IkeSuite& suite) {
  policy::IkeProposal proposal;
  proposal.encr = {{suite.cipher.encr, suite.cipher.key_bits}};
  if (suite.cipher.integ != crypto::IntegId::kNone) proposal.integ = {suite.cipher.integ};
  proposal.prf = {suite.prf};
  proposal.dh = {suite.dh};
  proposal.additional = policy::listed(suite.additional);
  return policy::select_ike(connection.proposals, policy::to_wire({proposal}, ByteView())).ok();
}

// Why the pair is not for this request; nothing when it is.
std::optional<std::string> misfit(const IkeSa& sa, const Pair& pair, const policy::Identity& peer,
                                  const IdPayload* idr) {
  const policy::Connection& connection = *pair.connection;
  if (idr != nullptr && !policy::same_identity({idr->type, idr->data}, connection.local_id)) {
    return fmt::format("the peer '{}' asks for the identity '{}', ours is '{}'{}",
                       policy::to_string(peer), policy::to_string({idr->type, idr->data}),
                       policy::to_string(connection.local_id),
                       policy::where(connection.lines, policy::Setting::kOwn));
  }
  if (!suite_is_acceptable(connection, sa.suite)) {
    return fmt::format("the IKE suite {} is not among the proposals of {}{}",
                       policy::words(sa.suite), connection.name,
                       policy::where(connection.lines, policy::Setting::kIkeProposals));
  }
  return std::nullopt;
}

// Of peers that do not say who they are the address tells which (RFC 7619 section 2.4: only a
// connection made for them); from anywhere else, one that may come from anywhere.
Result<ConnectionRef> find_anonymous(Context& ctx, const IkeSa& sa, const IdPayload* idr) {
  static const std::vector<std::string> kNone;
  const auto at = ctx.core.pairs_at.find(sa.path.remote.ip);
  const auto anywhere = ctx.core.by_identity.find({wire::ike::IdType::kNull, {}});
  std::string why = "no configured peer may stay anonymous ('null_auth')";
  std::size_t looked_at = 0;
  for (const auto* names : {at != ctx.core.pairs_at.end() ? &at->second : &kNone,
                            anywhere != ctx.core.by_identity.end() ? &anywhere->second : &kNone}) {
    for (const std::string& name : *names) {
      if (++looked_at > 2 * kPairsAtAddressMax) break;
      const Pair& pair = ctx.core.pairs.at(name);
      const policy::Connection& connection = *pair.connection;
      if (!policy::peer_is_anonymous(connection.null_auth)) continue;
      const bool from_anywhere = connection.behind_nat || connection.remote_addresses.empty();
      if (names != (at != ctx.core.pairs_at.end() ? &at->second : nullptr) && !from_anywhere) {
        continue;
      }
      auto reason = misfit(sa, pair, {wire::ike::IdType::kNull, {}}, idr);
      if (!reason) return pair.connection;
      why = std::move(*reason);
    }
  }
  return make_error(ErrorCode::kAuthentication, why);
}

// Who is expected at the address that an unknown identity comes from.
std::string expected_there(Context& ctx, const IpAddress& address) {
  const auto names = ctx.core.pairs_at.find(address);
  if (names == ctx.core.pairs_at.end()) return "; nor is one configured at its address";
  const policy::Connection& connection = *ctx.core.pairs.at(names->second.front()).connection;
  return fmt::format("; {} at its address expects '{}': set the same 'id' on both sides{}",
                     connection.name, policy::to_string(connection.remote_id),
                     policy::where(connection.lines, policy::Setting::kPeer));
}

}  // namespace

// One look-up for each form that the table may have the identity under, whatever the number of
// pairs.
Result<ConnectionRef> find_connection(Context& ctx, const IkeSa& sa, const policy::Identity& peer,
                                      const IdPayload* idr) {
  if (peer.type == wire::ike::IdType::kNull) return find_anonymous(ctx, sa, idr);
  if (policy::is_wildcard(peer)) {
    return make_error(
        ErrorCode::kAuthentication,
        fmt::format("the peer says it is '{}': a wildcard is nobody's identity, it needs its own",
                    policy::to_string(peer)));
  }
  std::string why;
  for (const policy::Identity& key : policy::lookup_keys(peer, ctx.core.name_masks)) {
    const auto names = ctx.core.by_identity.find(key);
    if (names == ctx.core.by_identity.end()) continue;
    for (const std::string& name : names->second) {
      const Pair& pair = ctx.core.pairs.at(name);
      auto reason = misfit(sa, pair, peer, idr);
      if (!reason) return pair.connection;
      why = std::move(*reason);
    }
  }
  if (why.empty()) {
    why = fmt::format("no configured peer has the identity '{}'{}", policy::to_string(peer),
                      expected_there(ctx, sa.path.remote.ip));
  }
  return make_error(ErrorCode::kAuthentication, why);
}

bool has_established(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr) return false;
  return std::any_of(pair->sas.begin(), pair->sas.end(), [&](IkeSpi spi) {
    const auto found = ctx.core.sas.find(spi);
    return found != ctx.core.sas.end() && found->second.is_up();
  });
}

std::optional<std::string> held_by_another(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  const policy::Identity& peer = sa.handshake().peer_id;
  if (pair == nullptr || !pair->holder || policy::same_identity(*pair->holder, peer) ||
      !has_established(ctx, sa)) {
    return std::nullopt;
  }
  return fmt::format(
      "'{}' matches the wildcard '{}', but '{}' holds this pair: give each peer an entry of its "
      "own in the inventory",
      policy::to_string(peer), policy::to_string(sa.connection->remote_id),
      policy::to_string(*pair->holder));
}

bool is_wanted(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  return pair != nullptr && pair->connection == sa.connection &&
         (!pair->disabled || sa.connection->foreign);
}

std::optional<std::string> another_is_there(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr || !is_anonymous(sa, other(sa.role))) return std::nullopt;
  const std::vector<IkeSpi> spis(pair->sas.begin(), pair->sas.end());
  for (const IkeSpi spi : spis) {
    IkeSa* there = ctx.find(spi);
    if (there == nullptr || !there->is_up() || has_task(*there, TaskKind::kDeleteIke)) continue;
    // Both ends started at once: the rule for that decides.
    if (there->role == Role::kInitiator && sa.begun < there->established_at) continue;
    if (ctx.now >= there->next_hint) {
      there->next_hint = ctx.now + kHintInterval;
      Task check{TaskKind::kLiveness, Spi(), "", ctx.now};
      check.quick = true;
      add_task(ctx, *there, std::move(check));
      run_tasks(ctx, *there);
    }
    return "an anonymous peer has this pair already, and is asked whether it is still there";
  }
  return std::nullopt;
}

}  // namespace espalier::ike::v2
