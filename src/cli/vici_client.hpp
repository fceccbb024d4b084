// The client side of VICI over a Unix stream socket.
#pragma once

#include "cli/environment.hpp"

namespace espalier::cli {

// Connects to the socket at path. Errors: kNotFound (no such socket, or nobody listens on it),
// kPermission, kInvalidArgument (a path longer than a socket address holds), kSystem.
Result<std::unique_ptr<Connection>> connect_vici(const std::string& path);

}  // namespace espalier::cli
