// The verbs that talk to the daemon.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/log_text.hpp"
#include "cli/status_text.hpp"
#include "cli/text.hpp"
#include "cli/verb.hpp"
#include "control/fields.hpp"
#include "control/status_codec.hpp"
#include "control/version.hpp"

namespace espalier::cli {

using wire::vici::Section;

namespace {

constexpr Duration kAnswerTimeout = 30s;  // for what the daemon answers at once
constexpr Duration kGrace = 5s;           // beyond the timeout that the daemon keeps itself

int print_status(Call& call, const control::StatusSnapshot& snapshot) {
  Environment& env = call.env;
  if (call.words().empty()) {
    env.out(call.has("--json") ? status_json(snapshot) : status_table(snapshot, env.color()));
    return kDone;
  }
  const auto pair = find_pair(snapshot, call.words().front());
  if (!pair) return fail(env, pair.error());
  control::StatusSnapshot one = snapshot;
  one.pairs = {*pair};
  env.out(call.has("--json") ? status_json(one) : status_detail(*pair, env.color()));
  return pair->state == "up" || (pair->idle && pair->attempts == 0) ? kDone : kFailed;
}

// initiate, terminate and rekey: the pair's log while it lasts, then the outcome.
int run_and_wait(Call& call, std::string_view command, Section arguments,
                 const std::string& done_text) {
  auto timeout = parse_duration(call.options.get("--timeout", "30s"));
  if (!timeout) return fail(call.env, timeout.error());
  control::put_signed(arguments, "timeout",
                      std::chrono::duration_cast<std::chrono::milliseconds>(*timeout).count());
  control::put(arguments, "loglevel", "1");
  return with_daemon(call, [&](Connection& daemon) {
    if (const Status status = daemon.subscribe("control-log"); !status) {
      return broken(call, status.error());
    }
    const auto on_event = [&call](std::string_view event, const Section& section) {
      if (event != "control-log") return;
      call.env.out(fmt::format("[{}] {}\n", printable(control::get(section, "group")),
                               printable(control::get(section, "msg"))));
    };
    const auto answer = daemon.request(command, arguments, on_event, *timeout + kGrace);
    if (!answer) return broken(call, answer.error());
    if (const Status outcome = control::decode_outcome(*answer); !outcome) {
      call.env.err(fmt::format("espalier: {}\n", printable(outcome.error().message)));
      return kFailed;
    }
    call.env.out(paint(done_text, Color::kGreen, call.env.color()) + "\n");
    return kDone;
  });
}

}  // namespace

Result<control::StatusSnapshot> fetch_status(Connection& daemon) {
  TRY(daemon.subscribe(control::kPairEvent));
  std::vector<control::PairStatus> pairs;
  Status broken;
  const auto on_event = [&](std::string_view event, const Section& section) {
    if (event != control::kPairEvent) return;
    auto pair = control::decode_pair(section);
    if (pair) {
      pairs.push_back(std::move(*pair));
    } else {
      broken = pair.error();
    }
  };
  TRY_ASSIGN(const Section summary,
             daemon.request("espalier-status", Section(), on_event, kAnswerTimeout));
  TRY(broken);
  control::StatusSnapshot snapshot = control::decode_summary(summary);
  snapshot.pairs = std::move(pairs);
  return snapshot;
}

int broken(Call& call, const Error& error) {
  call.env.err(fmt::format("espalier: {}\n", error.message));
  const bool gone = error.code == ErrorCode::kSystem || error.code == ErrorCode::kTimeout;
  return gone ? kNoDaemon : kFailed;
}

Result<control::PairStatus> find_pair(const control::StatusSnapshot& snapshot,
                                      const std::string& name) {
  std::vector<std::string> known;
  for (const auto& pair : snapshot.pairs) {
    if (pair.name == name || pair.peer == name) return pair;
    known.push_back(pair.peer);
  }
  return make_error(
      ErrorCode::kNotFound,
      fmt::format("There is no pair '{}'; the peers are: {}.", printable(name),
                  known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
}

int with_daemon(Call& call, const std::function<int(Connection&)>& body) {
  auto connection = call.env.connect(call.socket());
  if (connection) return body(**connection);
  const Error& error = connection.error();
  if (error.code == ErrorCode::kPermission) {
    call.env.err(
        fmt::format("espalier: No permission to talk to the daemon at {}: {} Run it as "
                    "root, or as a user who may write to the socket.\n",
                    call.socket(), error.message));
  } else {
    call.env.err(fmt::format(
        "espalier: No daemon answers at {}: {} Start it with `systemctl start espalierd` or "
        "`espalierd --config {} --run {}`; for a daemon with another run folder give --run.\n",
        call.socket(), error.message, call.config, call.run));
  }
  return kNoDaemon;
}

int run_status(Call& call) {
  return with_daemon(call, [&call](Connection& daemon) {
    const auto snapshot = fetch_status(daemon);
    return snapshot ? print_status(call, *snapshot) : broken(call, snapshot.error());
  });
}

int run_up(Call& call) {
  Section arguments;
  control::put(arguments, "ike", call.words().front());
  return run_and_wait(call, "initiate", std::move(arguments), call.words().front() + " is up.");
}

int run_down(Call& call) {
  Section arguments;
  control::put(arguments, "ike", call.words().front());
  return run_and_wait(call, "terminate", std::move(arguments),
                      call.words().front() + " is down and stays down until `espalier up`.");
}

int run_rekey(Call& call) {
  Section arguments;
  const bool ike = call.has("--ike");
  control::put(arguments, "ike", call.words().front());
  if (!ike) control::put_flag(arguments, "children", true);
  return run_and_wait(
      call, "rekey", std::move(arguments),
      fmt::format("{}: {} rekeyed.", call.words().front(), ike ? "IKE SA" : "child SAs"));
}

int run_log(Call& call) {
  return with_daemon(call, [&call](Connection& daemon) {
    if (const Status status = daemon.subscribe(control::kLogEvent); !status) {
      return broken(call, status.error());
    }
    Section arguments;
    if (!call.words().empty()) control::put(arguments, "pair", call.words().front());
    control::put_flag(arguments, "follow", call.has("--follow"));
    const auto on_event = [&call](std::string_view event, const Section& section) {
      if (event != control::kLogEvent) return;
      const control::LogRecord record = control::decode_log(section);
      // A note about lost lines is not of any one time.
      const std::string time = record.unix_ms == 0 ? "-" : call.env.local_time(record.unix_ms);
      call.env.out(call.has("--json") ? log_json(record)
                                      : log_text(record, time, call.env.color()));
    };
    const auto answer = daemon.request("espalier-log", arguments, on_event, kAnswerTimeout);
    if (!answer) return broken(call, answer.error());
    if (const Status outcome = control::decode_outcome(*answer); !outcome) {
      return fail(call.env, outcome.error());
    }
    if (!call.has("--follow")) return kDone;
    return broken(call, daemon.follow(on_event).error());
  });
}

int run_reload(Call& call) {
  return with_daemon(call, [&call](Connection& daemon) {
    Section arguments;
    control::put(arguments, "ssh", call.env.ssh_connection());
    if (call.has("--force")) control::put(arguments, "force", "yes");
    const auto answer = daemon.request("espalier-reload", arguments, {}, kAnswerTimeout);
    if (!answer) return broken(call, answer.error());
    if (const Status outcome = control::decode_outcome(*answer); !outcome) {
      return fail(call.env, outcome.error());
    }
    const control::ReloadReport report = control::decode_reload(*answer);
    call.env.out(call.has("--json") ? reload_json(report) : reload_text(report));
    return kDone;
  });
}

int run_version(Call& call) {
  call.env.out(fmt::format("espalier {}\n", control::kVersion));
  auto connection = call.env.connect(call.socket());
  if (!connection) {
    call.env.out(fmt::format("espalierd: no daemon answers at {}\n", call.socket()));
    return kDone;
  }
  const auto answer = (*connection)->request("version", Section(), {}, kAnswerTimeout);
  if (!answer) return broken(call, answer.error());
  call.env.out(fmt::format("{} {} ({} {} {})\n", control::get(*answer, "daemon"),
                           control::get(*answer, "version"), control::get(*answer, "sysname"),
                           control::get(*answer, "release"), control::get(*answer, "machine")));
  return kDone;
}

}  // namespace espalier::cli
