// From what the kernel has back to what was set.
#pragma once

#include <map>

#include "dataplane/kernel/xfrm_policy.hpp"

namespace espalier::dataplane::kernel {

// What the kernel has for a reqid that nobody here set, or that somebody changed.
PolicySpec rebuild(ReqId reqid, const std::map<PolicyKey, KernelPolicy>& entries);

}  // namespace espalier::dataplane::kernel
