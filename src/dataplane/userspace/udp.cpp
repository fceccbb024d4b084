#include "dataplane/userspace/udp.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "dataplane/userspace/sockaddr.hpp"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace espalier::dataplane::userspace {
namespace {

constexpr int kBufferOctets =
    4 * 1024 * 1024;  // 3 ms of traffic at 10 Gbit/s: one long pause of the worker

struct Option {
  int level;
  int name;
  int value;
  std::string_view what;
};

Status set(int fd, const Option& option) {
  if (::setsockopt(fd, option.level, option.name, &option.value, sizeof(option.value)) == 0)
    return {};
  const int error = errno;
  const bool denied = error == EPERM || error == EACCES;
  return make_error(denied ? ErrorCode::kPermission : ErrorCode::kSystem,
                    fmt::format("Setting {} on a UDP socket failed: {}.{}", option.what,
                                std::strerror(error), denied ? " It needs CAP_NET_ADMIN." : ""));
}

// Beyond the system's limit with CAP_NET_ADMIN, up to it without; a smaller buffer costs loss under
// load only.
void set_buffer(int fd, int forced, int plain) {
  if (::setsockopt(fd, SOL_SOCKET, forced, &kBufferOctets, sizeof(kBufferOctets)) == 0) return;
  [[maybe_unused]] const int ignored =
      ::setsockopt(fd, SOL_SOCKET, plain, &kBufferOctets, sizeof(kBufferOctets));
}

Status set_family(int fd, Family family) {
  if (family == Family::kIpv4) {
    TRY(set(fd, {IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO"}));
    TRY(set(fd, {IPPROTO_IP, IP_RECVTOS, 1, "IP_RECVTOS"}));
    return set(fd, {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, "IP_MTU_DISCOVER"});
  }
  TRY(set(fd, {IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"}));
  TRY(set(fd, {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"}));
  TRY(set(fd, {IPPROTO_IPV6, IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS"}));
  return set(fd, {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT, "IPV6_MTU_DISCOVER"});
}

}  // namespace

Result<Fd> open_udp(Family family, std::uint16_t port, std::uint32_t fwmark, bool gro) {
  const bool v4 = family == Family::kIpv4;
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    const ErrorCode code = errno == EAFNOSUPPORT ? ErrorCode::kUnsupported : ErrorCode::kSystem;
    return make_error(code, fmt::format("A UDP socket for {} cannot be made: {}.",
                                        v4 ? "IPv4" : "IPv6", std::strerror(errno)));
  }
  TRY(set_family(fd.get(), family));
  if (fwmark != 0) TRY(set(fd.get(), {SOL_SOCKET, SO_MARK, static_cast<int>(fwmark), "SO_MARK"}));
  if (gro) TRY(set(fd.get(), {IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO"}));
  set_buffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF);
  set_buffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF);
  sockaddr_storage name{};
  const socklen_t octets = to_sockaddr({IpAddress::any(family), port}, name);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), octets) == 0) return fd;
  const int error = errno;
  if (error == EADDRINUSE) {
    return make_error(ErrorCode::kBusy, fmt::format("UDP port {} ({}) is taken by another program.",
                                                    port, v4 ? "IPv4" : "IPv6"));
  }
  const ErrorCode code = error == EACCES ? ErrorCode::kPermission : ErrorCode::kSystem;
  return make_error(code, fmt::format("Binding UDP port {} ({}) failed: {}.", port,
                                      v4 ? "IPv4" : "IPv6", std::strerror(error)));
}

}  // namespace espalier::dataplane::userspace
