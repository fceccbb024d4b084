#include "policy/selectors.hpp"

#include <algorithm>

#include "policy/limits.hpp"

namespace espalier::policy {
namespace {

bool any_port(const TrafficSelector& s) { return s.start_port == 0 && s.end_port == 65535; }

// RFC 7296 section 3.13.1: start 65535 and end 0 stand for OPAQUE, "the port is hidden"; it is
// within ANY and equals only itself (RFC 4301 section 4.4.1.1).
bool opaque_port(const TrafficSelector& s) { return s.start_port > s.end_port; }

bool well_formed(const TrafficSelector& s) {
  return s.start.family() == s.end.family() && s.start <= s.end;
}

std::string protocol_text(std::uint8_t protocol) {
  switch (protocol) {
    case 1: return "icmp";
    case 6: return "tcp";
    case 17: return "udp";
    case 58: return "ipv6-icmp";
    default: return std::to_string(protocol);
  }
}

std::string port_text(const TrafficSelector& s) {
  if (opaque_port(s)) return "OPAQUE";
  // RFC 7296 section 3.13.1: for ICMP the high octet is the type, the low one the code.
  const bool icmp = s.protocol == 1 || s.protocol == 58;
  if (icmp && s.start_port >> 8 == s.end_port >> 8) {
    const std::string type = std::to_string(s.start_port >> 8);
    if ((s.start_port & 0xff) == 0 && (s.end_port & 0xff) == 0xff) return type;
    if (s.start_port == s.end_port) return type + "(" + std::to_string(s.start_port & 0xff) + ")";
  }
  const std::string first = std::to_string(s.start_port);
  return s.start_port == s.end_port ? first : first + "-" + std::to_string(s.end_port);
}

}  // namespace

TrafficSelector from_prefix(const Prefix& prefix) {
  return {0, 0, 65535, prefix.first(), prefix.last()};
}

std::vector<Prefix> to_prefixes(const TrafficSelector& selector) {
  std::vector<Prefix> list;
  if (!well_formed(selector)) return list;
  IpAddress at = selector.start;
  for (;;) {
    Prefix widest = Prefix::host(at);
    while (widest.length > 0) {
      const Prefix wider = Prefix::make(at, widest.length - 1u).value();
      if (wider.first() != at || wider.last() > selector.end) break;
      widest = wider;
    }
    list.push_back(widest);
    if (widest.last() == selector.end) return list;
    at = widest.last().next();
  }
}

std::optional<TrafficSelector> intersect(const TrafficSelector& a, const TrafficSelector& b) {
  if (!well_formed(a) || !well_formed(b) || a.start.family() != b.start.family()) return {};
  TrafficSelector both;
  if (a.protocol != 0 && b.protocol != 0 && a.protocol != b.protocol) return {};
  both.protocol = a.protocol != 0 ? a.protocol : b.protocol;
  if (opaque_port(a) || opaque_port(b)) {
    const bool fits = (opaque_port(a) || any_port(a)) && (opaque_port(b) || any_port(b));
    if (!fits) return {};
    both.start_port = 65535;
    both.end_port = 0;
  } else {
    both.start_port = std::max(a.start_port, b.start_port);
    both.end_port = std::min(a.end_port, b.end_port);
    if (both.start_port > both.end_port) return {};
  }
  both.start = std::max(a.start, b.start);
  both.end = std::min(a.end, b.end);
  if (both.start > both.end) return {};
  return both;
}

bool contains(const TrafficSelector& outer, const TrafficSelector& inner) {
  const std::optional<TrafficSelector> both = intersect(outer, inner);
  if (!both) return false;
  // OPAQUE may be spelled with any start above its end; compare it as one value.
  const bool same_ports =
      opaque_port(inner) ? opaque_port(*both)
                         : both->start_port == inner.start_port && both->end_port == inner.end_port;
  return same_ports && both->protocol == inner.protocol && both->start == inner.start &&
         both->end == inner.end;
}

bool contains(const SelectorList& outer, const SelectorList& inner) {
  return std::all_of(inner.begin(), inner.end(), [&](const TrafficSelector& one) {
    return std::any_of(outer.begin(), outer.end(),
                       [&](const TrafficSelector& o) { return contains(o, one); });
  });
}

SelectorList narrow(const SelectorList& offered, const SelectorList& configured) {
  SelectorList kept;
  for (const TrafficSelector& offer : offered) {
    for (const TrafficSelector& own : configured) {
      const std::optional<TrafficSelector> both = intersect(offer, own);
      if (!both) continue;
      const bool covered = std::any_of(
          kept.begin(), kept.end(), [&](const TrafficSelector& k) { return contains(k, *both); });
      if (covered) continue;
      std::erase_if(kept, [&](const TrafficSelector& k) { return contains(*both, k); });
      if (kept.size() == kMaxNarrowedSelectors) return kept;
      kept.push_back(*both);
    }
  }
  return kept;
}

std::string to_string(const TrafficSelector& selector) {
  std::string text;
  const std::vector<Prefix> prefixes = to_prefixes(selector);
  if (prefixes.size() == 1) {
    text = prefixes[0].to_string();
  } else {
    text = selector.start.to_string() + ".." + selector.end.to_string();
  }
  if (selector.protocol == 0 && any_port(selector)) return text;
  text += "[" + protocol_text(selector.protocol);
  if (!any_port(selector)) text += "/" + port_text(selector);
  return text + "]";
}

std::string to_string(const SelectorList& list) {
  std::string text;
  for (const TrafficSelector& selector : list) {
    if (!text.empty()) text += ' ';
    text += to_string(selector);
  }
  return text;
}

}  // namespace espalier::policy
