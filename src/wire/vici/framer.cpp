// The framing of a stream: four octets of length, then the packet.
#include <fmt/format.h>

#include "wire/vici/codec.hpp"
#include "wire/vici/limits.hpp"

namespace espalier::wire::vici {
namespace {

constexpr std::size_t kLengthOctets = 4;

}  // namespace

void Framer::push(ByteView octets) {
  if (error_) return;
  // What was handed out goes when it is the larger part, so that many small packets cost linear
  // time.
  if (start_ > buffer_.size() / 2) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(start_));
    start_ = 0;
  }
  buffer_.insert(buffer_.end(), octets.begin(), octets.end());
}

Result<std::optional<Bytes>> Framer::next() {
  if (error_) return *error_;
  Reader reader(ByteView(buffer_).subspan(start_));
  if (reader.remaining() < kLengthOctets) return std::optional<Bytes>();
  TRY_ASSIGN(const std::uint32_t length, reader.u32());
  if (length == 0 || length > kMaxPacketOctets) {
    error_ = length == 0
                 ? make_error(ErrorCode::kMalformed, "VICI stream: a packet of no octets")
                 : make_error(ErrorCode::kLimit,
                              fmt::format(
                                  "VICI stream: a packet of {} octets, and at most {} are accepted",
                                  length, kMaxPacketOctets));
    buffer_ = Bytes();
    start_ = 0;
    return *error_;
  }
  if (reader.remaining() < length) return std::optional<Bytes>();
  TRY_ASSIGN(const ByteView packet, reader.take(length));
  std::optional<Bytes> result(to_vector(packet));
  start_ += kLengthOctets + length;
  if (start_ == buffer_.size()) {
    buffer_.clear();
    start_ = 0;
  }
  return result;
}

}  // namespace espalier::wire::vici
