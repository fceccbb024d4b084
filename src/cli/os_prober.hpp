// The real PathProber: sockets with DF set.
#pragma once

#include "cli/environment.hpp"

namespace espalier::cli {

// Errors: kPermission (both ways need CAP_NET_ADMIN or CAP_NET_RAW), kSystem.
Result<std::unique_ptr<PathProber>> open_os_prober(const ProbeTarget& target);

}  // namespace espalier::cli
