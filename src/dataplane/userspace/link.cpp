#include "dataplane/userspace/link.hpp"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

namespace espalier::dataplane::userspace {
namespace {

std::string kind_of(const nlmsghdr& header) {
  const auto all = attributes(header, sizeof(ifinfomsg));
  const auto info = all.find(IFLA_LINKINFO);
  if (info == all.end()) return {};
  const auto nested = attributes(*info->second);
  const auto kind = nested.find(IFLA_INFO_KIND);
  return kind == nested.end() ? std::string() : mnl_attr_get_str(kind->second);
}

}  // namespace

Status bring_up(Netlink& netlink, const std::string& device, unsigned index, unsigned mtu) {
  // Before the link goes up: the address would be made then. A kernel without IPv6 refuses; no
  // harm.
  NetlinkMessage quiet(RTM_NEWLINK, 0);
  quiet.body<ifinfomsg>().ifi_index = static_cast<int>(index);
  nlattr* outer = mnl_attr_nest_start(quiet.header(), IFLA_AF_SPEC);
  nlattr* inet6 = mnl_attr_nest_start(quiet.header(), AF_INET6);
  quiet.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  mnl_attr_nest_end(quiet.header(), inet6);
  mnl_attr_nest_end(quiet.header(), outer);
  (void)netlink.request(quiet).ok();

  NetlinkMessage message(RTM_NEWLINK, 0);
  auto& body = message.body<ifinfomsg>();
  body.ifi_index = static_cast<int>(index);
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  message.put_u32(IFLA_MTU, mtu);
  if (auto done = netlink.request(message); !done) {
    return make_error(
        done.error().code,
        fmt::format("The device {} could not be brought up with an MTU of {} octets: {}.", device,
                    mtu, std::strerror(netlink.last_errno())));
  }
  return {};
}

Result<bool> remove_tun(Netlink& netlink, const std::string& device) {
  const unsigned index = if_nametoindex(device.c_str());
  if (index == 0) return false;
  std::string kind;
  NetlinkMessage question(RTM_GETLINK, 0);
  question.body<ifinfomsg>().ifi_index = static_cast<int>(index);
  TRY(netlink.visit(question, [&](const nlmsghdr& header) { kind = kind_of(header); }));
  if (kind != "tun") {
    return make_error(
        ErrorCode::kBusy,
        fmt::format("The device {} is not a TUN device but {}: it is not ours and stays.", device,
                    kind.empty() ? "of another kind" : "a " + kind));
  }
  NetlinkMessage message(RTM_DELLINK, 0);
  message.body<ifinfomsg>().ifi_index = static_cast<int>(index);
  if (auto done = netlink.request(message); !done) {
    if (netlink.last_errno() == ENODEV) return false;  // its owner went meanwhile
    return make_error(done.error().code, fmt::format("The TUN device {} could not be removed: {}.",
                                                     device, std::strerror(netlink.last_errno())));
  }
  return true;
}

}  // namespace espalier::dataplane::userspace
