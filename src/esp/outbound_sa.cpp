#include "esp/outbound_sa.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "esp/frame.hpp"

namespace espalier::esp {

Status check(const SaParameters& parameters) {
  if (parameters.replay_window == 0) {
    // What counts must not see a number again (RFC 4106 section 3.1, RFC 3686 section 7).
    if (parameters.esn || parameters.suite.encr != crypto::EncrId::kAesCbc) {
      return make_error(ErrorCode::kInvalidArgument,
                        fmt::format("SA {}: only CBC without ESN can do without anti-replay.",
                                    to_string(parameters.spi)));
    }
  } else if (parameters.replay_window < kMinReplayWindow ||
             parameters.replay_window > kMaxReplayWindow) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("SA {}: a replay window of {} packets is outside {} to {}.",
                                  to_string(parameters.spi), parameters.replay_window,
                                  kMinReplayWindow, kMaxReplayWindow));
  }
  const bool too_large = !parameters.esn && parameters.first_sequence > 0xffffffff;
  if (parameters.first_sequence == 0 || too_large) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("SA {}: sequence number {} cannot be the first.",
                                  to_string(parameters.spi), parameters.first_sequence));
  }
  return {};
}

Result<OutboundSa> OutboundSa::make(const SaParameters& parameters) {
  TRY(check(parameters));
  OutboundSa sa;
  TRY_ASSIGN(sa.shape_, espalier::esp::shape(parameters.suite));
  TRY_ASSIGN(sa.cipher_,
             crypto::make_cipher(parameters.suite, parameters.encr_key, parameters.integ_key));
  sa.spi_ = parameters.spi;
  sa.next_ = parameters.first_sequence;
  sa.last_ = parameters.esn ? std::numeric_limits<std::uint64_t>::max() : 0xffffffff;
  sa.esn_ = parameters.esn;
  sa.wraps_ = parameters.replay_window == 0;
  sa.aead_ = crypto::info(parameters.suite.encr)->aead;  // make_cipher knew it
  return sa;
}

void OutboundSa::write_frame(SealPacket& packet, std::uint64_t sequence) const {
  ASSERT(packet.packet.size() == shape_.esp_size(packet.payload_octets));
  wire::esp::write_header({spi_, static_cast<std::uint32_t>(sequence)}, packet.packet);
  // "1, 2, 3, ..." (RFC 4303 section 2.4).
  const std::size_t pad = shape_.padding(packet.payload_octets);
  std::uint8_t* trailer = packet.packet.data() + shape_.headroom() + packet.payload_octets;
  for (std::size_t i = 0; i < pad; ++i) trailer[i] = static_cast<std::uint8_t>(i + 1);
  trailer[pad] = static_cast<std::uint8_t>(pad);
  trailer[pad + 1] = packet.next_header;
}

void OutboundSa::seal_chunk(std::span<SealPacket> chunk, crypto::Rng& rng) {
  constexpr std::size_t kMaxIv = 16;
  std::array<crypto::SealItem, kMaxBatch> items;
  std::array<detail::AuthenticatedHeader, kMaxBatch> headers;
  std::array<std::uint8_t, kMaxBatch * kMaxIv> ivs;
  ASSERT(shape_.iv <= kMaxIv);
  if (!aead_ && shape_.iv > 0) rng.fill({ivs.data(), chunk.size() * shape_.iv});
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    const std::uint64_t sequence = next_ + i;
    write_frame(chunk[i], sequence);
    const MutableByteView packet = chunk[i].packet;
    const MutableByteView iv = packet.subspan(kHeaderOctets, shape_.iv);
    if (aead_) {
      ASSERT(shape_.iv == 8);
      detail::put_u64(iv.data(), sequence);
    } else {
      std::copy_n(ivs.begin() + static_cast<std::ptrdiff_t>(i * shape_.iv), shape_.iv, iv.begin());
    }
    headers[i].set(spi_.value, sequence);
    crypto::SealItem& item = items[i];
    item.aad = aead_ && esn_ ? ByteView(headers[i].octets) : ByteView(packet.first(kHeaderOctets));
    item.iv = iv;
    item.data = packet.subspan(shape_.headroom(), packet.size() - shape_.headroom() - shape_.icv);
    item.icv = packet.last(shape_.icv);
    if (!aead_ && esn_) item.esn_high = headers[i].high();
  }
  cipher_->seal({items.data(), chunk.size()});
}

std::size_t OutboundSa::seal(std::span<SealPacket> batch, crypto::Rng& rng) {
  std::size_t done = 0;
  while (done < batch.size() && !exhausted_) {
    // next_ wraps to 0 behind the last number of ESN; exhausted_ keeps it from being used.
    const std::uint64_t left = remaining();
    std::size_t count = std::min(batch.size() - done, kMaxBatch);
    const bool at_the_end = count >= left;
    if (at_the_end) {
      count = static_cast<std::size_t>(left);
      exhausted_ = !wraps_;
    }
    seal_chunk(batch.subspan(done, count), rng);
    next_ = at_the_end && wraps_ ? 1 : next_ + count;
    done += count;
  }
  return done;
}

}  // namespace espalier::esp
