// A line of the daemon's log as text for people and as one line of JSON.
#pragma once

#include <string>

#include "control/log_ring.hpp"

namespace espalier::cli {

// "14:28:01.123 info  ike bender-flexo: text"; time is what the environment made of the line's.
std::string log_text(const control::LogRecord& record, std::string_view time, bool color);
std::string log_json(const control::LogRecord& record);

}  // namespace espalier::cli
