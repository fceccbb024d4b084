// Hears when an address of this host comes or goes. The kernel takes the preferred source out of an
// IPv6 route whose address is removed, and does not put it back with the address: our routes have
// to be made again, or packets leave with a source that no tunnel takes.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "dataplane/userspace/fd.hpp"

struct nlmsghdr;

namespace espalier::daemon {

class AddressWatch {
 public:
  // Nothing to hear; fd() is -1, which poll() passes over.
  AddressWatch() = default;
  // Errors: kSystem.
  static Result<AddressWatch> open();

  int fd() const { return socket_.get(); }
  // Takes what waits. True when an address came or went, a device can be used now or cannot any
  // more, or when reports were lost.
  bool take_changes();

 private:
  bool is_change(const nlmsghdr& header);

  std::map<int, bool> usable_;  // by the device's index, as last heard
  dataplane::userspace::Fd socket_;
};

// The addresses that others may reach this host at: of devices that are up, without loopback, link
// locals and `except_device`. Empty when the system does not say.
std::vector<IpAddress> host_addresses(std::string_view except_device);

}  // namespace espalier::daemon
