#include "daemon/privileges.hpp"

#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace espalier::daemon {

void forbid_core_files() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

Status drop_capabilities() {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  cap_t wanted = cap_init();
  if (wanted == nullptr) return make_error(ErrorCode::kSystem, "libcap: out of memory");
  const cap_value_t kept[] = {CAP_NET_ADMIN};
  bool ok = cap_set_flag(wanted, CAP_PERMITTED, 1, kept, CAP_SET) == 0 &&
            cap_set_flag(wanted, CAP_EFFECTIVE, 1, kept, CAP_SET) == 0;
  // The bounding set first: it needs CAP_SETPCAP, which goes with the rest. Without it the set
  // stays; no_new_privs holds anyway.
  for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; ++cap) {
    if (cap != CAP_NET_ADMIN) cap_drop_bound(cap);
  }
  ok = ok && cap_set_proc(wanted) == 0;
  const int error = errno;
  cap_free(wanted);
  if (ok) return {};
  return make_error(ErrorCode::kSystem,
                    std::string("cannot give up capabilities: ") + std::strerror(error) +
                        "; start espalierd as root or with CAP_NET_ADMIN and CAP_NET_BIND_SERVICE");
}

Status drop_every_capability() {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; ++cap) cap_drop_bound(cap);
  cap_t none = cap_init();
  const bool ok = none != nullptr && cap_set_proc(none) == 0;
  if (none != nullptr) cap_free(none);
  if (ok) return {};
  return make_error(ErrorCode::kSystem,
                    std::string("cannot give up capabilities: ") + std::strerror(errno));
}

}  // namespace espalier::daemon
