#include "wire/ike/codec.hpp"

#include <fmt/format.h>

namespace espalier::wire::ike {

std::string label(PayloadType type) {
  const std::string_view known = name(type);
  if (known != "unknown") return fmt::format("{} payload", known);
  return fmt::format("payload {}", static_cast<unsigned>(type));
}

bool is_decoded(PayloadType type) {
  switch (type) {
    case PayloadType::kSa:
    case PayloadType::kKe:
    case PayloadType::kIdi:
    case PayloadType::kIdr:
    case PayloadType::kCert:
    case PayloadType::kCertReq:
    case PayloadType::kAuth:
    case PayloadType::kNonce:
    case PayloadType::kNotify:
    case PayloadType::kDelete:
    case PayloadType::kVendorId:
    case PayloadType::kTsi:
    case PayloadType::kTsr:
    case PayloadType::kSk:
    case PayloadType::kSkf: return true;
    default: return false;
  }
}

Error fault(ErrorCode code, const Where& where, std::string_view what) {
  return make_error(code,
                    fmt::format("{} at offset {}: {}", label(where.type), where.offset, what));
}

Error BodyReader::truncated(std::size_t count, std::string_view field) const {
  return fault(ErrorCode::kTruncated, where_,
               fmt::format("{} at offset {} needs {} octets, and {} remain", field, offset(), count,
                           remaining()));
}

Error BodyReader::too_many(std::string_view what, std::size_t limit) const {
  return fault(ErrorCode::kLimit, where_,
               fmt::format("more than {} {}, the most that is accepted", limit, what));
}

Result<std::uint8_t> BodyReader::u8(std::string_view field) {
  if (remaining() < 1) return truncated(1, field);
  return reader_.u8();
}

Result<std::uint16_t> BodyReader::u16(std::string_view field) {
  if (remaining() < 2) return truncated(2, field);
  return reader_.u16();
}

Result<std::uint32_t> BodyReader::u32(std::string_view field) {
  if (remaining() < 4) return truncated(4, field);
  return reader_.u32();
}

Result<ByteView> BodyReader::take(std::size_t count, std::string_view field) {
  if (remaining() < count) return truncated(count, field);
  return reader_.take(count);
}

Status BodyReader::skip(std::size_t count, std::string_view field) {
  if (remaining() < count) return truncated(count, field);
  return reader_.skip(count);
}

Result<BodyReader> BodyReader::part(std::size_t count, std::string_view field) {
  const std::size_t start = offset();
  TRY_ASSIGN(const ByteView view, take(count, field));
  return BodyReader(view, where_, start);
}

}  // namespace espalier::wire::ike
