#include "cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace espalier::cli {

std::string human_bytes(std::uint64_t count) {
  if (count < 1024) return fmt::format("{} B", count);
  constexpr std::array<std::string_view, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(count) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be rounded to "1024.0".
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_seconds(std::int64_t count) {
  if (count < 0) return "now";
  if (count < 60) return fmt::format("{}s", count);
  if (count < 3600) return fmt::format("{}m {:02}s", count / 60, count % 60);
  if (count < 86400) return fmt::format("{}h {:02}m", count / 3600, count / 60 % 60);
  return fmt::format("{}d {:02}h", count / 86400, count / 3600 % 24);
}

Result<Duration> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::int64_t factor_ms = 0;
  if (unit.empty() || unit == "s") factor_ms = 1000;
  if (unit == "ms") factor_ms = 1;
  if (unit == "m") factor_ms = 60'000;
  if (unit == "h") factor_ms = 3'600'000;
  constexpr std::int64_t kDayMs = 86'400'000;
  if (code != std::errc() || factor_ms == 0 || number <= 0 || number > kDayMs / factor_ms) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("'{}' is no time: write 30s, 500ms, 2m or 1h, up to 24h.", text));
  }
  return Duration(std::chrono::milliseconds(number * factor_ms));
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) c = '?';
  }
  return out;
}

std::string paint(std::string_view text, Color color, bool enabled) {
  if (!enabled || color == Color::kNone || text.empty()) return std::string(text);
  std::string_view code = "0";
  switch (color) {
    case Color::kNone: break;
    case Color::kGreen: code = "32"; break;
    case Color::kYellow: code = "33"; break;
    case Color::kRed: code = "31"; break;
    case Color::kDim: code = "2"; break;
    case Color::kBold: code = "1"; break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string render_table(const std::vector<std::vector<Cell>>& rows, bool color) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    if (row.size() < 2) continue;
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].text.size());
    }
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const Cell& cell = row[i];
      const bool alone = row.size() == 1;
      const std::size_t padding = alone ? 0 : widths[i] - cell.text.size();
      if (cell.right) out.append(padding, ' ');
      out += paint(cell.text, cell.color, color);
      const bool last = i + 1 == row.size();
      if (!cell.right && !last) out.append(padding, ' ');
      if (!last) out += "  ";
    }
    out += '\n';
  }
  return out;
}

}  // namespace espalier::cli
