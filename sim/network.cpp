#include "sim/network.hpp"

#include <algorithm>
#include <functional>

namespace espalier::sim {

void PacketQueue::push(Instant at, Packet packet) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.push_back(std::move(packet));
  } else {
    slot = free_.back();
    free_.pop_back();
    slots_[slot] = std::move(packet);
  }
  heap_.push_back({at, order_++, slot});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

Packet PacketQueue::pop() {
  std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
  const std::uint32_t slot = heap_.back().slot;
  heap_.pop_back();
  free_.push_back(slot);
  return std::move(slots_[slot]);
}

}  // namespace espalier::sim
