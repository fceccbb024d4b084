#include "ike/core/wanted.hpp"

#include <set>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike {

Wanted wanted(const Core& core) {
  Wanted out;
  std::set<ReqId> reqids;
  for (const auto& [local, sa] : core.sas) {
    for (const v2::ChildSa& child : sa.children) {
      const ChildSaSpec& spec = child.spec;
      const bool stays =
          child.state == v2::ChildState::kInstalled || child.state == v2::ChildState::kRekeying;
      const bool needed = stays && sa.state == v2::IkeState::kEstablished &&
                          !v2::has_task(sa, v2::TaskKind::kDeleteChild, spec.spi_in);
      const IpAddress& peer = spec.path.remote.ip;
      out.sas.push_back({Direction::kIn, spec.spi_in, peer, spec.reqid, needed});
      if (child.outbound_installed) {
        out.sas.push_back({Direction::kOut, spec.spi_out, peer, spec.reqid, needed});
      }
      // Of SAs that are being deleted a pair that was removed has none, nor has one under `use`.
      const bool is_going = child.state == v2::ChildState::kDeleting && !child.outbound_installed;
      const bool opens = sa.connection && sa.connection->protect == policy::Protect::kUse;
      const bool closes = core.pairs.contains(spec.pair) && !(is_going && opens);
      if (closes && reqids.insert(spec.reqid).second) {
        out.policies.push_back(v2::policy_of(sa, child));
      }
    }
  }
  for (const LateRemoval& late : core.late_removals) {
    const DeleteSa& sa = late.removal;
    out.sas.push_back({sa.direction, sa.spi, sa.peer, ReqId(kReqIdFirst), false});
  }
  return out;
}

std::vector<InstallSa> standing_sas(const Core& core) {
  std::vector<InstallSa> out;
  for (const auto& [local, sa] : core.sas) {
    for (const v2::ChildSa& child : sa.children) {
      out.push_back({Direction::kIn, child.spec});
      if (child.outbound_installed) out.push_back({Direction::kOut, child.spec});
    }
  }
  return out;
}

}  // namespace espalier::ike
