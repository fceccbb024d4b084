#include "cli/os_prober.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

// After the C library's: the kernel's headers leave out what that one has.
#include <linux/xfrm.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "dataplane/userspace/fd.hpp"
#include "dataplane/userspace/ours.hpp"
#include "dataplane/userspace/sockaddr.hpp"

namespace espalier::cli {
namespace {

using dataplane::userspace::Fd;

// Longer than a round trip on the ground; a probe is repeated when nothing came.
constexpr int kWaitMs = 400;
constexpr std::size_t kTransportHeader = 8;                     // of UDP and of an ICMP echo
constexpr std::uint8_t kEchoRequest6 = 128, kEchoReply6 = 129;  // RFC 4443 section 4

Error system_error(std::string_view what) {
  const int code = errno;
  const bool denied = code == EPERM || code == EACCES;
  return make_error(
      denied ? ErrorCode::kPermission : ErrorCode::kSystem,
      fmt::format("{}: {}.{}", what, std::strerror(code), denied ? " Run it as root." : ""));
}

template <class T>
Status set_option(int fd, int level, int option, const T& value, std::string_view what) {
  if (::setsockopt(fd, level, option, &value, sizeof value) == 0) return {};
  return system_error(what);
}

// Neither the userspace plane's rules nor the kernel's policies concern the socket.
Status go_outside(int fd, bool v4) {
  TRY(set_option(fd, SOL_SOCKET, SO_MARK, dataplane::userspace::kFwmark, "SO_MARK"));
  for (const std::uint8_t direction : {XFRM_POLICY_IN, XFRM_POLICY_OUT}) {
    xfrm_userpolicy_info policy{};
    policy.action = XFRM_POLICY_ALLOW;
    policy.dir = direction;
    policy.sel.family = v4 ? AF_INET : AF_INET6;
    const int option = v4 ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;
    if (::setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, option, &policy, sizeof policy) == 0)
      continue;
    // A kernel without XFRM has no policies to go past.
    if (errno != ENOPROTOOPT && errno != EOPNOTSUPP) return system_error("IP_XFRM_POLICY");
  }
  return {};
}

Status set_df(int fd, bool v4) {
  const int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
  const int want = v4 ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;
  TRY(set_option(fd, level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, want, "IP_MTU_DISCOVER"));
  return set_option(fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, 1, "IP_RECVERR");
}

std::uint16_t checksum(ByteView data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    sum += i % 2 == 0 ? std::uint32_t{data[i]} << 8 : data[i];
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

class OsProber final : public PathProber {
 public:
  OsProber(Fd fd, const ProbeTarget& target, std::array<std::uint8_t, 8> cookie)
      : fd_(std::move(fd)), target_(target), cookie_(cookie) {}

  Result<Outcome> probe(std::size_t octets) override {
    const std::size_t headers = (v4() ? 20 : 40) + kTransportHeader;
    if (octets < headers + 32) {
      return make_error(ErrorCode::kInvalidArgument,
                        fmt::format("{} octets are too few for a probe.", octets));
    }
    drop_waiting();
    const Bytes packet = through() ? echo(octets - (v4() ? 20 : 40)) : ike(octets - headers);
    if (::send(fd_.get(), packet.data(), packet.size(), 0) < 0) {
      if (errno == EMSGSIZE) return too_big();
      // An ICMP error to an earlier one: a closed port is an answer too.
      if (errno != ECONNREFUSED) return system_error("sending a probe");
    }
    return wait();
  }

 private:
  bool v4() const { return target_.remote.ip.is_v4(); }
  bool through() const { return target_.way == ProbeTarget::Way::kThrough; }

  // What only the kernel knows: the path's MTU as it has it now.
  Result<Outcome> too_big() {
    int mtu = 0;
    socklen_t size = sizeof mtu;
    if (::getsockopt(fd_.get(), v4() ? IPPROTO_IP : IPPROTO_IPV6, v4() ? IP_MTU : IPV6_MTU, &mtu,
                     &size) != 0) {
      return system_error("IP_MTU");
    }
    return Outcome{Answer::kTooBig, static_cast<std::size_t>(mtu)};
  }

  void drop_waiting() {
    std::array<std::uint8_t, 256> buffer;
    for (int i = 0; i < 64; ++i) {
      if (::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_ERRQUEUE) >= 0)
        continue;
      if (::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC) < 0) return;
    }
  }

