// The anti-replay window (RFC 4303 section 3.4.3), with extended sequence numbers (appendix A). The
// bitmap is a ring of words at least one word longer than the window, so that moving the window
// clears whole words and never shifts (the idea of RFC 6479). It is as long as this SA's window
// needs, in the next power of two.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "esp/limits.hpp"

namespace espalier::esp {

enum class ReplayVerdict : std::uint8_t { kNew, kReplayed, kBehind };

class ReplayWindow {
 public:
  // size: packets, kMinReplayWindow..kMaxReplayWindow. highest: the last sequence number taken as
  // seen; 0 for a fresh SA (the first packet is 1: RFC 4303 section 2.2).
  ReplayWindow(std::uint32_t size, bool esn, std::uint64_t highest = 0);

  // The whole sequence number for the 32 bits in a packet. Without ESN it is those bits; with ESN
  // the high bits are inferred (RFC 4303 appendix A2.2). Nothing: it would lie before the first
  // packet.
  std::optional<std::uint64_t> infer(std::uint32_t low) const;

  // Cheap; to be asked before the ICV is verified. Changes nothing.
  ReplayVerdict check(std::uint64_t sequence) const;

  // Records an authentic packet. Anything but kNew means it is not to be delivered, and nothing
  // changed.
  ReplayVerdict update(std::uint64_t sequence);

  std::uint64_t highest() const { return highest_; }
  std::uint32_t size() const { return size_; }
  friend bool operator==(const ReplayWindow&, const ReplayWindow&) = default;

 private:
  static constexpr std::uint64_t kWordBits = 64;

  void advance(std::uint64_t sequence);

  std::vector<std::uint64_t> words_;  // a power of two of them
  std::uint64_t mask_;
  std::uint64_t highest_ = 0;
  std::uint32_t size_;
  bool esn_;
};

}  // namespace espalier::esp
