#include "ike/core/wanted.hpp"

namespace espalier::ike {

Wanted wanted(const Core& core) {
  Wanted out;
  for (const auto& [local, sa] : core.sas) {
    for (const v2::ChildSa& child : sa.children) {
      const ChildSaSpec& spec = child.spec;
      const bool leaving = child.state == v2::ChildState::kDeleting ||
                           child.state == v2::ChildState::kReplaced ||
                           sa.state == v2::IkeState::kDeleting;
      const IpAddress& peer = spec.path.remote.ip;
      out.sas.push_back({Direction::kIn, spec.spi_in, peer, spec.reqid, leaving});
      if (child.outbound_installed) {
        out.sas.push_back({Direction::kOut, spec.spi_out, peer, spec.reqid, leaving});
      }
      out.policies.push_back({spec.pair, spec.reqid, spec.local_ts, spec.remote_ts});
    }
  }
  for (const LateRemoval& late : core.late_removals) {
    out.sas.push_back({late.removal.direction, late.removal.spi, late.removal.peer, ReqId(), true});
  }
  return out;
}

}  // namespace espalier::ike
