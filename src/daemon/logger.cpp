#include "daemon/logger.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace espalier::daemon {
namespace {

// systemd sets JOURNAL_STREAM to "device:inode" of stderr when that is the journal (sd-daemon(3)).
bool stderr_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", static_cast<unsigned long>(status.st_dev),
                     static_cast<unsigned long>(status.st_ino)) == stream;
}

int open_journal() {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, "/run/systemd/journal/socket", sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

int syslog_priority(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return 3;
    case LogLevel::kWarning: return 4;
    case LogLevel::kInfo: return 6;
    case LogLevel::kDebug: return 7;
    case LogLevel::kTrace: return 7;
  }
  return 6;
}

std::int64_t unix_ms_now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

// A line break inside a text would look like another line, or another field.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

}  // namespace

DaemonLogger::DaemonLogger(LogLevel level)
    : level_(level), notify_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (stderr_is_the_journal()) journal_ = dataplane::userspace::Fd(open_journal());
}

bool DaemonLogger::write_journal(const LogLine& line) {
  if (!journal_) return false;
  const std::string record = fmt::format(
      "PRIORITY={}\nSYSLOG_IDENTIFIER=espalierd\nESPALIER_ROOM={}\nESPALIER_PAIR={}\nMESSAGE={}{}{}"
      "\n",
      syslog_priority(line.level), line.room, one_line(line.pair), one_line(line.pair),
      line.pair.empty() ? "" : ": ", one_line(line.text));
  return send(journal_.get(), record.data(), record.size(), MSG_NOSIGNAL) >= 0;
}

void DaemonLogger::log(const LogLine& line) {
  if (line.level > level_) return;
  const std::int64_t now = unix_ms_now();
  const std::lock_guard lock(mutex_);
  if (!write_journal(line)) {
    const std::time_t seconds = static_cast<std::time_t>(now / 1000);
    fmt::print(stderr, "{:%H:%M:%S}.{:03d} {:<7} {:<9} {}{}{}\n", fmt::localtime(seconds),
               now % 1000, name(line.level), line.room, line.pair, line.pair.empty() ? "" : ": ",
               one_line(line.text));
  }
  if (waiting_.size() >= kWaiting) waiting_.erase(waiting_.begin());
  waiting_.push_back({line, now});
  const std::uint64_t one = 1;
  // A full counter means that the reader has been told already.
  [[maybe_unused]] const ssize_t written = write(notify_.get(), &one, sizeof one);
}

std::vector<StampedLine> DaemonLogger::take() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(notify_.get(), &count, sizeof count);
  std::vector<StampedLine> lines;
  lines.swap(waiting_);
  return lines;
}

}  // namespace espalier::daemon
