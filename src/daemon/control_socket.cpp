#include "daemon/control_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;

Error system_error(const std::string& path, const char* what) {
  return make_error(ErrorCode::kSystem,
                    fmt::format("{}: {}: {}", path, what, std::strerror(errno)));
}

}  // namespace

Status ControlSocket::check_path(const std::string& path) {
  constexpr std::size_t kMax = sizeof(sockaddr_un::sun_path) - 1;
  if (path.size() <= kMax) return {};
  return make_error(ErrorCode::kInvalidArgument,
                    fmt::format("{} is too long for a socket's name ({} octets at most): choose a "
                                "shorter --run",
                                path, kMax));
}

Result<ControlSocket> ControlSocket::open(const std::string& path) {
  TRY(check_path(path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const auto* plain = reinterpret_cast<const sockaddr*>(&address);
  {
    const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(probe.get(), plain, sizeof address) == 0) {
      return make_error(
          ErrorCode::kBusy,
          fmt::format("another daemon answers on {}: stop it, or give this one its own --run",
                      path));
    }
  }
  unlink(path.c_str());
  ControlSocket socket_pair;
  socket_pair.listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const mode_t before = umask(0177);
  const bool bound = bind(socket_pair.listener_.get(), plain, sizeof address) == 0;
  umask(before);
  if (!bound) return system_error(path, "bind");
  if (listen(socket_pair.listener_.get(), 64) != 0) return system_error(path, "listen");
  return socket_pair;
}

std::vector<std::pair<int, bool>> ControlSocket::clients() const {
  std::vector<std::pair<int, bool>> out;
  for (const auto& [id, client] : clients_)
    out.emplace_back(client.fd.get(), !client.pending.empty());
  return out;
}

control::ClientId ControlSocket::find(int fd) const {
  for (const auto& [id, client] : clients_) {
    if (client.fd.get() == fd) return id;
  }
  return control::ClientId();
}

void ControlSocket::accept(control::Server& server, Logger& log) {
  for (;;) {
    Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    const control::ClientId id(++last_id_);
    if (const Status taken = server.connect(id); !taken) {
      log.log({LogLevel::kWarning, "control", "",
               "a client was turned away: " + taken.error().message});
      continue;
    }
    clients_[id].fd = std::move(fd);
  }
}

void ControlSocket::drop(control::Server& server, control::ClientId id) {
  server.disconnect(id);
  clients_.erase(id);
}

void ControlSocket::readable(control::Server& server, Instant now, int fd) {
  const control::ClientId id = find(fd);
  if (id.value == 0) return;
  std::uint8_t buffer[16384];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got > 0) return server.receive(now, id, {buffer, static_cast<std::size_t>(got)});
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  drop(server, id);
}

bool ControlSocket::write_pending(control::Server& server, control::ClientId id, Client& client) {
  while (!client.pending.empty()) {
    const ssize_t sent = send(client.fd.get(), client.pending.data(), client.pending.size(),
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) {
      server.set_writable(id, false);
      return true;
    }
    if (sent < 0) return false;
    client.pending.erase(client.pending.begin(), client.pending.begin() + sent);
  }
  server.set_writable(id, true);
  return !client.close;
}

void ControlSocket::writable(control::Server& server, int fd) {
  const control::ClientId id = find(fd);
  if (id.value != 0 && !write_pending(server, id, clients_.at(id))) drop(server, id);
}

void ControlSocket::flush(control::Server& server) {
  while (auto output = server.poll_output()) {
    const auto found = clients_.find(output->client);
    if (found == clients_.end()) continue;
    Client& client = found->second;
    client.pending.insert(client.pending.end(), output->bytes.begin(), output->bytes.end());
    client.close = client.close || output->close;
    if (!write_pending(server, output->client, client)) drop(server, output->client);
  }
}

}  // namespace espalier::daemon
