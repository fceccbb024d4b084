// What of a pair's configured selectors its child SAs cover, part by part: a peer may give one
// child for each pair of networks, or less than was asked for (RFC 7296 section 2.9), and may
// delete one of several.
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/core.hpp"
#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike {
namespace {

using v2::ChildState;
using v2::IkeSa;
using v2::TaskKind;

bool carries(const v2::ChildSa& child, const std::string& name, const policy::SelectorList& local,
             const policy::SelectorList& remote) {
  return child.spec.child == name && child.state != ChildState::kDeleting &&
         policy::contains(child.spec.local_ts, local) &&
         policy::contains(child.spec.remote_ts, remote);
}

bool is_carried(const std::vector<const IkeSa*>& live, const std::string& name,
                const policy::SelectorList& local, const policy::SelectorList& remote) {
  return std::any_of(live.begin(), live.end(), [&](const IkeSa* sa) {
    return std::any_of(sa->children.begin(), sa->children.end(), [&](const v2::ChildSa& child) {
      return carries(child, name, local, remote);
    });
  });
}

bool is_asked(const std::vector<const IkeSa*>& live, const Part& part) {
  const auto asks = [&](const v2::Task& task) {
    return task.kind == TaskKind::kCreateChild && task.child_name == part.child &&
           task.local_ts == policy::SelectorList{part.local} &&
           task.remote_ts == policy::SelectorList{part.remote};
  };
  return std::any_of(live.begin(), live.end(), [&](const IkeSa* sa) {
    return (sa->active && asks(sa->active->task)) ||
           std::any_of(sa->tasks.begin(), sa->tasks.end(), asks);
  });
}

Part* find_part(Pair& pair, const std::string& child, const policy::TrafficSelector& local,
                const policy::TrafficSelector& remote) {
  for (Part& part : pair.parts) {
    if (part.child == child && part.local == local && part.remote == remote) return &part;
  }
  return nullptr;
}

// The parts of a child that no single SA covers. Who answered the IKE SA waits for its initiator
// to make the rest by itself.
void split(Context& ctx, Pair& pair, const policy::ChildConfig& config, v2::Role role) {
  const Instant first = role == v2::Role::kInitiator ? Instant() : ctx.now + kPartGrace;
  for (const policy::TrafficSelector& local : config.local_ts) {
    for (const policy::TrafficSelector& remote : config.remote_ts) {
      const bool possible = local.start.family() == remote.start.family();
      if (!possible || pair.parts.size() >= kPartsPerPairMax) continue;
      if (find_part(pair, config.name, local, remote) == nullptr) {
        pair.parts.push_back({config.name, local, remote, false, 0, first});
      }
    }
  }
}

bool is_single(const Pair& pair, const std::string& child) {
  return std::any_of(pair.parts.begin(), pair.parts.end(),
                     [&](const Part& part) { return part.single && part.child == child; });
}

}  // namespace

bool split_into_pairs(Context& ctx, const std::string& name, const std::string& child) {
  const auto found = ctx.core.pairs.find(name);
  if (found == ctx.core.pairs.end()) return false;
  Pair& pair = found->second;
  const auto& children = pair.connection->children;
  const auto config = std::find_if(children.begin(), children.end(),
                                   [&](const auto& one) { return one.name == child; });
  if (config == children.end() || config->local_ts.size() * config->remote_ts.size() < 2) {
    return false;
  }
  split(ctx, pair, *config, v2::Role::kInitiator);
  for (Part& part : pair.parts) part.single = part.single || part.child == child;
  ctx.touch(name);
  return is_single(pair, child);
}

Coverage look_at_coverage(Context& ctx, Pair& pair, const std::vector<const v2::IkeSa*>& live) {
  static const policy::SelectorList kAny;
  Coverage coverage;
  for (const policy::ChildConfig& config : pair.connection->children) {
    // In transport mode the addresses of the IKE SA are all there can be, whatever is configured.
    const bool transport = config.mode == policy::Mode::kTransport;
    const policy::SelectorList& local = transport ? kAny : config.local_ts;
    const policy::SelectorList& remote = transport ? kAny : config.remote_ts;
    if (is_carried(live, config.name, local, remote)) {
      std::erase_if(pair.parts, [&](const Part& part) { return part.child == config.name; });
    } else if (!is_carried(live, config.name, {}, {}) && is_single(pair, config.name)) {
      coverage.whole = false;
    } else if (!is_carried(live, config.name, {}, {})) {
      coverage.missing.push_back(config.name);
      for (Part& part : pair.parts) {
        if (part.child == config.name) part.was_covered = false;
      }
    } else {
      split(ctx, pair, config, live.front()->role);
    }
  }
  for (Part& part : pair.parts) {
    if (is_carried(live, part.child, {part.local}, {part.remote})) {
      part.was_covered = true;
      part.refusals = 0;
      part.again = Instant();
      continue;
    }
    if (part.was_covered && part.refusals == 0 && part.again == Instant()) {
      part.again = ctx.now + kRetryFirst * 3 / 4 + ctx.jitter(kRetryFirst / 2);
    }
    // What the peer refuses for good, and never gave, does not make the pair less than it can be.
    const bool settled = part.refusals > 0 && !part.was_covered;
    const bool whole_missing = std::find(coverage.missing.begin(), coverage.missing.end(),
                                         part.child) != coverage.missing.end();
    if (!settled || whole_missing) coverage.whole = false;
    if (whole_missing || is_asked(live, part)) continue;
    if (!coverage.next || part.again < *coverage.next) coverage.next = part.again;
  }
  if (!coverage.missing.empty()) coverage.whole = false;
  return coverage;
}

void ask_for_parts(Context& ctx, Pair& pair, v2::IkeSa& sa) {
  const std::vector<const IkeSa*> live{&sa};
  for (Part& part : pair.parts) {
    const bool open = (part.single || is_carried(live, part.child, {}, {})) &&
                      !is_carried(live, part.child, {part.local}, {part.remote}) &&
                      !is_asked(live, part);
    if (!open || part.again > ctx.now) continue;
    v2::add_task(ctx, sa,
                 {TaskKind::kCreateChild, Spi(), part.child, ctx.now, {part.local}, {part.remote}});
  }
}

void part_refused(Context& ctx, const std::string& name, const v2::Task& task,
                  const std::string& why) {
  const auto found = ctx.core.pairs.find(name);
  if (found == ctx.core.pairs.end() || task.local_ts.empty() || task.remote_ts.empty()) return;
  Part* part =
      find_part(found->second, task.child_name, task.local_ts.front(), task.remote_ts.front());
  if (part == nullptr) return;
  const Duration wait =
      std::min<Duration>(kRetryFirst * (1u << std::min(part->refusals + 1, 20u)), kPartRetryMax);
  ++part->refusals;
  part->again = ctx.now + wait * 3 / 4 + ctx.jitter(wait / 2);
  if (part->was_covered) {
    found->second.last_error =
        fmt::format("the peer closed the child SA for {} === {} and does not give another: {}",
                    policy::to_string(part->local), policy::to_string(part->remote), why);
  }
  ctx.touch(name);
}

namespace v2 {

bool is_covered(const IkeSa& sa, const std::string& name, const policy::SelectorList& local,
                const policy::SelectorList& remote) {
  return std::any_of(sa.children.begin(), sa.children.end(), [&](const ChildSa& child) {
    const bool stays =
        child.state == ChildState::kInstalled || child.state == ChildState::kRekeying;
    return stays && carries(child, name, local, remote);
  });
}

}  // namespace v2
}  // namespace espalier::ike
