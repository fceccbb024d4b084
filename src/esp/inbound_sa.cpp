#include "esp/inbound_sa.hpp"

#include <algorithm>

#include "esp/frame.hpp"
#include "wire/ip/packet.hpp"

namespace espalier::esp {
namespace {

using wire::ip::kProtocolIpv4;
using wire::ip::kProtocolIpv6;

OpenResult from(ReplayVerdict verdict) {
  return verdict == ReplayVerdict::kReplayed ? OpenResult::kReplayed : OpenResult::kBehindWindow;
}

bool is_padding(ByteView pad) {
  for (std::size_t i = 0; i < pad.size(); ++i) {
    if (pad[i] != static_cast<std::uint8_t>(i + 1)) return false;
  }
  return true;
}

}  // namespace

std::string_view name(OpenResult result) {
  switch (result) {
    case OpenResult::kOpened: return "opened";
    case OpenResult::kMalformed: return "malformed";
    case OpenResult::kReplayed: return "replayed";
    case OpenResult::kBehindWindow: return "behind-window";
    case OpenResult::kBadIcv: return "bad-icv";
    case OpenResult::kBadPadding: return "bad-padding";
    case OpenResult::kBadNextHeader: return "bad-next-header";
    case OpenResult::kDummy: return "dummy";
  }
  return "unknown";
}

Result<InboundSa> InboundSa::make(const SaParameters& parameters) {
  TRY(check(parameters));
  InboundSa sa(ReplayWindow(std::max(parameters.replay_window, kMinReplayWindow), parameters.esn,
                            parameters.first_sequence - 1));
  TRY_ASSIGN(const crypto::SuiteSizes sizes, crypto::sizes(parameters.suite));
  TRY_ASSIGN(sa.shape_, espalier::esp::shape(parameters.suite));
  TRY_ASSIGN(sa.cipher_,
             crypto::make_cipher(parameters.suite, parameters.encr_key, parameters.integ_key));
  sa.spi_ = parameters.spi;
  sa.block_ = std::max<std::size_t>(1, sizes.block);
  sa.esn_ = parameters.esn;
  sa.aead_ = crypto::info(parameters.suite.encr)->aead;  // make_cipher knew it
  sa.anti_replay_ = parameters.replay_window != 0;
  sa.tunnel_ = parameters.mode == policy::Mode::kTunnel;
  return sa;
}

bool InboundSa::precheck(OpenPacket& packet) const {
  const std::size_t fixed = shape_.headroom() + shape_.icv;
  packet.result = OpenResult::kMalformed;
  packet.newest = false;
  packet.payload = {};
  if (packet.packet.size() < fixed + kTrailerOctets) return false;
  // The 4-octet alignment of RFC 4303 section 2.4 is what a sender owes; a receiver needs whole
  // blocks only.
  if ((packet.packet.size() - fixed) % block_ != 0) return false;
  if (!anti_replay_) {
    packet.sequence = wire::esp::parse_header(packet.packet)->sequence;
    return true;
  }
  const auto sequence = window_.infer(wire::esp::parse_header(packet.packet)->sequence);
  if (!sequence) {
    packet.result = OpenResult::kBehindWindow;
    return false;
  }
  packet.sequence = *sequence;
  const ReplayVerdict verdict = window_.check(*sequence);
  if (verdict != ReplayVerdict::kNew) packet.result = from(verdict);
  return verdict == ReplayVerdict::kNew;
}

// The packet is authentic.
void InboundSa::finish(OpenPacket& packet) {
  if (anti_replay_) {
    const std::uint64_t highest = window_.highest();
    const ReplayVerdict verdict = window_.update(packet.sequence);
    if (verdict != ReplayVerdict::kNew) {
      packet.result = from(verdict);
      return;
    }
    packet.newest = packet.sequence > highest;
  }
  const MutableByteView plain = packet.packet.subspan(
      shape_.headroom(), packet.packet.size() - shape_.headroom() - shape_.icv);
  const std::size_t pad = plain[plain.size() - 2];
  packet.next_header = plain[plain.size() - 1];
  if (pad + kTrailerOctets > plain.size()) {
    packet.result = OpenResult::kBadPadding;
    return;
  }
  const std::size_t payload = plain.size() - kTrailerOctets - pad;
  // A dummy packet's content is arbitrary "... and the receiver ... MUST be prepared to discard" it
  // (section 2.6).
  if (packet.next_header == wire::ip::kProtocolNoNext) {
    packet.result = OpenResult::kDummy;
    return;
  }
  if (!is_padding(plain.subspan(payload, pad))) {
    packet.result = OpenResult::kBadPadding;
    return;
  }
  if (tunnel_ && packet.next_header != kProtocolIpv4 && packet.next_header != kProtocolIpv6) {
    packet.result = OpenResult::kBadNextHeader;
    return;
  }
  packet.payload = plain.first(payload);
  packet.result = OpenResult::kOpened;
}

void InboundSa::open_chunk(std::span<OpenPacket> chunk) {
  std::array<crypto::SealItem, kMaxBatch> items;
  std::array<detail::AuthenticatedHeader, kMaxBatch> headers;
  std::array<OpenPacket*, kMaxBatch> candidates;
  std::size_t count = 0;
  for (OpenPacket& packet : chunk) {
    if (!precheck(packet)) continue;
    const MutableByteView octets = packet.packet;
    headers[count].set(spi_.value, packet.sequence);
    crypto::SealItem& item = items[count];
    item.aad =
        aead_ && esn_ ? ByteView(headers[count].octets) : ByteView(octets.first(kHeaderOctets));
    item.iv = octets.subspan(kHeaderOctets, shape_.iv);
    item.data = octets.subspan(shape_.headroom(), octets.size() - shape_.headroom() - shape_.icv);
    item.icv = octets.last(shape_.icv);
    if (!aead_ && esn_) item.esn_high = headers[count].high();
    candidates[count++] = &packet;
  }
  cipher_->open({items.data(), count});
  for (std::size_t i = 0; i < count; ++i) {
    if (items[i].ok) {
      finish(*candidates[i]);
    } else {
      candidates[i]->result = OpenResult::kBadIcv;
    }
  }
  for (const OpenPacket& packet : chunk) ++counters_[static_cast<std::size_t>(packet.result)];
}

void InboundSa::open(std::span<OpenPacket> batch) {
  for (std::size_t done = 0; done < batch.size(); done += kMaxBatch) {
    open_chunk(batch.subspan(done, std::min(batch.size() - done, kMaxBatch)));
  }
}

}  // namespace espalier::esp
