#include "cli/main.hpp"

#include <csignal>

#include "cli/os_environment.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {

int main(int argc, char** argv) {
  // `espalier log --follow | head` ends here, by the signal, as other programs do; sends to the
  // daemon's socket say MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_DFL);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  OsEnvironment env;
  return run(env, arguments);
}

}  // namespace espalier::cli
