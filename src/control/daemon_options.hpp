// The command line of espalierd: its option table, the parser, and the help text and man page
// (espalierd.8) that come from the table. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "control/man_page.hpp"
#include "control/options.hpp"

namespace espalier::control {

enum class DaemonAction : std::uint8_t { kRun, kHelp, kShowVersion };
enum class DataplaneChoice : std::uint8_t { kAuto, kUserspace, kKernel };

struct DaemonOptions {
  DaemonAction action = DaemonAction::kRun;
  std::string config = "/etc/espalier";
  std::string state = "/var/lib/espalier";
  std::string run = "/run/espalier";
  std::optional<std::string> self;  // none: the host name, then an own address
  DataplaneChoice dataplane = DataplaneChoice::kAuto;
  LogLevel log_level = LogLevel::kInfo;
  friend bool operator==(const DaemonOptions&, const DaemonOptions&) = default;
};

// The arguments after the program's name. Every error is wrong usage, exit status 64:
// kInvalidArgument, or kUnsupported for what this version cannot do yet (--swanctl, the kernel
// plane). --help and --version win over everything else that is well-formed.
Result<DaemonOptions> parse_daemon_options(std::span<const std::string> arguments);

std::span<const OptionSpec> daemon_option_table();
std::span<const TermRow> daemon_signals();
std::span<const TermRow> daemon_files();
std::span<const TermRow> exit_statuses();  // of both programs

std::string daemon_help();  // `espalierd --help`
std::string daemon_man();   // docs/man/espalierd.8

}  // namespace espalier::control
