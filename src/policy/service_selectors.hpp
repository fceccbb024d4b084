// Services as traffic selectors between the addresses of a pair.
#pragma once

#include "policy/nouns.hpp"

namespace espalier::policy {

struct SelectorPair {
  TrafficSelector local, remote;
  friend bool operator==(const SelectorPair&, const SelectorPair&) = default;
};

// The service between two ranges of addresses of one family: one pair, two for a port at either
// end; each once more for either end in the service's network. Nothing where it cannot be (ICMPv6
// between IPv4 addresses, an address outside the network).
std::vector<SelectorPair> between(const Service& service, const TrafficSelector& local,
                                  const TrafficSelector& remote);

// Every address of either end that the connection protects: its bounds, or those of its children.
Bounds bounds_of(const Connection& connection);

// What of the connection's traffic stays outside IPsec.
std::vector<SelectorPair> exceptions_of(const Connection& connection);

}  // namespace espalier::policy
