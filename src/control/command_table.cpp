#include "control/command_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

#include "control/fields.hpp"
#include "control/limits.hpp"
#include "control/sa_section.hpp"
#include "control/status_codec.hpp"
#include "control/targets.hpp"

namespace espalier::control {
namespace {

Reply failure(const Error& error) { return Answer{encode_outcome(error)}; }

Reply unsupported(std::string message) {
  return failure(make_error(ErrorCode::kUnsupported, std::move(message)));
}

// VICI: timeout in ms; 0 or absent waits for as long as it takes, -1 not at all.
void set_timeout(Wait& wait, const Section& arguments, std::int64_t absent_ms) {
  const std::int64_t ms = find_signed(arguments, "timeout").value_or(absent_ms);
  wait.detached = ms < 0;
  if (ms > 0) {
    wait.timeout = std::chrono::milliseconds(std::min<std::int64_t>(ms, kMaxTimeoutMs));
  }
  wait.finest = from_vici_level(find_signed(arguments, "loglevel").value_or(1));
}

Reply version(CommandContext& context, const Section&) {
  Section out;
  put(out, "daemon", "espalierd");
  put(out, "version", context.info.version);
  put(out, "sysname", context.info.sysname);
  put(out, "release", context.info.release);
  put(out, "machine", context.info.machine);
  return Answer{out};
}

Reply stats(CommandContext& context, const Section&) {
  const StatusSnapshot snapshot = context.view.status();
  std::uint64_t total = 0;
  std::uint64_t half_open = 0;
  for (const auto& pair : snapshot.pairs) {
    if (pair.ike) ++total;
    if (pair.ike && pair.ike->state == "connecting") ++half_open;
  }
  Section uptime;
  put(uptime, "running",
      fmt::format("{} seconds", whole_seconds(context.now - context.info.started)));
  put(uptime, "since", context.info.since);
  Section ikesas;
  put_number(ikesas, "total", total);
  put_number(ikesas, "half-open", half_open);
  Section out;
  put_section(out, "uptime", std::move(uptime));
  put_section(out, "ikesas", std::move(ikesas));
  return Answer{out};
}

Reply list_conns(CommandContext& context, const Section& arguments) {
  const std::string only = get(arguments, "ike");
  auto list = std::make_shared<std::vector<ConnectionConfig>>(context.view.connections());
  auto position = std::make_shared<std::size_t>(0);
  const auto next = [list, position, only]() -> std::optional<Section> {
    while (*position < list->size()) {
      const ConnectionConfig& connection = (*list)[(*position)++];
      if (only.empty() || connection.name == only) return list_conn(connection);
    }
    return std::nullopt;
  };
  return Stream{"list-conn", next, Section()};
}

Reply list_sas(CommandContext& context, const Section& arguments) {
  const std::string only = get(arguments, "ike");
  const std::uint64_t only_id =
      std::max(get_number(arguments, "ike-id"), get_number(arguments, "ike_id"));
  auto snapshot = std::make_shared<StatusSnapshot>(context.view.status());
  context.ids.update(*snapshot);
  auto ids = std::make_shared<UniqueIds>(context.ids);
  auto position = std::make_shared<std::size_t>(0);
  const auto next = [snapshot, ids, position, only, only_id]() -> std::optional<Section> {
    while (*position < snapshot->pairs.size()) {
      const PairStatus& pair = snapshot->pairs[(*position)++];
      if (!pair.ike || (!only.empty() && pair.name != only)) continue;
      if (only_id != 0 && ids->ike(*pair.ike) != only_id) continue;
      return list_sa(pair, *ids, snapshot->dataplane == "userspace", Children::kAll);
    }
    return std::nullopt;
  };
  return Stream{"list-sa", next, Section()};
}

Reply initiate(CommandContext& context, const Section& arguments) {
  auto target = find_target(context, arguments);
  if (!target) return failure(target.error());
  Wait wait;
  wait.goal = WaitFor::kUp;
  wait.pair = target->pair;
  set_timeout(wait, arguments, 0);
  wait.start = [&view = context.view, pair = target->pair] { return view.initiate(pair); };
  return wait;
}

Reply terminate(CommandContext& context, const Section& arguments) {
  if (get_flag(arguments, "force")) {
    return unsupported("terminate with force is not supported yet; leave force out.");
  }
  auto target = find_target(context, arguments);
  if (!target) return failure(target.error());
  if (!target->child.empty() && target->child_count > 1) {
    return unsupported(
        fmt::format("Terminating the child {} alone is not supported yet: {} has {} "
                    "children; terminate the pair with ike={}.",
                    target->child, target->pair, target->child_count, target->pair));
  }
  Wait wait;
  wait.goal = WaitFor::kDown;
  wait.pair = target->pair;
  set_timeout(wait, arguments, 0);
  wait.start = [&view = context.view, pair = target->pair] { return view.terminate(pair); };
  return wait;
}

// Those that a rekey replaces; not those that already have a successor and wait for their Delete.
std::size_t live_children(View& view, const std::string& pair) {
  const auto found = view.pair_status(pair);
  if (!found) return 1;
  const auto count = std::count_if(
      found->children.begin(), found->children.end(),
      [](const ChildStatus& c) { return c.state == "installed" || c.state == "rekeying"; });
  return std::max<std::size_t>(static_cast<std::size_t>(count), 1);
}

Reply rekey(CommandContext& context, const Section& arguments) {
  if (get_flag(arguments, "reauth")) {
    return unsupported("rekey with reauth is not supported yet; terminate and initiate instead.");
  }
  auto target = find_target(context, arguments);
  if (!target) return failure(target.error());
  // A pair's own name given as child means the pair's children, as does children=yes, which is
  // ours.
  const bool children =
      !target->child.empty() || !get(arguments, "child").empty() || get_flag(arguments, "children");
  const bool ike = !children;
  Wait wait;
  wait.goal = ike ? WaitFor::kIkeRekeyed : WaitFor::kChildRekeyed;
  wait.pair = target->pair;
  wait.count = ike ? 1 : live_children(context.view, target->pair);
  // VICI's rekey only starts it; a timeout, which is ours, asks for the outcome.
  set_timeout(wait, arguments, -1);
  wait.start = [&view = context.view, pair = target->pair, ike] { return view.rekey(pair, ike); };
  return wait;
}

// swanctl --redirect: --ike or --ike-id, and --gateway.
Reply redirect(CommandContext& context, const Section& arguments) {
  if (!get(arguments, "peer-ip").empty() || !get(arguments, "peer-id").empty()) {
    return unsupported("redirect by peer-ip or peer-id is not supported; name the pair with ike.");
  }
  auto target = find_target(context, arguments);
  if (!target) return failure(target.error());
  const auto gateway = IpAddress::parse(get(arguments, "gateway"));
  if (!gateway) {
    return failure(
        make_error(ErrorCode::kBadInput, "'gateway' is not an address, which redirect needs."));
  }
  const Status done = context.view.redirect(target->pair, *gateway);
  if (!done) return failure(done.error());
  Section out;
  put(out, "success", "yes");
  put_number(out, "matches", 1);
  return Answer{out};
}

Reply get_counters(CommandContext& context, const Section&) {
  Section values;
  for (const auto& [name, value] : context.view.counters()) put_number(values, name, value);
  Section counters;
  put_section(counters, "", std::move(values));  // "": of the daemon, not of one connection
  Section out = encode_outcome({});
  put_section(out, "counters", std::move(counters));
  return Answer{out};
}

Reply reload_settings(CommandContext& context, const Section&) {
  const auto report = context.view.reload({});
  return report ? Reply(Answer{encode_outcome({})}) : failure(report.error());
}

Reply espalier_reload(CommandContext& context, const Section& arguments) {
  const auto report =
      context.view.reload({get(arguments, "ssh"), get(arguments, "force") == "yes"});
  return report ? Reply(Answer{encode_reload(*report)}) : failure(report.error());
}

Reply espalier_status(CommandContext& context, const Section&) {
  auto snapshot = std::make_shared<StatusSnapshot>(context.view.status());
  auto position = std::make_shared<std::size_t>(0);
  const auto next = [snapshot, position]() -> std::optional<Section> {
    if (*position == snapshot->pairs.size()) return std::nullopt;
    return encode_pair(snapshot->pairs[(*position)++]);
  };
  return Stream{std::string(kPairEvent), next, encode_summary(*snapshot)};
}

Reply espalier_log(CommandContext& context, const Section& arguments) {
  LogTail tail;
  tail.follow = get_flag(arguments, "follow");
  if (const std::string pair = get(arguments, "pair"); !pair.empty()) {
    auto resolved = context.view.resolve(pair);
    if (!resolved) return failure(resolved.error());
    tail.pair = *resolved;
  }
  return tail;
}

constexpr std::array kCommands{
    Command{"version", CommandKind::kAnswer, version, "the daemon and its system"},
    Command{"stats", CommandKind::kAnswer, stats, "uptime and the number of IKE SAs"},
    Command{"list-conns", CommandKind::kStream, list_conns, "the configuration of every pair"},
    Command{"list-sas", CommandKind::kStream, list_sas, "every IKE SA with its child SAs"},
    Command{"initiate", CommandKind::kWait, initiate, "bring a pair up and wait for the outcome"},
    Command{"terminate", CommandKind::kWait, terminate, "take a pair down and keep it down"},
    Command{"rekey", CommandKind::kWait, rekey, "rekey the children or the IKE SA of a pair"},
    Command{"redirect", CommandKind::kAnswer, redirect,
            "send a peer to another gateway (RFC 5685)"},
    Command{"get-counters", CommandKind::kAnswer, get_counters, "all counters"},
    Command{"reload-settings", CommandKind::kAnswer, reload_settings, "reload the configuration"},
    Command{"espalier-status", CommandKind::kStream, espalier_status,
            "every configured pair, up or not, and why"},
    Command{"espalier-reload", CommandKind::kAnswer, espalier_reload,
            "reload the configuration and say what changed"},
    Command{"espalier-log", CommandKind::kLog, espalier_log,
            "recent log lines, of one pair or all, and with follow those to come"},
};

constexpr std::array kEvents{
    EventName{"list-sa", "an IKE SA, while list-sas runs"},
    EventName{"list-conn", "a connection, while list-conns runs"},
    EventName{"control-log", "a log line of the pair that a running command is about"},
    EventName{"log", "a log line"},
    EventName{"ike-updown", "an IKE SA came up or went down"},
    EventName{"child-updown", "the child SAs of a pair came up or went down"},
    EventName{kPairEvent, "a pair, while espalier-status runs"},
    EventName{kLogEvent, "a log line, while espalier-log runs or follows"},
};

}  // namespace

std::span<const Command> command_table() { return kCommands; }
std::span<const EventName> event_table() { return kEvents; }

const Command* find_command(std::string_view name) {
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

bool is_event(std::string_view name) {
  return std::any_of(kEvents.begin(), kEvents.end(),
                     [name](const EventName& event) { return event.name == name; });
}

int vici_level(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return 0;
    case LogLevel::kWarning:
    case LogLevel::kInfo: return 1;
    case LogLevel::kDebug: return 2;
    case LogLevel::kTrace: return 3;
  }
  return 1;
}

std::optional<LogLevel> from_vici_level(std::int64_t level) {
  if (level < 0) return std::nullopt;
  if (level == 0) return LogLevel::kError;
  if (level == 1) return LogLevel::kInfo;
  if (level == 2) return LogLevel::kDebug;
  return LogLevel::kTrace;
}

}  // namespace espalier::control
