// Which pair a VICI request means: ike, child, ike-id, child-id.
#pragma once

#include "control/command_table.hpp"

namespace espalier::control {

struct Target {
  std::string pair;
  std::string child;            // named in the request; empty: the whole pair
  std::size_t child_count = 0;  // children of the pair's configuration
};

// Errors, each a sentence for the caller: kInvalidArgument (nothing named), kNotFound (no such
// pair, child or SA), kInvalidArgument (a child's name that several pairs have).
Result<Target> find_target(CommandContext& context, const wire::vici::Section& arguments);

}  // namespace espalier::control
