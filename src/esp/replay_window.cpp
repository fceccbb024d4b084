#include "esp/replay_window.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"

namespace espalier::esp {

ReplayWindow::ReplayWindow(std::uint32_t size, bool esn, std::uint64_t highest)
    : words_(std::bit_ceil(size / kWordBits + 2)),
      mask_(words_.size() - 1),
      highest_(highest),
      size_(size),
      esn_(esn) {
  ASSERT(size >= kMinReplayWindow && size <= kMaxReplayWindow);
}

std::optional<std::uint64_t> ReplayWindow::infer(std::uint32_t low) const {
  if (!esn_) return low;
  const auto highest_low = static_cast<std::uint32_t>(highest_);
  const std::uint64_t high = highest_ >> 32;
  const std::uint32_t bottom = highest_low - size_ + 1;  // of the window; wraps on purpose
  std::uint64_t inferred_high = high;
  if (highest_low >= size_ - 1) {
    // Case A: the window lies within one subspace. Below it means: already in the next.
    if (low < bottom) inferred_high = high + 1;
  } else if (low >= bottom) {
    // Case B: the window spans two subspaces. Above its bottom means: still in the previous.
    if (high == 0) return std::nullopt;
    inferred_high = high - 1;
  }
  if (inferred_high >> 32 != 0) return std::nullopt;  // all 2^64 are used up
  return inferred_high << 32 | low;
}

ReplayVerdict ReplayWindow::check(std::uint64_t sequence) const {
  // "The first packet sent using a given SA will contain a sequence number of 1" (section 2.2).
  if (sequence == 0) return ReplayVerdict::kBehind;
  if (sequence > highest_) return ReplayVerdict::kNew;
  if (highest_ - sequence >= size_) return ReplayVerdict::kBehind;
  const std::uint64_t word = words_[sequence / kWordBits & mask_];
  return (word >> (sequence % kWordBits) & 1) != 0 ? ReplayVerdict::kReplayed : ReplayVerdict::kNew;
}

void ReplayWindow::advance(std::uint64_t sequence) {
  const std::uint64_t from = highest_ / kWordBits;
  const std::uint64_t steps = std::min(sequence / kWordBits - from, std::uint64_t{words_.size()});
  for (std::uint64_t step = 1; step <= steps; ++step) words_[(from + step) & mask_] = 0;
  highest_ = sequence;
}

ReplayVerdict ReplayWindow::update(std::uint64_t sequence) {
  const ReplayVerdict verdict = check(sequence);
  if (verdict != ReplayVerdict::kNew) return verdict;
  if (sequence > highest_) advance(sequence);
  words_[sequence / kWordBits & mask_] |= std::uint64_t{1} << (sequence % kWordBits);
  return verdict;
}

}  // namespace espalier::esp
