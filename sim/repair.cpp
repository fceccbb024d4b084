#include "sim/repair.hpp"

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::sim {
namespace {

using reconcile::SaName;

SaName name(ike::Direction direction, Spi spi, const IpAddress& peer) {
  return direction == ike::Direction::kIn ? SaName{reconcile::Direction::kIn, spi, IpAddress()}
                                          : SaName{reconcile::Direction::kOut, spi, peer};
}

}  // namespace

reconcile::Repair difference(const Host& host) {
  const ike::Core& core = host.engine.core();
  std::vector<reconcile::DesiredSa> desired;
  std::map<ReqId, reconcile::PolicySpec> policies;
  for (const auto& [spi, sa] : core.sas) {
    for (const ike::v2::ChildSa& child : sa.children) {
      const ike::ChildSaSpec& spec = child.spec;
      const IpAddress& peer = spec.path.remote.ip;
      const bool needed = child.state != ike::v2::ChildState::kDeleting &&
                          sa.state == ike::v2::IkeState::kEstablished &&
                          !ike::v2::has_task(sa, ike::v2::TaskKind::kDeleteChild, spec.spi_in);
      desired.push_back({name(ike::Direction::kIn, spec.spi_in, peer), spec.reqid, needed});
      if (child.outbound_installed) {
        desired.push_back({name(ike::Direction::kOut, spec.spi_out, peer), spec.reqid, needed});
      }
      policies.try_emplace(
          spec.reqid, reconcile::PolicySpec{spec.pair, spec.reqid, spec.local_ts, spec.remote_ts});
    }
  }
  for (const ike::LateRemoval& late : core.late_removals) {
    const ike::DeleteSa& sa = late.removal;
    desired.push_back({name(sa.direction, sa.spi, sa.peer), ReqId(ike::kReqIdFirst), false});
  }
  std::vector<reconcile::PolicySpec> wanted;
  for (auto& [reqid, policy] : policies) wanted.push_back(std::move(policy));
  std::vector<reconcile::ActualSa> actual;
  for (const auto& [spi, sa] : host.twin.inbound) {
    actual.push_back({name(ike::Direction::kIn, spi, IpAddress()), sa.reqid});
  }
  for (const auto& [key, sa] : host.twin.outbound) {
    actual.push_back({name(ike::Direction::kOut, key.first, key.second), sa.reqid});
  }
  std::vector<reconcile::PolicySpec> there;
  for (const auto& [reqid, policy] : host.twin.policies) {
    there.push_back({policy.pair, policy.reqid, policy.local_ts, policy.remote_ts});
  }
  return reconcile::compare(std::move(desired), std::move(wanted), std::move(actual),
                            std::move(there), {ReqId(ike::kReqIdFirst), ReqId(ike::kReqIdLast)});
}

std::size_t repair(World& world, Host& host) {
  const reconcile::Repair repair = difference(host);
  for (const reconcile::PolicySpec& policy : repair.set) {
    host.twin.policies[policy.reqid] = {policy.pair, policy.reqid, policy.local_ts,
                                        policy.remote_ts};
  }
  for (const SaName& sa : repair.renew) {
    const bool in = sa.direction == reconcile::Direction::kIn;
    world.complete(
        host, ike::HardExpired{in ? ike::Direction::kIn : ike::Direction::kOut, sa.spi, sa.peer});
  }
  for (const SaName& sa : repair.remove) {
    if (sa.direction == reconcile::Direction::kIn) {
      host.twin.inbound.erase(sa.spi);
      continue;
    }
    const auto found = host.twin.outbound.find({sa.spi, sa.peer});
    std::erase(host.twin.newest[found->second.reqid], sa.spi);
    host.twin.outbound.erase(found);
  }
  for (const ReqId reqid : repair.remove_policies) host.twin.policies.erase(reqid);
  return repair.set.size() + repair.renew.size() + repair.remove.size() +
         repair.remove_policies.size();
}

}  // namespace espalier::sim
