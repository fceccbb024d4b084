#include "dataplane/kernel/device_routes.hpp"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "dataplane/userspace/ours.hpp"
#include "dataplane/userspace/routes.hpp"

namespace espalier::dataplane::kernel {
namespace {

// A route of our table as the kernel names it, by destination and metric, and what it says.
using RouteName = std::pair<Prefix, std::uint32_t>;
struct RouteEntry {
  std::uint8_t type = RTN_UNICAST;
  unsigned device = 0;  // of RTN_UNICAST
  std::optional<IpAddress> source;
  friend bool operator==(const RouteEntry&, const RouteEntry&) = default;
};
using Table = std::map<RouteName, RouteEntry>;

std::string text(const RouteName& name, const RouteEntry& entry) {
  std::string out = name.first.to_string();
  if (entry.type == RTN_UNREACHABLE) out = "unreachable " + out;
  char device[IF_NAMESIZE];
  if (entry.device != 0 && if_indextoname(entry.device, device) != nullptr) {
    out += fmt::format(" dev {}", device);
  }
  if (entry.source) out += fmt::format(" src {}", entry.source->to_string());
  return fmt::format("{} of table {}", out, kDeviceTable);
}

void read_route(const nlmsghdr& header, Table& table) {
  const auto& body = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&header));
  if (body.rtm_family != AF_INET && body.rtm_family != AF_INET6) return;
  if ((body.rtm_flags & RTM_F_CLONED) != 0) return;
  const Attributes all = attributes(header, sizeof(rtmsg));
  if (u32_of(all, RTA_TABLE).value_or(body.rtm_table) != kDeviceTable) return;
  const Family family = body.rtm_family == AF_INET ? Family::kIpv4 : Family::kIpv6;
  const Prefix destination{address_of(all, RTA_DST).value_or(IpAddress::any(family)),
                           body.rtm_dst_len};
  RouteEntry entry;
  entry.type = body.rtm_type;
  if (entry.type == RTN_UNICAST) entry.device = u32_of(all, RTA_OIF).value_or(0);
  entry.source = address_of(all, RTA_PREFSRC);
  table[{destination, u32_of(all, RTA_PRIORITY).value_or(0)}] = entry;
}

bool is_absent(const Status& status) {
  // A table without a single route does not exist yet (ENOENT), and a kernel may lack IPv6.
  return !status && (status.error().code == ErrorCode::kNotFound ||
                     status.error().code == ErrorCode::kUnsupported);
}

Result<Table> read_table(Netlink& netlink) {
  Table table;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    NetlinkMessage message(RTM_GETROUTE, 0);
    message.body<rtmsg>().rtm_family = af(family);
    message.put_u32(RTA_TABLE, kDeviceTable);
    const Status dumped =
        netlink.dump(message, [&](const nlmsghdr& header) { read_route(header, table); });
    if (!dumped && !is_absent(dumped)) return dumped.error();
  }
  return table;
}

NetlinkMessage route_message(std::uint16_t type, std::uint16_t flags, const RouteName& name,
                             const RouteEntry& entry) {
  NetlinkMessage message(type, flags);
  auto& body = message.body<rtmsg>();
  body.rtm_family = af(name.first.ip.family());
  body.rtm_dst_len = name.first.length;
  body.rtm_table = RT_TABLE_UNSPEC;
  body.rtm_protocol = userspace::kRouteProtocol;
  body.rtm_type = entry.type;
  body.rtm_scope = entry.type == RTN_UNICAST ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  message.put_u32(RTA_TABLE, kDeviceTable);
  message.put_u32(RTA_PRIORITY, name.second);
  if (name.first.length > 0) message.put_address(RTA_DST, name.first.ip);
  if (entry.device != 0) message.put_u32(RTA_OIF, entry.device);
  if (entry.source) message.put_address(RTA_PREFSRC, *entry.source);
  return message;
}

Error failed(const std::string& entry, const char* step, const Error& error) {
  return make_error(error.code,
                    fmt::format("The route {} could not be {}: {}.", entry, step, error.message));
}

// Writes one. False: its source is no usable address yet, and it stands without.
Result<bool> put_route(Netlink& netlink, const RouteName& name, const RouteEntry& entry,
                       const Table& there) {
  auto message = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, name, entry);
  const Status put = netlink.request(message);
  if (put) return true;
  if (netlink.last_errno() != EINVAL || !entry.source) {
    return failed(text(name, entry), "added", put.error());
  }
  RouteEntry bare = entry;
  bare.source.reset();
  const auto present = there.find(name);
  if (present != there.end() && present->second == bare) return false;
  auto without = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, name, bare);
  if (const Status again = netlink.request(without); !again) {
    return failed(text(name, bare), "added", again.error());
  }
  return false;
}

