// Sets of prefixes made disjoint. nftables refuses overlapping elements in a set of concatenated
// intervals, and peers' subnets may well contain one another.
#pragma once

#include <span>
#include <vector>

#include "base/address.hpp"

namespace espalier::dataplane::userspace {

// The prefixes that cover outer without the holes that lie inside it. Holes outside outer, equal to
// it or around it are left out of account.
std::vector<Prefix> subtract(const Prefix& outer, std::span<const Prefix> holes);

// What of the ordered prefixes lies inside outer, or is equal to it: they stand side by side.
std::span<const Prefix> inside(const Prefix& outer, std::span<const Prefix> ordered);

// Ordered, without duplicates and without prefixes inside another.
std::vector<Prefix> without_contained(std::vector<Prefix> prefixes);

// The given prefixes split so that any two of the result are disjoint, and every given prefix is a
// union of some of them. Ordered.
std::vector<Prefix> disjoint_parts(std::vector<Prefix> prefixes);

}  // namespace espalier::dataplane::userspace
