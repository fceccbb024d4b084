// The fixed header (RFC 7296 section 3.1), and the octets in front of an Encrypted payload's body.
#include <fmt/format.h>

#include "wire/ike/codec.hpp"

namespace espalier::wire::ike {
namespace {

constexpr std::size_t kLengthOffset = 24;
constexpr std::size_t kFragmentNumbersOctets = 4;  // RFC 7383 section 2.5

// RFC 7296 section 3.1: the other bits "MUST be cleared when sending and MUST be ignored on
// receipt".
constexpr std::uint8_t kKnownFlags = kFlagInitiator | kFlagVersion | kFlagResponse;

}  // namespace

// Neither SPI is judged: section 1.5 allows a zero initiator's SPI in an INVALID_SPI notification
// outside of an IKE SA, "the exception to the rule in Section 3.1".
Result<Header> parse_header(ByteView datagram) {
  if (datagram.size() < kHeaderOctets) {
    return make_error(
        ErrorCode::kTruncated,
        fmt::format("IKE header at offset 0: needs {} octets, and the datagram has {}",
                    kHeaderOctets, datagram.size()));
  }
  Reader reader(datagram);
  Header header;
  TRY_ASSIGN(header.spi_i.value, reader.u64());
  TRY_ASSIGN(header.spi_r.value, reader.u64());
  TRY_ASSIGN(const std::uint8_t next, reader.u8());
  TRY_ASSIGN(header.version, reader.u8());
  TRY_ASSIGN(const std::uint8_t exchange, reader.u8());
  TRY_ASSIGN(const std::uint8_t flags, reader.u8());
  TRY_ASSIGN(header.message_id.value, reader.u32());
  TRY_ASSIGN(header.length, reader.u32());
  header.next_payload = static_cast<PayloadType>(next);
  header.exchange = static_cast<ExchangeType>(exchange);
  header.flags = flags & kKnownFlags;
  if (header.length != datagram.size()) {
    return make_error(
        ErrorCode::kMalformed,
        fmt::format("IKE header at offset 0: its length field at offset {} says {} octets, and the "
                    "datagram has {}",
                    kLengthOffset, header.length, datagram.size()));
  }
  return header;
}

void write_header(Writer& writer, const Header& header, PayloadType next, std::size_t length) {
  ASSERT(length <= 0xffffffff);
  writer.u64(header.spi_i.value);
  writer.u64(header.spi_r.value);
  writer.u8(static_cast<std::uint8_t>(next));
  writer.u8(header.version);
  writer.u8(static_cast<std::uint8_t>(header.exchange));
  writer.u8(header.flags & kKnownFlags);
  writer.u32(header.message_id.value);
  writer.u32(static_cast<std::uint32_t>(length));
}

void write_payload_header(Writer& writer, PayloadType next, bool critical,
                          std::size_t body_octets) {
  ASSERT(body_octets <= kMaxPayloadBodyOctets);
  writer.u8(static_cast<std::uint8_t>(next));
  writer.u8(critical ? 0x80 : 0);
  writer.u16(static_cast<std::uint16_t>(kPayloadHeaderOctets + body_octets));
}

// RFC 7296 section 3.14: the Next Payload field of an Encrypted payload is the type of the first
// payload in it.
Bytes encode_sk_prefix(const Header& header, PayloadType first_inner, std::size_t body_octets) {
  Writer writer;
  write_header(writer, header, PayloadType::kSk,
               kHeaderOctets + kPayloadHeaderOctets + body_octets);
  write_payload_header(writer, first_inner, false, body_octets);
  return writer.take();
}

Bytes encode_skf_prefix(const Header& header, PayloadType first_inner, std::uint16_t number,
                        std::uint16_t total, std::size_t body_octets) {
  // RFC 7383 section 2.5: numbers count from 1, and only the first fragment names the first inner
  // payload.
  ASSERT(number >= 1 && number <= total);
  ASSERT(number == 1 || first_inner == PayloadType::kNone);
  const std::size_t body = kFragmentNumbersOctets + body_octets;
  Writer writer;
  write_header(writer, header, PayloadType::kSkf, kHeaderOctets + kPayloadHeaderOctets + body);
  write_payload_header(writer, first_inner, false, body);
  writer.u16(number);
  writer.u16(total);
  return writer.take();
}

}  // namespace espalier::wire::ike
