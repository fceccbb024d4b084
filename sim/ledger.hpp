// Which pairs are up, since when, and for how long they were not: from the engines' events.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/world.hpp"

namespace espalier::sim {

struct PairRecord {
  HostId a = 0, b = 0;
  bool expected = false;     // configured, and somebody is to start it; both hosts are there
  std::uint8_t up_ends = 0;  // bit 0: a says it is up; bit 1: b does
  bool was_up = false;
  std::uint32_t downs = 0;  // times it went down after it was up
  Instant first_up{};       // was_up
  Instant down_since{};
  Duration down{};     // in all, after it was first up
  Duration longest{};  // of those
  bool up() const { return up_ends == 3; }
};

class Ledger : public Observer {
 public:
  // The hosts are there; no pair is expected.
  explicit Ledger(const World& world);
  void expect(HostId a, HostId b);
  // A crash: the host's end of every pair is gone. for_good: its pairs are expected no more.
  void lost(HostId host, bool for_good);
  // The host's engine is another one: what it says of its pairs now.
  void look_at(const Host& host);

  void on_event(const Host& host, const ike::Event& event) override;

  std::size_t expected() const { return expected_; }
  std::size_t down() const { return down_; }
  // When the mesh was whole for the first time, and when it became so the last time.
  std::optional<Instant> first_whole() const { return first_whole_; }
  std::optional<Instant> last_whole() const { return last_whole_; }
  // Closes the books: pairs that are down now are so until now.
  void close();
  const std::vector<PairRecord>& pairs() const { return pairs_; }
  const PairRecord* find(HostId a, HostId b) const;

 private:
  std::size_t index(HostId a, HostId b) const;
  void set(HostId host, HostId peer, bool up);

  const World& world_;
  std::vector<PairRecord> pairs_;  // of all hosts, a triangle
  std::size_t expected_ = 0;
  std::size_t down_ = 0;
  std::optional<Instant> first_whole_, last_whole_;
};

}  // namespace espalier::sim
