// RUN/vici.sock: accepts clients and moves bytes between their sockets and the control server.
#pragma once

#include <map>

#include "control/server.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {

class ControlSocket {
 public:
  // kInvalidArgument when a socket cannot have this name.
  static Status check_path(const std::string& path);
  // Binds the socket, mode 0600; a stale one is replaced. Errors: kBusy when another daemon answers
  // on it, kSystem.
  static Result<ControlSocket> open(const std::string& path);

  int listener() const { return listener_.get(); }
  // The sockets to wait for, each with whether it waits to be written.
  std::vector<std::pair<int, bool>> clients() const;
  void accept(control::Server& server, Logger& log);
  void readable(control::Server& server, Instant now, int fd);
  void writable(control::Server& server, int fd);
  // Sends what the server has for its clients.
  void flush(control::Server& server);

 private:
  struct Client {
    dataplane::userspace::Fd fd;
    Bytes pending;       // what the socket did not take yet
    bool close = false;  // after pending
  };
  void drop(control::Server& server, control::ClientId id);
  bool write_pending(control::Server& server, control::ClientId id, Client& client);
  control::ClientId find(int fd) const;

  dataplane::userspace::Fd listener_;
  std::map<control::ClientId, Client> clients_;
  std::uint64_t last_id_ = 0;
};

}  // namespace espalier::daemon
