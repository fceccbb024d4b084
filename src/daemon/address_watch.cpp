#include "daemon/address_watch.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace espalier::daemon {

Result<AddressWatch> AddressWatch::open() {
  AddressWatch watch;
  watch.socket_ = dataplane::userspace::Fd(
      socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (!watch.socket_ ||
      bind(watch.socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return make_error(ErrorCode::kSystem,
                      std::string("cannot watch this host's addresses: ") + std::strerror(errno));
  }
  return watch;
}

bool AddressWatch::take_changes() const {
  bool changed = false;
  char report[8192];
  for (;;) {
    const ssize_t got = recv(socket_.get(), report, sizeof report, 0);
    if (got >= 0 || errno == ENOBUFS) {
      changed = true;  // the groups carry nothing but addresses
    } else if (errno != EINTR) {
      return changed;
    }
  }
}

}  // namespace espalier::daemon
