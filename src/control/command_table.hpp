// The commands of VICI that the daemon answers, as one table. It is built to grow into the whole of
// VICI: a row is a name, how it answers, a handler and its help.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.hpp"
#include "control/log_ring.hpp"
#include "control/unique_ids.hpp"
#include "control/view.hpp"
#include "wire/vici/message.hpp"

namespace espalier::control {

// What the daemon says of itself to `version` and `stats`.
struct DaemonInfo {
  std::string version;
  std::string sysname, release, machine;  // as uname(2) has them
  std::string since;                      // the wall-clock time of the start, for people
  Instant started{};
};

struct CommandContext {
  View& view;
  const DaemonInfo& info;
  UniqueIds& ids;
  Instant now;
};

// Ways to answer.
struct Answer {  // at once
  wire::vici::Section section;
};
struct Stream {  // events named `event` until next() has no more, then `end`
  std::string event;
  std::function<std::optional<wire::vici::Section>()> next;
  wire::vici::Section end;
};
enum class WaitFor : std::uint8_t { kUp, kDown, kIkeRekeyed, kChildRekeyed };
struct Wait {  // start() now; the answer comes with the pair's event or when the time is over
  WaitFor goal = WaitFor::kUp;
  std::string pair;
  std::size_t count = 1;            // events needed: one for every child that is rekeyed
  std::optional<Duration> timeout;  // none: however long it takes
  bool detached = false;            // answer as soon as it is started
  std::optional<LogLevel> finest;   // of the control-log lines wanted; none: no lines
  std::function<Status()> start;
};
struct LogTail {     // the log so far, and with follow what comes
  std::string pair;  // empty: all
  LogLevel finest = LogLevel::kTrace;
  bool follow = false;
};
using Reply = std::variant<Answer, Stream, Wait, LogTail>;

enum class CommandKind : std::uint8_t { kAnswer, kStream, kWait, kLog };

struct Command {
  std::string_view name;
  CommandKind kind = CommandKind::kAnswer;
  Reply (*handler)(CommandContext&, const wire::vici::Section& arguments);
  std::string_view help;
};

struct EventName {
  std::string_view name;
  std::string_view help;
};

std::span<const Command> command_table();
std::span<const EventName> event_table();
const Command* find_command(std::string_view name);  // nullptr: CMD_UNKNOWN
bool is_event(std::string_view name);

// VICI's log levels: -1 silent, 0 audit, 1 control, 2 more, 3 raw, 4 private.
int vici_level(LogLevel level);
std::optional<LogLevel> from_vici_level(std::int64_t level);  // none: silent

}  // namespace espalier::control
