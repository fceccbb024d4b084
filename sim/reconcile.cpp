// The daemon's comparison of what its engine wants with what its dataplane has, for the twin.
#include "ike/core/limits.hpp"
#include "ike/core/wanted.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

reconcile::State desired_state(const ike::Wanted& wanted) {
  reconcile::State state;
  for (const ike::WantedSa& sa : wanted.sas) {
    const bool in = sa.direction == ike::Direction::kIn;
    state.sas.push_back({in ? reconcile::Direction::kIn : reconcile::Direction::kOut, sa.spi,
                         sa.peer, sa.reqid, sa.leaving});
  }
  for (const ike::SetPolicy& each : wanted.policies) {
    state.policies.push_back({each.reqid, each.local_ts, each.remote_ts});
  }
  return state;
}

reconcile::State actual_state(const Twin& twin) {
  reconcile::State state;
  for (const auto& [spi, sa] : twin.inbound) {
    state.sas.push_back({reconcile::Direction::kIn, spi, sa.path.remote.ip, sa.reqid, false});
  }
  for (const auto& [key, sa] : twin.outbound) {
    state.sas.push_back({reconcile::Direction::kOut, key.first, key.second, sa.reqid, false});
  }
  for (const auto& [reqid, each] : twin.policies) {
    state.policies.push_back({reqid, each.local_ts, each.remote_ts});
  }
  return state;
}

}  // namespace

reconcile::Repairs World::reconcile(Host& host) {
  const ike::Wanted wanted = ike::wanted(host.engine.core());
  Twin& twin = host.twin;
  reconcile::Repairs repairs = reconcile::compare(
      desired_state(wanted), actual_state(twin), {ReqId(ike::kReqIdFirst), ReqId(ike::kReqIdLast)});
  for (const reconcile::Policy& each : repairs.missing_policies) {
    for (const ike::SetPolicy& policy : wanted.policies) {
      if (policy.reqid == each.reqid) twin.policies[each.reqid] = policy;
    }
  }
  for (const ReqId reqid : repairs.orphaned_policies) twin.policies.erase(reqid);
  for (const reconcile::Sa& sa : repairs.orphans) {
    if (sa.direction == reconcile::Direction::kIn) {
      twin.inbound.erase(sa.spi);
    } else {
      twin.outbound.erase({sa.spi, sa.peer});
      std::erase(twin.newest[sa.reqid], sa.spi);
    }
  }
  for (const reconcile::Sa& sa : repairs.lost) {
    const bool in = sa.direction == reconcile::Direction::kIn;
    host.engine.handle_completion(
        clock(host), host.rng,
        ike::SaLost{in ? ike::Direction::kIn : ike::Direction::kOut, sa.spi, sa.peer});
  }
  drain(host);
  return repairs;
}

}  // namespace espalier::sim
