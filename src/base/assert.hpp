// ASSERT: for our own bugs only. It stays on in release builds and must never be reachable from a
// peer's bytes or a file's contents; those return Result.
#pragma once

namespace espalier {

// Prints the expression and its place to stderr and aborts. Core dumps are disabled by the daemon,
// so that an abort never writes secrets to disk.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace espalier

#define ASSERT(expression)                              \
  (static_cast<bool>(expression) ? static_cast<void>(0) \
                                 : ::espalier::assertion_failed(#expression, __FILE__, __LINE__))
