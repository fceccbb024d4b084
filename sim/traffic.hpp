// Traffic over a simulated mesh: each host sends on the newest outbound SA of each of its policies,
// as its dataplane would, and the receiver must have the inbound SA when the packet arrives. That
// is the invariant of a rekey that drops nothing; what arrives without an SA is told to the
// receiver's engine, as its dataplane would.
#pragma once

#include <map>
#include <queue>
#include <string>
#include <vector>

#include "sim/world.hpp"

namespace espalier::sim {

class Traffic {
 public:
  explicit Traffic(World& world);
  ~Traffic();
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  // Lets virtual time pass; every `interval` every host sends one packet for each of its policies.
  void run_for(Duration time, Duration interval);

  // A packet that no inbound SA of its receiver fits, while that host runs: one sentence each, the
  // first kFaultsMax of them.
  const std::vector<std::string>& faults() const { return faults_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t arrived() const { return arrived_; }
  std::uint64_t strays() const { return strays_; }    // of which faults() tells the first
  std::uint64_t blocked() const { return blocked_; }  // a policy without an outbound SA
  // Only one direction, or none: an empty list means all hosts send.
  std::vector<std::string> senders;

  static constexpr std::size_t kFaultsMax = 8;

 private:
  struct Flying {
    Instant at;
    std::uint64_t order;
    std::string from, to;
    ike::ChildSaSpec sa;  // as the sender has it
    bool operator>(const Flying& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  void send_from(Host& host);
  void arrive(const Flying& packet);
  ike::UseReport report(const Host& host, const ike::QueryUse& query) const;

  World& world_;
  crypto::SeededRng rng_;
  std::priority_queue<Flying, std::vector<Flying>, std::greater<>> flying_;
  std::map<std::pair<std::string, Spi>, Instant> used_in_, used_out_;
  std::vector<std::string> faults_;
  std::uint64_t order_ = 0, sent_ = 0, arrived_ = 0, strays_ = 0, blocked_ = 0;
};

}  // namespace espalier::sim
