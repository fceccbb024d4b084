// The log interface. A room that logs gets a Logger& as an argument; where lines go (stderr,
// journald, a VICI listener) is the daemon's business. Lines never carry secrets.
#pragma once

#include <string>
#include <string_view>

namespace espalier {

enum class LogLevel : unsigned char { kError, kWarning, kInfo, kDebug, kTrace };
std::string_view name(LogLevel level);

struct LogLine {
  LogLevel level = LogLevel::kInfo;
  std::string_view room;  // "ike", "dataplane", "config", ...
  std::string pair;       // "bender-flexo", or empty
  std::string text;       // what happened, why, and what to do next
};

class Logger {
 public:
  virtual ~Logger() = default;
  virtual void log(const LogLine& line) = 0;
};

}  // namespace espalier
