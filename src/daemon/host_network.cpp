#include "daemon/host_network.hpp"

#include <algorithm>

#include "esp/shape.hpp"
#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::HostNetwork;
using dataplane::userspace::ProtectedPair;

constexpr std::size_t kUnderlayMtu = 1500;  // octets; what an Ethernet without jumbo frames carries

void add_prefixes(const policy::SelectorList& selectors, std::vector<Prefix>& into) {
  for (const policy::TrafficSelector& selector : selectors) {
    for (const Prefix& prefix : policy::to_prefixes(selector)) {
      if (std::find(into.begin(), into.end(), prefix) == into.end()) into.push_back(prefix);
    }
  }
}

ProtectedPair protect(const policy::Connection& connection, const std::vector<IpAddress>& own) {
  ProtectedPair pair;
  pair.name = connection.name;
  pair.except = connection.except;
  pair.closed = connection.protect == policy::Protect::kRequire;
  const policy::Bounds bounds = policy::bounds_of(connection);
  add_prefixes(bounds.local, pair.local);
  add_prefixes(bounds.remote, pair.remote);
  // A packet of this host to a peer's subnet must have a source inside local_ts to be let through
  // the tunnel.
  for (const IpAddress& address : own) {
    const bool inside = std::any_of(pair.local.begin(), pair.local.end(),
                                    [&](const Prefix& prefix) { return prefix.contains(address); });
    if (!inside) continue;
    auto& source = address.is_v4() ? pair.source4 : pair.source6;
    if (!source) source = address;
  }
  return pair;
}

}  // namespace

std::size_t smallest_inner(const policy::Connection& connection) {
  const bool v6 =
      std::any_of(connection.remote_addresses.begin(), connection.remote_addresses.end(),
                  [](const IpAddress& address) { return address.is_v6(); });
  std::size_t smallest = kUnderlayMtu;
  for (const policy::ChildConfig& child : connection.children) {
    for (const policy::EspProposal& proposal : child.proposals) {
      for (const policy::EncrTransform& encr : proposal.encr) {
        esp::Encapsulation packet;
        packet.outer = v6 ? Family::kIpv6 : Family::kIpv4;
        packet.suite = {encr.id, encr.key_bits, crypto::IntegId::kNone};
        const std::vector<crypto::IntegId> none{crypto::IntegId::kNone};
        for (const crypto::IntegId integ : proposal.integ.empty() ? none : proposal.integ) {
          packet.suite.integ = integ;
          if (const auto inner = esp::largest_inner(packet, kUnderlayMtu))
            smallest = std::min(smallest, *inner);
        }
      }
    }
  }
  return smallest;
}

HostNetwork make_host_network(const mesh::HostPlan& plan) {
  HostNetwork network;
  network.own_subnets = plan.own_subnets;
  std::size_t mtu = 1420;
  for (const policy::Connection& connection : plan.connections) {
    network.pairs.push_back(protect(connection, plan.own_addresses));
    mtu = std::min(mtu, smallest_inner(connection));
  }
  for (const policy::ManualTunnel& tunnel : plan.manual) {
    network.pairs.push_back(protect(policy::traffic_of(tunnel), plan.own_addresses));
    const auto inner = esp::largest_inner(
        {tunnel.suite, tunnel.remote.family(), tunnel.udp_encap, tunnel.mode}, kUnderlayMtu);
    if (inner) mtu = std::min(mtu, *inner);
  }
  // Never below what IPv6 needs (RFC 8200 section 5); outer packets are then fragmented.
  network.mtu = static_cast<unsigned>(std::max<std::size_t>(mtu, 1280));
  return network;
}

}  // namespace espalier::daemon
