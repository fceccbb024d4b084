// The invariants that hold at every step, looked at as things happen: each costs a look-up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sim/host.hpp"

namespace espalier::sim {

class World;

class Watch {
 public:
  // A datagram leaves: no (key, IV) protects two different messages, no nonce keys two exchanges
  // (RFC 7296 sections 2.10 and 3.14, RFC 5282 section 3.1), reboots included.
  void sent(const Host& from, Instant now, ByteView datagram);
  // A child SA is installed: no key twice in one direction; no more children and IKE SAs of one
  // pair than the limits; checked later: the other end has it too.
  void installed(const World& world, const Host& host, const ike::InstallSa& install);
  // A child SA is gone; checked later: the other end has not kept its counterpart.
  void removed(const World& world, const Host& host, ike::Direction direction,
               const ike::ChildSaSpec& sa);
  // A wake-up: it has a reason, and time moves on.
  void woke(Host& host, Instant now, std::string_view reason);
  // The checks that are due.
  void look(const World& world, Instant now);
  // Something happened to the world (a cut, a crash): the bounds count from here.
  void disturbed(Instant now) { disturbed_ = now; }

  void violation(Instant now, std::string_view who, const std::string& what);
  const std::vector<std::string>& violations() const { return violations_; }
  std::uint64_t violation_count() const { return count_; }

 private:
  struct Due {
    Instant at;
    HostId host;
    ike::Direction direction;
    Spi spi;
    HostId far;
    ReqId reqid;
    // kHalfling: since it was installed; kLeftOver: since the other end removed its counterpart.
    enum class What : std::uint8_t { kHalfling, kLeftOver, kOverlap } what;
    Duration bound;
    std::uint8_t rounds = 0;
    bool operator>(const Due& other) const { return at > other.at; }
  };
  void push(Due due);
  void check(const World& world, Instant now, Due due);
  bool is_halfling(const World& world, const Due& due) const;
  static std::uint64_t name(const Due& due);  // of the SA

  std::unordered_map<std::uint64_t, std::uint64_t> messages_;  // key and IV -> content
  std::unordered_map<std::uint64_t, std::uint64_t> nonces_;    // nonce -> exchange
  std::unordered_set<std::uint64_t> keys_in_, keys_out_;
  std::vector<Due> due_;                                   // a heap
  std::unordered_map<std::uint64_t, Instant> left_since_;  // when the other end removed its half
  std::vector<std::string> violations_;
  std::uint64_t count_ = 0;
  Instant disturbed_{};
};

// How long an SA may be known to one end only while the network is well: the peer may have to be
// found dead (liveness check and all its repetitions), and a loser of a simultaneous start waits
// for its initiator. `dpd` 0: for ever.
std::optional<Duration> halfling_bound(Duration dpd);

// Two child pairs per selector, and more only as long as a rekey's overlap.
inline constexpr std::size_t kChildrenPerSelector = 2;

}  // namespace espalier::sim
