// One client of the control socket, as the server keeps it.
#pragma once

#include <deque>
#include <set>

#include "control/command_table.hpp"
#include "wire/vici/message.hpp"

namespace espalier::control {

// A reader of the log ring. Lines come from the ring when the client reads, so a slow one costs
// nothing but its place; what it misses is counted.
struct Listener {
  enum class Event : std::uint8_t { kLog, kControlLog, kEspalierLog };
  Event event = Event::kLog;
  std::string pair;  // empty: all
  LogLevel finest = LogLevel::kTrace;
  std::uint64_t next = 0;   // number of the line to look at next
  std::uint64_t until = 0;  // espalier-log before its answer: the end of the history
};

// A command whose outcome is still to come.
struct Pending {
  WaitFor goal = WaitFor::kUp;
  std::string pair;
  std::size_t count = 1;
  std::optional<Instant> deadline;
  Duration timeout{};
};

struct Client {
  wire::vici::Framer framer;
  std::deque<wire::vici::Packet> requests;  // that wait for the one in progress
  std::set<std::string, std::less<>> events;
  std::vector<Listener> listeners;
  std::optional<Stream> stream;
  std::optional<Pending> pending;
  bool log_history = false;  // espalier-log has not reached the end of the past
  bool log_follow = false;
  Bytes out;
  bool writable = true;
  bool closing = false;

  bool busy() const { return stream || pending || log_history; }
};

}  // namespace espalier::control
