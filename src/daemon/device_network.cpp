#include "daemon/device_network.hpp"

#include <algorithm>
#include <map>

#include "daemon/host_network.hpp"
#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::daemon {
namespace {

using dataplane::kernel::Device;
using dataplane::kernel::DeviceKind;
using dataplane::kernel::DeviceRoute;
using dataplane::kernel::DeviceRouting;
using dataplane::kernel::PastRule;

Device device_of(const policy::Connection& connection) {
  const policy::TunnelDevice& wanted = *connection.device;
  const policy::Binding& binding = *connection.children.front().binding;
  Device device;
  device.name = wanted.name;
  device.underlying = wanted.underlying;
  device.pair = connection.name;
  // Never below what IPv6 needs (RFC 8200 section 5); outer packets are then fragmented.
  device.mtu = wanted.mtu != 0
                   ? wanted.mtu
                   : static_cast<unsigned>(std::max<std::size_t>(smallest_inner(connection), 1280));
  if (!wanted.vti) {
    device.number = binding.if_id_out;
    return device;
  }
  device.kind = DeviceKind::kVti;
  device.number = binding.mark_out->value;
  device.remote = connection.remote_addresses.front();
  device.local = connection.local_addresses.front();
  return device;
}

void add_device(Device device, std::vector<Device>& into) {
  for (Device& one : into) {
    if (one.name != device.name) continue;
    one.mtu = std::min(one.mtu, device.mtu);
    return;
  }
  into.push_back(std::move(device));
}

// A packet of this host must have a source inside the child's selectors to be let through.
std::optional<IpAddress> source_for(const Prefix& destination, const policy::SelectorList& local,
                                    const std::vector<IpAddress>& own) {
  for (const IpAddress& address : own) {
    if (address.family() != destination.ip.family()) continue;
    if (policy::contains(local, {policy::from_prefix(Prefix::host(address))})) return address;
  }
  return std::nullopt;
}

void add_routes(const policy::Connection& connection, const std::vector<IpAddress>& own,
                std::vector<DeviceRoute>& into) {
  const policy::Bounds bounds = policy::bounds_of(connection);
  for (const policy::TrafficSelector& selector : bounds.remote) {
    for (const Prefix& prefix : policy::to_prefixes(selector)) {
      // The first pair that names a destination keeps it.
      const bool known = std::any_of(into.begin(), into.end(), [&](const DeviceRoute& one) {
        return one.destination == prefix;
      });
      if (known) continue;
      into.push_back({prefix, connection.device->name, source_for(prefix, bounds.local, own)});
    }
  }
}

// What is excepted leaves past the device; policies let it pass, in and out. A socket that has no
// address of its own yet fits no rule about the source, so there is none where the exception is for
// every source that the pair protects. Where it is for some, others would follow without it: such a
// socket's packets stay protected.
void add_past(const policy::Connection& connection, std::vector<PastRule>& into) {
  const policy::SelectorList own = policy::bounds_of(connection).local;
  std::map<PastRule, policy::SelectorList> sources;  // by the rule without one
  for (const policy::SelectorPair& pair : policy::exceptions_of(connection)) {
    for (const Prefix& to : policy::to_prefixes(pair.remote)) {
      PastRule rule;
      rule.from = {IpAddress::any(to.ip.family()), 0};
      rule.to = to;
      rule.protocol = pair.local.protocol;
      rule.from_first = pair.local.start_port;
      rule.from_last = pair.local.end_port;
      rule.to_first = pair.remote.start_port;
      rule.to_last = pair.remote.end_port;
      policy::TrafficSelector from = pair.local;
      from.protocol = 0;
      from.start_port = 0;
      from.end_port = 65535;
      sources[rule].push_back(from);
    }
  }
  for (const auto& [rule, from] : sources) {
    const bool all = std::all_of(own.begin(), own.end(), [&](const policy::TrafficSelector& one) {
      policy::TrafficSelector addresses;
      addresses.start = one.start;
      addresses.end = one.end;
      return one.start.family() != rule.to.ip.family() || policy::contains(from, {addresses});
    });
    if (all) {
      into.push_back(rule);
      continue;
    }
    for (const policy::TrafficSelector& one : from) {
      for (const Prefix& prefix : policy::to_prefixes(one)) {
        if (prefix.ip.family() != rule.to.ip.family()) continue;
        into.push_back(rule);
        into.back().from = prefix;
      }
    }
  }
}

}  // namespace

DeviceNetwork make_device_network(const mesh::HostPlan& plan) {
  DeviceNetwork network;
  network.routing.fwmark = policy::kOwnMark;
  for (const policy::Connection& connection : plan.connections) {
    if (!connection.device) continue;
    add_device(device_of(connection), network.devices);
    add_routes(connection, plan.own_addresses, network.routing.routes);
    add_past(connection, network.routing.past);
  }
  std::sort(network.routing.past.begin(), network.routing.past.end());
  network.routing.past.erase(std::unique(network.routing.past.begin(), network.routing.past.end()),
                             network.routing.past.end());
  return network;
}

}  // namespace espalier::daemon
