#include "dataplane/userspace/ingress.hpp"

#include <netinet/udp.h>

#include <cerrno>
#include <cstring>

#include "dataplane/userspace/ecn.hpp"
#include "dataplane/userspace/limits.hpp"
#include "dataplane/userspace/sockaddr.hpp"
#include "wire/esp/header.hpp"
#include "wire/ip/packet.hpp"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace espalier::dataplane::userspace {
namespace {

Counter counter_of(esp::OpenResult result) {
  switch (result) {
    case esp::OpenResult::kOpened: return Counter::kInPackets;
    case esp::OpenResult::kMalformed: return Counter::kInMalformed;
    case esp::OpenResult::kReplayed: return Counter::kInReplayed;
    case esp::OpenResult::kBehindWindow: return Counter::kInBehindWindow;
    case esp::OpenResult::kBadIcv: return Counter::kInBadIcv;
    case esp::OpenResult::kBadPadding: return Counter::kInBadPadding;
    case esp::OpenResult::kBadNextHeader: return Counter::kInBadNextHeader;
    case esp::OpenResult::kDummy: return Counter::kInDummy;
  }
  return Counter::kInMalformed;
}

template <class T>
T value_of(const cmsghdr* control) {
  T out{};
  std::memcpy(&out, CMSG_DATA(control), sizeof(T));
  return out;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage name{};
  socklen_t octets = sizeof(name);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &octets) != 0) return 0;
  return from_sockaddr(name).port;
}

}  // namespace

Ingress::Ingress(Shared& shared)
    : shared_(shared),
      coalescer_(*this),
      controls_(kIngressMessages),
      names_(kIngressMessages),
      vectors_(kIngressMessages),
      headers_(kIngressMessages),
      arrivals_(kIngressMessages) {
  for (std::size_t i = 0; i < kIngressMessages; ++i) buffers_.emplace_back(kIngressBufferOctets);
  udp4_port_ = port_of(shared.udp4_fd);
  udp6_port_ = port_of(shared.udp6_fd);
  packets_.reserve(kIngressPackets);
  meta_.reserve(kIngressPackets);
}

Ingress::Arrival Ingress::read_arrival(const msghdr& header, std::size_t octets) const {
  Arrival out;
  out.remote = from_sockaddr(*static_cast<const sockaddr_storage*>(header.msg_name));
  out.local = {IpAddress::any(out.remote.ip.family()),
               out.remote.ip.is_v4() ? udp4_port_ : udp6_port_};
  out.segment = octets;
  auto* mutable_header = const_cast<msghdr*>(&header);
  for (cmsghdr* at = CMSG_FIRSTHDR(mutable_header); at != nullptr;
       at = CMSG_NXTHDR(mutable_header, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      out.local.ip = from_in_addr(value_of<in_pktinfo>(at).ipi_addr);
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      out.local.ip = from_in6_addr(value_of<in6_pktinfo>(at).ipi6_addr);
    } else if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) {
      out.traffic_class = value_of<std::uint8_t>(at);
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_TCLASS) {
      out.traffic_class = static_cast<std::uint8_t>(value_of<int>(at));
    } else if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
      const int segment = value_of<int>(at);
      if (segment > 0) out.segment = static_cast<std::size_t>(segment);
    }
  }
  return out;
}

void Ingress::turn(int fd) {
  for (std::size_t i = 0; i < kIngressMessages; ++i) {
    vectors_[i] = {buffers_[i].data(), buffers_[i].size()};
    msghdr& header = headers_[i].msg_hdr;
    header = {};
    header.msg_name = &names_[i];
    header.msg_namelen = sizeof(names_[i]);
    header.msg_iov = &vectors_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].octets.data();
    header.msg_controllen = controls_[i].octets.size();
  }
  const int got = ::recvmmsg(fd, headers_.data(), kIngressMessages, MSG_DONTWAIT, nullptr);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) shared_.counters.add(Counter::kInReceiveErrors);
    return;
  }
  ike_this_turn_ = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    const MutableByteView whole = MutableByteView(buffers_[i]).first(headers_[i].msg_len);
    if ((headers_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      shared_.counters.add(Counter::kInTruncated);
      continue;
    }
    arrivals_[i] = read_arrival(headers_[i].msg_hdr, whole.size());
    for (std::size_t offset = 0; offset < whole.size(); offset += arrivals_[i].segment) {
      take(whole.subspan(offset, std::min(arrivals_[i].segment, whole.size() - offset)),
           arrivals_[i]);
    }
  }
  open_all();
  coalescer_.flush();
}

void Ingress::take(MutableByteView datagram, const Arrival& arrival) {
  switch (wire::esp::classify(datagram)) {
    case wire::esp::UdpPayload::kIke:
      take_ike(datagram.subspan(wire::esp::kNonEspMarkerOctets), arrival);
      return;
    case wire::esp::UdpPayload::kKeepalive: shared_.counters.add(Counter::kInKeepalive); return;
    case wire::esp::UdpPayload::kMalformed: shared_.counters.add(Counter::kInMalformed); return;
    case wire::esp::UdpPayload::kEsp: break;
  }
  const auto header = wire::esp::parse_header(datagram);
  if (!header) {
    shared_.counters.add(Counter::kInMalformed);
    return;
  }
  const Spi spi = header->spi;
  InSa* sa = shared_.table.inbound(spi);
  if (sa == nullptr || sa->dead) {
    unknown_spi(spi, arrival);
    return;
  }
  if (packets_.size() == kIngressPackets) open_all();
  packets_.push_back({datagram});
  meta_.push_back({sa, &arrival});
}

