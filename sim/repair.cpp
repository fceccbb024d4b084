#include "sim/repair.hpp"

#include "ike/core/limits.hpp"
#include "ike/core/wanted.hpp"

namespace espalier::sim {
namespace {

using reconcile::SaName;

SaName name(ike::Direction direction, Spi spi, const IpAddress& peer) {
  return direction == ike::Direction::kIn ? SaName{reconcile::Direction::kIn, spi, IpAddress()}
                                          : SaName{reconcile::Direction::kOut, spi, peer};
}

}  // namespace

reconcile::Repair difference(const Host& host) {
  const ike::Wanted engine = ike::wanted(host.engine.core());
  std::vector<reconcile::DesiredSa> desired;
  for (const ike::WantedSa& sa : engine.sas) {
    desired.push_back({name(sa.direction, sa.spi, sa.peer), sa.reqid, sa.needed});
  }
  std::vector<reconcile::PolicySpec> wanted;
  for (const ike::SetPolicy& policy : engine.policies) {
    wanted.push_back({policy.pair, policy.reqid, policy.local_ts, policy.remote_ts});
  }
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
    ike::SetPolicy& there = host.twin.policies[policy.reqid];
    there.pair = policy.pair;
    there.reqid = policy.reqid;
    there.local_ts = policy.local_ts;
    there.remote_ts = policy.remote_ts;
  }
  for (const SaName& sa : repair.renew) {
    const bool in = sa.direction == reconcile::Direction::kIn;
    world.complete(host,
                   ike::SaLost{in ? ike::Direction::kIn : ike::Direction::kOut, sa.spi, sa.peer});
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
