#include "dataplane/userspace/prefix_cover.hpp"

#include <algorithm>

namespace espalier::dataplane::userspace {
namespace {

// The upper or lower half of a prefix that is not a host prefix.
Prefix half(const Prefix& prefix, bool upper) {
  Bytes octets = to_vector(prefix.ip.bytes());
  if (upper) {
    octets[prefix.length / 8u] =
        static_cast<std::uint8_t>(octets[prefix.length / 8u] | (0x80u >> (prefix.length % 8u)));
  }
  auto ip = IpAddress::from_bytes(octets);
  ASSERT(ip.ok());
  return {*ip, static_cast<std::uint8_t>(prefix.length + 1)};
}

void subtract_into(const Prefix& outer, std::span<const Prefix> holes, std::vector<Prefix>& out) {
  bool touched = false;
  for (const auto& hole : holes) {
    if (hole.contains(outer)) return;
    touched = touched || outer.contains(hole);
  }
  if (!touched) {
    out.push_back(outer);
    return;
  }
  subtract_into(half(outer, false), holes, out);
  subtract_into(half(outer, true), holes, out);
}

}  // namespace

std::vector<Prefix> subtract(const Prefix& outer, std::span<const Prefix> holes) {
  std::vector<Prefix> inside;
  for (const auto& hole : holes) {
    if (outer.contains(hole) && hole != outer) inside.push_back(hole);
  }
  std::vector<Prefix> result;
  subtract_into(outer, inside, result);
  return result;
}

std::span<const Prefix> inside(const Prefix& outer, std::span<const Prefix> ordered) {
  const auto first = std::lower_bound(ordered.begin(), ordered.end(), outer);
  auto last = first;
  while (last != ordered.end() && outer.contains(*last)) ++last;
  return {first, last};
}

std::vector<Prefix> without_contained(std::vector<Prefix> prefixes) {
  // In order of (address, length) a prefix comes directly before everything that it contains.
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<Prefix> result;
  for (const auto& prefix : prefixes) {
    if (result.empty() || !result.back().contains(prefix)) result.push_back(prefix);
  }
  return result;
}

std::vector<Prefix> disjoint_parts(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  std::vector<Prefix> result;
  for (const auto& prefix : prefixes) {
    const auto parts = subtract(prefix, inside(prefix, prefixes));
    result.insert(result.end(), parts.begin(), parts.end());
  }
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace espalier::dataplane::userspace