Status remove_route(Netlink& netlink, const RouteName& name, const RouteEntry& entry) {
  RouteEntry bare = entry;
  bare.source.reset();
  auto message = route_message(RTM_DELROUTE, 0, name, bare);
  const Status removed = netlink.request(message);
  if (removed || netlink.last_errno() == ESRCH) return {};
  return failed(text(name, entry), "removed", removed.error());
}

Result<Table> wanted_table(const DeviceRouting& routing) {
  Table table;
  for (const DeviceRoute& route : routing.routes) {
    RouteEntry entry;
    entry.device = if_nametoindex(route.device.c_str());
    if (entry.device == 0) {
      return make_error(ErrorCode::kNotFound,
                        fmt::format("The route to {} is to lead into {}, which is not there.",
                                    route.destination.to_string(), route.device));
    }
    entry.source = route.source;
    table[{route.destination, kOpenMetric}] = entry;
    RouteEntry closed;
    closed.type = RTN_UNREACHABLE;
    table[{route.destination, kClosedMetric}] = closed;
  }
  return table;
}

// ---- rules

NetlinkMessage landing_message(std::uint16_t type, std::uint16_t flags, Family family) {
  NetlinkMessage message(type, flags);
  auto& body = message.body<fib_rule_hdr>();
  body.family = af(family);
  body.action = FR_ACT_NOP;
  message.put_u32(FRA_PRIORITY, kLandingRule);
  return message;
}

struct Rules {
  std::set<PastRule> past;
  std::map<Family, std::size_t> landings;
};

Result<Rules> read_past_rules(Netlink& netlink) {
  Rules rules;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    NetlinkMessage message(RTM_GETRULE, 0);
    message.body<fib_rule_hdr>().family = af(family);
    const Status dumped = netlink.dump(message, [&](const nlmsghdr& header) {
      const auto& body = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(&header));
      if (body.family != af(family)) return;
      const Attributes all = attributes(header, sizeof(fib_rule_hdr));
      if (body.action == FR_ACT_NOP && u32_of(all, FRA_PRIORITY) == kLandingRule) {
        ++rules.landings[family];
      }
      if (const auto past = parse_past_rule(header)) rules.past.insert(*past);
    });
    if (!dumped && !is_absent(dumped)) return dumped.error();
  }
  return rules;
}

Status request_rule(Netlink& netlink, NetlinkMessage& message, std::string_view what) {
  const Status done = netlink.request(message);
  if (done) return {};
  return make_error(done.error().code, fmt::format("The routing rule {} could not be set: {}.",
                                                   what, done.error().message));
}

Status add_past_rules(Netlink& netlink, const DeviceRouting& routing, const Rules& there,
                      std::size_t& written) {
  for (const PastRule& rule : routing.past) {
    const Family family = rule.from.ip.family();
    const auto landing = there.landings.find(family);
    if (landing == there.landings.end()) {
      auto message = landing_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family);
      const Status made = netlink.request(message);
      if (!made && netlink.last_errno() != EEXIST) return made.error();
    }
    if (there.past.contains(rule)) continue;
    NetlinkMessage message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
    put_past_rule(message, rule);
    const Status made = request_rule(netlink, message, "of an exception");
    if (!made && netlink.last_errno() != EEXIST) return made.error();
    ++written;
  }
  return {};
}

Status remove_past_rules(Netlink& netlink, const DeviceRouting& routing, const Rules& there,
                         std::size_t& written) {
  for (const PastRule& rule : there.past) {
    if (std::find(routing.past.begin(), routing.past.end(), rule) != routing.past.end()) continue;
    NetlinkMessage message(RTM_DELRULE, 0);
    put_past_rule(message, rule);
    TRY(request_rule(netlink, message, "of an exception that is no more"));
    ++written;
  }
  if (!routing.past.empty()) return {};
  for (const auto& [family, count] : there.landings) {
    auto message = landing_message(RTM_DELRULE, 0, family);
    TRY(request_rule(netlink, message, fmt::format("{} nop", kLandingRule)));
    ++written;
  }
  return {};
}

Status apply_lookup(Netlink& netlink, const DeviceRouting& routing, Extent extent,
                    std::size_t& written) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const userspace::Rule wanted{family, kLookupRule, routing.fwmark, 0xFFFFFFFF, true};
    TRY_ASSIGN(const auto there, userspace::read_rules(netlink, family, kDeviceTable));
    const bool needed = std::any_of(
        routing.routes.begin(), routing.routes.end(),
        [&](const DeviceRoute& route) { return route.destination.ip.family() == family; });
    if (needed && std::find(there.begin(), there.end(), wanted) == there.end()) {
      TRY(userspace::add_rule(netlink, kDeviceTable, wanted));
      ++written;
    }
    for (const userspace::Rule& rule : there) {
      if (extent == Extent::kMore || (needed && rule == wanted)) continue;
      TRY(userspace::delete_rule(netlink, kDeviceTable, rule));
      ++written;
    }
  }
  return {};
}

}  // namespace