void Ingress::take_ike(ByteView message, const Arrival& arrival) {
  if (++ike_this_turn_ > kIkeDatagramsPerTurn) {
    shared_.counters.add(Counter::kInIkeDropped);
    return;
  }
  shared_.counters.add(Counter::kInIke);
  ike_.push_back({arrival.local, arrival.remote, to_vector(message)});
}

void Ingress::unknown_spi(Spi spi, const Arrival& arrival) {
  shared_.counters.add(Counter::kInUnknownSpi);
  if (shared_.now - unknown_second_ >= 1s) {
    unknown_second_ = shared_.now;
    unknown_in_second_ = 0;
  }
  if (++unknown_in_second_ > kUnknownSpiEventsPerSecond) return;
  shared_.events.push_back(UnknownSpi{spi, arrival.remote});
}

void Ingress::open_all() {
  for (std::size_t from = 0; from < packets_.size();) {
    std::size_t to = from + 1;
    while (to < packets_.size() && meta_[to].sa == meta_[from].sa) ++to;
    finish_run(from, to);
    from = to;
  }
  packets_.clear();
  meta_.clear();
}

// Packets from..to-1 are of one SA.
void Ingress::finish_run(std::size_t from, std::size_t to) {
  InSa& sa = *meta_[from].sa;
  const std::uint64_t left = sa.dead ? 0 : sa.packets_left();
  if (left < to - from) {
    shared_.counters.add(Counter::kInSaExpired, to - from - left);
    to = from + static_cast<std::size_t>(left);
  }
  sa.esp.open(std::span(packets_).subspan(from, to - from));
  std::uint64_t packets = 0, octets = 0;
  for (std::size_t i = from; i < to; ++i) {
    if (!finish(packets_[i], meta_[i])) continue;
    ++packets;
    octets += packets_[i].payload.size();
  }
  if (packets > 0 && sa.tell_first) {
    sa.tell_first = false;
    shared_.events.push_back(FirstPacket{sa.key});
  }
  shared_.account(sa, packets, octets);
}

// True: the packet counts as traffic of its SA. It is handed to the coalescer, or its drop is
// counted.
bool Ingress::finish(esp::OpenPacket& packet, const Meta& meta) {
  const bool authentic =
      packet.result == esp::OpenResult::kOpened || packet.result == esp::OpenResult::kDummy;
  if (authentic) check_address(packet, meta);
  if (packet.result != esp::OpenResult::kOpened) {
    shared_.counters.add(counter_of(packet.result));
    return false;
  }
  const auto flow = parse_flow(packet.payload);
  if (!flow || flow->source.is_v4() != (packet.next_header == wire::ip::kProtocolIpv4)) {
    shared_.counters.add(Counter::kInMalformed);
    return false;
  }
  // RFC 4301 section 5.2 step 4: the packet must be one that this SA is for.
  if (!matches_inbound(meta.sa->local_ts, meta.sa->remote_ts, *flow)) {
    shared_.counters.add(Counter::kInSelectorMismatch);
    return false;
  }
  packet.payload = packet.payload.first(
      flow->octets);  // what is behind it is TFC padding (RFC 4303 section 2.7)
  if (!decapsulate_ecn(packet.payload, flow->traffic_class, meta.arrival->traffic_class)) {
    shared_.counters.add(Counter::kInEcnDropped);
    return false;
  }
  coalescer_.add(packet.payload);
  return true;
}

// Only a packet that moved the window tells where the peer is now: an old one, delayed or repeated
// by somebody else, does not (RFC 7296 section 2.23).
void Ingress::check_address(const esp::OpenPacket& packet, const Meta& meta) {
  if (!packet.newest || meta.arrival->remote == meta.sa->remote) return;
  if (shared_.may_tell(meta.sa->moved_sent)) {
    shared_.events.push_back(PeerMoved{meta.sa->key, meta.arrival->remote});
  }
}

void Ingress::deliver(const VnetHeader& header, std::span<const ByteView> pieces) {
  std::array<std::uint8_t, VnetHeader::kOctets> vnet{};
  header.write(vnet.data());
  std::array<iovec, kCoalescePieces + 1> vectors;
  vectors[0] = {vnet.data(), vnet.size()};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    vectors[i + 1] = {const_cast<std::uint8_t*>(pieces[i].data()), pieces[i].size()};
  }
  for (;;) {
    if (::writev(shared_.tun_fd, vectors.data(), static_cast<int>(pieces.size() + 1)) >= 0) {
      shared_.counters.add(Counter::kInTunWrites);
      shared_.counters.add(Counter::kInPackets, pieces.size());
      return;
    }
    if (errno != EINTR) break;
  }
  shared_.counters.add(Counter::kInTunWriteErrors);
}

}  // namespace espalier::dataplane::userspace
