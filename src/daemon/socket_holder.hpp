// A process that does nothing but keep the IKE sockets open. The kernel takes ESP out of UDP only
// while its port 4500 socket is open: with the holder, a daemon that is killed, stopped or upgraded
// interrupts no traffic, and what the peers say meanwhile waits in the sockets for the next one.
//
// It is this program again, with the one argument below, without capabilities and with nothing of
// the daemon's memory. It listens on RUN/sockets, which only root may reach.
#pragma once

#include <optional>
#include <string>

#include "daemon/ike_sockets.hpp"

namespace espalier::daemon {

inline constexpr std::string_view kHoldSockets = "--hold-sockets";

// What `espalierd --hold-sockets` does, with the descriptors it was given: until it is told to end.
int hold_sockets();

// Starts it with these. Errors: kSystem.
Status start_holder(const std::string& run, const IkeSockets& sockets);
// The sockets of a holder that runs; nothing when none does. dataplane::end_socket_holder() ends
// it.
std::optional<IkeSockets> take_held(const std::string& run);

}  // namespace espalier::daemon
