// The TUN device as a network link: brought up, sized, removed.
#pragma once

#include <string>

#include "base/result.hpp"
#include "dataplane/netlink.hpp"

namespace espalier::dataplane::userspace {

// Brings the link up with an MTU in octets, and keeps the kernel from giving it a link-local
// address of its own: nothing answers on the other side of that link.
Status bring_up(Netlink& netlink, const std::string& device, unsigned index, unsigned mtu);

// Removes the device if it is there and is a TUN or TAP device. True: it was there. kBusy: a device
// of that name is something else; it is left alone.
Result<bool> remove_tun(Netlink& netlink, const std::string& device);

}  // namespace espalier::dataplane::userspace
