// A snapshot of the daemon as text for people and as the JSON of README "status --json".
#pragma once

#include <string>

#include "control/view.hpp"

namespace espalier::cli {

// One row a pair, the reason under those that are not up, and the line "2 of 3 pairs up".
std::string status_table(const control::StatusSnapshot& snapshot, bool color);
// Everything about one pair.
std::string status_detail(const control::PairStatus& pair, bool color);
// The stable schema; what is not there is null, numbers are numbers.
std::string status_json(const control::StatusSnapshot& snapshot);

std::string reload_text(const control::ReloadReport& report);
std::string reload_json(const control::ReloadReport& report);

}  // namespace espalier::cli
