// Our routing table, our two rules, and the TUN device's link, as plain data and as netlink
// requests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dataplane/netlink.hpp"
#include "dataplane/userspace/host_setup.hpp"

namespace espalier::dataplane::userspace {

struct Route {
  Prefix destination;
  bool via_tun = true;              // false: throw, "look on in the next table"
  std::optional<IpAddress> source;  // preferred source address
  friend auto operator<=>(const Route&, const Route&) = default;
};
std::string to_string(const Route& route);  // "10.3.0.0/24 dev TUN src 10.77.0.1", for messages

// The routes that network asks for, ordered, one for each destination. Pure.
std::vector<Route> wanted_routes(const HostNetwork& network);

// What our table holds. Routes of another kind (a hand-made one) appear as they are seen: through a
// device that is not the TUN, they count as neither and are listed in foreign.
struct TableContents {
  std::vector<Route> routes;
  std::vector<Prefix> foreign;
};
Result<TableContents> read_table(Netlink& netlink, std::uint32_t table, unsigned tun_index);

Status put_route(Netlink& netlink, const HostNetwork& network, unsigned tun_index,
                 const Route& route);
Status delete_route(Netlink& netlink, std::uint32_t table, const Prefix& destination);

// Rules whose lookup is table, of one family.
struct Rule {
  Family family = Family::kIpv4;
  std::uint32_t priority = 0;
  std::uint32_t mark = 0;
  std::uint32_t mask = 0;
  bool inverted = false;
  friend bool operator==(const Rule&, const Rule&) = default;
};
Result<std::vector<Rule>> read_rules(Netlink& netlink, Family family, std::uint32_t table);
Status add_rule(Netlink& netlink, std::uint32_t table, const Rule& rule);
Status delete_rule(Netlink& netlink, std::uint32_t table, const Rule& rule);

}  // namespace espalier::dataplane::userspace
