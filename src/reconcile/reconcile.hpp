// Desired against actual SAs and policies, and the changes that repair the difference. Pure: who
// calls reads both, and does what comes out in the order of Repair's members. Additions come first,
// nothing is ever flushed, and what is not ours is not looked at.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/strong.hpp"
#include "policy/nouns.hpp"

namespace espalier::reconcile {

enum class Direction : std::uint8_t { kIn, kOut };

// An SA's name: inbound by its SPI alone, outbound by SPI and the peer's address.
struct SaName {
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress peer;
  friend auto operator<=>(const SaName&, const SaName&) = default;
};

struct DesiredSa {
  SaName name;
  ReqId reqid;
  // false: it is on its way out (a lingering inbound SA, one whose Delete was sent). It may stand
  // and need not.
  bool needed = true;
};

struct ActualSa {
  SaName name;
  ReqId reqid;
};

struct PolicySpec {
  std::string pair;
  ReqId reqid;
  policy::SelectorList local_ts;
  policy::SelectorList remote_ts;
  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

// The request ids that are ours: other SAs and policies belong to somebody else.
struct Ours {
  ReqId first, last;
};

struct Repair {
  std::vector<PolicySpec> set;  // missing, or with other selectors
  // Desired and gone. They are never installed again: their sequence numbers are lost, and a number
  // used twice gives the key away (RFC 4303 section 3.3.3, RFC 4106 section 2). Whoever keys is
  // told that they are gone, and negotiates others.
  std::vector<SaName> renew;
  std::vector<SaName> remove;  // there, and desired by nobody
  std::vector<ReqId> remove_policies;
  bool empty() const {
    return set.empty() && renew.empty() && remove.empty() && remove_policies.empty();
  }
};

// In any order; each name and each reqid once in each list. To be called between two changes, not
// in the middle of one.
Repair compare(std::vector<DesiredSa> desired, std::vector<PolicySpec> desired_policies,
               std::vector<ActualSa> actual, std::vector<PolicySpec> actual_policies, Ours ours);

}  // namespace espalier::reconcile
