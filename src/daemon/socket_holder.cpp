#include "daemon/socket_holder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "daemon/privileges.hpp"
#include "dataplane/kernel/left.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;

// The holder's descriptors, in this order; one that is missing (a host without IPv6) is
// /dev/null's.
constexpr int kListener = 3;
constexpr int kFirstSocket = 4;
constexpr std::size_t kSockets = 4;

bool fill(sockaddr_un& address, const std::string& path) {
  std::memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  return true;
}

// One octet that says which are sockets, and all the descriptors.
class SocketMessage {
 public:
  SocketMessage() {
    header_.msg_iov = &io_;
    header_.msg_iovlen = 1;
    header_.msg_control = control_.data();
    header_.msg_controllen = control_.size();
  }
  SocketMessage(const SocketMessage&) = delete;
  SocketMessage& operator=(const SocketMessage&) = delete;

  bool send(int to) {
    cmsghdr* rights = CMSG_FIRSTHDR(&header_);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fds);
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof fds);
    return sendmsg(to, &header_, MSG_NOSIGNAL) == 1;
  }
  bool receive(int from) {
    if (recvmsg(from, &header_, MSG_CMSG_CLOEXEC) != 1) return false;
    const cmsghdr* rights = CMSG_FIRSTHDR(&header_);
    if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS ||
        rights->cmsg_len != CMSG_LEN(sizeof fds)) {
      return false;
    }
    std::memcpy(fds.data(), CMSG_DATA(rights), sizeof fds);
    return true;
  }

  char which = 0;
  std::array<int, kSockets> fds{};

 private:
  iovec io_{&which, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control_{};
  msghdr header_{};
};

void hand_out(int client) {
  SocketMessage message;
  for (std::size_t i = 0; i < kSockets; ++i) {
    message.fds[i] = kFirstSocket + static_cast<int>(i);
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(message.fds[i], SOL_SOCKET, SO_TYPE, &type, &size) == 0) {
      message.which = static_cast<char>(message.which | 1 << i);
    }
  }
  // A client that went away gets none.
  static_cast<void>(message.send(client));
}

// Root, or whoever started the holder.
bool may_ask(int client) {
  ucred who{};
  socklen_t size = sizeof who;
  return getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
         (who.uid == 0 || who.uid == getuid());
}

// In the child of a fork: only what is safe there. Does not return.
[[noreturn]] void become_holder(const std::array<int, kSockets + 1>& fds, char* const* arguments,
                                char* const* environment) {
  setsid();
  // Out of the way of the places they go to.
  std::array<int, kSockets + 1> high{};
  const int nothing = open("/dev/null", O_RDWR);
  constexpr int kHigh = 64;
  for (std::size_t i = 0; i < high.size(); ++i) {
    high[i] = fcntl(fds[i] < 0 ? nothing : fds[i], F_DUPFD, kHigh);
    if (high[i] < 0) _exit(1);
  }
  for (int i = 0; i < kListener; ++i) dup2(nothing, i);
  for (std::size_t i = 0; i < high.size(); ++i) {
    if (dup2(high[i], kListener + static_cast<int>(i)) < 0) _exit(1);
  }
  close_range(kFirstSocket + kSockets, ~0u, 0);
  sigset_t all;
  sigemptyset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  execve("/proc/self/exe", arguments, environment);
  _exit(1);
}

}  // namespace

int hold_sockets() {
  if (fcntl(kListener, F_GETFD) < 0) return 64;  // nobody gave it any
  prctl(PR_SET_NAME, "espalier-hold");
  if (!drop_every_capability()) return 1;
  for (const int signal : {SIGHUP, SIGINT, SIGPIPE}) std::signal(signal, SIG_IGN);
  if (chdir("/") != 0) return 1;
  for (;;) {
    const Fd client(accept4(kListener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) {
      if (errno != EINTR && errno != ECONNABORTED) sleep(1);
      continue;
    }
    const timeval limit{1, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char what = 0;
    if (!may_ask(client.get()) || recv(client.get(), &what, 1, 0) != 1) continue;
    if (what == dataplane::kHolderEnd) return 0;
    if (what == dataplane::kHolderTake) hand_out(client.get());
  }
}

Status start_holder(const std::string& run, const IkeSockets& sockets) {
  const std::string path = dataplane::holder_path(run);
  sockaddr_un address{};
  if (!fill(address, path)) {
    return make_error(ErrorCode::kSystem, path + " is too long for a socket");
  }
  unlink(path.c_str());
  const Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!listener || bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) ||
      chmod(path.c_str(), 0600) != 0 || listen(listener.get(), 4) != 0) {
    return make_error(ErrorCode::kSystem, path + ": " + std::strerror(errno));
  }
  const std::array<int, kSockets + 1> fds{listener.get(), sockets.ike4(), sockets.natt4(),
                                          sockets.ike6(), sockets.natt6()};
  std::string name = "espalierd", argument(kHoldSockets);
  std::array<char*, 3> arguments{name.data(), argument.data(), nullptr};
  std::array<char*, 1> environment{nullptr};
  const pid_t child = fork();
  if (child < 0) return make_error(ErrorCode::kSystem, std::string("fork: ") + strerror(errno));
  if (child == 0) {
    // Once more, so that it is nobody's child and leaves no zombie.
    const pid_t holder = fork();
    if (holder != 0) _exit(holder < 0 ? 1 : 0);
    become_holder(fds, arguments.data(), environment.data());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) return make_error(ErrorCode::kSystem, "the socket holder could not be started");
  return {};
}

std::optional<IkeSockets> take_held(const std::string& run) {
  const Fd holder = dataplane::ask_socket_holder(run, dataplane::kHolderTake);
  if (!holder) return std::nullopt;
  SocketMessage message;
  if (!message.receive(holder.get())) return std::nullopt;
  std::array<Fd, kSockets> owned;
  for (std::size_t i = 0; i < kSockets; ++i) {
    owned[i] = Fd(message.fds[i]);
    if ((message.which >> i & 1) == 0) owned[i].reset();
  }
  return IkeSockets::adopt(std::move(owned[0]), std::move(owned[1]), std::move(owned[2]),
                           std::move(owned[3]));
}

}  // namespace espalier::daemon
