#include "daemon/ike_sockets.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

// After the C library's: the kernel's headers leave out what that one has.
#include <linux/udp.h>
#include <linux/xfrm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/userspace/ours.hpp"
#include "dataplane/userspace/port_holder.hpp"
#include "dataplane/userspace/udp.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;
using dataplane::userspace::kIkePort;
using dataplane::userspace::kNatTPort;

union AnyAddress {
  sockaddr plain;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

socklen_t fill(AnyAddress& to, const SocketAddress& address) {
  std::memset(&to, 0, sizeof to);
  if (address.ip.is_v4()) {
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(address.port);
    std::memcpy(&to.v4.sin_addr, address.ip.bytes().data(), 4);
    return sizeof to.v4;
  }
  to.v6.sin6_family = AF_INET6;
  to.v6.sin6_port = htons(address.port);
  std::memcpy(&to.v6.sin6_addr, address.ip.bytes().data(), 16);
  return sizeof to.v6;
}

SocketAddress read_address(const AnyAddress& from) {
  if (from.plain.sa_family == AF_INET) {
    return {IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&from.v4.sin_addr), 4})
                .value(),
            ntohs(from.v4.sin_port)};
  }
  return {IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&from.v6.sin6_addr), 16})
              .value(),
          ntohs(from.v6.sin6_port)};
}

// The source address goes into a control message: the sockets are bound to all addresses.
void set_source(msghdr& message, const IpAddress& source) {
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (source.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
    header->cmsg_level = IPPROTO_IPV6;
    header->cmsg_type = IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  }
}

std::optional<IpAddress> destination(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&info.ipi_addr), 4})
          .value();
    }
    if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&info.ipi6_addr), 16})
          .value();
    }
  }
  return std::nullopt;
}

std::optional<ReceivedDatagram> receive_one(int fd, std::uint16_t port) {
  alignas(cmsghdr) std::array<char, 256> control{};
  std::array<std::uint8_t, 65536> buffer;
  AnyAddress from{};
  iovec io{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT);
  if (got < 0) return std::nullopt;
  const auto local = destination(message);
  if (!local) return ReceivedDatagram{{}, {}};
  return ReceivedDatagram{{{*local, port}, read_address(from)},
                          {buffer.begin(), buffer.begin() + got}};
}

// The host's policies do not concern the socket, in either direction (ip(7), IP_XFRM_POLICY).
Status bypass_policies(int fd, Family family) {
  for (const std::uint8_t direction : {XFRM_POLICY_IN, XFRM_POLICY_OUT}) {
    xfrm_userpolicy_info policy{};
    policy.action = XFRM_POLICY_ALLOW;
    policy.dir = direction;
    policy.sel.family = family == Family::kIpv4 ? AF_INET : AF_INET6;
    const int level = family == Family::kIpv4 ? IPPROTO_IP : IPPROTO_IPV6;
    const int option = family == Family::kIpv4 ? IP_XFRM_POLICY : IPV6_XFRM_POLICY;
    if (setsockopt(fd, level, option, &policy, sizeof policy) != 0) {
      return make_error(ErrorCode::kSystem,
                        fmt::format("exempting an IKE socket from the host's IPsec policies: {}",
                                    std::strerror(errno)));
    }
  }
  return {};
}

Status prepare_for_kernel(int fd, Family family, std::uint16_t port) {
  TRY(bypass_policies(fd, family));
  if (port != kNatTPort) return {};
  const int encap = UDP_ENCAP_ESPINUDP;
  if (setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &encap, sizeof encap) != 0) {
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("this kernel takes no ESP in UDP: {}", std::strerror(errno)));
  }
  return {};
}

Result<Fd> open_port(Family family, std::uint16_t port, const SocketUse& use) {
  const bool gro = port == kNatTPort && !use.kernel_esp;
  auto fd = dataplane::userspace::open_udp(family, port, use.fwmark, gro);
  if (!fd && fd.error().code == ErrorCode::kBusy) {
    return make_error(ErrorCode::kBusy, dataplane::userspace::describe_port_conflict(port));
  }
  if (!fd && fd.error().code == ErrorCode::kUnsupported && family == Family::kIpv6) return Fd();
  if (fd && use.kernel_esp) TRY(prepare_for_kernel(fd->get(), family, port));
  return fd;
}

}  // namespace

