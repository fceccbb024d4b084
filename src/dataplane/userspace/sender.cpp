#include "dataplane/userspace/sender.hpp"

#include <netinet/udp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace espalier::dataplane::userspace {
namespace {

// A full send buffer is waited for once a batch and so long: TCP above likes a short stall better
// than loss.
constexpr int kSendWaitMs = 2;

// Appends one control message; returns the octets used.
template <class T>
std::size_t put_control(std::uint8_t* at, int level, int type, const T& value) {
  cmsghdr header{};
  header.cmsg_level = level;
  header.cmsg_type = type;
  header.cmsg_len = CMSG_LEN(sizeof(T));
  std::memcpy(at, &header, sizeof(header));
  std::memcpy(at + CMSG_LEN(0), &value, sizeof(T));
  return CMSG_SPACE(sizeof(T));
}

std::size_t put_source(std::uint8_t* at, const IpAddress& local) {
  if (local.is_unspecified()) return 0;  // the kernel chooses
  const ByteView octets = local.bytes();
  if (local.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, octets.data(), octets.size());
    return put_control(at, IPPROTO_IP, IP_PKTINFO, info);
  }
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, octets.data(), octets.size());
  return put_control(at, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

std::size_t put_class(std::uint8_t* at, bool v4, std::uint8_t traffic_class) {
  if (traffic_class == 0) return 0;
  const int value = traffic_class;
  return v4 ? put_control(at, IPPROTO_IP, IP_TOS, value)
            : put_control(at, IPPROTO_IPV6, IPV6_TCLASS, value);
}

}  // namespace

Sender::Sender(Shared& shared)
    : shared_(shared),
      messages_(kEgressMessages),
      headers_(kEgressMessages),
      vectors_(kEgressMessages),
      controls_(kEgressMessages) {}

bool Sender::extend(OutSa& sa, ByteView packet, std::uint8_t traffic_class) {
  if (used_ == 0) return false;
  Message& last = messages_[used_ - 1];
  if (last.sa != &sa || last.traffic_class != traffic_class || last.closed) return false;
  if (last.start + last.octets != packet.data() || packet.size() > last.segment) return false;
  if (last.count == kMaxGsoSegments || last.octets + packet.size() > kMaxGsoOctets) return false;
  if (last.segment >= sa.gso_refused) return false;
  last.octets += packet.size();
  last.closed = packet.size() < last.segment;
  ++last.count;
  return true;
}

void Sender::add(OutSa& sa, ByteView packet, std::uint8_t traffic_class) {
  if (sa.gso_refused != SIZE_MAX && shared_.now >= sa.gso_retry) sa.gso_refused = SIZE_MAX;
  if (extend(sa, packet, traffic_class)) return;
  if (used_ == kEgressMessages) flush();
  messages_[used_++] = {&sa, traffic_class, packet.data(), packet.size(), packet.size(), 1, false};
}

void Sender::prepare(std::size_t index) {
  const Message& message = messages_[index];
  vectors_[index] = {const_cast<std::uint8_t*>(message.start), message.octets};
  std::uint8_t* const control = controls_[index].octets.data();
  const bool v4 = message.sa->remote.ip.is_v4();
  std::size_t octets = put_source(control, message.sa->local.ip);
  octets += put_class(control + octets, v4, message.traffic_class);
  if (message.count > 1) {
    octets += put_control(control + octets, IPPROTO_UDP, UDP_SEGMENT,
                          static_cast<std::uint16_t>(message.segment));
  }
  msghdr& header = headers_[index].msg_hdr;
  header = {};
  header.msg_name = &message.sa->to;
  header.msg_namelen = message.sa->to_octets;
  header.msg_iov = &vectors_[index];
  header.msg_iovlen = 1;
  header.msg_control = octets > 0 ? control : nullptr;
  header.msg_controllen = octets;
}

void Sender::count_sent(const Message& message) {
  shared_.counters.add(Counter::kOutSends);
  shared_.counters.add(Counter::kOutPackets, message.count);
}

// The kernel takes no segmented send when a segment does not fit the route's MTU (EINVAL, EMSGSIZE)
// or when the device cannot (EIO); the packets one by one are fragmented or sent as they are.
void Sender::refused(const Message& message, int error) {
  const bool gso_failed =
      message.count > 1 && (error == EINVAL || error == EMSGSIZE || error == EIO);
  if (!gso_failed) {
    shared_.counters.add(send_error(error), message.count);
    return;
  }
  shared_.counters.add(Counter::kOutGsoRefused);
  message.sa->gso_refused = error == EIO ? 0 : std::min(message.sa->gso_refused, message.segment);
  message.sa->gso_retry = shared_.now + Duration(kGsoRetryNs);
  send_one_by_one(message);
}

void Sender::send_one_by_one(const Message& message) {
  const std::size_t index = static_cast<std::size_t>(&message - messages_.data());
  const int fd = shared_.udp_fd(message.sa->remote.ip.family());
  Message one = message;
  Message& slot = messages_[index];
  for (std::size_t offset = 0; offset < one.octets; offset += one.segment) {
    const std::size_t octets = std::min(one.segment, one.octets - offset);
    slot = {one.sa, one.traffic_class, one.start + offset, octets, octets, 1, true};
    prepare(index);
    if (::sendmsg(fd, &headers_[index].msg_hdr, MSG_DONTWAIT) < 0) {
      shared_.counters.add(send_error(errno));
    } else {
      count_sent(slot);
    }
  }
}

void Sender::send_family(int fd, std::size_t from, std::size_t to) {
  if (fd < 0) {
    for (; from < to; ++from)
      shared_.counters.add(Counter::kOutSendUnreachable, messages_[from].count);
    return;
  }
  for (std::size_t i = from; i < to; ++i) prepare(i);
  bool waited = false;
  while (from < to) {
    const int sent =
        ::sendmmsg(fd, &headers_[from], static_cast<unsigned>(to - from), MSG_DONTWAIT);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i) count_sent(messages_[from++]);
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EAGAIN && !waited) {
      waited = true;
      pollfd writable{fd, POLLOUT, 0};
      ::poll(&writable, 1, kSendWaitMs);
      continue;
    }
    refused(messages_[from++], error);
  }
}

void Sender::flush() {
  for (std::size_t from = 0; from < used_;) {
    const Family family = messages_[from].sa->remote.ip.family();
    std::size_t to = from + 1;
    while (to < used_ && messages_[to].sa->remote.ip.family() == family) ++to;
    send_family(shared_.udp_fd(family), from, to);
    from = to;
  }
  used_ = 0;
}

}  // namespace espalier::dataplane::userspace
