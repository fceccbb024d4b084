// Inside wire/ike only: what the files of the IKEv2 codec share. Users include
// wire/ike/message.hpp.
#pragma once

#include <string>
#include <string_view>

#include "wire/ike/limits.hpp"
#include "wire/ike/message.hpp"

namespace espalier::wire::ike {

// "SA payload" or, for a number without a name, "payload 200".
std::string label(PayloadType type);

// Whether the type is decoded to a struct of its own, and so never an OtherPayload.
bool is_decoded(PayloadType type);

// Which payload is being read, and where its generic header begins in the message (or in the chain
// given to parse_payloads), so that every error says both.
struct Where {
  PayloadType type = PayloadType::kNone;
  std::size_t offset = 0;
};
Error fault(ErrorCode code, const Where& where, std::string_view what);

// A Reader over a payload's body or a part of it. Its errors name the payload, the field and the
// field's offset.
class BodyReader {
 public:
  // start: the offset of body's first octet, counted like where.offset.
  BodyReader(ByteView body, Where where, std::size_t start)
      : reader_(body), where_(where), start_(start) {}

  const Where& where() const { return where_; }
  std::size_t offset() const { return start_ + reader_.offset(); }
  std::size_t remaining() const { return reader_.remaining(); }
  bool empty() const { return reader_.empty(); }

  Result<std::uint8_t> u8(std::string_view field);
  Result<std::uint16_t> u16(std::string_view field);
  Result<std::uint32_t> u32(std::string_view field);
  Result<ByteView> take(std::size_t count, std::string_view field);
  Status skip(std::size_t count, std::string_view field);
  Bytes rest() { return to_vector(reader_.take_rest()); }
  // The next count octets as a reader of their own, for a substructure.
  Result<BodyReader> part(std::size_t count, std::string_view field);

  Error malformed(std::string_view what) const {
    return fault(ErrorCode::kMalformed, where_, what);
  }
  Error too_many(std::string_view what, std::size_t limit) const;

 private:
  Error truncated(std::size_t count, std::string_view field) const;

  Reader reader_;
  Where where_;
  std::size_t start_;
};

// One payload's body, without its generic header (payload_parse.cpp; the SA and TS payloads have
// files of their own). SK and SKF are the chain's business (chain.cpp).
Result<Payload> parse_body(PayloadType type, bool critical, BodyReader body);
Result<SaPayload> parse_sa(BodyReader body);
Result<TsPayload> parse_ts(PayloadType role, BodyReader body);

// The reverse: appends the body, without the generic header.
void write_body(Writer& writer, const Payload& payload);
void write_sa(Writer& writer, const SaPayload& payload);
void write_ts(Writer& writer, const TsPayload& payload);

// The fixed header (header.cpp) and the generic payload header. length: of the whole message.
void write_header(Writer& writer, const Header& header, PayloadType next, std::size_t length);
void write_payload_header(Writer& writer, PayloadType next, bool critical, std::size_t body_octets);

}  // namespace espalier::wire::ike
