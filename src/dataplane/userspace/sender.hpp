// UDP out: runs of ESP packets of one size to one peer become one segmented message (UDP_SEGMENT),
// and all messages of a batch one sendmmsg. An error costs one message, never the batch.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "dataplane/userspace/limits.hpp"
#include "dataplane/userspace/shared.hpp"

namespace espalier::dataplane::userspace {

class Sender {
 public:
  explicit Sender(Shared& shared);

  // The packet must stay until flush(); the SA too.
  void add(OutSa& sa, ByteView packet, std::uint8_t traffic_class);
  void flush();

 private:
  // Room for PKTINFO, TOS or TCLASS, and UDP_SEGMENT.
  static constexpr std::size_t kControlOctets =
      CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(std::uint16_t));
  struct Message {
    OutSa* sa = nullptr;
    std::uint8_t traffic_class = 0;
    const std::uint8_t* start = nullptr;
    std::size_t octets = 0;
    std::size_t segment = 0;  // of all packets but the last, which may be shorter
    std::size_t count = 0;
    bool closed = false;  // its last packet was shorter: nothing may follow
  };
  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, kControlOctets> octets;
  };

  bool extend(OutSa& sa, ByteView packet, std::uint8_t traffic_class);
  void prepare(std::size_t index);
  void send_family(int fd, std::size_t from, std::size_t to);
  void refused(const Message& message, int error);
  void send_one_by_one(const Message& message);
  void count_sent(const Message& message);

  Shared& shared_;
  std::size_t used_ = 0;
  std::vector<Message> messages_;
  std::vector<mmsghdr> headers_;
  std::vector<iovec> vectors_;
  std::vector<Control> controls_;
};

}  // namespace espalier::dataplane::userspace
