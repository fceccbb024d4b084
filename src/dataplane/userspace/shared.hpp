// What the worker's two directions share. Only the worker thread touches it.
#pragma once

#include <vector>

#include "dataplane/userspace/counters.hpp"
#include "dataplane/userspace/sa_table.hpp"

namespace espalier::dataplane::userspace {

struct Shared {
  SaTable table;
  Counters counters;
  std::vector<Event> events;  // handed over at the end of the turn
  Instant now{};              // of this turn
  int tun_fd = -1;
  int udp4_fd = -1;
  int udp6_fd = -1;

  int udp_fd(Family family) const { return family == Family::kIpv4 ? udp4_fd : udp6_fd; }
  // Counts traffic on an SA and tells about its limits; called once per batch.
  void account(SaCommon& sa, std::uint64_t packets, std::uint64_t octets);
  // The SA may not be used any more.
  void expire(SaCommon& sa);
  // At most one event in kEventPauseNs by this memory.
  bool may_tell(std::optional<Instant>& told) const;
};

}  // namespace espalier::dataplane::userspace
