// One payload's body to its struct (RFC 7296 sections 3.4 to 3.12). RESERVED octets are skipped
// unread: they "MUST be ignored on receipt".
#include <fmt/format.h>

#include "wire/ike/codec.hpp"

namespace espalier::wire::ike {
namespace {

Result<Payload> parse_ke(BodyReader& body) {
  KePayload ke;
  TRY_ASSIGN(ke.group, body.u16("the Diffie-Hellman group"));
  TRY(body.skip(2, "the reserved field"));
  ke.data = body.rest();
  return Payload(std::move(ke));
}

// RFC 7296 section 3.5. Only the two address types have a length of their own.
Result<Payload> parse_id(PayloadType role, BodyReader& body) {
  IdPayload id;
  id.role = role;
  BodyReader whole = body;
  id.body = whole.rest();
  TRY_ASSIGN(const std::uint8_t type, body.u8("the ID type"));
  TRY(body.skip(3, "the reserved field"));
  id.type = static_cast<IdType>(type);
  id.data = body.rest();
  const bool wrong_size = (id.type == IdType::kIpv4 && id.data.size() != 4) ||
                          (id.type == IdType::kIpv6 && id.data.size() != 16);
  if (wrong_size) {
    return body.malformed(
        fmt::format("an address identity of type {} has {} octets", type, id.data.size()));
  }
  return Payload(std::move(id));
}

template <class T>
Result<Payload> parse_encoding(BodyReader& body) {
  T payload;
  TRY_ASSIGN(payload.encoding, body.u8("the certificate encoding"));
  payload.data = body.rest();
  return Payload(std::move(payload));
}

Result<Payload> parse_auth(BodyReader& body) {
  AuthPayload auth;
  TRY_ASSIGN(auth.method, body.u8("the Auth Method"));
  TRY(body.skip(3, "the reserved field"));
  auth.data = body.rest();
  return Payload(std::move(auth));
}

Result<Payload> parse_nonce(BodyReader& body) {
  if (body.remaining() < kMinNonceOctets || body.remaining() > kMaxNonceOctets) {
    return body.malformed(fmt::format("a nonce of {} octets, and it must have {} to {}",
                                      body.remaining(), kMinNonceOctets, kMaxNonceOctets));
  }
  return Payload(NoncePayload{body.rest()});
}

// RFC 7296 section 3.10. An SPI of AH or ESP has four octets, one of IKE eight; the RFC says that
// IKE needs none here, and RFC 4306 allowed it, so one is accepted.
bool notify_spi_fits(ProtocolId protocol, std::size_t octets) {
  if (protocol == ProtocolId::kAh || protocol == ProtocolId::kEsp)
    return octets == 0 || octets == 4;
  return octets == 0 || octets == 4 || octets == 8;
}

Result<Payload> parse_notify(BodyReader& body) {
  NotifyPayload notify;
  TRY_ASSIGN(const std::uint8_t protocol, body.u8("the protocol ID"));
  TRY_ASSIGN(const std::uint8_t spi_octets, body.u8("the SPI size"));
  TRY_ASSIGN(const std::uint16_t type, body.u16("the notify message type"));
  notify.protocol = static_cast<ProtocolId>(protocol);
  notify.type = static_cast<NotifyType>(type);
  if (!notify_spi_fits(notify.protocol, spi_octets)) {
    return body.malformed(
        fmt::format("an SPI of {} octets with protocol {}", spi_octets, protocol));
  }
  TRY_ASSIGN(const ByteView spi, body.take(spi_octets, "the SPI"));
  notify.spi = to_vector(spi);
  // "If the SPI field is empty, this field MUST be sent as zero and MUST be ignored on receipt."
  if (notify.spi.empty()) notify.protocol = ProtocolId::kNone;
  notify.data = body.rest();
  return Payload(std::move(notify));
}

// RFC 7296 section 3.11: the SPI size "MUST be zero for IKE (SPI is in message header) or four for
// AH and ESP".
Result<Payload> parse_delete(BodyReader& body) {
  TRY_ASSIGN(const std::uint8_t protocol, body.u8("the protocol ID"));
  TRY_ASSIGN(const std::uint8_t spi_octets, body.u8("the SPI size"));
  TRY_ASSIGN(const std::uint16_t count, body.u16("the number of SPIs"));
  DeletePayload payload;
  payload.protocol = static_cast<ProtocolId>(protocol);
  const bool ike = payload.protocol == ProtocolId::kIke;
  const bool child = payload.protocol == ProtocolId::kAh || payload.protocol == ProtocolId::kEsp;
  if (!ike && !child) {
    return body.malformed(fmt::format("protocol {} is none of IKE, AH and ESP", protocol));
  }
  if (spi_octets != (ike ? 0 : 4) || (ike && count != 0)) {
    return body.malformed(
        fmt::format("{} SPIs of {} octets with protocol {}", count, spi_octets, protocol));
  }
  if (count > kMaxDeleteSpis) return body.too_many("SPIs", kMaxDeleteSpis);
  if (body.remaining() != std::size_t{count} * spi_octets) {
    return body.malformed(fmt::format("{} SPIs of {} octets announced, and {} octets follow", count,
                                      spi_octets, body.remaining()));
  }
  payload.spis.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    TRY_ASSIGN(const std::uint32_t spi, body.u32("an SPI"));
    payload.spis.push_back(Spi(spi));
  }
  return Payload(std::move(payload));
}

}  // namespace

Result<Payload> parse_body(PayloadType type, bool critical, BodyReader body) {
  switch (type) {
    case PayloadType::kSa: {
      TRY_ASSIGN(SaPayload sa, parse_sa(body));
      return Payload(std::move(sa));
    }
    case PayloadType::kKe: return parse_ke(body);
    case PayloadType::kIdi:
    case PayloadType::kIdr: return parse_id(type, body);
    case PayloadType::kCert: return parse_encoding<CertPayload>(body);
    case PayloadType::kCertReq: return parse_encoding<CertReqPayload>(body);
    case PayloadType::kAuth: return parse_auth(body);
    case PayloadType::kNonce: return parse_nonce(body);
    case PayloadType::kNotify: return parse_notify(body);
    case PayloadType::kDelete: return parse_delete(body);
    case PayloadType::kVendorId: return Payload(VendorIdPayload{body.rest()});
    case PayloadType::kTsi:
    case PayloadType::kTsr: {
      TRY_ASSIGN(TsPayload ts, parse_ts(type, body));
      return Payload(std::move(ts));
    }
    default: return Payload(OtherPayload{type, critical, body.rest()});
  }
}

}  // namespace espalier::wire::ike