void put_past_rule(NetlinkMessage& message, const PastRule& rule) {
  auto& body = message.body<fib_rule_hdr>();
  body.family = af(rule.from.ip.family());
  body.action = FR_ACT_GOTO;
  body.src_len = static_cast<std::uint8_t>(rule.from.length);
  body.dst_len = static_cast<std::uint8_t>(rule.to.length);
  message.put_u32(FRA_PRIORITY, kPastRule);
  message.put_u32(FRA_GOTO, kLandingRule);
  if (rule.from.length > 0) message.put_address(FRA_SRC, rule.from.ip);
  if (rule.to.length > 0) message.put_address(FRA_DST, rule.to.ip);
  if (rule.protocol != 0) message.put_u8(FRA_IP_PROTO, rule.protocol);
  const auto ports = [&](std::uint16_t type, std::uint16_t first, std::uint16_t last) {
    if (first == 0 && last == 65535) return;
    // The kernel takes no range that begins with 0.
    const fib_rule_port_range range{std::max<std::uint16_t>(first, 1), last};
    message.put_struct(type, range);
  };
  ports(FRA_SPORT_RANGE, rule.from_first, rule.from_last);
  ports(FRA_DPORT_RANGE, rule.to_first, rule.to_last);
}

std::optional<PastRule> parse_past_rule(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(fib_rule_hdr)) return std::nullopt;
  const auto& body = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(&header));
  const Attributes all = attributes(header, sizeof(fib_rule_hdr));
  if (body.action != FR_ACT_GOTO || u32_of(all, FRA_PRIORITY) != kPastRule ||
      (body.family != AF_INET && body.family != AF_INET6)) {
    return std::nullopt;
  }
  const IpAddress any = IpAddress::any(body.family == AF_INET ? Family::kIpv4 : Family::kIpv6);
  PastRule rule;
  rule.from = {address_of(all, FRA_SRC).value_or(any), body.src_len};
  rule.to = {address_of(all, FRA_DST).value_or(any), body.dst_len};
  if (const auto protocol = all.find(FRA_IP_PROTO); protocol != all.end()) {
    rule.protocol = mnl_attr_get_u8(protocol->second);
  }
  const auto ports = [&](std::uint16_t type, std::uint16_t& first, std::uint16_t& last) {
    const auto found = all.find(type);
    fib_rule_port_range range{};
    if (found == all.end() || mnl_attr_get_payload_len(found->second) < sizeof range) return;
    std::memcpy(&range, mnl_attr_get_payload(found->second), sizeof range);
    first = range.start;
    last = range.end;
  };
  ports(FRA_SPORT_RANGE, rule.from_first, rule.from_last);
  ports(FRA_DPORT_RANGE, rule.to_first, rule.to_last);
  return rule;
}

Result<std::size_t> apply_routing(const DeviceRouting& routing, Extent extent) {
  TRY_ASSIGN(auto netlink, Netlink::open());
  TRY_ASSIGN(const Table wanted, wanted_table(routing));
  TRY_ASSIGN(const Table there, read_table(netlink));
  TRY_ASSIGN(const Rules rules, read_past_rules(netlink));
  std::size_t written = 0;
  std::optional<IpAddress> waiting;
  TRY(add_past_rules(netlink, routing, rules, written));
  // What closes stands before what opens.
  for (const std::uint8_t type : {RTN_UNREACHABLE, RTN_UNICAST}) {
    for (const auto& [name, entry] : wanted) {
      const auto present = there.find(name);
      if (entry.type != type || (present != there.end() && present->second == entry)) continue;
      TRY_ASSIGN(const bool whole, put_route(netlink, name, entry, there));
      if (!whole) waiting = entry.source;
      ++written;
    }
  }
  TRY(apply_lookup(netlink, routing, extent, written));
  if (extent == Extent::kWhole) {
    for (const auto& [name, entry] : there) {
      if (wanted.contains(name)) continue;
      TRY(remove_route(netlink, name, entry));
      ++written;
    }
    TRY(remove_past_rules(netlink, routing, rules, written));
  }
  if (!waiting) return written;
  return make_error(
      ErrorCode::kBusy,
      fmt::format("Routes wait for their source address {}: it is not configured on this host, or "
                  "still being checked for duplicates. They are in place without it; it is tried "
                  "again.",
                  waiting->to_string()));
}

Result<std::size_t> remove_routing() { return apply_routing({}, Extent::kWhole); }

}  // namespace espalier::dataplane::kernel
