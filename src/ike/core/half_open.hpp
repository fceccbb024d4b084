// The half-open IKE SAs of an engine, counted so that a flood of IKE_SA_INIT is answered with
// cookies where it comes from (RFC 7296 section 2.6).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>

#include "base/address.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"

namespace espalier::ike {

// The network that a flood from this address most likely has for itself: its /24 or /64.
Prefix flood_prefix(const IpAddress& address);

class HalfOpen {
 public:
  // proved: the peer returned a valid cookie, so that it is where it says it is.
  void add(Instant begun, IkeSpi local, const IpAddress& from, bool proved);
  void remove(Instant begun, IkeSpi local, const IpAddress& from, bool proved);

  std::size_t size() const { return by_age_.size(); }
  // Whether one more from there must return a cookie first. Who returned one is never held up by
  // others of its prefix: a whole mesh may live in one.
  bool demands_cookie(const IpAddress& from) const;
  // The oldest, when it was begun before `before`: it makes room for one that proved its address.
  std::optional<IkeSpi> oldest(Instant before) const;
  friend bool operator==(const HalfOpen&, const HalfOpen&) = default;

 private:
  std::set<std::pair<Instant, IkeSpi>> by_age_;
  std::size_t unproved_ = 0;                            // at most kCookieThreshold
  std::map<Prefix, std::size_t> unproved_from_prefix_;  // as many entries at most
};

}  // namespace espalier::ike
