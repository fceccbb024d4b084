// The TUN device through which inner packets come and go.
#pragma once

#include <string>

#include "base/result.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::dataplane::userspace {

struct Tun {
  Fd fd;                  // non-blocking; each packet stands behind a virtio-net header (vnet.hpp)
  bool offloads = false;  // TCP super-packets and unfinished checksums come through it
};

// Attaches to the device, or makes it. persistent: it stays when the descriptor is closed. mtu: of
// inner packets, in octets. The device is not set up, nor given addresses. Errors: kInvalidArgument
// (the name), kPermission, kBusy (another process holds it), kSystem, each with what to do.
Result<Tun> open_tun(const std::string& name, bool persistent, unsigned mtu);

// Removes a persistent device. A device that does not exist is fine. Errors: kBusy, kPermission,
// kSystem; a device of that name that is no TUN device of our kind is left alone
// (kInvalidArgument).
Status delete_tun(const std::string& name);

}  // namespace espalier::dataplane::userspace
