#include "cli/text.hpp"

#include <gtest/gtest.h>

namespace espalier::cli {
namespace {

TEST(TextTest, bytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(1258291), "1.2 MiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(~0ull), "16.0 EiB");
}

TEST(TextTest, seconds) {
  EXPECT_EQ(human_seconds(-1), "now");
  EXPECT_EQ(human_seconds(59), "59s");
  EXPECT_EQ(human_seconds(123), "2m 03s");
  EXPECT_EQ(human_seconds(14000), "3h 53m");
  EXPECT_EQ(human_seconds(86400 * 3 + 3600 * 4), "3d 04h");
}

TEST(TextTest, durations) {
  EXPECT_EQ(*parse_duration("30s"), Duration(30s));
  EXPECT_EQ(*parse_duration("500ms"), Duration(500ms));
  EXPECT_EQ(*parse_duration("2m"), Duration(2min));
  EXPECT_EQ(*parse_duration("24h"), Duration(24h));
  EXPECT_EQ(*parse_duration("7"), Duration(7s));
  for (const char* wrong :
       {"", "s", "0s", "-1s", "1.5s", "10 s", "25h", "99999999999999999999s", "5d", "+3s"}) {
    const auto parsed = parse_duration(wrong);
    ASSERT_FALSE(parsed.ok()) << wrong;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(TextTest, a_peers_control_characters_do_not_reach_the_terminal) {
  EXPECT_EQ(printable("a\x1b[31mb\nc\x7f"), "a?[31mb?c?");
  EXPECT_EQ(printable("bl\xc3\xbc"), "bl\xc3\xbc");
}

TEST(TextTest, table_aligns_and_leaves_no_blanks_at_the_end) {
  const std::vector<std::vector<Cell>> rows{
      {Cell("A"), Cell("N", Color::kNone, true), Cell("C")},
      {Cell("long"), Cell("12", Color::kNone, true), Cell("x")},
      {Cell("  a note that is wider than the columns")}};
  EXPECT_EQ(render_table(rows, false),
            "A      N  C\n"
            "long  12  x\n"
            "  a note that is wider than the columns\n");
}

TEST(TextTest, colour_does_not_move_columns) {
  const std::vector<std::vector<Cell>> rows{{Cell("up", Color::kGreen), Cell("x")},
                                            {Cell("down"), Cell("y")}};
  EXPECT_EQ(render_table(rows, true), "\x1b[32mup\x1b[0m    x\ndown  y\n");
  EXPECT_EQ(paint("x", Color::kRed, false), "x");
}

}  // namespace
}  // namespace espalier::cli
