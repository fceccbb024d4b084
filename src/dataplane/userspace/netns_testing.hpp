// For tests: a body that runs as a child process in a fresh network namespace of its own.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

namespace espalier::dataplane::userspace::testing {

// What a shell command printed on stdout and stderr; its failure is a failure of the test.
inline std::string sh(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  char buffer[4096];
  for (std::size_t n = 0; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
    output.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

// Fails the test if the body does.
inline void in_fresh_netns(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0) {
      std::perror("unshare(CLONE_NEWNET)");
      _exit(2);
    }
    body();
    std::fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the lines above say what failed";
}

}  // namespace espalier::dataplane::userspace::testing

// Skips, in words that cannot be overlooked, where no namespace can be made.
#define NEEDS_ROOT()                                                                         \
  if (geteuid() != 0) {                                                                      \
    GTEST_SKIP() << "SKIPPED, NOT TESTED: this needs root (a network namespace of its own)"; \
  }
