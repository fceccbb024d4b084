// The plane-wide counters: what came, what went, and each reason for which a packet did not.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace espalier::dataplane::userspace {

enum class Counter : std::uint8_t {
  kInPackets,  // delivered to the TUN device
  kInBadIcv,
  kInBadNextHeader,
  kInBadPadding,
  kInBehindWindow,
  kInDummy,
  kInEcnDropped,  // RFC 6040: CE outside, no ECN inside
  kInIke,         // handed to the control thread
  kInIkeDropped,  // its queue was full
  kInKeepalive,   // RFC 3948 section 2.3
  kInMalformed,
  kInReceiveErrors,  // recvmmsg
  kInReplayed,
  kInSaExpired,         // a hard limit
  kInSelectorMismatch,  // decrypted, but outside the SA's traffic selectors
  kInTruncated,
  kInTunWriteErrors,
  kInTunWrites,  // super-packets count once
  kInUnknownSpi,
  kOutGsoRefused,  // a segmented send that was repeated packet by packet
  kOutMalformed,   // from the TUN device, not a packet we can read
  kOutNoPolicy,
  kOutNoSa,
  kOutPackets,    // handed to the network
  kOutSaExpired,  // a hard limit, or no sequence number left
  kOutSendBufferFull,
  kOutSendDenied,       // EPERM, EACCES: a firewall rule
  kOutSendErrors,       // any other
  kOutSendNoBuffers,    // ENOBUFS, ENOMEM
  kOutSendTooBig,       // EMSGSIZE
  kOutSendUnreachable,  // no route, network or host unreachable
  kOutSends,            // messages given to sendmmsg; segmented ones count once
  kOutTunReadErrors,
  kEventsDropped,
};
inline constexpr std::size_t kCounters = static_cast<std::size_t>(Counter::kEventsDropped) + 1;

std::string_view name(Counter counter);  // "in-bad-icv"

class Counters {
 public:
  void add(Counter counter, std::uint64_t count = 1) {
    values_[static_cast<std::size_t>(counter)] += count;
  }
  std::uint64_t get(Counter counter) const { return values_[static_cast<std::size_t>(counter)]; }
  std::vector<std::pair<std::string, std::uint64_t>> list() const;  // ordered by name

 private:
  std::array<std::uint64_t, kCounters> values_{};
};

// Which counter an errno of a send belongs to.
Counter send_error(int error);

}  // namespace espalier::dataplane::userspace
