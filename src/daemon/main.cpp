#include "daemon/main.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "control/version.hpp"
#include "daemon/daemon.hpp"
#include "daemon/privileges.hpp"
#include "daemon/socket_holder.hpp"

namespace espalier::daemon {
namespace {

// README "Exit status": 64 wrong usage, 65 a bad input file, 1 anything else that went wrong.
constexpr int kUsage = 64;
constexpr int kBadInput = 65;

int exit_status(const Error& error) {
  switch (error.code) {
    case ErrorCode::kBadInput: return kBadInput;
    case ErrorCode::kInvalidArgument: return kUsage;
    default: return 1;
  }
}

}  // namespace

int main(int argc, char** argv) {
  forbid_core_files();
  if (argc == 2 && argv[1] == kHoldSockets) return hold_sockets();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto options = control::parse_daemon_options(arguments);
  if (!options) {
    fmt::print(stderr, "espalierd: {}\n", options.error().message);
    return kUsage;
  }
  if (options->action == control::DaemonAction::kHelp) {
    fmt::print("{}", control::daemon_help());
    return 0;
  }
  if (options->action == control::DaemonAction::kShowVersion) {
    fmt::print("espalierd {}\n", control::kVersion);
    return 0;
  }
  DaemonLogger log(options->log_level);
  Daemon daemon(std::move(*options), log);
  if (const Status started = daemon.start(); !started) {
    log.log({LogLevel::kError, "daemon", "", "cannot start: " + started.error().message});
    return exit_status(started.error());
  }
  daemon.run();
  return 0;
}

}  // namespace espalier::daemon
