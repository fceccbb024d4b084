#include "dataplane/kernel/devices.hpp"

// Before linux/if.h, which then leaves out what both have.
#include <net/if.h>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "dataplane/userspace/link.hpp"

namespace espalier::dataplane::kernel {
namespace {

std::string text_of(const Attributes& all, std::uint16_t type) {
  const auto found = all.find(type);
  return found == all.end() ? std::string() : mnl_attr_get_str(found->second);
}

void put_text(NetlinkMessage& message, std::uint16_t type, std::string_view text) {
  mnl_attr_put_strz(message.header(), type, std::string(text).c_str());
}

Result<std::vector<FoundDevice>> all_devices(Netlink& netlink) {
  std::vector<FoundDevice> list;
  NetlinkMessage message(RTM_GETLINK, 0);
  message.body<ifinfomsg>();
  TRY(netlink.dump(message, [&](const nlmsghdr& header) {
    if (auto found = parse_device(header)) list.push_back(std::move(*found));
  }));
  return list;
}

const FoundDevice* find(const std::vector<FoundDevice>& list, const std::string& name) {
  const auto at = std::find_if(list.begin(), list.end(),
                               [&](const FoundDevice& one) { return one.device.name == name; });
  return at == list.end() ? nullptr : &*at;
}

std::string what(const Device& device) {
  return fmt::format("Pair {}: the interface {}", device.pair, device.name);
}

Error refused(const Device& device, Netlink& netlink, const Error& error) {
  const bool xfrm = device.kind == DeviceKind::kXfrm;
  if (netlink.last_errno() == EOPNOTSUPP) {
    return make_error(
        ErrorCode::kUnsupported,
        xfrm ? fmt::format(
                   "{} cannot be made: this kernel has no xfrm interfaces (Linux 4.19, module "
                   "xfrm_interface). A VTI device does the same for one peer: write 'interface: "
                   "{{name: {}, type: vti}}' and 'mark' with a number of its own in place of "
                   "'if_id'.",
                   what(device), device.name)
             : fmt::format("{} cannot be made: this kernel has no VTI devices (module ip_vti).",
                           what(device)));
  }
  if (netlink.last_errno() == EEXIST) {
    return make_error(
        ErrorCode::kBusy,
        fmt::format("{} cannot be made: another device has {} {}{}. Choose another number, or "
                    "remove that device.",
                    what(device), xfrm ? "the if_id" : "the same ends and the key", device.number,
                    xfrm ? "" : " already"));
  }
  return make_error(error.code, fmt::format("{} cannot be made: {}.", what(device), error.message));
}

// What a device of an earlier run or of an operator's hand is compared by.
bool is_made_like(const FoundDevice& found, const Device& device, unsigned underlying) {
  const Device& there = found.device;
  if (there.kind != device.kind || there.number != device.number) return false;
  if (found.underlying != underlying) return false;
  return device.kind == DeviceKind::kXfrm ||
         (there.local == device.local && there.remote == device.remote);
}

// What comes out of a VTI device has been checked by the policy with its mark; asked again, without
// the mark, the one that closes would be found.
Status trust_vti(const Device& device) {
  const std::string path = fmt::format("/proc/sys/net/ipv4/conf/{}/disable_policy", device.name);
  std::ofstream file(path);
  file << "1\n" << std::flush;
  if (file) return {};
  return make_error(ErrorCode::kSystem, fmt::format("{}: {} cannot be set to 1: {}.", what(device),
                                                    path, std::strerror(errno)));
}

Status remove(Netlink& netlink, const FoundDevice& found) {
  NetlinkMessage message(RTM_DELLINK, 0);
  message.body<ifinfomsg>().ifi_index = static_cast<int>(found.index);
  const Status done = netlink.request(message);
  if (done || netlink.last_errno() == ENODEV) return {};
  return make_error(done.error().code, fmt::format("The interface {} could not be removed: {}.",
                                                   found.device.name, done.error().message));
}

Result<bool> make(Netlink& netlink, const std::vector<FoundDevice>& there, const Device& device) {
  unsigned underlying = 0;
  if (!device.underlying.empty()) {
    underlying = if_nametoindex(device.underlying.c_str());
    if (underlying == 0) {
      return make_error(ErrorCode::kNotFound,
                        fmt::format("{} is to send by {}, and there is no such device.",
                                    what(device), device.underlying));
    }
  }
  const FoundDevice* found = find(there, device.name);
  const unsigned index = if_nametoindex(device.name.c_str());
  if (index != 0 && (found == nullptr || !found->ours)) {
    return make_error(ErrorCode::kBusy,
                      fmt::format("{} cannot be made: there is a device of that name which is not "
                                  "ours. Choose another name, or remove it (ip link delete {}).",
                                  what(device), device.name));
  }
  const bool good = found != nullptr && is_made_like(*found, device, underlying);
  if (good && found->up && found->device.mtu == device.mtu) return false;
  if (!good) {
    if (found != nullptr) TRY(remove(netlink, *found));
    NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    put_device(message, device, underlying);
    const Status made = netlink.request(message);
    if (!made) return refused(device, netlink, made.error());
    if (device.kind == DeviceKind::kVti) TRY(trust_vti(device));
  }
  TRY(userspace::bring_up(netlink, device.name, if_nametoindex(device.name.c_str()), device.mtu));
  return true;
}

}  // namespace

std::string_view name(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::kXfrm: return "xfrm";
    case DeviceKind::kVti: return "vti";
  }
  return "";
}

