#include "ike/core/half_open.hpp"

#include "base/assert.hpp"
#include "ike/core/limits.hpp"

namespace espalier::ike {

Prefix flood_prefix(const IpAddress& address) {
  const auto prefix = Prefix::make(address, address.is_v4() ? 24 : 64);
  ASSERT(prefix);
  return *prefix;
}

void HalfOpen::add(Instant begun, IkeSpi local, const IpAddress& from, bool proved) {
  ASSERT(by_age_.insert({begun, local}).second);
  if (proved) return;
  ++unproved_;
  ++unproved_from_prefix_[flood_prefix(from)];
}

void HalfOpen::remove(Instant begun, IkeSpi local, const IpAddress& from, bool proved) {
  ASSERT(by_age_.erase({begun, local}) == 1);
  if (proved) return;
  const auto found = unproved_from_prefix_.find(flood_prefix(from));
  ASSERT(unproved_ > 0 && found != unproved_from_prefix_.end());
  --unproved_;
  if (--found->second == 0) unproved_from_prefix_.erase(found);
}

bool HalfOpen::demands_cookie(const IpAddress& from) const {
  if (unproved_ >= kCookieThreshold) return true;
  const auto found = unproved_from_prefix_.find(flood_prefix(from));
  return found != unproved_from_prefix_.end() && found->second >= kCookiePrefixThreshold;
}

std::optional<IkeSpi> HalfOpen::oldest(Instant before) const {
  if (by_age_.empty() || by_age_.begin()->first >= before) return std::nullopt;
  return by_age_.begin()->second;
}

}  // namespace espalier::ike
