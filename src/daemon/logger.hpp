// Where log lines go: stderr, or the journal with its fields under systemd, and to listeners of the
// control socket.
#pragma once

#include <mutex>
#include <vector>

#include "base/log.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {

struct StampedLine {
  LogLine line;
  std::int64_t unix_ms = 0;
};

// Any thread may log. Lines above the level go nowhere.
class DaemonLogger final : public Logger {
 public:
  explicit DaemonLogger(LogLevel level);
  void log(const LogLine& line) override;
  // Lines since the last call, for the control server; at most kWaiting are kept between calls.
  std::vector<StampedLine> take();
  // Readable while take() has something.
  int notify_fd() const { return notify_.get(); }

 private:
  static constexpr std::size_t kWaiting = 4096;
  bool write_journal(const LogLine& line);
  LogLevel level_;
  std::mutex mutex_;
  std::vector<StampedLine> waiting_;
  dataplane::userspace::Fd notify_;
  dataplane::userspace::Fd journal_;
};

}  // namespace espalier::daemon
