// The recent lines of the log, numbered. Listeners keep a number, not copies: a slow one finds that
// the lines it wanted are gone and is told how many.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/log.hpp"

namespace espalier::control {

struct LogRecord {
  std::int64_t unix_ms = 0;  // wall clock, for people
  LogLevel level = LogLevel::kInfo;
  std::string room;
  std::string pair;  // empty: about no pair
  std::string text;
  friend bool operator==(const LogRecord&, const LogRecord&) = default;
};

class LogRing {
 public:
  explicit LogRing(std::size_t capacity) : capacity_(capacity) {}

  void add(LogRecord record);
  std::uint64_t first() const { return next_ - records_.size(); }  // the oldest line there is
  std::uint64_t next() const { return next_; }                     // the number of the line to come
  // first() <= number < next().
  const LogRecord& at(std::uint64_t number) const;

 private:
  std::size_t capacity_;
  std::uint64_t next_ = 0;
  std::deque<LogRecord> records_;
};

}  // namespace espalier::control
