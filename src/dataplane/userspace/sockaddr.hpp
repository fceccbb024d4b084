// SocketAddress to and from the kernel's form.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/address.hpp"

namespace espalier::dataplane::userspace {

// Returns the size that is filled.
socklen_t to_sockaddr(const SocketAddress& address, sockaddr_storage& out);
// AF_INET and AF_INET6; any other family gives 0.0.0.0 and port 0.
SocketAddress from_sockaddr(const sockaddr_storage& address);
IpAddress from_in_addr(const in_addr& address);
IpAddress from_in6_addr(const in6_addr& address);

}  // namespace espalier::dataplane::userspace
