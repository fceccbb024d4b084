#include "dataplane/userspace/sockaddr.hpp"

#include <arpa/inet.h>

#include <cstring>

namespace espalier::dataplane::userspace {

socklen_t to_sockaddr(const SocketAddress& address, sockaddr_storage& out) {
  out = {};
  const ByteView octets = address.ip.bytes();
  if (address.ip.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&v4.sin_addr, octets.data(), octets.size());
    return sizeof(sockaddr_in);
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  std::memcpy(&v6.sin6_addr, octets.data(), octets.size());
  return sizeof(sockaddr_in6);
}

IpAddress from_in_addr(const in_addr& address) { return IpAddress::v4(ntohl(address.s_addr)); }

IpAddress from_in6_addr(const in6_addr& address) {
  return *IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&address), 16});
}

SocketAddress from_sockaddr(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return {from_in_addr(v4.sin_addr), ntohs(v4.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return {from_in6_addr(v6.sin6_addr), ntohs(v6.sin6_port)};
  }
  return {};
}

}  // namespace espalier::dataplane::userspace
