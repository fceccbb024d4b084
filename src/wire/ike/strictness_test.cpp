// What is refused as malformed, what is ignored, and the words it is said in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/ike/limits.hpp"
#include "wire/ike/samples.hpp"
#include "wire/testing/hex.hpp"

namespace espalier::wire::ike {
namespace {

using ::testing::HasSubstr;
using testing::hex;

// The error of a chain that must not parse.
Error refused(PayloadType first, std::string_view text) {
  const auto payloads = parse_payloads(first, hex(text));
  EXPECT_FALSE(payloads.ok()) << text;
  return payloads.ok() ? Error{} : payloads.error();
}
void expect_refused(PayloadType first, std::string_view text, ErrorCode code,
                    std::string_view why) {
  const Error error = refused(first, text);
  EXPECT_EQ(error.code, code) << text;
  EXPECT_THAT(error.message, HasSubstr(std::string(why))) << text;
}
std::vector<Payload> accepted(PayloadType first, std::string_view text) {
  auto payloads = parse_payloads(first, hex(text));
  EXPECT_TRUE(payloads.ok()) << text << ": " << (payloads.ok() ? "" : payloads.error().message);
  return payloads.ok() ? std::move(payloads).value() : std::vector<Payload>{};
}

TEST(IkeHeader, LengthMustBeTheDatagrams) {
  Bytes bytes = encode_message(samples::header(ExchangeType::kInformational, 0, 1), {});
  ASSERT_TRUE(parse_header(bytes).ok());
  bytes.push_back(0);
  EXPECT_EQ(parse_header(bytes).error().code, ErrorCode::kMalformed);
  bytes.resize(27);
  EXPECT_EQ(parse_header(bytes).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(parse_header({}).error().code, ErrorCode::kTruncated);
}

TEST(IkeHeader, ReservedFlagsAreIgnoredAndNeverSent) {
  Header header = samples::header(ExchangeType::kInformational, 0xff, 1);
  Bytes bytes = encode_message(header, {});
  EXPECT_EQ(bytes[19], kFlagInitiator | kFlagVersion | kFlagResponse);
  bytes[19] = 0xc7 | kFlagResponse;
  EXPECT_EQ(parse_header(bytes)->flags, kFlagResponse);
}

TEST(IkeHeader, VersionAndExchangeAreKept) {
  Header header = samples::header(static_cast<ExchangeType>(99), 0, 1);
  header.version = 0x31;
  const auto message = parse_message(encode_message(header, {}));
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->header.version, 0x31);
  EXPECT_EQ(describe(*message), "exchange 99 request 1 [ ]");
}

TEST(IkeChain, Consistency) {
  const auto nonce = PayloadType::kNonce;
  expect_refused(PayloadType::kVendorId, "00 00 00", ErrorCode::kTruncated,
                 "V payload at offset 0");
  expect_refused(PayloadType::kVendorId, "00 00 0003", ErrorCode::kMalformed, "length of 3 octets");
  expect_refused(PayloadType::kVendorId, "00 00 0006 00", ErrorCode::kTruncated,
                 "its length is 6 octets, and 5 remain");
  expect_refused(PayloadType::kVendorId, "00 00 0004 ff", ErrorCode::kMalformed,
                 "after the last payload at offset 4: 1 octets");
  expect_refused(PayloadType::kVendorId, "2b 00 0004", ErrorCode::kTruncated,
                 "V payload at offset 4");
  expect_refused(nonce, "00 00 0013 000000000000000000000000000000", ErrorCode::kMalformed,
                 "No payload at offset 0: a nonce of 15 octets");
  expect_refused(PayloadType::kNone, "00", ErrorCode::kMalformed, "after the last payload");
  EXPECT_TRUE(accepted(PayloadType::kNone, "").empty());
}

TEST(IkeChain, NoEncryptedPayloadInsideAnother) {
  expect_refused(PayloadType::kSk, "00 00 0004", ErrorCode::kMalformed, "inside another");
  expect_refused(PayloadType::kSkf, "00 00 0008 00010001", ErrorCode::kMalformed, "inside another");
}

TEST(IkeChain, NothingFollowsAnEncryptedPayload) {
  const Header header = samples::header(ExchangeType::kInformational, 0, 1);
  Bytes bytes = encode_sk_prefix(header, PayloadType::kVendorId, 0);
  bytes.insert(bytes.end(), {0, 0, 0, 4});
  bytes[27] = static_cast<std::uint8_t>(bytes.size());
  const auto message = parse_message(bytes);
  ASSERT_FALSE(message.ok());
  EXPECT_THAT(message.error().message,
              HasSubstr("SK payload at offset 28: 4 octets follow it, and it must be the last"));
}

TEST(IkeChain, FragmentNumbers) {
  const Header header = samples::header(ExchangeType::kIkeAuth, 0, 1);
  for (const auto& [number, total] : {std::pair{0, 1}, {0, 0}, {2, 1}, {1, 0}}) {
    Bytes bytes = encode_skf_prefix(header, PayloadType::kNone, 1, 1, 0);
    bytes[33] = static_cast<std::uint8_t>(number);
    bytes[35] = static_cast<std::uint8_t>(total);
    const auto message = parse_message(bytes);
    ASSERT_FALSE(message.ok()) << number << "/" << total;
    EXPECT_EQ(message.error().code, ErrorCode::kMalformed);
  }
  Bytes second = encode_skf_prefix(header, PayloadType::kNone, 2, 2, 0);
  second[28] = 35;  // a later fragment that names a payload all the same
  EXPECT_EQ(parse_message(second)->find<SkfPayload>()->first_inner, PayloadType::kNone);
}

TEST(IkeChain, UnknownPayloadsAreKeptWithTheirCriticalBit) {
  const auto payloads =
      accepted(static_cast<PayloadType>(200), "c9 ff 0006 0102 29 00 0004 00 00 0008 00 00 4000");
  ASSERT_EQ(payloads.size(), 3u);
  EXPECT_EQ(payloads[0], Payload(OtherPayload{static_cast<PayloadType>(200), true, {1, 2}}));
  EXPECT_EQ(payloads[1], Payload(OtherPayload{static_cast<PayloadType>(201), false, {}}));
  Message message;
  message.header = samples::header(ExchangeType::kInformational, 0, 3);
  message.payloads = payloads;
  EXPECT_EQ(describe(message), "INFORMATIONAL request 3 [ PLD(200)! PLD(201) N(INITIAL_CONTACT) ]");
}

TEST(IkeChain, ReservedBitsAndTheCriticalBitOfKnownPayloadsAreIgnored) {
  EXPECT_EQ(accepted(PayloadType::kVendorId, "00 ff 0005 01"),
            std::vector<Payload>{VendorIdPayload{{1}}});
  EXPECT_EQ(accepted(PayloadType::kKe, "00 00 0009 0013 ffff 07"),
            (std::vector<Payload>{KePayload{19, {7}}}));
}

TEST(IkeChain, NotMorePayloadsThanTheLimit) {
  std::vector<Payload> payloads(kMaxPayloads, VendorIdPayload{});
  const Header header = samples::header(ExchangeType::kInformational, 0, 1);
  EXPECT_TRUE(parse_message(encode_message(header, payloads)).ok());
  payloads.push_back(VendorIdPayload{});
  const auto message = parse_message(encode_message(header, payloads));
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.error().code, ErrorCode::kLimit);
  EXPECT_THAT(message.error().message, HasSubstr("V payload at offset 540"));
}

TEST(IkeChain, NotMoreOctetsThanTheLimit) {
  EXPECT_EQ(parse_message(Bytes(kMaxMessageOctets + 1)).error().code, ErrorCode::kLimit);
  EXPECT_EQ(parse_payloads(PayloadType::kSa, Bytes(kMaxMessageOctets + 1)).error().code,
            ErrorCode::kLimit);
}

TEST(IkeNonce, Sizes) {
  PayloadType first{};
  for (const std::size_t octets : {0u, 15u, 257u}) {
    const Bytes bytes = encode_payloads({NoncePayload{Bytes(octets)}}, first);
    EXPECT_EQ(parse_payloads(first, bytes).error().code, ErrorCode::kMalformed) << octets;
  }
  for (const std::size_t octets : {16u, 256u}) {
    const Bytes bytes = encode_payloads({NoncePayload{Bytes(octets)}}, first);
    EXPECT_TRUE(parse_payloads(first, bytes).ok()) << octets;
  }
}

TEST(IkeNotify, Spi) {
  const auto notify = PayloadType::kNotify;
  expect_refused(notify, "00 00 000a 03 02 4009 0102", ErrorCode::kMalformed,
                 "N payload at offset 0: an SPI of 2 octets with protocol 3");
  expect_refused(notify, "00 00 0010 03 08 4009 0102030405060708", ErrorCode::kMalformed,
                 "8 octets");
  expect_refused(notify, "00 00 000a 03 04 4009 0102", ErrorCode::kTruncated,
                 "the SPI at offset 8 needs 4 octets, and 2 remain");
  expect_refused(notify, "00 00 0007 00 00 40", ErrorCode::kTruncated, "the notify message type");
  // "If the SPI field is empty, this field ... MUST be ignored on receipt."
  const auto payloads = accepted(notify, "00 00 000a 01 00 fff0 0102");
  EXPECT_EQ(payloads[0],
            Payload(NotifyPayload{ProtocolId::kNone, static_cast<NotifyType>(0xfff0), {}, {1, 2}}));
}

TEST(IkeDelete, ProtocolSizeAndCount) {
  const auto type = PayloadType::kDelete;
  expect_refused(type, "00 00 0008 00 00 0000", ErrorCode::kMalformed, "protocol 0 is none of");
  expect_refused(type, "00 00 0008 04 04 0000", ErrorCode::kMalformed, "protocol 4 is none of");
  expect_refused(type, "00 00 0010 01 08 0001 0102030405060708", ErrorCode::kMalformed,
                 "protocol 1");
  expect_refused(type, "00 00 0008 01 00 0001", ErrorCode::kMalformed, "1 SPIs of 0 octets");
  expect_refused(type, "00 00 0010 03 08 0001 0102030405060708", ErrorCode::kMalformed, "8 octets");
  expect_refused(type, "00 00 000c 03 04 0002 01020304", ErrorCode::kMalformed, "4 octets follow");
  expect_refused(type, "00 00 000c 03 04 0000 01020304", ErrorCode::kMalformed, "4 octets follow");
  expect_refused(type, "00 00 0008 03 04 ffff", ErrorCode::kLimit, "more than 1024 SPIs");
}

TEST(IkeId, AddressesHaveTheirSize) {
  const auto type = PayloadType::kIdr;
  expect_refused(type, "00 00 000b 01 000000 c00002", ErrorCode::kMalformed, "type 1 has 3 octets");
  expect_refused(type, "00 00 000c 05 000000 c0000201", ErrorCode::kMalformed,
                 "type 5 has 4 octets");
  expect_refused(type, "00 00 0007 01 0000", ErrorCode::kTruncated, "IDr payload at offset 0");
  EXPECT_EQ(accepted(type, "00 00 000c 01 000000 c0000201").size(), 1u);
  EXPECT_EQ(accepted(type, "00 00 0008 fa 000000").size(), 1u);
}

TEST(IkeTs, CountsLengthsAndOrder) {
  const auto type = PayloadType::kTsi;
  expect_refused(type, "00 00 0008 00 000000", ErrorCode::kMalformed, "it holds no selector");
  expect_refused(type, "00 00 0018 02 000000 07 00 0010 0000ffff 00000000 ffffffff",
                 ErrorCode::kTruncated, "the TS type at offset 24");
  expect_refused(type, "00 00 0019 01 000000 07 00 0010 0000ffff 00000000 ffffffff 00",
                 ErrorCode::kMalformed, "1 octets follow its 1 selectors");
  expect_refused(type, "00 00 0018 01 000000 08 00 0010 0000ffff 00000000 ffffffff",
                 ErrorCode::kMalformed, "does not have the length of its type");
  expect_refused(type, "00 00 000c 01 000000 07 00 0003", ErrorCode::kMalformed, "length of 3");
  expect_refused(type, "00 00 0018 01 000000 07 00 0011 0000ffff 00000000 ffffffff",
                 ErrorCode::kTruncated, "a selector at offset 12 needs 13 octets");
  expect_refused(type, "00 00 0018 01 000000 07 00 0010 0000ffff 0a000002 0a000001",
                 ErrorCode::kMalformed, "10.0.0.2 to 10.0.0.1");
  expect_refused(type, "00 00 0018 01 000000 07 06 0010 00020001 0a000001 0a000001",
                 ErrorCode::kMalformed, "ports 2 to 1");
  // OPAQUE ports
  EXPECT_EQ(accepted(type, "00 00 0018 01 000000 07 06 0010 ffff0000 0a000001 0a000001").size(),
            1u);
}

TEST(IkeTs, UnknownTypesAreLeftOut) {
  const auto payloads = accepted(PayloadType::kTsr,
                                 "00 00 0020 02 000000 09 00 0008 01020304"
                                 "07 00 0010 0000ffff 00000000 ffffffff");
  const auto& ts = std::get<TsPayload>(payloads.at(0));
  ASSERT_EQ(ts.selectors.size(), 1u);
  EXPECT_EQ(ts.selectors[0].end.to_string(), "255.255.255.255");
  const auto none = accepted(PayloadType::kTsr, "00 00 000c 01 000000 ff 00 0004");
  EXPECT_TRUE(std::get<TsPayload>(none.at(0)).selectors.empty());
}

}  // namespace
}  // namespace espalier::wire::ike
