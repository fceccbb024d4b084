// The comparison of desired and actual SAs and policies of a dataplane, and its repair.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.hpp"
#include "base/strong.hpp"
#include "policy/nouns.hpp"

namespace espalier::reconcile {

enum class Direction : std::uint8_t { kIn, kOut };

struct Sa {
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress peer;  // outbound: part of the name; inbound: only said
  ReqId reqid;
  // Desired only: it is on its way out. It may be there still, and need not be.
  bool leaving = false;
  friend bool operator==(const Sa&, const Sa&) = default;
};

struct Policy {
  ReqId reqid;
  policy::SelectorList local_ts, remote_ts;
  friend bool operator==(const Policy&, const Policy&) = default;
};

struct State {
  std::vector<Sa> sas;
  std::vector<Policy> policies;
};

// The request IDs that are ours: what has another is somebody else's.
struct Own {
  ReqId first, last;
};

struct Repairs {
  std::vector<Policy> missing_policies;  // to be set, again or as they should be
  // Wanted and not there: the engine keys them anew. Never to be installed again: the key has
  // protected packets, and their sequence numbers are lost (RFC 4303 section 2.2).
  std::vector<Sa> lost;
  std::vector<Sa> orphans;               // there, ours, and wanted by nobody: to be deleted
  std::vector<ReqId> orphaned_policies;  // the same
  bool empty() const {
    return missing_policies.empty() && lost.empty() && orphans.empty() && orphaned_policies.empty();
  }
};

// In the order of the arguments; n log n. Of two desired policies with one request ID the last
// counts.
Repairs compare(const State& desired, const State& actual, const Own& own);

}  // namespace espalier::reconcile
