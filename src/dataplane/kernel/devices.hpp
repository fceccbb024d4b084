// The devices of route-based pairs: xfrm interfaces and VTI devices that the daemon makes, finds
// again and removes. They work on the network namespace of the calling thread and need
// CAP_NET_ADMIN.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "dataplane/netlink.hpp"

namespace espalier::dataplane::kernel {

// The group of our devices (`ip link show group 58625`), by which they are told from all others.
inline constexpr std::uint32_t kDeviceGroup = 58625;  // 0xE501

enum class DeviceKind : std::uint8_t { kXfrm, kVti };
std::string_view name(DeviceKind kind);  // the kernel's word: "xfrm", "vti"

struct Device {
  std::string name;
  DeviceKind kind = DeviceKind::kXfrm;
  std::uint32_t number = 0;  // the if_id of an xfrm interface, the key of a VTI device
  std::string underlying;    // the device that ESP leaves by; empty: as routes say
  IpAddress local, remote;   // of a VTI device: its ends, IPv4
  unsigned mtu = 1400;       // octets
  std::string pair;          // for messages: who wants it
  friend bool operator==(const Device&, const Device&) = default;
};

// RTM_NEWLINK of one that is to be made. underlying: its index, 0 for none.
void put_device(NetlinkMessage& message, const Device& device, unsigned underlying);

// One of a dump: what put_device() says, and what became of it.
struct FoundDevice {
  Device device;  // without underlying and pair
  unsigned index = 0, underlying = 0;
  bool ours = false, up = false;
};
// Nothing for a device of another kind.
std::optional<FoundDevice> parse_device(const nlmsghdr& header);

// All of these stand and are up, with their MTU; one of ours that is made otherwise is made anew.
// Returns the names of those that had to be made. Errors: kUnsupported where the kernel has no such
// devices, kBusy when a name or an if_id is somebody else's, kNotFound for an underlying device
// that does not exist; each says which pair and what to do.
Result<std::vector<std::string>> make_devices(const std::vector<Device>& devices);

// Those of ours that are not among these go. Returns their names.
Result<std::vector<std::string>> remove_devices(const std::vector<Device>& but_for);

}  // namespace espalier::dataplane::kernel
