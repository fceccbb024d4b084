// Parts of the protection in nft's language (nft_rules.cpp).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dataplane/userspace/host_setup.hpp"

namespace espalier::dataplane::userspace {

// Any of local with any of remote.
struct PrefixPairs {
  std::vector<Prefix> local, remote;
};

// Elements "local . remote" of one family, disjoint; without own subnets on the remote side.
std::vector<std::string> elements(const HostNetwork& network, std::span<const PrefixPairs> pairs,
                                  Family family);

// The chains except_in and except_out: what they accept passes outside IPsec, and the mark leads it
// by the main table. Empty without exceptions. A rule for each exception, family and direction,
// however many pairs have it.
std::string exception_chains(const HostNetwork& network, unsigned generation);

}  // namespace espalier::dataplane::userspace
