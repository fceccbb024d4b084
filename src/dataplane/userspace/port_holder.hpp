// Who holds a UDP port, so that a message can name it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace espalier::dataplane::userspace {

struct PortHolder {
  std::string process;  // its comm: "charon", "pluto"
  int pid = 0;
};

// The process that has a UDP socket (IPv4 or IPv6) bound to port in this network namespace. Absent:
// nobody, or a process whose descriptors we may not read.
std::optional<PortHolder> find_udp_port_holder(std::uint16_t port);

// "UDP port 500 is held by charon (pid 1234): stop it (systemctl stop strongswan) and start again."
// For a port without a holder that can be found: the same, without the name, and how to look.
std::string describe_port_conflict(std::uint16_t port);

}  // namespace espalier::dataplane::userspace
