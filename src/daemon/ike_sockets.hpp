// The UDP sockets of IKE: port 500 read here, port 4500 shared with the dataplane, which hands IKE
// over.
#pragma once

#include <array>
#include <vector>

#include "dataplane/userspace/fd.hpp"
#include "ike/core/io.hpp"

namespace espalier::daemon {

struct ReceivedDatagram {
  ike::Path path;
  Bytes bytes;
};

// What the dataplane needs of the sockets.
struct SocketUse {
  std::uint32_t fwmark = 0;  // 0: none
  // The kernel's ESP: policies do not hold these sockets' packets, the kernel takes ESP off port
  // 4500, and what is left there is read here.
  bool kernel_esp = false;
};

class IkeSockets {
 public:
  // Binds 500 and 4500 for both families (a host without IPv6 goes without). Errors: kBusy naming
  // who holds the port.
  static Result<IkeSockets> open(const SocketUse& use);

  // Sockets that another daemon opened the same way (socket_holder.hpp).
  static IkeSockets adopt(dataplane::userspace::Fd ike4, dataplane::userspace::Fd natt4,
                          dataplane::userspace::Fd ike6, dataplane::userspace::Fd natt6);

  // Sends one datagram; the non-ESP marker is added on port 4500 (RFC 3948 section 2.2). Errors:
  // kSystem. A datagram that cannot be sent is as good as lost: the protocol sends it again.
  Status send(const ike::Transmit& transmit) const;
  // What waits on port 500, at most max_datagrams.
  std::vector<ReceivedDatagram> receive(std::size_t max_datagrams) const;
  // What waits on port 4500 and has the non-ESP marker, which is taken off (RFC 3948 section 2.2).
  // Only where the kernel does ESP.
  std::vector<ReceivedDatagram> receive_natt(std::size_t max_datagrams) const;

  // SO_MARK on all of them, where whoever opened them had another idea. 0: they stay as they are.
  void mark(std::uint32_t fwmark) const;

  int ike4() const { return ike4_.get(); }
  int ike6() const { return ike6_.get(); }
  int natt4() const { return natt4_.get(); }
  int natt6() const { return natt6_.get(); }

 private:
  dataplane::userspace::Fd ike4_, ike6_, natt4_, natt6_;
};

}  // namespace espalier::daemon
