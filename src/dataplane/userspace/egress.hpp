// TUN to UDP: read, find policy and SA, take super-packets apart, seal, send. Packets of one turn
// wait in one arena, laid so that equal ESP packets to one peer stand side by side and leave in one
// segmented send.
#pragma once

#include "dataplane/userspace/segment.hpp"
#include "dataplane/userspace/sender.hpp"
#include "dataplane/userspace/shared.hpp"

namespace espalier::dataplane::userspace {

class Egress {
 public:
  Egress(Shared& shared, crypto::Rng& rng);

  // Reads a bounded number of packets and sends what becomes of them. False: the device is gone for
  // good.
  bool turn();

 private:
  struct Meta {
    OutSa* sa = nullptr;
    std::uint8_t traffic_class = 0;
  };

  void take(const VnetHeader& header, ByteView packet);
  OutSa* find_sa(const Flow& flow);
  void append(Segmenter& segments, OutSa& sa, std::uint8_t next_header, std::uint8_t traffic_class);
  void flush();
  std::size_t seal_run(std::size_t from, std::size_t to);

  Shared& shared_;
  crypto::Rng& rng_;
  Sender sender_;
  Bytes input_;
  Bytes arena_;
  std::size_t used_ = 0;  // octets of the arena
  std::size_t turn_octets_ = 0;
  std::vector<esp::SealPacket> packets_;
  std::vector<Meta> meta_;
};

}  // namespace espalier::dataplane::userspace
