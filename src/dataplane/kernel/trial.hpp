// Whether this kernel can do what the plane asks of it: one SA of each suite, made and removed.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace espalier::dataplane::kernel {

struct SuiteTrial {
  std::string suite;  // "aes256gcm16"
  std::string error;  // the kernel's words; empty: it took the SA
  friend bool operator==(const SuiteTrial&, const SuiteTrial&) = default;
};

// The suites of the default proposals, by SAs between two loopback addresses that no policy ever
// uses; they are gone when this returns. Errors: kUnsupported without XFRM, kPermission without
// CAP_NET_ADMIN.
Result<std::vector<SuiteTrial>> try_suites();

}  // namespace espalier::dataplane::kernel
