// The Traffic Selector payloads (RFC 7296 section 3.13).
#include <fmt/format.h>

#include "wire/ike/codec.hpp"

namespace espalier::wire::ike {
namespace {

constexpr std::uint8_t kIpv4Range = 7;  // section 3.13.1, TS_IPV4_ADDR_RANGE
constexpr std::uint8_t kIpv6Range = 8;
constexpr std::size_t kSelectorOctets = 8;        // without its two addresses
constexpr std::size_t kSelectorHeaderOctets = 4;  // what every TS type has: type, protocol, length

// Section 3.13.1: start 65535 and end 0 mean OPAQUE ports. Any other range that ends before it
// starts says nothing.
bool ports_in_order(const TrafficSelector& selector) {
  const bool opaque = selector.start_port == 65535 && selector.end_port == 0;
  return opaque || selector.start_port <= selector.end_port;
}

// The fields of a selector of TS type 7 or 8, behind its length.
Result<TrafficSelector> parse_range(BodyReader& body, std::uint8_t protocol, std::size_t octets) {
  TrafficSelector selector;
  selector.protocol = protocol;
  if (body.remaining() != kSelectorOctets - kSelectorHeaderOctets + 2 * octets) {
    return body.malformed(
        fmt::format("the selector that ends at offset {} does not have the length of "
                    "its type",
                    body.offset() + body.remaining()));
  }
  TRY_ASSIGN(selector.start_port, body.u16("the start port"));
  TRY_ASSIGN(selector.end_port, body.u16("the end port"));
  TRY_ASSIGN(const ByteView start, body.take(octets, "the starting address"));
  TRY_ASSIGN(const ByteView end, body.take(octets, "the ending address"));
  TRY_ASSIGN(selector.start, IpAddress::from_bytes(start));
  TRY_ASSIGN(selector.end, IpAddress::from_bytes(end));
  if (selector.end < selector.start || !ports_in_order(selector)) {
    return body.malformed(
        fmt::format("a selector's range ends before it starts: {} to {}, ports {} to {}",
                    selector.start.to_string(), selector.end.to_string(), selector.start_port,
                    selector.end_port));
  }
  return selector;
}

}  // namespace

Result<TsPayload> parse_ts(PayloadType role, BodyReader body) {
  TsPayload ts;
  ts.role = role;
  TRY_ASSIGN(const std::uint8_t count, body.u8("the number of selectors"));
  TRY(body.skip(3, "the reserved field"));
  if (count == 0) return body.malformed("it holds no selector");
  for (unsigned i = 0; i < count; ++i) {
    TRY_ASSIGN(const std::uint8_t type, body.u8("the TS type"));
    TRY_ASSIGN(const std::uint8_t protocol, body.u8("the IP protocol ID"));
    TRY_ASSIGN(const std::uint16_t length, body.u16("the selector's length"));
    if (length < kSelectorHeaderOctets) {
      return body.malformed(fmt::format("selector {} has a length of {} octets", i + 1, length));
    }
    TRY_ASSIGN(BodyReader content, body.part(length - kSelectorHeaderOctets, "a selector"));
    // Of another type nothing but its length is known; it is left out, which only narrows.
    if (type != kIpv4Range && type != kIpv6Range) continue;
    TRY_ASSIGN(const TrafficSelector selector,
               parse_range(content, protocol, type == kIpv4Range ? 4 : 16));
    ts.selectors.push_back(selector);
  }
  if (!body.empty()) {
    return body.malformed(
        fmt::format("{} octets follow its {} selectors", body.remaining(), count));
  }
  return ts;
}

void write_ts(Writer& writer, const TsPayload& payload) {
  ASSERT(payload.role == PayloadType::kTsi || payload.role == PayloadType::kTsr);
  ASSERT(payload.selectors.size() <= kMaxSelectors);
  writer.u8(static_cast<std::uint8_t>(payload.selectors.size()));
  writer.zeros(3);
  for (const TrafficSelector& selector : payload.selectors) {
    ASSERT(selector.start.family() == selector.end.family());
    const std::size_t address = selector.start.bytes().size();
    writer.u8(selector.start.is_v4() ? kIpv4Range : kIpv6Range);
    writer.u8(selector.protocol);
    writer.u16(static_cast<std::uint16_t>(kSelectorOctets + 2 * address));
    writer.u16(selector.start_port);
    writer.u16(selector.end_port);
    writer.bytes(selector.start.bytes());
    writer.bytes(selector.end.bytes());
  }
}

}  // namespace espalier::wire::ike