  Result<Outcome> wait() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kWaitMs);
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          until - std::chrono::steady_clock::now());
      if (left.count() <= 0) return Outcome{};
      pollfd entry{fd_.get(), POLLIN, 0};
      if (::poll(&entry, 1, static_cast<int>(left.count())) <= 0) continue;
      std::array<std::uint8_t, 256> buffer;
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got >= 0) {
        if (is_answer({buffer.data(), static_cast<std::size_t>(got)})) {
          return Outcome{Answer::kAnswered, 0};
        }
        continue;
      }
      if (errno == EMSGSIZE) return too_big();
      if (errno == ECONNREFUSED) return Outcome{Answer::kAnswered, 0};
      drop_waiting();  // another ICMP error: no word of this one
    }
  }

  // An IKE header of a version that nobody speaks, and filling: "an endpoint that receives a
  // message with a higher major version number MUST drop the message and SHOULD send ...
  // INVALID_MAJOR_VERSION" (RFC 7296 section 2.5). It makes no state at the peer.
  Bytes ike(std::size_t size) {
    Bytes out;
    if (target_.remote.port == dataplane::userspace::kNatTPort) out.resize(4, 0);  // RFC 3948
    const std::size_t length = size - out.size();
    out.insert(out.end(), cookie_.begin(), cookie_.end());
    out.resize(out.size() + 8, 0);
    constexpr std::uint8_t kRest[] = {0, 0x30, 34, 0x08};  // version 3.0, IKE_SA_INIT, initiator
    out.insert(out.end(), std::begin(kRest), std::end(kRest));
    out.resize(out.size() + 4, 0);  // message ID
    for (const unsigned shift : {24u, 16u, 8u, 0u}) {
      out.push_back(static_cast<std::uint8_t>(length >> shift));
    }
    out.resize(size, 0);
    return out;
  }

  Bytes echo(std::size_t size) {
    ++sequence_;
    Bytes out(size, 0);
    out[0] = v4() ? std::uint8_t{ICMP_ECHO} : kEchoRequest6;
    out[4] = cookie_[0];
    out[5] = cookie_[1];
    out[6] = static_cast<std::uint8_t>(sequence_ >> 8);
    out[7] = static_cast<std::uint8_t>(sequence_);
    std::copy(cookie_.begin(), cookie_.end(), out.begin() + 8);
    if (v4()) {  // of ICMPv6 the kernel makes it
      const std::uint16_t sum = checksum(out);
      out[2] = static_cast<std::uint8_t>(sum >> 8);
      out[3] = static_cast<std::uint8_t>(sum);
    }
    return out;
  }

  bool is_answer(ByteView data) const {
    if (!through()) return true;  // the socket is connected: who else would write
    if (v4()) {
      const std::size_t header = data.empty() ? 0 : (data[0] & 15u) * 4u;
      if (data.size() < header) return false;
      data = data.subspan(header);
    }
    return data.size() >= 16 && data[0] == (v4() ? std::uint8_t{ICMP_ECHOREPLY} : kEchoReply6) &&
           data[4] == cookie_[0] && data[5] == cookie_[1] &&
           data[6] == static_cast<std::uint8_t>(sequence_ >> 8) &&
           data[7] == static_cast<std::uint8_t>(sequence_);
  }

  Fd fd_;
  ProbeTarget target_;
  std::array<std::uint8_t, 8> cookie_;
  std::uint16_t sequence_ = 0;
};

}  // namespace

Result<std::unique_ptr<PathProber>> open_os_prober(const ProbeTarget& target) {
  const bool v4 = target.remote.ip.is_v4();
  const bool through = target.way == ProbeTarget::Way::kThrough;
  const int protocol = v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, (through ? SOCK_RAW : SOCK_DGRAM) | SOCK_CLOEXEC,
                 through ? protocol : 0));
  if (!fd) return system_error("a socket for probes");
  if (!through) TRY(go_outside(fd.get(), v4));
  TRY(set_df(fd.get(), v4));
  sockaddr_storage local{}, remote{};
  const socklen_t local_size = dataplane::userspace::to_sockaddr({target.local, 0}, local);
  const std::uint16_t port = through ? std::uint16_t{0} : target.remote.port;
  const socklen_t remote_size = dataplane::userspace::to_sockaddr({target.remote.ip, port}, remote);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&local), local_size) != 0 ||
      ::connect(fd.get(), reinterpret_cast<sockaddr*>(&remote), remote_size) != 0) {
    return system_error(fmt::format("probing from {} to {}", target.local.to_string(),
                                    target.remote.ip.to_string()));
  }
  std::array<std::uint8_t, 8> cookie{};
  if (::getrandom(cookie.data(), cookie.size(), 0) != 8) return system_error("getrandom");
  cookie[0] |= 1;  // an initiator's SPI is not zero (RFC 7296 section 3.1)
  return std::unique_ptr<PathProber>(std::make_unique<OsProber>(std::move(fd), target, cookie));
}

}  // namespace espalier::cli
