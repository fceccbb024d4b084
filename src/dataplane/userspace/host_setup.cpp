#include "dataplane/userspace/host_setup.hpp"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/userspace/link.hpp"
#include "dataplane/userspace/nft.hpp"
#include "dataplane/userspace/routes.hpp"

namespace espalier::dataplane::userspace {
namespace {

Error route_error(Netlink& netlink, const Route& route, const char* step) {
  const int number = netlink.last_errno();
  std::string next;
  if (number == EPERM) next = " CAP_NET_ADMIN is needed: run as root.";
  if (number == EACCES && route.destination.ip.is_v6()) {
    next = " IPv6 is off on the device (net.ipv6.conf.*.disable_ipv6).";
  }
  return make_error(number == EPERM ? ErrorCode::kPermission : ErrorCode::kSystem,
                    fmt::format("The route {} could not be {}: {}.{}", to_string(route), step,
                                std::strerror(number), next));
}

// Puts in what is wanted and not there. The sources that are not usable yet are returned.
Result<std::vector<IpAddress>> add_routes(Netlink& netlink, const HostNetwork& network,
                                          unsigned index, const std::vector<Route>& wanted,
                                          const std::vector<Route>& present) {
  std::vector<IpAddress> waiting;
  for (const auto& route : wanted) {
    if (std::binary_search(present.begin(), present.end(), route)) continue;
    auto put = put_route(netlink, network, index, route);
    if (!put && netlink.last_errno() == EINVAL && route.source) {
      // The kernel refuses a preferred source that is not one of its usable addresses.
      const IpAddress& source = *route.source;
      if (std::find(waiting.begin(), waiting.end(), source) == waiting.end())
        waiting.push_back(source);
      const Route bare{route.destination, route.via_tun, std::nullopt};
      if (std::binary_search(present.begin(), present.end(), bare)) continue;
      put = put_route(netlink, network, index, bare);
    }
    if (!put) return route_error(netlink, route, "added");
  }
  return waiting;
}

Status remove_routes(Netlink& netlink, const HostNetwork& network, const std::vector<Route>& wanted,
                     const TableContents& present) {
  const auto is_wanted = [&](const Prefix& destination) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const Route& route) { return route.destination == destination; });
  };
  std::vector<Prefix> stale = present.foreign;
  for (const auto& route : present.routes) stale.push_back(route.destination);
  for (const auto& destination : stale) {
    if (is_wanted(destination)) continue;
    auto deleted = delete_route(netlink, network.route_table, destination);
    if (!deleted && deleted.error().code != ErrorCode::kNotFound) {
      return route_error(netlink, {destination, true, std::nullopt}, "removed");
    }
  }
  return {};
}

Status apply_rules(Netlink& netlink, const HostNetwork& network, Family family) {
  const Rule wanted{family, network.rule_priority, network.fwmark, 0xffffffff, true};
  TRY_ASSIGN(const auto present, read_rules(netlink, family, network.route_table));
  if (std::find(present.begin(), present.end(), wanted) == present.end()) {
    auto added = add_rule(netlink, network.route_table, wanted);
    // A kernel without IPv6 has no IPv6 rules, and no IPv6 to protect.
    const bool absent =
        !added && family == Family::kIpv6 && added.error().code == ErrorCode::kUnsupported;
    if (!added && !absent) {
      return make_error(
          added.error().code,
          fmt::format("The routing rule {} (not fwmark {:#x} lookup {}) could not be added: {}.",
                      network.rule_priority, network.fwmark, network.route_table,
                      std::strerror(netlink.last_errno())));
    }
  }
  bool kept = false;
  for (const auto& rule : present) {
    if (rule == wanted && !kept) {
      kept = true;
      continue;
    }
    TRY(delete_rule(netlink, network.route_table, rule));
  }
  return {};
}

