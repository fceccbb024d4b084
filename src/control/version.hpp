// The version both programs print. CMakeLists.txt says the same; a test compares.
#pragma once

#include <string_view>

namespace espalier::control {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace espalier::control
