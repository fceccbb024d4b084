// What leads packets into the devices of route-based pairs, and closes the way past them: a routing
// table and rules of our own. For each destination there is a route through the device and one that
// refuses, which is worse and so counts while the other is not there: when the device goes, its
// routes go in the same moment, and nothing leaves in the clear.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "dataplane/netlink.hpp"

namespace espalier::dataplane::kernel {

// Beside the userspace plane's 58624 and 229 (userspace/ours.hpp), whose rules are removed when the
// kernel's plane starts.
inline constexpr std::uint32_t kDeviceTable = 58625;  // 0xE501
// "[from A] to B ipproto P sport S dport D goto 232": what is excepted goes past our table.
inline constexpr std::uint32_t kPastRule = 230;
// "not fwmark 0xe5000000 lookup 58625": IKE and ESP themselves have the mark.
inline constexpr std::uint32_t kLookupRule = 231;
inline constexpr std::uint32_t kLandingRule = 232;  // "nop", for those of 230 to land at
// Metrics of the two kinds of routes.
inline constexpr std::uint32_t kOpenMetric = 1024, kClosedMetric = 2048;

struct DeviceRoute {
  Prefix destination;
  std::string device;
  std::optional<IpAddress> source;  // preferred source address
  friend bool operator==(const DeviceRoute&, const DeviceRoute&) = default;
};

// Packets from `from` to `to` that stay outside.
struct PastRule {
  Prefix from, to;            // of one family; from everywhere: sockets without an address yet, too
  std::uint8_t protocol = 0;  // 0: any
  std::uint16_t from_first = 0, from_last = 65535;  // ports
  std::uint16_t to_first = 0, to_last = 65535;
  friend auto operator<=>(const PastRule&, const PastRule&) = default;
};

struct DeviceRouting {
  std::vector<DeviceRoute> routes;
  std::vector<PastRule> past;
  std::uint32_t fwmark = 0;  // of what belongs to the daemon and to ESP
  friend bool operator==(const DeviceRouting&, const DeviceRouting&) = default;
};

// RTM_NEWRULE and RTM_DELRULE of a rule of kPastRule; what a dump says of one.
void put_past_rule(NetlinkMessage& message, const PastRule& rule);
std::optional<PastRule> parse_past_rule(const nlmsghdr& header);

// Our table and rules say this: only differences are written, what closes before what opens. With
// kWhole nothing else is there afterwards; with kMore what there is stays. Returns how many entries
// were written. Errors: kBusy: everything is in place, but a route waits for its preferred source,
// which is no address of this host yet (to be called again in a second); kNotFound for a device
// that is not there; kSystem naming the entry.
enum class Extent : std::uint8_t { kMore, kWhole };
Result<std::size_t> apply_routing(const DeviceRouting& routing, Extent extent);
// Our table and rules are empty. Returns how many entries there were.
Result<std::size_t> remove_routing();

}  // namespace espalier::dataplane::kernel
