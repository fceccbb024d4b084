#include "ike/v2/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/core/seal.hpp"
#include "ike/v2/mobike.hpp"

namespace espalier::ike::v2 {
namespace {

SealKeys sending_keys(const IkeSa& sa) {
  return sa.role == Role::kInitiator ? SealKeys{sa.suite.cipher, sa.keys.ei, sa.keys.ai}
                                     : SealKeys{sa.suite.cipher, sa.keys.er, sa.keys.ar};
}

SealKeys receiving_keys(const IkeSa& sa) {
  return sa.role == Role::kInitiator ? SealKeys{sa.suite.cipher, sa.keys.er, sa.keys.ar}
                                     : SealKeys{sa.suite.cipher, sa.keys.ei, sa.keys.ai};
}

wire::ike::Header make_header(const IkeSa& sa, ExchangeType exchange, MessageId id, bool response) {
  wire::ike::Header header;
  header.spi_i = sa.spi_i;
  header.spi_r = sa.spi_r;
  header.exchange = exchange;
  header.message_id = id;
  header.flags =
      static_cast<std::uint8_t>((sa.role == Role::kInitiator ? wire::ike::kFlagInitiator : 0) |
                                (response ? wire::ike::kFlagResponse : 0));
  return header;
}

// The largest IKE datagram whose outer packet is at most kFragmentIpOctets; 0 when the peer cannot
// reassemble.
std::size_t fragment_limit(const IkeSa& sa) {
  if (!sa.peer_fragmentation || (sa.connection && !sa.connection->fragmentation)) return 0;
  const std::size_t ip = sa.path.remote.ip.is_v4() ? 20 : 40;
  return kFragmentIpOctets - ip - 8 - (sa.encap ? 4 : 0);
}

// A | P of an IKE_INTERMEDIATE message (RFC 9242 section 3.3.2): as it is before encryption and
// fragmentation, its lengths without IV, padding and ICV.
void note_sent(IkeSa& sa, const wire::ike::Header& header, const std::vector<Payload>& payloads) {
  PayloadType first = PayloadType::kNone;
  Bytes plaintext = wire::ike::encode_payloads(payloads, first);
  Bytes& octets = sa.handshake().int_sent;
  octets = wire::ike::encode_sk_prefix(header, first, plaintext.size());
  octets.insert(octets.end(), plaintext.begin(), plaintext.end());
  wipe(plaintext);
}

// The same of a message received, from its octets up to the Encrypted payload's generic header. A
// fragment's header is made the whole message's; its RESERVED field stays.
void note_received(IkeSa& sa, ByteView prefix, ByteView plaintext) {
  ASSERT(prefix.size() == wire::ike::kHeaderOctets + 4);
  const auto patch = [](Bytes& octets, std::size_t at, std::size_t value) {
    octets[at] = static_cast<std::uint8_t>(value >> 8);
    octets[at + 1] = static_cast<std::uint8_t>(value);
  };
  Bytes& octets = sa.handshake().int_received;
  octets = to_vector(prefix);
  octets[16] = static_cast<std::uint8_t>(PayloadType::kSk);
  patch(octets, 24, (prefix.size() + plaintext.size()) >> 16);
  patch(octets, 26, (prefix.size() + plaintext.size()) & 0xffff);
  patch(octets, wire::ike::kHeaderOctets + 2, 4 + plaintext.size());
  octets.insert(octets.end(), plaintext.begin(), plaintext.end());
}

bool is_intermediate(const Message& message) {
  return message.header.exchange == ExchangeType::kIkeIntermediate;
}

std::vector<Bytes> build(Context& ctx, IkeSa& sa, ExchangeType exchange, MessageId id,
                         bool response, const std::vector<Payload>& payloads) {
  const wire::ike::Header header = make_header(sa, exchange, id, response);
  if (exchange == ExchangeType::kIkeSaInit || exchange == ExchangeType::kIkeSessionResume) {
    return {wire::ike::encode_message(header, payloads)};
  }
  if (exchange == ExchangeType::kIkeIntermediate) note_sent(sa, header, payloads);
  return seal(header, payloads, sending_keys(sa), {sa.iv_counter, ctx.rng}, fragment_limit(sa));
}

std::optional<Message> finish_reassembly(Context& ctx, IkeSa& sa, const Message& message,
                                         bool& malformed) {
  Reassembly& reassembly = *sa.reassembly;
  Bytes plaintext;
  plaintext.reserve(reassembly.octets);
  for (const auto& [number, part] : reassembly.parts) {
    plaintext.insert(plaintext.end(), part.begin(), part.end());
  }
  auto payloads = wire::ike::parse_payloads(reassembly.first, plaintext);
  if (is_intermediate(message)) note_received(sa, reassembly.prefix, plaintext);
  wipe(plaintext);
  sa.reassembly.reset();
  if (!payloads) {
    ctx.count(Counter::kDropMalformed);
    malformed = true;
    return std::nullopt;
  }
  return Message{message.header, std::move(*payloads)};
}

std::optional<Message> add_fragment(Context& ctx, IkeSa& sa, ByteView datagram,
                                    const Message& message, const wire::ike::SkfPayload& skf,
                                    bool& malformed) {
  if (skf.number == 0 || skf.number > skf.total || skf.total > kFragmentsMax) {
    ctx.count(Counter::kDropFragment);
    return std::nullopt;
  }
  auto part = open_skf(datagram, skf, receiving_keys(sa));
  if (!part) {
    ctx.count(Counter::kDropIntegrity);
    return std::nullopt;
  }
  const MessageId id = message.header.message_id;
  const bool response = message.header.is_response();
  // RFC 7383 section 2.6: a larger Total Fragments means the peer fragmented anew; what we have is
  // void.
  if (!sa.reassembly || sa.reassembly->id != id || sa.reassembly->response != response ||
      skf.total > sa.reassembly->total) {
    sa.reassembly = Reassembly{id, response, skf.total, PayloadType::kNone, {}, 0, {}};
  }
  Reassembly& reassembly = *sa.reassembly;
  if (skf.total < reassembly.total || reassembly.parts.contains(skf.number)) {
    ctx.count(Counter::kDropFragment);
    return std::nullopt;
  }
  if (reassembly.octets + part->size() > kReassembledOctetsMax) {
    ctx.count(Counter::kDropFragment);
    sa.reassembly.reset();
    return std::nullopt;
  }
  if (skf.number == 1) {
    reassembly.first = skf.first_inner;
    if (is_intermediate(message)) reassembly.prefix = to_vector(datagram.first(skf.aad_octets - 4));
  }
  reassembly.octets += part->size();
  reassembly.parts.emplace(skf.number, std::move(*part));
  if (reassembly.parts.size() < reassembly.total) return std::nullopt;
  return finish_reassembly(ctx, sa, message, malformed);
}

}  // namespace

void transmit(Context& ctx, const Path& path, const std::vector<Bytes>& packets) {
  for (const Bytes& packet : packets) {
    ctx.count(Counter::kMessagesOut);
    ctx.core.transmits.push_back({path, packet, false});
  }
}

void send_request(Context& ctx, IkeSa& sa, ExchangeType exchange,
                  const std::vector<Payload>& payloads) {
  ASSERT(!sa.outstanding);
  Outstanding request;
  request.exchange = exchange;
  request.id = sa.next_request;
  request.packets = build(ctx, sa, exchange, request.id, false, payloads);
  request.sent = 1;
  request.resend_at = ctx.now + kRetransmitFirst + ctx.jitter(kRetransmitFirst / 10);
  sa.next_request.value++;
  transmit(ctx, sa.path, request.packets);
  sa.keepalive_at = ctx.now + kNatKeepalive;
  sa.outstanding = std::move(request);
}

void send_response(Context& ctx, IkeSa& sa, ExchangeType exchange, MessageId id,
                   const std::vector<Payload>& payloads) {
  LastResponse response{id, build(ctx, sa, exchange, id, true, payloads)};
  transmit(ctx, sa.reply_path ? *sa.reply_path : sa.path, response.packets);
  sa.last_response = std::move(response);
  sa.expected_request = MessageId(id.value + 1);
  sa.keepalive_at = ctx.now + kNatKeepalive;
}

void send_unacknowledged(Context& ctx, IkeSa& sa, ExchangeType exchange,
                         const std::vector<Payload>& payloads) {
  // A request still outstanding keeps its ID; the peer drops this one if the window says so, and
  // finds out by its liveness check.
  transmit(ctx, sa.path, build(ctx, sa, exchange, sa.next_request, false, payloads));
  sa.next_request.value++;
}

void send_stateless(Context& ctx, const Path& path, const wire::ike::Header& request,
                    const std::vector<Payload>& payloads) {
  wire::ike::Header header = request;
  header.flags = static_cast<std::uint8_t>(
      wire::ike::kFlagResponse | (request.from_initiator() ? 0 : wire::ike::kFlagInitiator));
  header.version = 0x20;
  transmit(ctx, path, {wire::ike::encode_message(header, payloads)});
}

std::optional<Message> unprotect(Context& ctx, IkeSa& sa, ByteView datagram, const Message& message,
                                 bool& malformed) {
  // RFC 9242 lets IKE_INTERMEDIATE have payloads outside the Encrypted one; nothing uses them, and
  // IntAuth is the simpler without.
  const bool alone = !is_intermediate(message) || message.payloads.size() == 1;
  if (!message.payloads.empty() && alone) {
    if (const auto* skf = std::get_if<wire::ike::SkfPayload>(&message.payloads.back())) {
      return add_fragment(ctx, sa, datagram, message, *skf, malformed);
    }
    if (const auto* sk = std::get_if<wire::ike::SkPayload>(&message.payloads.back())) {
      auto plaintext = open_plain(datagram, *sk, receiving_keys(sa));
      malformed = !plaintext && plaintext.error().code != ErrorCode::kAuthentication;
      if (plaintext) {
        auto payloads = wire::ike::parse_payloads(sk->first_inner, *plaintext);
        if (payloads && is_intermediate(message)) {
          note_received(sa, datagram.first(sk->aad_octets), *plaintext);
        }
        wipe(*plaintext);
        if (payloads) return Message{message.header, std::move(*payloads)};
        malformed = true;
      }
      ctx.count(malformed ? Counter::kDropMalformed : Counter::kDropIntegrity);
      return std::nullopt;
    }
  }
  ctx.count(Counter::kDropUnexpected);
  return std::nullopt;
}

bool retransmit(Context& ctx, IkeSa& sa) {
  ASSERT(sa.outstanding);
  Outstanding& request = *sa.outstanding;
  const bool elsewhere = request.sent >= kMobikePathTries && try_other_path(ctx, sa);
  if (request.sent >= (elsewhere ? kMobikeTries : kRetransmitTries)) return false;
  transmit(ctx, sa.path, request.packets);
  ctx.count(Counter::kRetransmits);
  // In turn over several paths, so that a peer that is gone is found gone as soon as over one.
  const Duration most = request.quick || elsewhere ? kQuickRetransmitMax : kRetransmitMax;
  const Duration delay =
      std::min<Duration>(kRetransmitFirst * (1u << std::min(request.sent, 10u)), most);
  request.resend_at = ctx.now + delay + ctx.jitter(delay / 10);
  request.sent++;
  return true;
}

wire::ike::NotifyPayload make_notify(NotifyType type, ByteView data) {
  return {wire::ike::ProtocolId::kNone, type, {}, to_vector(data)};
}

}  // namespace espalier::ike::v2
