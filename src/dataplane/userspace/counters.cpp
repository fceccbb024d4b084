#include "dataplane/userspace/counters.hpp"

#include <algorithm>
#include <cerrno>

namespace espalier::dataplane::userspace {

std::string_view name(Counter counter) {
  switch (counter) {
    case Counter::kInPackets: return "in-packets";
    case Counter::kInBadIcv: return "in-bad-icv";
    case Counter::kInBadNextHeader: return "in-bad-next-header";
    case Counter::kInBadPadding: return "in-bad-padding";
    case Counter::kInBehindWindow: return "in-behind-window";
    case Counter::kInDummy: return "in-dummy";
    case Counter::kInEcnDropped: return "in-ecn-dropped";
    case Counter::kInIke: return "in-ike";
    case Counter::kInIkeDropped: return "in-ike-dropped";
    case Counter::kInKeepalive: return "in-keepalive";
    case Counter::kInMalformed: return "in-malformed";
    case Counter::kInReceiveErrors: return "in-receive-errors";
    case Counter::kInReplayed: return "in-replayed";
    case Counter::kInSaExpired: return "in-sa-expired";
    case Counter::kInSelectorMismatch: return "in-selector-mismatch";
    case Counter::kInTruncated: return "in-truncated";
    case Counter::kInTunWriteErrors: return "in-tun-write-errors";
    case Counter::kInTunWrites: return "in-tun-writes";
    case Counter::kInUnknownSpi: return "in-unknown-spi";
    case Counter::kOutGsoRefused: return "out-gso-refused";
    case Counter::kOutMalformed: return "out-malformed";
    case Counter::kOutNoPolicy: return "out-no-policy";
    case Counter::kOutNoSa: return "out-no-sa";
    case Counter::kOutPackets: return "out-packets";
    case Counter::kOutSaExpired: return "out-sa-expired";
    case Counter::kOutSendBufferFull: return "out-send-buffer-full";
    case Counter::kOutSendDenied: return "out-send-denied";
    case Counter::kOutSendErrors: return "out-send-errors";
    case Counter::kOutSendNoBuffers: return "out-send-no-buffers";
    case Counter::kOutSendTooBig: return "out-send-too-big";
    case Counter::kOutSendUnreachable: return "out-send-unreachable";
    case Counter::kOutSends: return "out-sends";
    case Counter::kOutTunReadErrors: return "out-tun-read-errors";
    case Counter::kEventsDropped: return "events-dropped";
  }
  return "unknown";
}

std::vector<std::pair<std::string, std::uint64_t>> Counters::list() const {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (std::size_t i = 0; i < kCounters; ++i) {
    out.emplace_back(name(static_cast<Counter>(i)), values_[i]);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Counter send_error(int error) {
  switch (error) {
    case EMSGSIZE: return Counter::kOutSendTooBig;
    case ENOBUFS:
    case ENOMEM: return Counter::kOutSendNoBuffers;
    case EPERM:
    case EACCES: return Counter::kOutSendDenied;
    case EAGAIN: return Counter::kOutSendBufferFull;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ECONNREFUSED: return Counter::kOutSendUnreachable;
    default: return Counter::kOutSendErrors;
  }
}

}  // namespace espalier::dataplane::userspace
