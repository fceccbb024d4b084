// A changed connection whose SAs can stay: the level of protection and the exceptions are this
// host's own, no peer is asked about them.
#include <fmt/format.h>

#include <set>

#include "ike/core/core.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike {
namespace {

std::string_view name(policy::Protect level) {
  switch (level) {
    case policy::Protect::kRequire: return "require";
    case policy::Protect::kUse: return "use";
    case policy::Protect::kOff: return "off";
  }
  return "";
}

bool same_negotiation(const policy::Connection& a, const policy::Connection& b) {
  policy::Connection like = a;
  like.protect = b.protect;
  like.except = b.except;
  return like == b;
}

}  // namespace

bool relevel(Context& ctx, Pair& pair, const policy::Connection& wanted) {
  const policy::Connection before = *pair.connection;
  if (before == wanted) return true;
  if (!same_negotiation(before, wanted)) return false;
  pair.connection.ptr = std::make_shared<const policy::Connection>(wanted);
  std::set<ReqId> set;
  for (const IkeSpi spi : pair.sas) {
    v2::IkeSa* sa = ctx.find(spi);
    if (sa == nullptr) continue;
    if (sa->connection) sa->connection = pair.connection;
    if (before.protect == wanted.protect) continue;
    for (const v2::ChildSa& child : sa->children) {
      if (set.insert(child.spec.reqid).second) ctx.effect(v2::policy_of(*sa, child));
    }
  }
  if (before.protect != wanted.protect) {
    ctx.event(EventKind::kNote, LogLevel::kInfo, wanted.name,
              fmt::format("protect: {} from now on (was {}); its SAs stay", name(wanted.protect),
                          name(before.protect)));
  }
  return true;
}

}  // namespace espalier::ike
