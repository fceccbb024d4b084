// The exit statuses of the command (README "Exit status").
#pragma once

#include "base/result.hpp"

namespace espalier::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // the thing asked for failed or is not so
inline constexpr int kWrongUsage = 64;
inline constexpr int kBadInputFile = 65;
inline constexpr int kNoDaemon = 69;

// Wrong usage and bad input files have their own status; every other error is a failure.
inline int exit_status(const Error& error) {
  if (error.code == ErrorCode::kInvalidArgument) return kWrongUsage;
  if (error.code == ErrorCode::kBadInput) return kBadInputFile;
  return kFailed;
}

}  // namespace espalier::cli
