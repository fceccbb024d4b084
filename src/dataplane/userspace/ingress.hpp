// UDP to TUN: receive, tell ESP from IKE and keepalives (RFC 3948 section 2.2), open, check against
// the SA's selectors, join TCP segments, write.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

#include "dataplane/userspace/coalesce.hpp"
#include "dataplane/userspace/mailbox.hpp"
#include "dataplane/userspace/shared.hpp"

namespace espalier::dataplane::userspace {

class Ingress final : private PacketSink {
 public:
  explicit Ingress(Shared& shared);  // shared's descriptors are set

  // Receives one bounded batch from a socket and delivers it.
  void turn(int fd);
  // IKE datagrams since the last call, for the Outbox.
  std::vector<IkeDatagram>& ike() { return ike_; }

 private:
  // What came with a datagram, or with the datagrams that UDP_GRO joined.
  struct Arrival {
    SocketAddress local;
    SocketAddress remote;
    std::size_t segment = 0;
    std::uint8_t traffic_class = 0;
  };
  struct Meta {
    InSa* sa = nullptr;
    const Arrival* arrival = nullptr;
  };

  Arrival read_arrival(const msghdr& header, std::size_t octets) const;
  void take(MutableByteView datagram, const Arrival& arrival);
  void take_ike(ByteView message, const Arrival& arrival);
  void unknown_spi(Spi spi, const Arrival& arrival);
  void open_all();
  void finish_run(std::size_t from, std::size_t to);
  bool finish(esp::OpenPacket& packet, const Meta& meta);
  void check_address(const esp::OpenPacket& packet, const Meta& meta);
  void deliver(const VnetHeader& header, std::span<const ByteView> pieces) override;

  struct alignas(cmsghdr) Control {
    std::array<std::uint8_t, 256> octets;
  };

  Shared& shared_;
  Coalescer coalescer_;
  std::vector<Bytes> buffers_;
  std::vector<Control> controls_;
  std::vector<sockaddr_storage> names_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> headers_;
  std::vector<Arrival> arrivals_;
  std::vector<esp::OpenPacket> packets_;
  std::vector<Meta> meta_;
  std::vector<IkeDatagram> ike_;
  std::uint16_t udp4_port_ = 0;
  std::uint16_t udp6_port_ = 0;
  std::size_t ike_this_turn_ = 0;
  Instant unknown_second_{};
  unsigned unknown_in_second_ = 0;
};

}  // namespace espalier::dataplane::userspace
