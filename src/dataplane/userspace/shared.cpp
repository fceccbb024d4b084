#include "dataplane/userspace/shared.hpp"

#include "dataplane/userspace/limits.hpp"

namespace espalier::dataplane::userspace {

void Shared::account(SaCommon& sa, std::uint64_t packets, std::uint64_t octets) {
  if (packets == 0) return;
  sa.counters.packets += packets;
  sa.counters.bytes += octets;
  sa.counters.last_used = now;
  if (!sa.soft_sent && sa.soft_reached()) {
    sa.soft_sent = true;
    events.push_back(SoftExpire{sa.key});
  }
  if (sa.hard_reached()) expire(sa);
}

void Shared::expire(SaCommon& sa) {
  if (sa.dead) return;
  sa.dead = true;
  table.note_dead();
  events.push_back(HardExpire{sa.key});
}

bool Shared::may_tell(std::optional<Instant>& told) const {
  if (told && now - *told < Duration(kEventPauseNs)) return false;
  told = now;
  return true;
}

}  // namespace espalier::dataplane::userspace
