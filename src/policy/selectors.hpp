// The algebra of traffic selectors (RFC 7296 section 2.9).
#pragma once

#include <string>

#include "policy/nouns.hpp"

namespace espalier::policy {

TrafficSelector from_prefix(const Prefix& prefix);  // any protocol, any port
// The prefixes that exactly cover the range start..end; one for a range that is a prefix.
std::vector<Prefix> to_prefixes(const TrafficSelector& selector);
std::optional<TrafficSelector> intersect(const TrafficSelector& a, const TrafficSelector& b);
bool contains(const TrafficSelector& outer, const TrafficSelector& inner);
bool contains(const SelectorList& outer,
              const SelectorList& inner);  // each inner within some outer

// Narrowing: every non-empty intersection of an offered selector with a configured one, without
// duplicates or selectors contained in another, in the order offered. Empty: TS_UNACCEPTABLE.
SelectorList narrow(const SelectorList& offered, const SelectorList& configured);

// "10.3.0.0/16", "192.0.2.1/32[tcp/8140]", "10.0.0.1..10.0.0.9" as swanctl prints them.
std::string to_string(const TrafficSelector& selector);
std::string to_string(const SelectorList& list);  // joined by a space

}  // namespace espalier::policy
