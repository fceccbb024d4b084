// Properties: what is encoded parses back to itself; what is cut short is refused; what is damaged
// never crashes (the sanitizers watch) and what still parses can be encoded again.
#include <gtest/gtest.h>

#include "wire/ike/samples.hpp"

namespace espalier::wire::ike {
namespace {

using testing::Random;

std::vector<std::pair<Header, std::vector<Payload>>> whole_messages() {
  using E = ExchangeType;
  return {{samples::header(E::kIkeSaInit, kFlagInitiator, 0), samples::sa_init_request()},
          {samples::header(E::kIkeAuth, kFlagInitiator, 1), samples::auth_request()},
          {samples::header(E::kCreateChildSa, kFlagResponse, 7), samples::rekey_request()},
          {samples::header(E::kInformational, 0, 9), samples::deletes()},
          {samples::header(E::kIkeSaInit, kFlagInitiator, 0), samples::multiple_ke_request()},
          {samples::header(E::kIkeAuth, kFlagInitiator, 3), samples::ppk_auth_request()},
          {samples::header(E::kIkeIntermediate, kFlagInitiator, 1), samples::intermediate()},
          {samples::header(E::kIkeFollowupKe, kFlagResponse, 8), samples::followup()},
          {samples::header(E::kIkeSessionResume, kFlagInitiator, 0), samples::resume_request()}};
}

TEST(IkeRoundTrip, WholeMessages) {
  for (const auto& [header, payloads] : whole_messages()) {
    const Bytes bytes = encode_message(header, payloads);
    const auto parsed = parse_message(bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed->payloads, payloads);
    Header expected = header;
    expected.length = static_cast<std::uint32_t>(bytes.size());
    expected.next_payload = type_of(payloads.front());
    EXPECT_EQ(parsed->header, expected);
    EXPECT_EQ(encode_message(parsed->header, parsed->payloads), bytes);
  }
}

TEST(IkeRoundTrip, AnyValues) {
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    Random random(seed);
    Header header;
    header.spi_i = IkeSpi(random.next());
    header.spi_r = IkeSpi(random.next());
    header.version = random.u8();
    header.exchange = static_cast<ExchangeType>(random.u8());
    header.flags = random.u8() & (kFlagInitiator | kFlagResponse | kFlagVersion);
    header.message_id = MessageId(random.u32());
    const std::vector<Payload> payloads = samples::any_payloads(random, 8);
    const Bytes bytes = encode_message(header, payloads);
    const auto parsed = parse_message(bytes);
    ASSERT_TRUE(parsed.ok()) << "seed " << seed << ": " << parsed.error().message;
    header.length = static_cast<std::uint32_t>(bytes.size());
    header.next_payload = payloads.empty() ? PayloadType::kNone : type_of(payloads.front());
    ASSERT_EQ(parsed->header, header) << "seed " << seed;
    ASSERT_EQ(parsed->payloads, payloads) << "seed " << seed;

    PayloadType first{};
    const Bytes chain = encode_payloads(payloads, first);
    ASSERT_EQ(parse_payloads(first, chain).value(), payloads) << "seed " << seed;
  }
}

void patch_length(Bytes& bytes) {
  if (bytes.size() < kHeaderOctets) return;
  bytes[24] = 0;
  bytes[25] = 0;
  bytes[26] = static_cast<std::uint8_t>(bytes.size() >> 8);
  bytes[27] = static_cast<std::uint8_t>(bytes.size());
}

TEST(IkeRoundTrip, EveryTruncationIsAnError) {
  for (const auto& [header, payloads] : whole_messages()) {
    const Bytes whole = encode_message(header, payloads);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(parse_message(cut).ok()) << size;
      patch_length(cut);  // so that the payloads themselves are reached
      const auto parsed = parse_message(cut);
      ASSERT_FALSE(parsed.ok()) << describe(*parsed) << " cut to " << size;
      EXPECT_NE(parsed.error().message.find("at offset"), std::string::npos);
    }
    PayloadType first{};
    const Bytes chain = encode_payloads(payloads, first);
    for (std::size_t size = 0; size < chain.size(); ++size) {
      EXPECT_FALSE(parse_payloads(first, ByteView(chain).first(size)).ok()) << size;
    }
  }
}

TEST(IkeRoundTrip, NoSingleOctetCrashes) {
  for (const auto& [header, payloads] : whole_messages()) {
    const Bytes whole = encode_message(header, payloads);
    std::size_t parsed_again = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (const unsigned value : {0x00u, 0x01u, 0x2eu, 0x35u, 0x7fu, 0x80u, 0xffu}) {
        Bytes damaged = whole;
        damaged[i] = static_cast<std::uint8_t>(value);
        const auto parsed = parse_message(damaged);
        if (!parsed.ok()) {
          EXPECT_FALSE(parsed.error().message.empty());
          continue;
        }
        EXPECT_FALSE(describe(*parsed).empty());
        ++parsed_again;
      }
    }
    EXPECT_GT(parsed_again, whole.size());  // most of a message is data that may be anything
  }
}

TEST(IkeRoundTrip, AnyOctetsEndInAValueOrAnError) {
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed);
    const Bytes bytes = random.bytes(0, 200);
    const auto payloads = parse_payloads(static_cast<PayloadType>(33 + random.below(22)), bytes);
    if (!payloads.ok()) {
      ASSERT_FALSE(payloads.error().message.empty()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace espalier::wire::ike
