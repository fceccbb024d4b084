#include "dataplane/userspace/routes.hpp"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <map>

namespace espalier::dataplane::userspace {
namespace {

void add_wanted(std::map<Prefix, Route>& wanted, const ProtectedPair& pair) {
  for (const auto& prefix : pair.remote) {
    const auto& source = prefix.ip.is_v4() ? pair.source4 : pair.source6;
    // The first pair that names a destination keeps it: which SA carries a packet is the daemon's
    // choice, the route only brings it there.
    wanted.try_emplace(prefix, Route{prefix, true, source});
  }
}

void read_route(const nlmsghdr& header, std::uint32_t table, unsigned tun_index,
                TableContents& contents) {
  const auto& body = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&header));
  if (body.rtm_family != AF_INET && body.rtm_family != AF_INET6) return;
  if ((body.rtm_flags & RTM_F_CLONED) != 0) return;  // a cached exception of IPv6, not a route
  const auto all = attributes(header, sizeof(rtmsg));
  if (u32_of(all, RTA_TABLE).value_or(body.rtm_table) != table) return;
  const Family family = body.rtm_family == AF_INET ? Family::kIpv4 : Family::kIpv6;
  const Prefix destination{address_of(all, RTA_DST).value_or(IpAddress::any(family)),
                           body.rtm_dst_len};
  if (body.rtm_type == RTN_THROW) {
    contents.routes.push_back({destination, false, std::nullopt});
  } else if (body.rtm_type == RTN_UNICAST && u32_of(all, RTA_OIF) == tun_index) {
    contents.routes.push_back({destination, true, address_of(all, RTA_PREFSRC)});
  } else {
    contents.foreign.push_back(destination);
  }
}

NetlinkMessage rule_message(std::uint16_t type, std::uint16_t flags, std::uint32_t table,
                            const Rule& rule) {
  NetlinkMessage message(type, flags);
  auto& body = message.body<fib_rule_hdr>();
  body.family = af(rule.family);
  body.action = FR_ACT_TO_TBL;
  body.table = RT_TABLE_UNSPEC;  // the number is in FRA_TABLE: it is above 255
  body.flags = rule.inverted ? FIB_RULE_INVERT : 0;
  message.put_u32(FRA_TABLE, table);
  message.put_u32(FRA_PRIORITY, rule.priority);
  message.put_u32(FRA_FWMARK, rule.mark);
  message.put_u32(FRA_FWMASK, rule.mask);
  return message;
}

}  // namespace

std::string to_string(const Route& route) {
  if (!route.via_tun) return fmt::format("throw {}", route.destination.to_string());
  return route.source
             ? fmt::format("{} src {}", route.destination.to_string(), route.source->to_string())
             : route.destination.to_string();
}

std::vector<Route> wanted_routes(const HostNetwork& network) {
  std::map<Prefix, Route> wanted;
  for (const auto& pair : network.pairs) add_wanted(wanted, pair);
  for (const auto& prefix : network.own_subnets) {
    const bool inside_a_peers = std::any_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
      return entry.second.via_tun && entry.first.contains(prefix);
    });
    // Without a larger route around it, a throw says nothing. An equal destination stays the
    // peer's.
    if (inside_a_peers) wanted.try_emplace(prefix, Route{prefix, false, std::nullopt});
  }
  std::vector<Route> result;
  for (const auto& [destination, route] : wanted) result.push_back(route);
  return result;
}

Result<TableContents> read_table(Netlink& netlink, std::uint32_t table, unsigned tun_index) {
  TableContents contents;
  for (const auto family : {Family::kIpv4, Family::kIpv6}) {
    NetlinkMessage message(RTM_GETROUTE, 0);
    message.body<rtmsg>().rtm_family = af(family);
    message.put_u32(RTA_TABLE, table);
    auto dumped = netlink.dump(
        message, [&](const nlmsghdr& header) { read_route(header, table, tun_index, contents); });
    // A table without a single route does not exist yet (ENOENT), and a kernel may lack IPv6.
    if (!dumped && dumped.error().code != ErrorCode::kNotFound &&
        dumped.error().code != ErrorCode::kUnsupported) {
      return std::move(dumped).error();
    }
  }
  return contents;
}

Status put_route(Netlink& netlink, const HostNetwork& network, unsigned tun_index,
                 const Route& route) {
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  auto& body = message.body<rtmsg>();
  body.rtm_family = af(route.destination.ip.family());
  body.rtm_dst_len = route.destination.length;
  body.rtm_table = RT_TABLE_UNSPEC;
  body.rtm_protocol = kRouteProtocol;
  body.rtm_type = route.via_tun ? RTN_UNICAST : RTN_THROW;
  // IPv4: a destination on the link; ignored by IPv6.
  body.rtm_scope = route.via_tun ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  message.put_u32(RTA_TABLE, network.route_table);
  if (route.destination.length > 0) message.put_address(RTA_DST, route.destination.ip);
  if (route.via_tun) message.put_u32(RTA_OIF, tun_index);
  if (route.source) message.put_address(RTA_PREFSRC, *route.source);
  return netlink.request(message);
}

Status delete_route(Netlink& netlink, std::uint32_t table, const Prefix& destination) {
  NetlinkMessage message(RTM_DELROUTE, 0);
  auto& body = message.body<rtmsg>();
  body.rtm_family = af(destination.ip.family());
  body.rtm_dst_len = destination.length;
  body.rtm_table = RT_TABLE_UNSPEC;
  body.rtm_scope = RT_SCOPE_NOWHERE;  // IPv4: any scope
  message.put_u32(RTA_TABLE, table);
  if (destination.length > 0) message.put_address(RTA_DST, destination.ip);
  return netlink.request(message);
}

Result<std::vector<Rule>> read_rules(Netlink& netlink, Family family, std::uint32_t table) {
  std::vector<Rule> rules;
  NetlinkMessage message(RTM_GETRULE, 0);
  message.body<fib_rule_hdr>().family = af(family);
  auto dumped = netlink.dump(message, [&](const nlmsghdr& header) {
    const auto& body = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(&header));
    const auto all = attributes(header, sizeof(fib_rule_hdr));
    if (body.family != af(family) || u32_of(all, FRA_TABLE).value_or(body.table) != table) return;
    const std::uint32_t mark = u32_of(all, FRA_FWMARK).value_or(0);
    rules.push_back({family, u32_of(all, FRA_PRIORITY).value_or(0), mark,
                     u32_of(all, FRA_FWMASK).value_or(mark != 0 ? 0xffffffff : 0),
                     (body.flags & FIB_RULE_INVERT) != 0});
  });
  if (!dumped && dumped.error().code != ErrorCode::kUnsupported) return std::move(dumped).error();
  return rules;
}

Status add_rule(Netlink& netlink, std::uint32_t table, const Rule& rule) {
  auto message = rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, table, rule);
  return netlink.request(message);
}

Status delete_rule(Netlink& netlink, std::uint32_t table, const Rule& rule) {
  auto message = rule_message(RTM_DELRULE, 0, table, rule);
  return netlink.request(message);
}

}  // namespace espalier::dataplane::userspace
