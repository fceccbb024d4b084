#include "base/result.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "base/log.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"

namespace espalier {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return make_error(ErrorCode::kInvalidArgument, "an odd number has no half");
  return number / 2;
}

Result<int> quarter(int number) {
  TRY_ASSIGN(const int once, half(number));
  TRY_ASSIGN(const int twice, half(once));
  return twice;
}

Status check(int number) {
  TRY(half(number));
  return {};
}

TEST(Result, HoldsAValueOrAnError) {
  const auto good = half(8);
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(good.value(), 4);
  EXPECT_EQ(*good, 4);
  const auto bad = half(7);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error(), (Error{ErrorCode::kInvalidArgument, "an odd number has no half"}));
}

TEST(Result, TryPassesErrorsOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(7).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(quarter(6).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(check(2).ok());
  EXPECT_EQ(check(1).error().message, "an odd number has no half");
}

TEST(Result, MovesWhatCannotBeCopied) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); };
  const auto use = [&]() -> Result<int> {
    TRY_ASSIGN(const std::unique_ptr<int> owned, make());
    return *owned;
  };
  EXPECT_EQ(*use(), 5);
  std::unique_ptr<int> taken = *make();
  EXPECT_EQ(*taken, 5);
  Result<std::string> text(std::string("abc"));
  EXPECT_EQ(text->size(), 3u);
  *text += "d";
  EXPECT_EQ(text.value(), "abcd");
}

TEST(ResultDeathTest, AskingForWhatIsNotThereIsOurBug) {
  EXPECT_DEATH(static_cast<void>(half(1).value()), "ok\\(\\)");
  EXPECT_DEATH(static_cast<void>(half(2).error()), "ok\\(\\)");
  EXPECT_DEATH(static_cast<void>(Status().error()), "failed_");
}

TEST(ErrorCode, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (std::uint16_t code = 0; code <= static_cast<std::uint16_t>(ErrorCode::kPeerRefused);
       ++code) {
    const std::string_view word = name(static_cast<ErrorCode>(code));
    EXPECT_NE(word, "unknown") << code;
    EXPECT_TRUE(names.insert(word).second) << word;
  }
  EXPECT_EQ(name(static_cast<ErrorCode>(999)), "unknown");
}

TEST(Strong, KindsDoNotMix) {
  EXPECT_FALSE((std::is_convertible_v<std::uint32_t, Spi>));
  EXPECT_FALSE((std::is_convertible_v<Spi, MessageId>));
  EXPECT_LT(Spi(1), Spi(2));
  EXPECT_FALSE(static_cast<bool>(Spi()));
  EXPECT_EQ(to_string(Spi(0xc0ffee01)), "c0ffee01");
  EXPECT_EQ(to_string(Spi(1)), "00000001");
  EXPECT_EQ(to_string(IkeSpi(0xabcdef)), "0000000000abcdef");
}

TEST(Log, LevelsHaveNames) {
  EXPECT_EQ(name(LogLevel::kError), "error");
  EXPECT_EQ(name(LogLevel::kTrace), "trace");
}

TEST(Time, Conversions) {
  EXPECT_EQ(whole_seconds(1500ms), 1);
  EXPECT_DOUBLE_EQ(seconds(1500ms), 1.5);
  EXPECT_EQ(Instant() + 1s - Instant(), Duration(1'000'000'000));
}

}  // namespace
}  // namespace espalier
