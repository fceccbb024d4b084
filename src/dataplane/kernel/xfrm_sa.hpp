// SAs in the kernel's words (include/uapi/linux/xfrm.h): SaSpec to XFRM_MSG_NEWSA, and what dumps
// and events say back. Pure: octets in, octets out.
#pragma once

#include <linux/xfrm.h>

#include "dataplane/netlink.hpp"
#include "dataplane/port.hpp"

namespace espalier::dataplane::kernel {

// Ours are told by these reqids, whoever made the daemon that made them (ARCHITECTURE.md).
inline constexpr std::uint32_t kReqIdFirst = 0xE5000000;
inline constexpr std::uint32_t kReqIdLast = 0xE5FFFFFF;
// Of SAs with manual keys, and their policies.
inline constexpr std::uint32_t kManualReqIdFirst = 0xE5E00000;
inline constexpr std::uint32_t kManualReqIdLast = 0xE5EFFFFF;
inline bool is_manual(std::uint32_t reqid) {
  return reqid >= kManualReqIdFirst && reqid <= kManualReqIdLast;
}
// Of closed policies, which no SA ever has; those of IKE's SAs are counted from below.
inline constexpr std::uint32_t kClosedReqIdFirst = 0xE5F00000;
// Of exceptions.
inline constexpr std::uint32_t kClearReqIdFirst = 0xE5F80000;
inline bool is_ours(std::uint32_t reqid) { return reqid >= kReqIdFirst && reqid <= kReqIdLast; }

// Packets; what the kernel takes at most (XFRMA_REPLAY_ESN_MAX is 4096 bits).
inline constexpr std::uint32_t kReplayWindowMax = 4096;

xfrm_address_t to_kernel(const IpAddress& address);
IpAddress from_kernel(const xfrm_address_t& address, std::uint16_t family);

// Where an outbound SA goes on counting (its highest sequence number used), or what an inbound one
// has received.
struct ReplayState {
  bool esn = false;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::vector<std::uint32_t> bitmap;
};

// XFRM_MSG_NEWSA into `message` (of that type). With `resume` the SA goes on where another left
// off. Errors: kUnsupported for a suite without a name in the kernel, or a window beyond
// kReplayWindowMax.
Status put_sa(NetlinkMessage& message, const SaSpec& sa, const ReplayState* resume = nullptr);

// XFRMA_MARK of an SA or of a policy, which is part of its name.
void put_mark(NetlinkMessage& message, const std::optional<policy::Mark>& mark);
std::optional<policy::Mark> read_mark(const Attributes& all);
std::uint32_t read_if_id(const Attributes& all);
// Those of a spec's SA.
std::optional<policy::Mark> mark_of(const SaSpec& sa);
std::uint32_t if_id_of(const SaSpec& sa);

// XFRM_MSG_DELSA and XFRM_MSG_GETSA: by destination, SPI, protocol and mark.
struct SaId {
  IpAddress destination;
  Spi spi;
  std::optional<policy::Mark> mark{};
};
void put_sa_id(NetlinkMessage& message, const SaId& id);

// A kernel SA as it stands, with another soft limit of packets: into `message`, an XFRM_MSG_UPDSA,
// which also lets it expire softly once more. Errors: kSystem for what is no SA.
Status put_soft_packets(NetlinkMessage& message, const nlmsghdr& from,
                        std::optional<std::uint64_t> soft_packets);

// A kernel SA as it stands, keys and counters included, with other outer addresses: into `message`,
// an XFRM_MSG_NEWSA or XFRM_MSG_UPDSA. skip: how far ahead an outbound SA goes on counting, for
// packets that it sends until it is replaced (their numbers must never be used again). Errors:
// kLimit when the numbers do not suffice for that.
struct Moved {
  Direction direction = Direction::kIn;
  SocketAddress local, remote;
  std::uint32_t skip = 0;
  bool udp_encap = true;
};
Status put_moved_sa(NetlinkMessage& message, const nlmsghdr& from, const Moved& moved);

// XFRM_MSG_ACQUIRE: the reqid of the policy's template, and the larval SA that goes with it.
struct KernelAcquire {
  std::uint32_t reqid = 0;
  IpAddress destination;
  std::uint32_t seq = 0;
  std::optional<policy::Mark> mark{};
  std::uint32_t if_id = 0;
};

// One SA of a dump, of an answer or of an event.
struct KernelSa {
  Spi spi;
  IpAddress source, destination;
  std::uint32_t reqid = 0;
  policy::Mode mode = policy::Mode::kTunnel;
  bool udp_encap = false;
  std::uint16_t source_port = 0, destination_port = 0;  // 0 without encapsulation
  std::uint64_t bytes = 0, packets = 0;
  std::uint64_t last_used = 0;  // seconds since 1970; 0: never
  ReplayState replay;
  std::uint32_t seq = 0;  // of the acquire that it answers
  // What the kernel made when it raised an acquire: no SA yet, and no SPI. It asks no more for the
  // same while it has it.
  bool larval() const { return spi.value == 0; }
  std::optional<IpAddress> flow_source, flow_destination;  // of a larval one: the packet's
  std::uint32_t if_id = 0;
  std::optional<policy::Mark> mark;
  SaId id() const { return {destination, spi, mark}; }
  KernelAcquire acquire() const { return {reqid, destination, seq, mark, if_id}; }
};
// Nothing for what is not ESP over IPv4 or IPv6.
std::optional<KernelSa> parse_sa(const nlmsghdr& header);

// XFRM_MSG_EXPIRE: which SA, and whether it is dead.
struct KernelExpire {
  KernelSa sa;
  bool hard = false;
};
std::optional<KernelExpire> parse_expire(const nlmsghdr& header);

std::optional<KernelAcquire> parse_acquire(const nlmsghdr& header);

// XFRM_MSG_ALLOCSPI: gives a larval SA an SPI, which the answer has, so that it can be removed.
void put_larval_spi(NetlinkMessage& message, const KernelAcquire& larval);

// XFRM_MSG_NEWSA, UPDSA and DELSA as the group hears them; nothing for another program's.
std::optional<KernelSa> parse_sa_change(const nlmsghdr& header);

// XFRM_MSG_MAPPING: an authentic packet came from another address or port.
struct KernelMapping {
  Spi spi;
  IpAddress destination;
  SocketAddress from;
};
std::optional<KernelMapping> parse_mapping(const nlmsghdr& header);

}  // namespace espalier::dataplane::kernel
