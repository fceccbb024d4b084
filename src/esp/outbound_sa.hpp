// Sending: payloads to whole ESP packets, in place and in batches (RFC 4303 section 3.3).
#pragma once

#include <memory>
#include <span>

#include "crypto/rng.hpp"
#include "esp/limits.hpp"
#include "esp/sa_parameters.hpp"
#include "esp/shape.hpp"

namespace espalier::esp {

// One packet of a batch. The caller has laid the payload at packet[shape().headroom()], and packet
// ends where the ESP packet will: packet.size() == shape().esp_size(payload_octets).
struct SealPacket {
  MutableByteView packet;
  std::size_t payload_octets = 0;
  std::uint8_t next_header = 4;  // 4: IPv4, 41: IPv6 (tunnel); else the transport protocol
};

class OutboundSa {
 public:
  // Errors: kInvalidArgument, kUnsupported.
  static Result<OutboundSa> make(const SaParameters& parameters);

  const Shape& shape() const { return shape_; }
  Spi spi() const { return spi_; }

  // Turns the first n packets into ESP packets and returns n. n < batch.size() only when the
  // sequence numbers are used up: "the sender MUST NOT send a packet on an SA if doing so would
  // cause the sequence number to cycle" (section 3.3.3); the packets from n on are untouched. Any
  // batch size; no allocation.
  //
  // IVs. An AEAD's explicit IV is the 64-bit sequence number: unique for the life of the key, which
  // is all that RFC 4106 section 3.1 and RFC 7634 section 2 ask. CBC needs an unpredictable IV (RFC
  // 3602 section 3): all of a batch's IVs come from one call of rng, so that the cost is shared and
  // no second key is kept.
  std::size_t seal(std::span<SealPacket> batch, crypto::Rng& rng);

  // Packets that can still be sent.
  std::uint64_t remaining() const { return exhausted_ ? 0 : last_ - next_ + 1; }
  // The sequence number of the next packet; meaningless when remaining() is 0.
  std::uint64_t next_sequence() const { return next_; }

 private:
  OutboundSa() = default;
  void seal_chunk(std::span<SealPacket> chunk, crypto::Rng& rng);
  void write_frame(SealPacket& packet, std::uint64_t sequence) const;

  std::unique_ptr<crypto::Cipher> cipher_;
  Shape shape_;
  Spi spi_;
  std::uint64_t next_ = 1;
  std::uint64_t last_ = 0xffffffff;
  bool exhausted_ = false;
  bool wraps_ = false;  // "when it reaches the maximum value, the counter rolls over"
  bool esn_ = false;
  bool aead_ = true;
};

}  // namespace espalier::esp
