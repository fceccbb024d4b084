// Whether a kernel's SA is what we would make. Pure.
#pragma once

#include "dataplane/netlink.hpp"
#include "dataplane/port.hpp"

namespace espalier::dataplane::kernel {

// there: an answer to XFRM_MSG_GETSA. Addresses, SPI, reqid, mode, flags, algorithms with their
// keys, encapsulation and replay window; not what has been sent or received. False too where the
// kernel does not tell keys (lockdown in confidentiality mode).
bool is_same_sa(const nlmsghdr& there, const SaSpec& sa);

}  // namespace espalier::dataplane::kernel
