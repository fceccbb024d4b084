// What a daemon of the kernel's plane leaves in its folder RUN beside the vici socket, so that the
// next one goes on where it was: the journal of the IKE SAs, and a process that keeps the IKE
// sockets open (daemon/journal_file.hpp, daemon/socket_holder.hpp).
#pragma once

#include <string>

#include "dataplane/userspace/fd.hpp"

namespace espalier::dataplane {

// What the holder is asked: for the sockets, or to end.
inline constexpr char kHolderTake = 'T', kHolderEnd = 'E';
std::string holder_path(const std::string& run);
// A connection to it on which that was asked; none when there is no holder.
userspace::Fd ask_socket_holder(const std::string& run, char what);
// Whether there was one. It has gone, and its sockets are closed, when this returns.
bool end_socket_holder(const std::string& run);

std::string journal_path(const std::string& run);
void remove_journal(const std::string& run);

}  // namespace espalier::dataplane
