// net.core.xfrm_larval_drop of this network namespace: 1, the kernel's default, loses the packet
// that raised an acquire; with 0 the kernel holds it, and those after it, until the SA is there
// (net/xfrm/xfrm_policy.c). It is the whole namespace's: whoever else has SAs or policies in it
// keeps it as it is.
#pragma once

#include <string>

#include "base/result.hpp"

namespace espalier::dataplane {

class LarvalDrop {
 public:
  // memory: a file that says what it was before, until it is that again; beside it nothing is kept.
  // setting: the kernel's file.
  explicit LarvalDrop(std::string memory,
                      std::string setting = "/proc/sys/net/core/xfrm_larval_drop")
      : memory_(std::move(memory)), setting_(std::move(setting)) {}

  // 0 from now on, unless others have `foreign` entries here or it is 0 already. Returns what
  // became of it, for log and status. Errors: kSystem when a file cannot be read or written.
  Result<std::string> hold(std::size_t foreign) const;
  // What it was; nothing to do when it was not changed here. True: it was restored.
  Result<bool> restore() const;

 private:
  std::string memory_, setting_;
};

}  // namespace espalier::dataplane
