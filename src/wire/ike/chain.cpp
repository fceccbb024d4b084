// The chain of payloads (RFC 7296 section 3.2): walking it, and laying it out.
#include <fmt/format.h>

#include "wire/ike/codec.hpp"

namespace espalier::wire::ike {
namespace {

// A payload's generic header, read, with the body that belongs to it.
struct Link {
  Where where;
  PayloadType next = PayloadType::kNone;
  bool critical = false;
  ByteView body;
  std::size_t body_offset = 0;
};

Result<Link> read_link(PayloadType type, Reader& reader) {
  Link link;
  link.where = {type, reader.offset()};
  const std::size_t have = reader.remaining();
  if (have < kPayloadHeaderOctets) {
    return fault(
        ErrorCode::kTruncated, link.where,
        fmt::format("its header needs {} octets, and {} remain", kPayloadHeaderOctets, have));
  }
  TRY_ASSIGN(const std::uint8_t next, reader.u8());
  TRY_ASSIGN(const std::uint8_t flags, reader.u8());
  TRY_ASSIGN(const std::uint16_t length, reader.u16());
  link.next = static_cast<PayloadType>(next);
  link.critical = (flags & 0x80) != 0;  // the seven bits beside it "MUST be ignored on receipt"
  if (length < kPayloadHeaderOctets) {
    return fault(ErrorCode::kMalformed, link.where,
                 fmt::format("a length of {} octets is less than its own header's", length));
  }
  if (length > have) {
    return fault(ErrorCode::kTruncated, link.where,
                 fmt::format("its length is {} octets, and {} remain", length, have));
  }
  link.body_offset = reader.offset();
  TRY_ASSIGN(link.body, reader.take(length - kPayloadHeaderOctets));
  return link;
}

// RFC 7383 section 2.5. The Next Payload field of a later fragment is zero; one that is not is
// ignored, as only the first fragment's is ever used.
Result<Payload> parse_fragment(const Link& link) {
  BodyReader body(link.body, link.where, link.body_offset);
  SkfPayload fragment;
  TRY_ASSIGN(fragment.number, body.u16("the fragment number"));
  TRY_ASSIGN(fragment.total, body.u16("the number of fragments"));
  if (fragment.number == 0 || fragment.number > fragment.total) {
    return body.malformed(
        fmt::format("there is no fragment {} of {}", fragment.number, fragment.total));
  }
  if (fragment.number == 1) fragment.first_inner = link.next;
  fragment.aad_octets = body.offset();
  fragment.body = body.rest();
  return Payload(std::move(fragment));
}

Result<Payload> parse_encrypted(const Link& link) {
  if (link.where.type == PayloadType::kSkf) return parse_fragment(link);
  return Payload(SkPayload{link.next, to_vector(link.body), link.body_offset});
}

bool is_encrypted(PayloadType type) {
  return type == PayloadType::kSk || type == PayloadType::kSkf;
}

// Walks the chain in what reader has left. In a message (not in the plaintext of one) an Encrypted
// payload may end it.
Result<std::vector<Payload>> parse_chain(PayloadType type, Reader& reader, bool in_message) {
  std::vector<Payload> payloads;
  while (type != PayloadType::kNone) {
    if (payloads.size() == kMaxPayloads) {
      return fault(ErrorCode::kLimit, {type, reader.offset()},
                   fmt::format("more than {} payloads, the most that is accepted", kMaxPayloads));
    }
    TRY_ASSIGN(const Link link, read_link(type, reader));
    if (is_encrypted(type)) {
      if (!in_message) {
        return fault(ErrorCode::kMalformed, link.where,
                     "one Encrypted payload stands inside another");
      }
      // RFC 7296 section 3.14: "The Encrypted payload, if present in a message, MUST be the last
      // payload".
      if (!reader.empty()) {
        return fault(
            ErrorCode::kMalformed, link.where,
            fmt::format("{} octets follow it, and it must be the last", reader.remaining()));
      }
      TRY_ASSIGN(Payload payload, parse_encrypted(link));
      payloads.push_back(std::move(payload));
      return payloads;
    }
    TRY_ASSIGN(Payload payload, parse_body(type, link.critical,
                                           BodyReader(link.body, link.where, link.body_offset)));
    payloads.push_back(std::move(payload));
    type = link.next;
  }
  if (!reader.empty()) {
    return make_error(
        ErrorCode::kMalformed,
        fmt::format("after the last payload at offset {}: {} octets that belong to none",
                    reader.offset(), reader.remaining()));
  }
  return payloads;
}

Bytes encode_chain(const std::vector<Payload>& payloads) {
  Writer chain;
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const PayloadType next =
        i + 1 < payloads.size() ? type_of(payloads[i + 1]) : PayloadType::kNone;
    Writer body;
    write_body(body, payloads[i]);
    const OtherPayload* other = std::get_if<OtherPayload>(&payloads[i]);
    // RFC 7296 section 3.2: the critical bit "MUST be set to zero for payload types defined in this
    // document".
    write_payload_header(chain, next, other != nullptr && other->critical, body.size());
    chain.bytes(body.view());
  }
  return chain.take();
}

PayloadType first_of(const std::vector<Payload>& payloads) {
  return payloads.empty() ? PayloadType::kNone : type_of(payloads.front());
}

}  // namespace

Result<Message> parse_message(ByteView datagram) {
  if (datagram.size() > kMaxMessageOctets) {
    return make_error(
        ErrorCode::kLimit,
        fmt::format("IKE header at offset 0: a message of {} octets, and at most {} are "
                    "accepted",
                    datagram.size(), kMaxMessageOctets));
  }
  TRY_ASSIGN(Header header, parse_header(datagram));
  Reader reader(datagram);
  TRY(reader.skip(kHeaderOctets));
  TRY_ASSIGN(std::vector<Payload> payloads, parse_chain(header.next_payload, reader, true));
  return Message{header, std::move(payloads)};
}

Result<std::vector<Payload>> parse_payloads(PayloadType first, ByteView bytes) {
  if (bytes.size() > kMaxMessageOctets) {
    return make_error(
        ErrorCode::kLimit,
        fmt::format("{} at offset 0: a chain of {} octets, and at most {} are accepted",
                    label(first), bytes.size(), kMaxMessageOctets));
  }
  Reader reader(bytes);
  return parse_chain(first, reader, false);
}

Bytes encode_message(const Header& header, const std::vector<Payload>& payloads) {
  const Bytes chain = encode_chain(payloads);
  Writer writer;
  write_header(writer, header, first_of(payloads), kHeaderOctets + chain.size());
  writer.bytes(chain);
  return writer.take();
}

Bytes encode_payloads(const std::vector<Payload>& payloads, PayloadType& first) {
  first = first_of(payloads);
  return encode_chain(payloads);
}

}  // namespace espalier::wire::ike
