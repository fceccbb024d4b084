#include "cli/log_text.hpp"

#include <fmt/format.h>

#include "cli/text.hpp"

namespace espalier::cli {

std::string log_text(const control::LogRecord& record, std::string_view time, bool color) {
  Color tint = Color::kNone;
  if (record.level == LogLevel::kError) tint = Color::kRed;
  if (record.level == LogLevel::kWarning) tint = Color::kYellow;
  if (record.level > LogLevel::kInfo) tint = Color::kDim;
  const std::string head = fmt::format("{:<7} {:<9}", name(record.level), printable(record.room));
  const std::string pair = record.pair.empty() ? "" : printable(record.pair) + ": ";
  return fmt::format("{} {} {}{}\n", time, paint(head, tint, color),
                     paint(pair, Color::kBold, color), printable(record.text));
}

}  // namespace espalier::cli
