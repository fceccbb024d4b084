// Small renderings for people: sizes, durations, tables, colours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace espalier::cli {

std::string human_bytes(std::uint64_t count);   // "512 B", "1.2 KiB", "34.5 MiB"
std::string human_seconds(std::int64_t count);  // "12s", "3m 04s", "2h 15m", "3d 04h"
// "30s", "500ms", "2m", "1h"; a bare number is seconds. Errors: kInvalidArgument; beyond a day.
Result<Duration> parse_duration(std::string_view text);
// Control characters (a peer may have put them there) become '?', so that a terminal obeys nobody.
std::string printable(std::string_view text);

enum class Color : std::uint8_t { kNone, kGreen, kYellow, kRed, kDim, kBold };
std::string paint(std::string_view text, Color color, bool enabled);

struct Cell {
  Cell(std::string t, Color c = Color::kNone, bool r = false)
      : text(std::move(t)), color(c), right(r) {}
  std::string text;
  Color color = Color::kNone;
  bool right = false;  // aligned to the right
};
// Rows as columns two blanks apart, without blanks at a line's end. A row with a single cell is
// printed as it is and does not widen a column.
std::string render_table(const std::vector<std::vector<Cell>>& rows, bool color);

}  // namespace espalier::cli
