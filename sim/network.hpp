// The network between hosts: datagrams on their way, in order of arrival.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ike/core/io.hpp"
#include "sim/host.hpp"

namespace espalier::sim {

struct NetworkOptions {
  double loss = 0;         // probability that a datagram is lost
  double duplication = 0;  // probability that it arrives twice
  Duration latency = 5ms;
  Duration jitter = 0ms;  // uniform, added to the latency: reorders
  double held_back = 0;   // probability that it takes kHeldBack times as long: reorders much
};
inline constexpr int kHeldBack = 20;

struct Packet {
  HostId to = 0;
  ike::Path path;  // as the receiver sees it
  Bytes datagram;
};

// A priority queue of packets: by time of arrival, then by order of sending.
class PacketQueue {
 public:
  void push(Instant at, Packet packet);
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  Instant next() const { return heap_.front().at; }  // !empty()
  Packet pop();                                      // !empty()

 private:
  struct Entry {
    Instant at;
    std::uint64_t order;
    std::uint32_t slot;
    bool operator>(const Entry& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  std::vector<Entry> heap_;
  std::vector<Packet> slots_;
  std::vector<std::uint32_t> free_;
  std::uint64_t order_ = 0;
};

}  // namespace espalier::sim
