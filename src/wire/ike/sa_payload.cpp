// The Security Association payload (RFC 7296 section 3.3): proposals, transforms, attributes. "When
// parsing an SA, an implementation MUST check that the total Payload Length is consistent with the
// payload's internal lengths and counts."
#include <fmt/format.h>

#include "wire/ike/codec.hpp"

namespace espalier::wire::ike {
namespace {

constexpr std::uint8_t kLast = 0;  // section 3.3.1, Last Substruc
constexpr std::uint8_t kMoreProposals = 2;
constexpr std::uint8_t kMoreTransforms = 3;  // section 3.3.2
constexpr std::size_t kProposalOctets = 8;   // without SPI and transforms
constexpr std::size_t kTransformOctets = 8;  // without attributes
constexpr std::size_t kSubstructureOctets = 4;
constexpr std::uint16_t kFormatTv = 0x8000;  // section 3.3.5, the AF bit
constexpr std::uint16_t kKeyLength = 14;
// A type for private use, sent to carry a value's unknown_attribute mark (values of tests and of
// the fuzzer; a proposal of ours never has one).
constexpr std::uint16_t kUnknownAttribute = 0x7fff;

// The head that proposals and transforms share: whether more follow, and the octets of this one
// behind it.
struct Substructure {
  bool more = false;
  BodyReader content;
};

Result<Substructure> read_substructure(BodyReader& body, std::string_view what, std::uint8_t more,
                                       std::size_t least) {
  const std::size_t offset = body.offset();
  TRY_ASSIGN(const std::uint8_t last, body.u8("Last Substruc"));
  TRY(body.skip(1, "the reserved field"));
  TRY_ASSIGN(const std::uint16_t length, body.u16("a substructure's length"));
  if (last != kLast && last != more) {
    return body.malformed(
        fmt::format("the {} at offset {} has {} for Last Substruc, neither {} nor {}", what, offset,
                    last, kLast, more));
  }
  if (length < least) {
    return body.malformed(fmt::format("the {} at offset {} has a length of {} octets, less than {}",
                                      what, offset, length, least));
  }
  TRY_ASSIGN(BodyReader content, body.part(length - kSubstructureOctets, what));
  if ((last == kLast) != body.empty()) {
    return body.malformed(
        fmt::format("the {} at offset {} says that it is{} the last, and {} octets follow", what,
                    offset, last == kLast ? "" : " not", body.remaining()));
  }
  return Substructure{last != kLast, content};
}

// Section 3.3.5. What we do not know marks the transform, which is then never chosen
// (section 3.3.6); a Key Length in the variable format is such a thing, it "MUST NOT be encoded"
// so, and so is a length of zero.
Status parse_attribute(BodyReader& body, Transform& transform) {
  TRY_ASSIGN(const std::uint16_t type, body.u16("an attribute type"));
  TRY_ASSIGN(const std::uint16_t value, body.u16("an attribute's value or length"));
  if ((type & kFormatTv) == 0) {
    TRY(body.skip(value, "an attribute's value"));
    transform.unknown_attribute = true;
    return {};
  }
  if ((type & ~kFormatTv) != kKeyLength || value == 0) {
    transform.unknown_attribute = true;
    return {};
  }
  // Section 3.3: "A transform MUST NOT have multiple attributes of the same type."
  if (transform.key_bits != 0) return body.malformed("a transform with two Key Length attributes");
  transform.key_bits = value;
  return {};
}

Result<Transform> parse_transform(BodyReader& body) {
  Transform transform;
  TRY_ASSIGN(const std::uint8_t type, body.u8("the transform type"));
  TRY(body.skip(1, "the reserved field"));
  TRY_ASSIGN(transform.id, body.u16("the transform ID"));
  transform.type = static_cast<TransformType>(type);
  for (std::size_t count = 0; !body.empty(); ++count) {
    if (count == kMaxAttributes) return body.too_many("attributes in a transform", kMaxAttributes);
    TRY(parse_attribute(body, transform));
  }
  return transform;
}

// Section 3.3.1: eight octets for IKE (none in the first exchange), four for AH and ESP. Of a
// protocol that we do not know only the size field is believed: such a proposal is passed over, not
// an error.
bool spi_fits(ProtocolId protocol, std::size_t octets) {
  switch (protocol) {
    case ProtocolId::kIke: return octets == 0 || octets == 8;
    case ProtocolId::kAh:
    case ProtocolId::kEsp: return octets == 4;
    default: return true;
  }
}

Result<Proposal> parse_proposal(BodyReader& body) {
  Proposal proposal;
  TRY_ASSIGN(proposal.number, body.u8("the proposal number"));
  TRY_ASSIGN(const std::uint8_t protocol, body.u8("the protocol ID"));
  TRY_ASSIGN(const std::uint8_t spi_octets, body.u8("the SPI size"));
  TRY_ASSIGN(const std::uint8_t count, body.u8("the number of transforms"));
  proposal.protocol = static_cast<ProtocolId>(protocol);
  if (!spi_fits(proposal.protocol, spi_octets)) {
    return body.malformed(fmt::format("proposal {} has an SPI of {} octets with protocol {}",
                                      proposal.number, spi_octets, protocol));
  }
  TRY_ASSIGN(const ByteView spi, body.take(spi_octets, "the SPI"));
  proposal.spi = to_vector(spi);
  if (count > kMaxTransforms) return body.too_many("transforms in a proposal", kMaxTransforms);
  bool more = count != 0;
  while (more) {
    TRY_ASSIGN(Substructure part,
               read_substructure(body, "transform", kMoreTransforms, kTransformOctets));
    if (proposal.transforms.size() == count) break;
    TRY_ASSIGN(const Transform transform, parse_transform(part.content));
    proposal.transforms.push_back(transform);
    more = part.more;
  }
  // "Each Proposal/Protocol structure is followed by one or more transform structures."
  if (count == 0 || more || !body.empty() || proposal.transforms.size() != count) {
    return body.malformed(fmt::format(
        "proposal {} announces {} transforms and holds another number", proposal.number, count));
  }
  return proposal;
}

// Section 3.3.1: "the first proposal in an SA payload MUST be 1, and subsequent proposals MUST be
// one more than the previous proposal". A single one may be an answer, which carries the number of
// the proposal accepted.
bool numbered_in_order(const std::vector<Proposal>& proposals) {
  if (proposals.size() == 1) return proposals.front().number != 0;
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    if (proposals[i].number != i + 1) return false;
  }
  return true;
}

void write_transform(Writer& writer, const Transform& transform, bool last) {
  const std::size_t start = writer.size();
  writer.u8(last ? kLast : kMoreTransforms);
  writer.zeros(1);
  writer.u16(0);
  writer.u8(static_cast<std::uint8_t>(transform.type));
  writer.zeros(1);
  writer.u16(transform.id);
  if (transform.key_bits != 0) {
    writer.u16(kFormatTv | kKeyLength);
    writer.u16(transform.key_bits);
  }
  if (transform.unknown_attribute) {
    writer.u16(kFormatTv | kUnknownAttribute);
    writer.u16(0);
  }
  writer.patch_u16(start + 2, static_cast<std::uint16_t>(writer.size() - start));
}

void write_proposal(Writer& writer, const Proposal& proposal, bool last) {
  ASSERT(proposal.spi.size() <= 255 && proposal.transforms.size() <= kMaxTransforms);
  const std::size_t start = writer.size();
  writer.u8(last ? kLast : kMoreProposals);
  writer.zeros(1);
  writer.u16(0);
  writer.u8(proposal.number);
  writer.u8(static_cast<std::uint8_t>(proposal.protocol));
  writer.u8(static_cast<std::uint8_t>(proposal.spi.size()));
  writer.u8(static_cast<std::uint8_t>(proposal.transforms.size()));
  writer.bytes(proposal.spi);
  for (std::size_t i = 0; i < proposal.transforms.size(); ++i) {
    write_transform(writer, proposal.transforms[i], i + 1 == proposal.transforms.size());
  }
  writer.patch_u16(start + 2, static_cast<std::uint16_t>(writer.size() - start));
}

}  // namespace

Result<SaPayload> parse_sa(BodyReader body) {
  if (body.empty()) return body.malformed("it holds no proposal");
  SaPayload sa;
  bool more = true;
  while (more) {
    if (sa.proposals.size() == kMaxProposals) return body.too_many("proposals", kMaxProposals);
    TRY_ASSIGN(Substructure part,
               read_substructure(body, "proposal", kMoreProposals, kProposalOctets));
    TRY_ASSIGN(Proposal proposal, parse_proposal(part.content));
    sa.proposals.push_back(std::move(proposal));
    more = part.more;
  }
  if (!numbered_in_order(sa.proposals)) {
    return body.malformed("its proposals are not numbered 1, 2, 3 and so on");
  }
  return sa;
}

void write_sa(Writer& writer, const SaPayload& payload) {
  ASSERT(payload.proposals.size() <= kMaxProposals);
  for (std::size_t i = 0; i < payload.proposals.size(); ++i) {
    write_proposal(writer, payload.proposals[i], i + 1 == payload.proposals.size());
  }
}

}  // namespace espalier::wire::ike
