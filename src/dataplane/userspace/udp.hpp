// UDP sockets for ports 500 and 4500.
#pragma once

#include <cstdint>

#include "base/address.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::dataplane::userspace {

// A non-blocking socket bound to the port on all addresses of the family, that tells the
// destination address and the traffic class of each datagram, sends with the mark (0: none), and
// leaves DF off (outer packets may be fragmented on the way: RFC 4301 section 8.1 leaves it to
// local choice; the MTU of the TUN device keeps it rare). port 0: any free one. gro: joined
// datagrams may come (UDP_GRO; the receiver must read its control message). Buffers are 4 MiB, or
// what the system allows. Errors: kBusy (the port is taken), kUnsupported (no such family here),
// kPermission, kSystem.
Result<Fd> open_udp(Family family, std::uint16_t port, std::uint32_t fwmark, bool gro);

}  // namespace espalier::dataplane::userspace
