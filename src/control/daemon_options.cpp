#include "control/daemon_options.hpp"

#include <fmt/format.h>

#include <array>

namespace espalier::control {
namespace {

constexpr std::array kOptions{
    OptionSpec{"--config", "DIR", "/etc/espalier",
               "The configuration folder: mesh.yaml and private/."},
    OptionSpec{"--state", "DIR", "/var/lib/espalier",
               "Where the daemon keeps what must outlive it."},
    OptionSpec{"--run", "DIR", "/run/espalier",
               "Where vici.sock and espalierd.pid are made; memory-backed. Every daemon on a "
               "machine has its own."},
    OptionSpec{"--self", "NAME", "the host name, then an own address",
               "The host of the inventory that this daemon is."},
    OptionSpec{
        "--dataplane", "auto|userspace|kernel", "auto",
        "What carries the packets. auto is the kernel where its ESP has every suite of the default "
        "proposals, else userspace; the log and `espalier status --json` say which and why."},
    OptionSpec{"--swanctl", "DIR", "", "Read swanctl.conf from DIR. Not supported yet: refused."},
    OptionSpec{"--log-level", "error|warning|info|debug|trace", "info",
               "The finest level written to standard error."},
    OptionSpec{"--help", "", "", "Print this and exit.", 'h'},
    OptionSpec{"--version", "", "", "Print the version and exit."},
};

constexpr std::array kSignals{
    TermRow{"SIGHUP",
            "Reload the configuration. A file with an error changes nothing: the error "
            "is logged and the old configuration stays."},
    TermRow{"SIGTERM, SIGINT",
            "Stop. The rules that keep protected traffic from being sent or accepted in the clear "
            "stay in place, so that a stop, a restart or an upgrade never opens traffic; "
            "`espalier teardown` removes them."},
    TermRow{"SIGKILL",
            "As a crash: the same rules stay. The next start keys again; it never takes "
            "up an SA of the process before it."},
};

constexpr std::array kFiles{
    TermRow{"CONFIG/mesh.yaml", "The inventory: every host, the same file on all of them."},
    TermRow{"CONFIG/private/mesh.secret",
            "The secret of the mesh, one line; `espalier secret new` makes one. Mode 0600 or it "
            "is refused. Whoever holds it can compute the key of every pair."},
    TermRow{"CONFIG/private/NAME.pem", "The private key of host NAME (auth: cert); mode 0600."},
    TermRow{"CONFIG/x509/NAME.pem", "The certificate of host NAME, end entity first."},
    TermRow{"CONFIG/x509ca/*.pem", "The certificate authorities that peers must chain to."},
    TermRow{"RUN/vici.sock", "The control socket; it speaks VICI, to espalier(1) and swanctl(8)."},
    TermRow{"RUN/espalierd.pid", "The process id of the daemon."},
};

constexpr std::array kExitStatuses{
    TermRow{"0", "Done; nothing to change; healthy."},
    TermRow{"1",
            "What was asked for failed or is not so: a named pair is down, `up` failed, a "
            "check found faults."},
    TermRow{"2", "Something was changed (only verbs that say so)."},
    TermRow{"64",
            "Wrong usage: an unknown option or word, or a choice that this version does not "
            "support yet."},
    TermRow{"65", "An input file is wrong; the message has file, line and column."},
    TermRow{"69", "No daemon answers."},
};

Error usage(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

Status parse_dataplane(const std::string& word, DaemonOptions& options) {
  if (word == "auto") {
    options.dataplane = DataplaneChoice::kAuto;
  } else if (word == "userspace") {
    options.dataplane = DataplaneChoice::kUserspace;
  } else if (word == "kernel") {
    options.dataplane = DataplaneChoice::kKernel;
  } else {
    return usage(fmt::format("--dataplane is auto, userspace or kernel, not '{}'.", word));
  }
  return {};
}

Status parse_log_level(const std::string& word, DaemonOptions& options) {
  for (LogLevel level : {LogLevel::kError, LogLevel::kWarning, LogLevel::kInfo, LogLevel::kDebug,
                         LogLevel::kTrace}) {
    if (word != name(level)) continue;
    options.log_level = level;
    return {};
  }
  return usage(fmt::format("--log-level is error, warning, info, debug or trace, not '{}'.", word));
}

}  // namespace

std::span<const OptionSpec> daemon_option_table() { return kOptions; }
std::span<const TermRow> daemon_signals() { return kSignals; }
std::span<const TermRow> daemon_files() { return kFiles; }
std::span<const TermRow> exit_statuses() { return kExitStatuses; }

Result<DaemonOptions> parse_daemon_options(std::span<const std::string> arguments) {
  TRY_ASSIGN(const ParsedOptions parsed, parse_options(arguments, kOptions, StopAt::kEnd));
  DaemonOptions options;
  if (parsed.has("--help")) {
    options.action = DaemonAction::kHelp;
    return options;
  }
  if (parsed.has("--version")) {
    options.action = DaemonAction::kShowVersion;
    return options;
  }
  if (!parsed.words.empty()) {
    return usage(
        fmt::format("espalierd takes options only; '{}' is none. The verbs are those of "
                    "espalier(1).",
                    parsed.words.front()));
  }
  if (parsed.has("--swanctl")) {
    return make_error(ErrorCode::kUnsupported,
                      "--swanctl is not supported yet; describe the hosts in CONFIG/mesh.yaml.");
  }
  options.config = parsed.get("--config", options.config);
  options.state = parsed.get("--state", options.state);
  options.run = parsed.get("--run", options.run);
  if (parsed.has("--self")) options.self = parsed.get("--self", "");
  TRY(parse_dataplane(parsed.get("--dataplane", "auto"), options));
  TRY(parse_log_level(parsed.get("--log-level", "info"), options));
  return options;
}

std::string daemon_help() {
  return "Usage: espalierd [OPTION...]\n\n"
         "Reads the inventory, finds itself in it, keys with its peers and carries the traffic, "
         "in the\nforeground; it logs to standard error.\n\nOptions:\n" +
         options_help(kOptions) +
         "\nSIGHUP reloads, SIGTERM stops and leaves the protection in place. See espalierd(8).\n";
}

std::string daemon_man() {
  ManPage page("espalierd", 8, "full-mesh IPsec from one inventory file, the daemon");
  page.section("SYNOPSIS");
  page.synopsis(
      "espalierd",
      "[--config DIR] [--state DIR] [--run DIR] [--self NAME] [--dataplane auto|userspace|kernel] "
      "[--log-level LEVEL]");
  page.section("DESCRIPTION");
  page.paragraph(
      "espalierd reads the inventory mesh.yaml, finds itself in it, sets up IKEv2 (RFC 7296) and "
      "ESP (RFC 4303) with every peer, and keeps them up. It runs in the foreground and logs to "
      "standard error. One daemon stands on each host; no pair needs a central node. Without an "
      "inventory it starts empty and waits for commands on its control socket.");
  page.paragraph(
      "Under `protect: require`, traffic between protected addresses is neither sent nor accepted "
      "in the clear, whether the daemon is starting, running, stopped or killed.");
  page.section("OPTIONS");
  page.options(kOptions);
  page.section("SIGNALS");
  page.rows(kSignals);
  page.section("FILES");
  page.rows(kFiles);
  page.section("EXIT STATUS");
  page.rows(kExitStatuses);
  page.section("SEE ALSO");
  page.paragraph("espalier(1), swanctl(8)");
  return page.text();
}

}  // namespace espalier::control
