// Receiving: ESP packets back to payloads, in place and in batches (RFC 4303 section 3.4).
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "esp/replay_window.hpp"
#include "esp/sa_parameters.hpp"
#include "esp/shape.hpp"

namespace espalier::esp {

enum class OpenResult : std::uint8_t {
  kOpened,
  kMalformed,      // too short, or not a multiple of the cipher's block
  kReplayed,       // seen before
  kBehindWindow,   // older than the window, or before the first packet
  kBadIcv,         // not authentic
  kBadPadding,     // authentic, but the padding is not 1, 2, 3, ... or longer than the packet
  kBadNextHeader,  // authentic, but a tunnel's payload is neither IPv4 nor IPv6
  kDummy,  // next header 59: traffic flow confidentiality; to be dropped in silence (section 2.6)
};
inline constexpr std::size_t kOpenResults = 8;
std::string_view name(OpenResult result);  // "bad-icv"; a label for counters

struct OpenPacket {
  MutableByteView packet;  // whole ESP packet from the SPI on; decrypted in place
  // Set by open():
  OpenResult result = OpenResult::kMalformed;
  bool newest = false;  // kOpened, kDummy: it moved the window on (may tell of a new peer address)
  std::uint8_t next_header = 0;  // kOpened
  MutableByteView payload{};     // kOpened: within packet; may end in TFC padding (section 2.7)
  std::uint64_t sequence = 0;    // as inferred
};

class InboundSa {
 public:
  // Errors: kInvalidArgument, kUnsupported.
  static Result<InboundSa> make(const SaParameters& parameters);

  const Shape& shape() const { return shape_; }
  Spi spi() const { return spi_; }

  // The SPI of every packet must be this SA's. In order: form and window are checked (cheap), the
  // ICV is verified, then only is the window moved and checked again (a batch may hold the same
  // packet twice), then the trailer. Any batch size, any octets; no allocation.
  void open(std::span<OpenPacket> batch);

  // How many packets ended in each result.
  const std::array<std::uint64_t, kOpenResults>& counters() const { return counters_; }
  const ReplayWindow& window() const { return window_; }

 private:
  explicit InboundSa(ReplayWindow window) : window_(std::move(window)) {}
  bool precheck(OpenPacket& packet) const;
  void open_chunk(std::span<OpenPacket> chunk);
  void finish(OpenPacket& packet);

  std::unique_ptr<crypto::Cipher> cipher_;
  Shape shape_;
  Spi spi_;
  ReplayWindow window_;
  std::size_t block_ = 1;
  bool esn_ = false;
  bool aead_ = true;
  bool tunnel_ = true;
  bool anti_replay_ = true;
  std::array<std::uint64_t, kOpenResults> counters_{};
};

}  // namespace espalier::esp