Result<IkeSockets> IkeSockets::open(const SocketUse& use) {
  IkeSockets sockets;
  TRY_ASSIGN(sockets.ike4_, open_port(Family::kIpv4, kIkePort, use));
  TRY_ASSIGN(sockets.natt4_, open_port(Family::kIpv4, kNatTPort, use));
  TRY_ASSIGN(sockets.ike6_, open_port(Family::kIpv6, kIkePort, use));
  TRY_ASSIGN(sockets.natt6_, open_port(Family::kIpv6, kNatTPort, use));
  return sockets;
}

void IkeSockets::mark(std::uint32_t fwmark) const {
  if (fwmark == 0) return;
  for (const Fd* fd : {&ike4_, &natt4_, &ike6_, &natt6_}) {
    // Without it IKE takes the routes of everybody else, which only a pair with a device minds.
    if (*fd) (void)setsockopt(fd->get(), SOL_SOCKET, SO_MARK, &fwmark, sizeof fwmark);
  }
}

IkeSockets IkeSockets::adopt(Fd ike4, Fd natt4, Fd ike6, Fd natt6) {
  IkeSockets sockets;
  sockets.ike4_ = std::move(ike4);
  sockets.natt4_ = std::move(natt4);
  sockets.ike6_ = std::move(ike6);
  sockets.natt6_ = std::move(natt6);
  return sockets;
}

Status IkeSockets::send(const ike::Transmit& transmit) const {
  const bool v4 = transmit.path.remote.ip.is_v4();
  const bool natt = transmit.path.local.port == kNatTPort;
  const int fd = natt ? (v4 ? natt4() : natt6()) : (v4 ? ike4() : ike6());
  if (fd < 0) return make_error(ErrorCode::kSystem, "this host has no IPv6");
  AnyAddress to{};
  static constexpr std::uint8_t kNonEspMarker[4] = {0, 0, 0, 0};
  std::array<iovec, 2> parts{};
  std::size_t count = 0;
  if (natt && !transmit.keepalive) {
    parts[count++] = {const_cast<std::uint8_t*>(kNonEspMarker), sizeof kNonEspMarker};
  }
  parts[count++] = {const_cast<std::uint8_t*>(transmit.datagram.data()), transmit.datagram.size()};
  alignas(cmsghdr) std::array<char, 64> control{};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = fill(to, transmit.path.remote);
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  if (!transmit.path.local.ip.is_unspecified()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    set_source(message, transmit.path.local.ip);
  }
  if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
  return make_error(ErrorCode::kSystem, std::strerror(errno));
}

std::vector<ReceivedDatagram> IkeSockets::receive(std::size_t max_datagrams) const {
  std::vector<ReceivedDatagram> datagrams;
  for (const int fd : {ike4(), ike6()}) {
    while (fd >= 0 && datagrams.size() < max_datagrams) {
      auto datagram = receive_one(fd, kIkePort);
      if (!datagram) break;
      if (!datagram->bytes.empty()) datagrams.push_back(std::move(*datagram));
    }
  }
  return datagrams;
}

std::vector<ReceivedDatagram> IkeSockets::receive_natt(std::size_t max_datagrams) const {
  std::vector<ReceivedDatagram> datagrams;
  constexpr std::size_t kMarkerOctets = 4;
  for (const int fd : {natt4(), natt6()}) {
    while (fd >= 0 && datagrams.size() < max_datagrams) {
      auto datagram = receive_one(fd, kNatTPort);
      if (!datagram) break;
      Bytes& bytes = datagram->bytes;
      // ESP that the kernel has no SA for stays with the kernel; a keepalive is one octet.
      const bool ike = bytes.size() > kMarkerOctets &&
                       std::all_of(bytes.begin(), bytes.begin() + kMarkerOctets,
                                   [](std::uint8_t octet) { return octet == 0; });
      if (!ike) continue;
      bytes.erase(bytes.begin(), bytes.begin() + kMarkerOctets);
      datagrams.push_back(std::move(*datagram));
    }
  }
  return datagrams;
}

}  // namespace espalier::daemon
