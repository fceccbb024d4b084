// Whether a plan would cut off the operator who makes it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mesh/plan.hpp"

namespace espalier::mesh {

// A connection by which somebody is logged in, seen from this host.
struct Login {
  SocketAddress local, remote;
  friend auto operator<=>(const Login&, const Login&) = default;
};

// SSH_CONNECTION as sshd sets it: "client port server port".
std::optional<Login> parse_ssh_connection(std::string_view text);
// The established connections to local port 22 of /proc/net/tcp or /proc/net/tcp6. IPv4 in IPv6 is
// IPv4. Lines that cannot be read are left out; at most 1024.
std::vector<Login> parse_ssh_sockets(std::string_view table);

// Why the plan would cut a login off and the line that keeps it; nothing when none is. A pair that
// `running` closes already (nullptr: none) carries the login inside IPsec, and goes on doing so.
std::optional<std::string> lockout(const HostPlan& plan, const HostPlan* running,
                                   const std::vector<Login>& logins);

}  // namespace espalier::mesh
