#include "cli/main.hpp"

#include <sys/resource.h>

#include <csignal>

#include "cli/os_environment.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {

int main(int argc, char** argv) {
  // `espalier log --follow | head` ends here, by the signal, as other programs do; sends to the
  // daemon's socket say MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_DFL);
  // `secret pair` has the mesh secret in memory: it must not come to lie in a core file.
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  OsEnvironment env;
  return run(env, arguments);
}

}  // namespace espalier::cli
