// Hears when an address of this host comes or goes. The kernel takes the preferred source out of an
// IPv6 route whose address is removed, and does not put it back with the address: our routes have
// to be made again, or packets leave with a source that no tunnel takes.
#pragma once

#include "base/result.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {

class AddressWatch {
 public:
  // Nothing to hear; fd() is -1, which poll() passes over.
  AddressWatch() = default;
  // Errors: kSystem.
  static Result<AddressWatch> open();

  int fd() const { return socket_.get(); }
  // Takes what waits. True when an address came or went, or when reports were lost.
  bool take_changes() const;

 private:
  dataplane::userspace::Fd socket_;
};

}  // namespace espalier::daemon