// Remembers the first failure, tells the logger of everything.
class TeardownReport {
 public:
  explicit TeardownReport(Logger& logger) : logger_(logger) {}
  void removed(std::string what) {
    logger_.log({LogLevel::kInfo, "dataplane", "", "Removed " + std::move(what) + "."});
  }
  void failed(Error error) {
    logger_.log({LogLevel::kError, "dataplane", "", error.message});
    if (first_) first_ = std::move(error);
  }
  Status finish() { return std::move(first_); }

 private:
  Logger& logger_;
  Status first_;
};

void teardown_rules(Netlink& netlink, TeardownReport& report) {
  std::size_t count = 0;
  for (const auto family : {Family::kIpv4, Family::kIpv6}) {
    auto rules = read_rules(netlink, family, kRouteTable);
    if (!rules) {
      report.failed(std::move(rules).error());
      continue;
    }
    for (const auto& rule : *rules) {
      if (auto done = delete_rule(netlink, kRouteTable, rule); !done) {
        report.failed(std::move(done).error());
      } else {
        ++count;
      }
    }
  }
  if (count > 0)
    report.removed(
        fmt::format("{} routing rule{} of table {}", count, count == 1 ? "" : "s", kRouteTable));
}

void teardown_routes(Netlink& netlink, TeardownReport& report) {
  auto present = read_table(netlink, kRouteTable, if_nametoindex(std::string(kTunName).c_str()));
  if (!present) return report.failed(std::move(present).error());
  std::vector<Prefix> destinations = present->foreign;
  for (const auto& route : present->routes) destinations.push_back(route.destination);
  std::size_t count = 0;
  for (const auto& destination : destinations) {
    if (delete_route(netlink, kRouteTable, destination).ok()) {
      ++count;
    } else {
      report.failed(route_error(netlink, {destination, true, std::nullopt}, "removed"));
    }
  }
  if (count > 0)
    report.removed(
        fmt::format("{} route{} of table {}", count, count == 1 ? "" : "s", kRouteTable));
}

}  // namespace

Status apply_routes(const HostNetwork& network) {
  const unsigned index = if_nametoindex(network.tun_name.c_str());
  if (index == 0) {
    return make_error(
        ErrorCode::kNotFound,
        fmt::format("The TUN device {} does not exist: it must be opened before routes lead "
                    "into it.",
                    network.tun_name));
  }
  TRY_ASSIGN(auto netlink, Netlink::open());
  TRY(bring_up(netlink, network.tun_name, index, network.mtu));
  const auto wanted = wanted_routes(network);
  TRY_ASSIGN(auto present, read_table(netlink, network.route_table, index));
  std::sort(present.routes.begin(), present.routes.end());
  TRY_ASSIGN(const auto waiting, add_routes(netlink, network, index, wanted, present.routes));
  TRY(remove_routes(netlink, network, wanted, present));
  TRY(apply_rules(netlink, network, Family::kIpv4));
  TRY(apply_rules(netlink, network, Family::kIpv6));
  if (waiting.empty()) return {};
  return make_error(
      ErrorCode::kBusy,
      fmt::format("Routes wait for their source address {}: it is not configured on this host, "
                  "or still being checked for duplicates. They are in place without it; it is "
                  "tried again.",
                  waiting.front().to_string()));
}

Status teardown_host(Logger& logger) {
  TeardownReport report(logger);
  auto netlink = Netlink::open();
  if (!netlink) return std::move(netlink).error();
  // The device and the routes first: what was protected stays closed until the very last step.
  teardown_rules(*netlink, report);
  teardown_routes(*netlink, report);
  if (auto tun = remove_tun(*netlink, std::string(kTunName)); !tun) {
    report.failed(std::move(tun).error());
  } else if (*tun) {
    report.removed(fmt::format("the device {}", kTunName));
  }
  if (auto table = remove_protection(); !table) {
    report.failed(std::move(table).error());
  } else if (*table) {
    report.removed(
        fmt::format("the nftables table inet {}: traffic between this host and its peers is "
                    "no longer held back, and passes in the clear",
                    kNftTable));
  }
  return report.finish();
}

}  // namespace espalier::dataplane::userspace
