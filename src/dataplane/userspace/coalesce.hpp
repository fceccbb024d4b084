// Joins TCP segments that follow each other into the super-packet that a TUN device takes in one
// write: the reverse of Segmenter, and only where taking it apart again gives the same octets.
// Pure: no octet of payload moves, the pieces point into the packets.
#pragma once

#include <array>
#include <span>

#include "base/bytes.hpp"
#include "dataplane/userspace/limits.hpp"
#include "dataplane/userspace/vnet.hpp"

namespace espalier::dataplane::userspace {

// Where packets go. The pieces, one behind the other, are the IP packet.
class PacketSink {
 public:
  virtual ~PacketSink() = default;
  virtual void deliver(const VnetHeader& header, std::span<const ByteView> pieces) = 0;
};

class Coalescer {
 public:
  explicit Coalescer(PacketSink& sink) : sink_(sink) {}

  // Takes one whole IP packet (no octets behind it). Its memory must stay, unchanged by others,
  // until flush(); the headers in it may be rewritten. Packets of one flow leave in the order they
  // came in.
  void add(MutableByteView packet);
  // Delivers everything that is held.
  void flush();

 private:
  struct Segment;  // what add() reads from a packet
  struct Flow {
    bool used = false;
    std::uint64_t age = 0;
    bool v4 = true;
    std::size_t tcp = 0;  // where TCP begins
    std::size_t headers = 0;
    std::size_t size = 0;  // of the joined packet so far
    std::uint16_t gso_size = 0;
    std::uint16_t next_id = 0;  // IPv4
    std::uint32_t next_sequence = 0;
    MutableByteView first;  // the first packet, whole
    std::size_t count = 0;
    std::array<ByteView, kCoalescePieces> pieces;
  };

  static bool read(MutableByteView packet, Segment& out);
  static bool same_flow(const Flow& flow, const Segment& segment);
  static bool continues(const Flow& flow, const Segment& segment);
  void start(const Segment& segment);
  void join(Flow& flow, const Segment& segment);
  void deliver(Flow& flow);
  void deliver_alone(ByteView packet);

  PacketSink& sink_;
  std::uint64_t age_ = 0;
  std::array<Flow, kCoalesceFlows> flows_;
};

}  // namespace espalier::dataplane::userspace
