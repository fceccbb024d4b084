// The SA payload's nested lengths, counts and "more" octets (RFC 7296 section 3.3).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/ike/limits.hpp"
#include "wire/ike/samples.hpp"
#include "wire/testing/hex.hpp"

namespace espalier::wire::ike {
namespace {

using ::testing::HasSubstr;
using testing::hex;

// The octets as the body of one SA payload.
Bytes sa_of(std::string_view text) {
  const Bytes body = hex(text);
  Writer writer;
  writer.u16(0);
  writer.u16(static_cast<std::uint16_t>(body.size() + 4));
  writer.bytes(body);
  return writer.take();
}
void expect_refused(std::string_view text, ErrorCode code, std::string_view why) {
  const auto payloads = parse_payloads(PayloadType::kSa, sa_of(text));
  ASSERT_FALSE(payloads.ok()) << text;
  EXPECT_EQ(payloads.error().code, code) << text;
  EXPECT_THAT(payloads.error().message, HasSubstr("SA payload at offset 0")) << text;
  EXPECT_THAT(payloads.error().message, HasSubstr(std::string(why))) << text;
}
SaPayload accepted(std::string_view text) {
  const auto payloads = parse_payloads(PayloadType::kSa, sa_of(text));
  EXPECT_TRUE(payloads.ok()) << (payloads.ok() ? "" : payloads.error().message);
  return payloads.ok() ? std::get<SaPayload>(payloads->at(0)) : SaPayload{};
}

TEST(IkeSa, Empty) {
  expect_refused("", ErrorCode::kMalformed, "no proposal");
  expect_refused("00 00 0008 01 01 00 00", ErrorCode::kMalformed, "announces 0 transforms");
}

TEST(IkeSa, LastSubstructureOfProposals) {
  // Says that more follow, and none does; says that it is the last, and one follows; a third value.
  expect_refused("02 00 0010 01 01 00 01 00 00 0008 01 00 0014", ErrorCode::kMalformed,
                 "not the last");
  expect_refused(
      "00 00 0010 01 01 00 01 00 00 0008 01 00 0014 00 00 0010 02 01 00 01 00 00 0008 01 00 0014",
      ErrorCode::kMalformed, "the last, and 16 octets follow");
  expect_refused("03 00 0010 01 01 00 01 00 00 0008 01 00 0014", ErrorCode::kMalformed,
                 "has 3 for Last Substruc");
}

TEST(IkeSa, LastSubstructureOfTransforms) {
  expect_refused("00 00 0010 01 01 00 01 03 00 0008 01 00 0014", ErrorCode::kMalformed,
                 "the transform at offset 12");
  expect_refused("00 00 0018 01 01 00 02 00 00 0008 01 00 0014 00 00 0008 02 00 0005",
                 ErrorCode::kMalformed, "the last, and 8 octets follow");
  expect_refused("00 00 0010 01 01 00 01 02 00 0008 01 00 0014", ErrorCode::kMalformed,
                 "has 2 for Last Substruc");
}

TEST(IkeSa, Counts) {
  const std::string two = "03 00 0008 01 00 0014 00 00 0008 02 00 0005";
  expect_refused("00 00 0018 01 01 00 01" + two, ErrorCode::kMalformed, "announces 1 transforms");
  expect_refused("00 00 0018 01 01 00 03" + two, ErrorCode::kMalformed, "announces 3 transforms");
  EXPECT_EQ(accepted("00 00 0018 01 01 00 02" + two).proposals.at(0).transforms.size(), 2u);
}

TEST(IkeSa, Lengths) {
  expect_refused("00 00 0007 01 01 00", ErrorCode::kMalformed, "length of 7 octets, less than 8");
  expect_refused("00 00 0011 01 01 00 01 00 00 0008 01 00 0014", ErrorCode::kTruncated,
                 "proposal at offset 8 needs 13 octets, and 12 remain");
  expect_refused("00 00 0010 01 01 00 01 00 00 0007 01 00 0014", ErrorCode::kMalformed,
                 "length of 7");
  expect_refused("00 00 0010 01 01 00 01 00 00 0009 01 00 0014", ErrorCode::kTruncated,
                 "transform");
  expect_refused("00 00 0012 01 01 00 01 00 00 000a 01 00 0014 800e", ErrorCode::kTruncated,
                 "an attribute's value or length");
  expect_refused("00 00 0014 01 01 00 01 00 00 000c 01 00 0014 0010 0001", ErrorCode::kTruncated,
                 "an attribute's value");
}

TEST(IkeSa, SpiSizes) {
  const std::string transform = "00 00 0008 01 00 0014";
  expect_refused("00 00 0014 01 01 04 01 01020304" + transform, ErrorCode::kMalformed,
                 "SPI of 4 octets with protocol 1");
  expect_refused("00 00 0010 01 03 00 01" + transform, ErrorCode::kMalformed,
                 "SPI of 0 octets with protocol 3");
  EXPECT_EQ(to_hex(accepted("00 00 0014 01 03 04 01 01020304" + transform).proposals[0].spi),
            "01020304");
  EXPECT_EQ(accepted("00 00 0018 01 01 08 01 0102030405060708" + transform).proposals[0].spi.size(),
            8u);
  // A protocol that we do not know: the proposal is kept, to be passed over.
  EXPECT_EQ(accepted("00 00 0012 01 09 02 01 0102" + transform).proposals[0].protocol,
            static_cast<ProtocolId>(9));
}

TEST(IkeSa, ProposalNumbers) {
  const std::string rest = "01 00 01 00 00 0008 01 00 0014";
  expect_refused("00 00 0010 00" + rest, ErrorCode::kMalformed, "not numbered");
  EXPECT_EQ(accepted("00 00 0010 07" + rest).proposals[0].number, 7);  // an answer
  expect_refused("02 00 0010 02" + rest + "00 00 0010 03" + rest, ErrorCode::kMalformed,
                 "not numbered");
  expect_refused("02 00 0010 01" + rest + "00 00 0010 01" + rest, ErrorCode::kMalformed,
                 "not numbered");
  EXPECT_EQ(accepted("02 00 0010 01" + rest + "00 00 0010 02" + rest).proposals.size(), 2u);
}

TEST(IkeSa, UnknownThingsMarkTheirTransformOnly) {
  const auto transforms = accepted(
                              "00 ff 003e 01 01 00 05"
                              "03 ff 000c 01 ff 000c 800e 0080"  // reserved octets set: ignored
                              "03 00 000c 01 00 000c 800f 0080"  // an unknown attribute
                              "03 00 000e 01 00 000c 000e 0002 0080"  // Key Length, variable format
                              "03 00 0008 f0 00 0001"                 // an unknown transform type
                              "00 00 0008 02 00 0005")
                              .proposals.at(0)
                              .transforms;
  ASSERT_EQ(transforms.size(), 5u);
  EXPECT_EQ(transforms[0], (Transform{TransformType::kEncr, 12, 128, false}));
  EXPECT_EQ(transforms[1], (Transform{TransformType::kEncr, 12, 0, true}));
  EXPECT_EQ(transforms[2], (Transform{TransformType::kEncr, 12, 0, true}));
  EXPECT_EQ(transforms[3], (Transform{static_cast<TransformType>(0xf0), 1, 0, false}));
  EXPECT_EQ(transforms[4], (Transform{TransformType::kPrf, 5, 0, false}));
}

TEST(IkeSa, Attributes) {
  expect_refused("00 00 0018 01 01 00 01 00 00 0010 01 00 000c 800e 0080 800e 0100",
                 ErrorCode::kMalformed, "two Key Length attributes");
  const SaPayload sa = accepted("00 00 0014 01 01 00 01 00 00 000c 01 00 000c 800e 0000");
  EXPECT_EQ(sa.proposals[0].transforms[0], (Transform{TransformType::kEncr, 12, 0, true}));
}

TEST(IkeSa, Limits) {
  PayloadType first{};
  SaPayload sa;
  const std::vector<Transform> transforms(kMaxTransforms, Transform{});
  for (std::size_t i = 0; i < kMaxProposals; ++i) {
    sa.proposals.push_back({static_cast<std::uint8_t>(i + 1), ProtocolId::kIke, {}, {Transform{}}});
  }
  sa.proposals[0].transforms = transforms;
  Bytes bytes = encode_payloads({sa}, first);
  EXPECT_EQ(parse_payloads(first, bytes).value(), std::vector<Payload>{sa});

  Writer many;  // one proposal too many, and one with a transform too many
  for (std::size_t i = 0; i <= kMaxProposals; ++i) {
    many.bytes(hex("02 00 0010"));
    many.u8(static_cast<std::uint8_t>(i + 1));
    many.bytes(hex("01 00 01 00 00 0008 01 00 0014"));
  }
  many.patch_u8(kMaxProposals * 16, 0);
  expect_refused(to_hex(many.view()), ErrorCode::kLimit, "more than 64 proposals");
  expect_refused("00 00 0010 01 01 00 81 00 00 0008 01 00 0014", ErrorCode::kLimit,
                 "more than 128 transforms");
  std::string attributes;
  for (std::size_t i = 0; i <= kMaxAttributes; ++i) attributes += "800f0000";
  expect_refused("00 00 0034 01 01 00 01 00 00 002c 01 00 000c" + attributes, ErrorCode::kLimit,
                 "more than 8 attributes");
}

}  // namespace
}  // namespace espalier::wire::ike
