#include "cli/vici_client.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace espalier::cli {

using wire::vici::Packet;
using wire::vici::PacketType;
using wire::vici::Section;

namespace {

using Clock = std::chrono::steady_clock;

Error gone(std::string_view how) {
  return make_error(ErrorCode::kSystem,
                    fmt::format("The daemon went away before it had answered ({}); its log says "
                                "why.",
                                how));
}

class ViciConnection : public Connection {
 public:
  explicit ViciConnection(int fd) : fd_(fd) {}
  ViciConnection(const ViciConnection&) = delete;
  ViciConnection& operator=(const ViciConnection&) = delete;
  ~ViciConnection() override { ::close(fd_); }

  Result<Section> request(std::string_view command, const Section& arguments,
                          const OnEvent& on_event, Duration timeout) override {
    TRY(send({PacketType::kCmdRequest, std::string(command), arguments}));
    TRY_ASSIGN(Packet answer, receive(on_event, Clock::now() + timeout));
    if (answer.type == PacketType::kCmdUnknown) {
      return make_error(ErrorCode::kUnsupported,
                        fmt::format("The daemon does not know the command {}: it is older than "
                                    "this program, or it is not espalierd.",
                                    command));
    }
    if (answer.type != PacketType::kCmdResponse) return gone("an answer out of turn");
    return std::move(answer.message);
  }

  Status subscribe(std::string_view event) override {
    TRY(send({PacketType::kEventRegister, std::string(event), {}}));
    TRY_ASSIGN(const Packet answer, receive({}, Clock::now() + 30s));
    if (answer.type == PacketType::kEventConfirm) return {};
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("The daemon does not know the event {}: it is older than this "
                                  "program, or it is not espalierd.",
                                  event));
  }

  Status follow(const OnEvent& on_event) override {
    auto answer = receive(on_event, std::nullopt);
    return answer ? gone("an answer out of turn") : answer.error();
  }

 private:
  Status send(const Packet& packet) {
    TRY_ASSIGN(const Bytes frame, wire::vici::encode_frame(packet));
    ByteView rest = frame;
    while (!rest.empty()) {
      const ssize_t sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return gone(std::strerror(errno));
      rest = rest.subspan(static_cast<std::size_t>(sent));
    }
    return {};
  }

  // The next packet that is no event; events go to on_event.
  Result<Packet> receive(const OnEvent& on_event, std::optional<Clock::time_point> deadline) {
    while (true) {
      TRY_ASSIGN(auto frame, framer_.next());
      if (!frame) {
        TRY(read_more(deadline));
        continue;
      }
      TRY_ASSIGN(Packet packet, wire::vici::parse_packet(*frame));
      if (packet.type != PacketType::kEvent) return packet;
      if (on_event) on_event(packet.name, packet.message);
    }
  }

  Status read_more(std::optional<Clock::time_point> deadline) {
    int wait_ms = -1;
    if (deadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
      if (left.count() <= 0) {
        return make_error(ErrorCode::kTimeout,
                          "The daemon took the request and does not answer; its log may say why.");
      }
      wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    }
    pollfd entry{fd_, POLLIN, 0};
    const int ready = ::poll(&entry, 1, wait_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return {};
    if (ready < 0) return gone(std::strerror(errno));
    std::array<std::uint8_t, 65536> buffer;
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) return {};
    if (count < 0) return gone(std::strerror(errno));
    if (count == 0) return gone("it closed the connection");
    framer_.push({buffer.data(), static_cast<std::size_t>(count)});
    return {};
  }

  int fd_;
  wire::vici::Framer framer_;
};

}  // namespace

Result<std::unique_ptr<Connection>> connect_vici(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return make_error(
        ErrorCode::kInvalidArgument,
        fmt::format("a socket's path has at most {} octets.", sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return make_error(ErrorCode::kSystem, std::strerror(errno));
  auto connection = std::make_unique<ViciConnection>(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return std::unique_ptr<Connection>(std::move(connection));
  }
  const int code = errno;
  if (code == ENOENT) return make_error(ErrorCode::kNotFound, "there is no such socket.");
  if (code == ECONNREFUSED) {
    return make_error(ErrorCode::kNotFound,
                      "the socket is there, but nobody listens on it (the daemon has ended).");
  }
  if (code == EACCES || code == EPERM) {
    return make_error(ErrorCode::kPermission, "permission denied.");
  }
  return make_error(ErrorCode::kSystem, fmt::format("{}.", std::strerror(code)));
}

}  // namespace espalier::cli
