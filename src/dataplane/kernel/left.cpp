#include "dataplane/kernel/left.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace espalier::dataplane {

using userspace::Fd;

std::string holder_path(const std::string& run) { return run + "/sockets"; }
std::string journal_path(const std::string& run) { return run + "/journal"; }

void remove_journal(const std::string& run) {
  unlink(journal_path(run).c_str());
  unlink((journal_path(run) + ".new").c_str());
}

Fd ask_socket_holder(const std::string& run, char what) {
  const std::string path = holder_path(run);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      send(fd.get(), &what, 1, MSG_NOSIGNAL) != 1) {
    return {};
  }
  return fd;
}

bool end_socket_holder(const std::string& run) {
  const Fd holder = ask_socket_holder(run, kHolderEnd);
  if (!holder) return false;
  char octet = 0;
  static_cast<void>(recv(holder.get(), &octet, 1, 0));  // it closes when it has gone
  unlink(holder_path(run).c_str());
  return true;
}

}  // namespace espalier::dataplane
