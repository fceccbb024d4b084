// Limits of the config room. A file is written by its owner, but it may also be the wrong file, or
// a damaged one.
#pragma once

#include <cstddef>

namespace espalier::config {

// Octets of a whole inventory: 4096 hosts with every setting written out stay below this.
inline constexpr std::size_t kMaxFileOctets = 4u << 20;
// Nested maps and lists. mesh.yaml needs five (hosts, NAME, lifetimes, ...); the parser recurses.
inline constexpr std::size_t kMaxDepth = 16;
// Nodes of the parsed tree.
inline constexpr std::size_t kMaxNodes = 500'000;
// A full mesh of n hosts has n - 1 connections on each host; beyond this a mesh wants `start: trap`
// and more.
inline constexpr std::size_t kMaxHosts = 4096;
inline constexpr std::size_t kMaxForeign = 16384;
inline constexpr std::size_t kMaxPairs = 65536;
// Somebody carries each of their keys from host to host.
inline constexpr std::size_t kMaxManual = 1024;
// Periods of keys of one manual tunnel: all of them are received with at once.
inline constexpr std::size_t kMaxManualPeriods = 8;
inline constexpr std::size_t kMaxGroups = 1024;
// RFC 7296 section 3.13: at most 255 selectors in a TS payload, and a host's own addresses are
// selectors too.
inline constexpr std::size_t kMaxAddresses = 16;
inline constexpr std::size_t kMaxSubnets = 200;
// RFC 7296 section 3.3.1 numbers proposals in one octet; nobody needs as many.
inline constexpr std::size_t kMaxProposals = 32;
// Of `except` and of `only`, words taken apart. Each is a handful of kernel policies for every
// pair.
inline constexpr std::size_t kMaxServices = 64;
// The id of a post-quantum preshared key. RFC 8784 section 5.1 gives no bound; it is one notify's
// data.
inline constexpr std::size_t kMaxPpkId = 64;
// Of a network device: IFNAMSIZ of Linux without its last octet.
inline constexpr std::size_t kMaxDeviceName = 15;
// Faults reported of one file; whoever has this many fixes some and looks again.
inline constexpr std::size_t kMaxDiagnostics = 100;

}  // namespace espalier::config
