#include "esp/replay_window.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace espalier::esp {
namespace {

TEST(ReplayWindow, acceptsEachNumberOnce) {
  ReplayWindow window(64, false);
  EXPECT_EQ(window.check(0), ReplayVerdict::kBehind);
  EXPECT_EQ(window.update(1), ReplayVerdict::kNew);
  EXPECT_EQ(window.update(1), ReplayVerdict::kReplayed);
  EXPECT_EQ(window.update(100), ReplayVerdict::kNew);
  EXPECT_EQ(window.check(36), ReplayVerdict::kBehind);
  EXPECT_EQ(window.check(37), ReplayVerdict::kNew);  // 100 - 63: the oldest within 64
  EXPECT_EQ(window.update(37), ReplayVerdict::kNew);
  EXPECT_EQ(window.update(37), ReplayVerdict::kReplayed);
}

TEST(ReplayWindow, aJumpLargerThanTheRingForgetsEverything) {
  ReplayWindow window(kMaxReplayWindow, false);
  for (std::uint64_t i = 1; i <= 5000; ++i) ASSERT_EQ(window.update(i), ReplayVerdict::kNew);
  ASSERT_EQ(window.update(1'000'000), ReplayVerdict::kNew);
  for (std::uint64_t i = 1'000'000 - 4095; i < 1'000'000; ++i) {
    ASSERT_EQ(window.check(i), ReplayVerdict::kNew) << i;
  }
  EXPECT_EQ(window.check(1'000'000 - 4096), ReplayVerdict::kBehind);
}

// Against the plainest thing that can be right: a set of all numbers seen.
TEST(ReplayWindow, agreesWithASet) {
  for (const std::uint32_t size : {32u, 33u, 64u, 65u, 100u, 1024u, 4095u, 4096u}) {
    std::mt19937_64 random(size);
    ReplayWindow window(size, false);
    std::set<std::uint64_t> seen;
    std::uint64_t highest = 0;
    for (int step = 0; step < 30000; ++step) {
      const std::uint64_t reach = random() % 100 == 0 ? 10000 : 2 * size;
      const std::uint64_t at = highest + 1 + random() % reach;
      const std::uint64_t sequence =
          at > size ? at - std::min<std::uint64_t>(size + 5, at - 1) + random() % 8 : at;
      const bool behind = sequence == 0 || (sequence <= highest && highest - sequence >= size);
      const ReplayVerdict expected = behind                     ? ReplayVerdict::kBehind
                                     : seen.count(sequence) > 0 ? ReplayVerdict::kReplayed
                                                                : ReplayVerdict::kNew;
      ASSERT_EQ(window.check(sequence), expected) << size << " " << sequence << " " << highest;
      ASSERT_EQ(window.update(sequence), expected);
      if (expected == ReplayVerdict::kNew) seen.insert(sequence);
      highest = std::max(highest, expected == ReplayVerdict::kNew ? sequence : 0);
      ASSERT_EQ(window.highest(), highest);
    }
  }
}

TEST(ReplayWindow, withoutEsnTheBitsAreTheNumber) {
  const ReplayWindow window(64, false, 0xfffffff0);
  EXPECT_EQ(window.infer(3), 3u);
}

// RFC 4303 appendix A2.2.
TEST(ReplayWindow, infersTheHighBits) {
  const ReplayWindow within(64, true, 0x5'0000'1000);  // case A: one subspace
  EXPECT_EQ(within.infer(0x1001), 0x5'0000'1001u);
  EXPECT_EQ(within.infer(0x1000 - 63), 0x5'0000'1000u - 63);
  EXPECT_EQ(within.infer(0x1000 - 64),
            0x6'0000'0000u + 0x1000 - 64);             // below the window: the next subspace
  const ReplayWindow across(64, true, 0x5'0000'0010);  // case B: two subspaces
  EXPECT_EQ(across.infer(0x11), 0x5'0000'0011u);
  EXPECT_EQ(across.infer(0), 0x5'0000'0000u);
  EXPECT_EQ(across.infer(0xffffffff), 0x4'ffff'ffffu);
  EXPECT_EQ(across.infer(0x10u - 63), 0x5'0000'0010u - 63);
  EXPECT_EQ(across.infer(0x10u - 64), 0x5'0000'0000u + (0x10u - 64));
}

TEST(ReplayWindow, nothingLiesBeforeTheFirstOrBehindTheLast) {
  const ReplayWindow fresh(64, true);
  EXPECT_EQ(fresh.infer(1), 1u);
  EXPECT_EQ(fresh.infer(0xffffffff), std::nullopt);
  const ReplayWindow last(64, true, 0xffffffff'fffffff0);
  EXPECT_EQ(last.infer(0xffffffff), 0xffffffff'ffffffffu);
  EXPECT_EQ(last.infer(0), std::nullopt);
}

TEST(ReplayWindow, infersTheSenderThroughManyWraps) {
  std::mt19937_64 random(7);
  ReplayWindow window(1024, true);
  std::uint64_t sent = 1;
  for (int step = 0; step < 200000; ++step) {
    // A sender that mostly advances, by up to nearly a subspace, with some reordering.
    sent += random() % 4 == 0 ? random() % 0xfff00000 : random() % 3;
    const std::uint64_t back = random() % 1024;
    const std::uint64_t sequence = sent > back && window.highest() > sent ? sent - back : sent;
    if (window.check(sequence) != ReplayVerdict::kNew) continue;
    ASSERT_EQ(window.infer(static_cast<std::uint32_t>(sequence)), sequence) << window.highest();
    window.update(sequence);
  }
  EXPECT_GT(window.highest() >> 32, 1000u);
}

}  // namespace
}  // namespace espalier::esp
