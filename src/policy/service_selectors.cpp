#include "policy/service_selectors.hpp"

#include <algorithm>

#include "policy/selectors.hpp"

namespace espalier::policy {
namespace {

TrafficSelector narrowed(TrafficSelector selector, std::uint8_t protocol, const Service& service,
                         bool with_port) {
  selector.protocol = protocol;
  selector.start_port = with_port ? service.first_port : 0;
  selector.end_port = with_port ? service.last_port : 65535;
  return selector;
}

TrafficSelector addresses_of(const TrafficSelector& selector) {
  return {0, 0, 65535, selector.start, selector.end};
}

void add_once(SelectorList& list, const TrafficSelector& selector) {
  if (std::find(list.begin(), list.end(), selector) == list.end()) list.push_back(selector);
}

void add_sides(const Service& service, std::uint8_t protocol, const TrafficSelector& local,
               const TrafficSelector& remote, std::vector<SelectorPair>& into) {
  const auto add = [&](bool local_port, bool remote_port) {
    SelectorPair pair{narrowed(local, protocol, service, local_port),
                      narrowed(remote, protocol, service, remote_port)};
    if (std::find(into.begin(), into.end(), pair) == into.end()) into.push_back(pair);
  };
  if (service.any_port()) return add(false, false);
  if (service.side != Side::kRemote) add(true, false);
  if (service.side != Side::kLocal) add(false, true);
}

}  // namespace

std::vector<SelectorPair> between(const Service& service, const TrafficSelector& local,
                                  const TrafficSelector& remote) {
  std::vector<SelectorPair> list;
  const bool v4 = local.start.is_v4();
  if (v4 != remote.start.is_v4()) return list;
  std::uint8_t protocol = service.protocol;
  if (protocol == kProtocolIcmp6 && v4) return list;
  if (protocol == kProtocolIcmp && !v4) protocol = kProtocolIcmp6;
  const TrafficSelector here = addresses_of(local), there = addresses_of(remote);
  if (!service.net) {
    add_sides(service, protocol, here, there, list);
    return list;
  }
  if (service.net->ip.is_v4() != v4) return list;
  const TrafficSelector net = from_prefix(*service.net);
  if (const auto inside = intersect(here, net)) {
    add_sides(service, protocol, *inside, there, list);
  }
  if (const auto inside = intersect(there, net)) {
    add_sides(service, protocol, here, *inside, list);
  }
  return list;
}

Bounds bounds_of(const Connection& connection) {
  if (connection.bounds) return *connection.bounds;
  Bounds bounds;
  for (const ChildConfig& child : connection.children) {
    for (const TrafficSelector& one : child.local_ts) add_once(bounds.local, addresses_of(one));
    for (const TrafficSelector& one : child.remote_ts) add_once(bounds.remote, addresses_of(one));
  }
  return bounds;
}

std::vector<SelectorPair> exceptions_of(const Connection& connection) {
  std::vector<SelectorPair> list;
  if (connection.except.empty()) return list;
  const Bounds bounds = bounds_of(connection);
  for (const Service& service : connection.except) {
    for (const TrafficSelector& local : bounds.local) {
      for (const TrafficSelector& remote : bounds.remote) {
        for (SelectorPair& pair : between(service, local, remote)) {
          if (std::find(list.begin(), list.end(), pair) == list.end()) {
            list.push_back(std::move(pair));
          }
        }
      }
    }
  }
  return list;
}

}  // namespace espalier::policy
