// The limits of the userspace dataplane: all memory of the packet path is allocated from these at
// the start.
#pragma once

#include <cstddef>
#include <cstdint>

namespace espalier::dataplane::userspace {

// One read of the TUN device: an IP packet of the largest size behind its virtio-net header.
inline constexpr std::size_t kMaxIpOctets = 65535;

// A loop turn reads at most this many TUN packets, or this many octets of ESP output, before
// commands, IKE and the other direction get their turn: 1 to 2 ms at worst on the machines
// measured.
inline constexpr std::size_t kTunReadsPerTurn = 32;
inline constexpr std::size_t kEgressOctetsPerTurn = 512 * 1024;

// Outgoing ESP packets wait here for one sealing and one sendmmsg.
inline constexpr std::size_t kEgressArenaOctets = 256 * 1024;
inline constexpr std::size_t kEgressPackets = 512;
inline constexpr std::size_t kEgressMessages = 128;

// UDP_SEGMENT takes 64 segments in every kernel that has it (UDP_MAX_SEGMENTS; 128 since 6.9), and
// the super-packet must fit one UDP datagram.
inline constexpr std::size_t kMaxGsoSegments = 64;
inline constexpr std::size_t kMaxGsoOctets = 65000;

// recvmmsg: each buffer takes a datagram of any size, or what UDP_GRO joined.
inline constexpr std::size_t kIngressMessages = 16;
inline constexpr std::size_t kIngressBufferOctets = 65536;
// Datagrams of one turn; UDP_GRO joins at most 64.
inline constexpr std::size_t kIngressPackets = kIngressMessages * 64;

// TCP flows whose segments are being joined at one time, and segments of one joined packet.
inline constexpr std::size_t kCoalesceFlows = 16;
inline constexpr std::size_t kCoalescePieces = 64;

// IKE datagrams waiting for the control thread. Beyond it the oldest is dropped: retransmission
// brings it back, and a flood then cannot keep the newest from being seen. The second bounds the
// memory.
inline constexpr std::size_t kIkeDatagrams = 1024;
inline constexpr std::size_t kIkeOctets = 4 * 1024 * 1024;
// Of one turn, so that a flood of IKE does not stall ESP.
inline constexpr std::size_t kIkeDatagramsPerTurn = 256;

// Events that strangers or applications can cause: so many a second at most, all SAs together.
inline constexpr unsigned kUnknownSpiEventsPerSecond = 10;
// And per SA or policy: one in so many nanoseconds.
inline constexpr std::int64_t kEventPauseNs = 1'000'000'000;

// After the kernel refused a segment size (it does not fit the route's MTU), that size is sent
// without segmentation offload for so long; then it is tried again, since routes change.
inline constexpr std::int64_t kGsoRetryNs = 60'000'000'000;

}  // namespace espalier::dataplane::userspace
