#include "daemon/address_watch.hpp"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace espalier::daemon {
namespace {

std::optional<IpAddress> address_of(const sockaddr& from) {
  if (from.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v4.sin_addr), 4}).value();
  }
  if (from.sa_family != AF_INET6) return std::nullopt;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
  if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr)) return std::nullopt;
  return IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr), 16}).value();
}

}  // namespace

std::vector<IpAddress> host_addresses(std::string_view except_device) {
  std::vector<IpAddress> list;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return list;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    const bool usable = (one->ifa_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING) &&
                        (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || one->ifa_addr == nullptr || one->ifa_name == except_device) continue;
    const auto address = address_of(*one->ifa_addr);
    if (address && std::find(list.begin(), list.end(), *address) == list.end()) {
      list.push_back(*address);
    }
  }
  freeifaddrs(all);
  return list;
}

Result<AddressWatch> AddressWatch::open() {
  AddressWatch watch;
  watch.socket_ = dataplane::userspace::Fd(
      socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_LINK;
  if (!watch.socket_ ||
      bind(watch.socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return make_error(ErrorCode::kSystem,
                      std::string("cannot watch this host's addresses: ") + std::strerror(errno));
  }
  return watch;
}

// The kernel reports a device whenever anything of it is set, by us too: only whether it can be
// used counts, or setting our own device would be followed by setting it again, for ever.
bool AddressWatch::is_change(const nlmsghdr& header) {
  if (header.nlmsg_type != RTM_NEWLINK && header.nlmsg_type != RTM_DELLINK) return true;
  if (header.nlmsg_len < NLMSG_LENGTH(sizeof(ifinfomsg))) return false;
  const auto& link = *static_cast<const ifinfomsg*>(NLMSG_DATA(&header));
  if (header.nlmsg_type == RTM_DELLINK) return usable_.erase(link.ifi_index) > 0;
  const bool usable = (link.ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
  const auto [known, is_new] = usable_.emplace(link.ifi_index, usable);
  if (!is_new && known->second == usable) return false;
  known->second = usable;
  return true;
}

bool AddressWatch::take_changes() {
  bool changed = false;
  alignas(nlmsghdr) char report[8192];
  for (;;) {
    const ssize_t got = recv(socket_.get(), report, sizeof report, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != ENOBUFS) return changed;
    if (got < 0) changed = true;  // reports were lost
    int left = static_cast<int>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(report); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      changed = is_change(*header) || changed;
    }
  }
}

}  // namespace espalier::daemon
