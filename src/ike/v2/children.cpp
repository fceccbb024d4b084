// Children in the dataplane: installation, removal, moves. Additions always come before removals.
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike::v2 {
std::string reqid_key(const ChildSaSpec& spec) {
  return spec.pair + "|" + spec.child + "|" + policy::to_string(spec.local_ts) + "|" +
         policy::to_string(spec.remote_ts);
}

ChildSa* IkeSa::child_in(Spi spi_in) {
  for (ChildSa& child : children) {
    if (child.spec.spi_in == spi_in) return &child;
  }
  return nullptr;
}

ChildSa* IkeSa::child_out(Spi spi_out) {
  for (ChildSa& child : children) {
    if (child.spec.spi_out == spi_out) return &child;
  }
  return nullptr;
}

namespace {

// A tenth of the limit is for the rekey; the jitter keeps a fleet from rekeying at once. Without
// extended sequence numbers a child ends with its 2^32 packets (RFC 4303 section 3.3.3).
void set_limits(Context& ctx, const IkeSa& sa, ChildSaSpec& spec) {
  const policy::Lifetimes& lifetimes = sa.connection->lifetimes;
  const auto early = [&](std::uint64_t limit) {
    const std::uint64_t range = limit / 100 * lifetimes.jitter_percent;
    return limit - (range > 0 ? ctx.rng.u64() % range : 0);
  };
  std::optional<std::uint64_t> packets = lifetimes.child_packets;
  if (!spec.suite.esn) packets = std::min(packets.value_or(kPacketsWithoutEsn), kPacketsWithoutEsn);
  if (const auto bytes = lifetimes.child_bytes) {
    spec.soft_bytes = early(*bytes);
    spec.hard_bytes = *bytes + *bytes / 10;
  }
  if (packets) {
    spec.soft_packets = early(*packets);
    spec.hard_packets = *packets + *packets / 10;
  }
}

}  // namespace

SetPolicy policy_of(const IkeSa& sa, const ChildSa& child) {
  return {child.spec.pair,
          child.spec.reqid,
          child.spec.local_ts,
          child.spec.remote_ts,
          child.spec.mode,
          child.spec.path,
          sa.connection && sa.connection->protect == policy::Protect::kUse,
          child.spec.binding};
}

ChildSa& install_child(Context& ctx, IkeSa& sa, ChildSa child, bool outbound_now) {
  set_limits(ctx, sa, child.spec);
  child.spec.reqid = ctx.acquire_reqid(reqid_key(child.spec));
  child.installed_at = ctx.now;
  ctx.core.inbound_spis[child.spec.spi_in] = sa.local_spi();
  ctx.core.outbound_spis.insert({child.spec.spi_out, child.spec.spi_in});
  child.spec.tell_first = !outbound_now;
  ctx.effect(InstallSa{Direction::kIn, child.spec});
  ctx.effect(policy_of(sa, child));
  schedule_child(ctx, sa, child);
  sa.children.push_back(std::move(child));
  ChildSa& added = sa.children.back();
  // The inbound keys are the dataplane's from here on.
  added.spec.encr_in = SecretBytes();
  added.spec.integ_in = SecretBytes();
  if (outbound_now) install_outbound(ctx, added);
  ctx.count(Counter::kChildInstalled);
  ctx.touch(added.spec.pair);
  ctx.event(EventKind::kChildInstalled, LogLevel::kInfo, added.spec.pair,
            fmt::format("child SA {} installed: {} === {}, SPIs {} in, {} out, {}",
                        added.spec.child, policy::to_string(added.spec.local_ts),
                        policy::to_string(added.spec.remote_ts), to_string(added.spec.spi_in),
                        to_string(added.spec.spi_out), policy::words(added.spec.suite)));
  return added;
}

void install_outbound(Context& ctx, ChildSa& child) {
  // One that is being deleted was installed and taken away: its key has been used and is gone.
  if (child.outbound_installed || child.state == ChildState::kDeleting) return;
  child.outbound_installed = true;
  ctx.effect(InstallSa{Direction::kOut, child.spec});
  child.spec.encr_out = SecretBytes();
  child.spec.integ_out = SecretBytes();
  ctx.touch(child.spec.pair);
}

bool is_carried(Context& ctx, const ChildSaSpec& spec) {
  const auto pair = ctx.core.pairs.find(spec.pair);
  if (pair == ctx.core.pairs.end()) return false;
  const std::string key = reqid_key(spec);
  return std::any_of(pair->second.sas.begin(), pair->second.sas.end(), [&](IkeSpi spi) {
    const auto sa = ctx.core.sas.find(spi);
    return sa != ctx.core.sas.end() &&
           std::any_of(sa->second.children.begin(), sa->second.children.end(),
                       [&](const ChildSa& child) {
                         return child.outbound_installed && reqid_key(child.spec) == key;
                       });
  });
}

void confirm_children(Context& ctx, IkeSa& sa) {
  for (ChildSa& child : sa.children) {
    if (child.state == ChildState::kInstalled && !child.outbound_installed)
      install_outbound(ctx, child);
  }
}

void supersede(Context& ctx, ChildSa& child) {
  child.state = ChildState::kReplaced;
  child.expire_at = std::min(child.expire_at, ctx.now + kOverTime);
}

void promote_waiting(Context& ctx, const ChildSa& going) {
  const auto pair = ctx.core.pairs.find(going.spec.pair);
  if (!going.outbound_installed || pair == ctx.core.pairs.end()) return;
  std::vector<ChildSa*> waiting;
  for (const IkeSpi spi : pair->second.sas) {
    IkeSa* other = ctx.find(spi);
    if (other == nullptr) continue;
    for (ChildSa& child : other->children) {
      if (child.spec.reqid != going.spec.reqid || child.spec.spi_in == going.spec.spi_in) continue;
      // One that sends already: what waits may yet be unknown to the peer.
      if (child.outbound_installed) return;
      if (child.state == ChildState::kInstalled) waiting.push_back(&child);
    }
  }
  for (ChildSa* child : waiting) install_outbound(ctx, *child);
}

void remove_child(Context& ctx, IkeSa& sa, Spi spi_in, bool linger) {
  const auto found =
      std::find_if(sa.children.begin(), sa.children.end(),
                   [&](const ChildSa& child) { return child.spec.spi_in == spi_in; });
  if (found == sa.children.end()) return;
  const ChildSaSpec spec = found->spec;
  const IpAddress peer = spec.path.remote.ip;
  promote_waiting(ctx, *found);
  if (found->outbound_installed) {
    ctx.effect(DeleteSa{Direction::kOut, spec.spi_out, peer, spec.pair});
  }
  ctx.core.outbound_spis.erase({spec.spi_out, spec.spi_in});
  DeleteSa inbound{Direction::kIn, spec.spi_in, peer, spec.pair};
  if (linger) {
    ctx.core.inbound_spis[spec.spi_in] = IkeSpi();
    ctx.core.late_removals.push_back({ctx.now + kInboundLinger, std::move(inbound)});
  } else {
    ctx.core.inbound_spis.erase(spec.spi_in);
    ctx.effect(std::move(inbound));
  }
  if (ctx.release_reqid(reqid_key(spec))) ctx.effect(DeletePolicy{spec.pair, spec.reqid});
  sa.children.erase(found);
  ctx.touch(spec.pair);
  ctx.event(EventKind::kChildDeleted, LogLevel::kDebug, spec.pair,
            fmt::format("child SA {} removed: SPIs {} in, {} out", spec.child,
                        to_string(spec.spi_in), to_string(spec.spi_out)));
}

void schedule_child(Context& ctx, const IkeSa& sa, ChildSa& child) {
  const policy::Lifetimes& lifetimes = sa.connection->lifetimes;
  const Duration jitter = lifetimes.child * lifetimes.jitter_percent / 100;
  child.rekey_at = ctx.now + lifetimes.child - ctx.jitter(jitter);
  // A tenth later the SA is too old to be used at all, whatever became of its rekey; a rekey that
  // is under way has the time of all its retransmissions.
  child.expire_at = ctx.now + lifetimes.child + std::max<Duration>(lifetimes.child / 10, kOverTime);
}

void move_path(Context& ctx, IkeSa& sa, const Path& path) {
  if (sa.path == path) return;
  ctx.event(EventKind::kNote, LogLevel::kInfo, sa.pair(),
            fmt::format("the peer is at {} now (was {})", path.remote.to_string(),
                        sa.path.remote.to_string()));
  sa.path = path;
  move_children(ctx, sa);
}

void move_children(Context& ctx, IkeSa& sa) {
  for (ChildSa& child : sa.children) {
    if (child.spec.path == sa.path && child.spec.udp_encap == sa.encap) continue;
    const Path& path = sa.path;
    const IpAddress old_peer = child.spec.path.remote.ip;
    child.spec.path = path;
    child.spec.udp_encap = sa.encap;
    ctx.effect(
        UpdateSa{Direction::kIn, child.spec.spi_in, old_peer, path, child.spec.pair, sa.encap});
    if (child.outbound_installed) {
      ctx.effect(
          UpdateSa{Direction::kOut, child.spec.spi_out, old_peer, path, child.spec.pair, sa.encap});
    }
    ctx.effect(policy_of(sa, child));
  }
}

}  // namespace espalier::ike::v2