void put_device(NetlinkMessage& message, const Device& device, unsigned underlying) {
  message.body<ifinfomsg>();
  put_text(message, IFLA_IFNAME, device.name);
  message.put_u32(IFLA_GROUP, kDeviceGroup);
  message.put_u32(IFLA_MTU, device.mtu);
  nlattr* info = mnl_attr_nest_start(message.header(), IFLA_LINKINFO);
  put_text(message, IFLA_INFO_KIND, name(device.kind));
  nlattr* data = mnl_attr_nest_start(message.header(), IFLA_INFO_DATA);
  if (device.kind == DeviceKind::kXfrm) {
    if (underlying != 0) message.put_u32(IFLA_XFRM_LINK, underlying);
    message.put_u32(IFLA_XFRM_IF_ID, device.number);
  } else {
    if (underlying != 0) message.put_u32(IFLA_VTI_LINK, underlying);
    message.put_u32(IFLA_VTI_IKEY, htonl(device.number));
    message.put_u32(IFLA_VTI_OKEY, htonl(device.number));
    message.put_address(IFLA_VTI_LOCAL, device.local);
    message.put_address(IFLA_VTI_REMOTE, device.remote);
  }
  mnl_attr_nest_end(message.header(), data);
  mnl_attr_nest_end(message.header(), info);
}

std::optional<FoundDevice> parse_device(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(ifinfomsg)) return std::nullopt;
  const auto& body = *static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&header));
  const Attributes all = attributes(header, sizeof(ifinfomsg));
  const auto info = all.find(IFLA_LINKINFO);
  if (info == all.end()) return std::nullopt;
  const Attributes nested = attributes(*info->second);
  const auto data = nested.find(IFLA_INFO_DATA);
  if (data == nested.end()) return std::nullopt;
  const std::string kind = text_of(nested, IFLA_INFO_KIND);
  FoundDevice found;
  for (const DeviceKind one : {DeviceKind::kXfrm, DeviceKind::kVti}) {
    if (kind == name(one)) found.device.kind = one;
  }
  if (kind != name(found.device.kind)) return std::nullopt;
  const Attributes own = attributes(*data->second);
  found.device.name = text_of(all, IFLA_IFNAME);
  found.device.mtu = u32_of(all, IFLA_MTU).value_or(0);
  if (found.device.kind == DeviceKind::kXfrm) {
    found.device.number = u32_of(own, IFLA_XFRM_IF_ID).value_or(0);
    found.underlying = u32_of(own, IFLA_XFRM_LINK).value_or(0);
  } else {
    found.device.number = ntohl(u32_of(own, IFLA_VTI_OKEY).value_or(0));
    found.underlying = u32_of(own, IFLA_VTI_LINK).value_or(0);
    found.device.local = address_of(own, IFLA_VTI_LOCAL).value_or(IpAddress());
    found.device.remote = address_of(own, IFLA_VTI_REMOTE).value_or(IpAddress());
  }
  found.index = static_cast<unsigned>(body.ifi_index);
  found.ours = u32_of(all, IFLA_GROUP) == kDeviceGroup;
  found.up = (body.ifi_flags & IFF_UP) != 0;
  return found;
}

Result<std::vector<std::string>> make_devices(const std::vector<Device>& devices) {
  std::vector<std::string> made;
  if (devices.empty()) return made;
  TRY_ASSIGN(auto netlink, Netlink::open());
  TRY_ASSIGN(const std::vector<FoundDevice> there, all_devices(netlink));
  for (const Device& device : devices) {
    TRY_ASSIGN(const bool new_one, make(netlink, there, device));
    if (new_one) made.push_back(device.name);
  }
  return made;
}

Result<std::vector<std::string>> remove_devices(const std::vector<Device>& but_for) {
  std::vector<std::string> removed;
  TRY_ASSIGN(auto netlink, Netlink::open());
  TRY_ASSIGN(const std::vector<FoundDevice> there, all_devices(netlink));
  for (const FoundDevice& found : there) {
    const bool wanted = std::any_of(but_for.begin(), but_for.end(), [&](const Device& one) {
      return one.name == found.device.name;
    });
    if (!found.ours || wanted) continue;
    TRY(remove(netlink, found));
    removed.push_back(found.device.name);
  }
  return removed;
}

}  // namespace espalier::dataplane::kernel
