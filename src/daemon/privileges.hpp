// Least privilege: no core files, no new privileges, and of all capabilities only those with a
// reason.
#pragma once

#include "base/result.hpp"

namespace espalier::daemon {

// First thing of all: no core file may ever hold a key, and nobody may attach to read one.
void forbid_core_files();

// Once ports 500 and 4500 are bound. Kept: CAP_NET_ADMIN (the TUN device, routes and rules, the
// nftables table and marks, all of which a reload changes). Errors: kSystem.
Status drop_capabilities();
// No capability is left, nor can any be had again.
Status drop_every_capability();

}  // namespace espalier::daemon
