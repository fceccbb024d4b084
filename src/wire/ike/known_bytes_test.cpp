// Messages assembled octet by octet from RFC 7296's figures, against the codec.
#include <gtest/gtest.h>

#include "wire/ike/message.hpp"
#include "wire/testing/hex.hpp"

namespace espalier::wire::ike {
namespace {

using testing::hex;

// An IKE_SA_INIT request: SA (aes256gcm16-prfsha384-x25519), KE, Ni, one notify.
Bytes sa_init() {
  return hex(
      "0102030405060708 0000000000000000"  // SPIs
      "21 20 22 08 00000000 000000a4"      // SA next, 2.0, IKE_SA_INIT, I, message 0, 164 octets
      "22 00 0028"                         // KE next, SA of 40 octets
      "00 00 0024 01 01 00 03"  // the last proposal, 36 octets, number 1, IKE, 3 transforms
      "03 00 000c 01 00 0014 800e 0100"  // ENCR 20, Key Length 256
      "03 00 0008 02 00 0006"            // PRF 6
      "00 00 0008 04 00 001f"            // D-H 31, last
      "28 00 0028 001f 0000"             // Nonce next, KE of 40 octets, group 31
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "29 00 0024"  // Notify next, a nonce of 32 octets
      "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
      "00 00 0014 00 00 4006"  // COOKIE, the last payload
      "c0c1c2c3c4c5c6c7c8c9cacb");
}

TEST(IkeKnownBytes, SaInitToValue) {
  const Result<Message> parsed = parse_message(sa_init());
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const Message& message = *parsed;
  EXPECT_EQ(message.header.spi_i, IkeSpi(0x0102030405060708));
  EXPECT_EQ(message.header.spi_r, IkeSpi(0));
  EXPECT_EQ(message.header.next_payload, PayloadType::kSa);
  EXPECT_EQ(message.header.version, 0x20);
  EXPECT_EQ(message.header.exchange, ExchangeType::kIkeSaInit);
  EXPECT_TRUE(message.header.from_initiator());
  EXPECT_FALSE(message.header.is_response());
  EXPECT_EQ(message.header.length, 164u);
  ASSERT_EQ(message.payloads.size(), 4u);

  const auto* sa = message.find<SaPayload>();
  ASSERT_NE(sa, nullptr);
  const Proposal proposal{1,
                          ProtocolId::kIke,
                          {},
                          {{TransformType::kEncr, 20, 256, false},
                           {TransformType::kPrf, 6, 0, false},
                           {TransformType::kDh, 31, 0, false}}};
  EXPECT_EQ(sa->proposals, std::vector<Proposal>{proposal});

  const auto* ke = message.find<KePayload>();
  ASSERT_NE(ke, nullptr);
  EXPECT_EQ(ke->group, 31);
  EXPECT_EQ(to_hex(ke->data), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  EXPECT_EQ(message.find<NoncePayload>()->data.size(), 32u);
  const NotifyPayload* cookie = message.notify(NotifyType::kCookie);
  ASSERT_NE(cookie, nullptr);
  EXPECT_EQ(to_hex(cookie->data), "c0c1c2c3c4c5c6c7c8c9cacb");
  EXPECT_EQ(message.notify(NotifyType::kInvalidSyntax), nullptr);
  EXPECT_EQ(describe(message), "IKE_SA_INIT request 0 [ SA KE No N(COOKIE) ]");
}

TEST(IkeKnownBytes, SaInitFromValue) {
  const Message message = parse_message(sa_init()).value();
  EXPECT_EQ(to_hex(encode_message(message.header, message.payloads)), to_hex(sa_init()));
}

TEST(IkeKnownBytes, DeletePayloads) {
  const Bytes bytes =
      hex("2a 00 0010 03 04 0002 c0ffee01 c0ffee02"  // two ESP SAs
          "2a 00 000c 02 04 0001 00000101"           // one AH SA
          "00 00 0008 01 00 0000");                  // the IKE SA
  const auto payloads = parse_payloads(PayloadType::kDelete, bytes);
  ASSERT_TRUE(payloads.ok()) << payloads.error().message;
  const std::vector<Payload> expected{
      DeletePayload{ProtocolId::kEsp, {Spi(0xc0ffee01), Spi(0xc0ffee02)}},
      DeletePayload{ProtocolId::kAh, {Spi(0x101)}}, DeletePayload{ProtocolId::kIke, {}}};
  EXPECT_EQ(*payloads, expected);
  PayloadType first = PayloadType::kNone;
  EXPECT_EQ(to_hex(encode_payloads(expected, first)), to_hex(bytes));
  EXPECT_EQ(first, PayloadType::kDelete);
}

TEST(IkeKnownBytes, TrafficSelectors) {
  const Bytes bytes =
      hex("2d 00 0018 01 000000"
          "07 11 0010 0064 00c8 c6336442 c6336443"  // UDP 100-200, 198.51.100.66-67
          "00 00 0030 01 000000"
          "08 00 0028 0000 ffff"
          "20010db8000000000000000000000000 20010db8ffffffffffffffffffffffff");
  const auto payloads = parse_payloads(PayloadType::kTsi, bytes);
  ASSERT_TRUE(payloads.ok()) << payloads.error().message;
  ASSERT_EQ(payloads->size(), 2u);
  const TrafficSelector v4{17, 100, 200, IpAddress::parse("198.51.100.66").value(),
                           IpAddress::parse("198.51.100.67").value()};
  const TrafficSelector v6{0, 0, 65535, IpAddress::parse("2001:db8::").value(),
                           IpAddress::parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff").value()};
  EXPECT_EQ((*payloads)[0], Payload(TsPayload{PayloadType::kTsi, {v4}}));
  EXPECT_EQ((*payloads)[1], Payload(TsPayload{PayloadType::kTsr, {v6}}));
  PayloadType first = PayloadType::kNone;
  EXPECT_EQ(to_hex(encode_payloads(*payloads, first)), to_hex(bytes));
  EXPECT_EQ(first, PayloadType::kTsi);
}

TEST(IkeKnownBytes, IdentityKeepsItsBodyAsReceived) {
  // RFC 7296 section 2.15 signs RESTOFIDPAYLOAD, whatever the peer put in the reserved octets.
  const Bytes bytes = hex("27 00 000b 02 aabbcc 666f6f 00 00 0009 02 00000001");
  const auto payloads = parse_payloads(PayloadType::kIdi, bytes);
  ASSERT_TRUE(payloads.ok()) << payloads.error().message;
  const auto& id = std::get<IdPayload>((*payloads)[0]);
  EXPECT_EQ(id.role, PayloadType::kIdi);
  EXPECT_EQ(to_text(id.data), "foo");
  EXPECT_EQ(to_hex(id.body), "02aabbcc666f6f");
  const auto& auth = std::get<AuthPayload>((*payloads)[1]);
  EXPECT_EQ(auth.method, 2);
  EXPECT_EQ(to_hex(auth.data), "01");
  PayloadType first = PayloadType::kNone;
  EXPECT_EQ(to_hex(encode_payloads({Payload(id)}, first)), "0000000b02000000666f6f");
}

TEST(IkeKnownBytes, EncryptedPayload) {
  const Header header{
      IkeSpi(1),    IkeSpi(2), PayloadType::kNone, 0x20, ExchangeType::kIkeAuth, kFlagInitiator,
      MessageId(1), 0};
  Bytes bytes = encode_sk_prefix(header, PayloadType::kIdi, 5);
  EXPECT_EQ(to_hex(bytes),
            "00000000000000010000000000000002"
            "2e2023080000000100000025"
            "23000009");
  const std::size_t aad = bytes.size();
  bytes.insert(bytes.end(), {0x01, 0x02, 0x03, 0x04, 0x05});
  const auto message = parse_message(bytes);
  ASSERT_TRUE(message.ok()) << message.error().message;
  EXPECT_EQ(message->payloads,
            std::vector<Payload>{(SkPayload{PayloadType::kIdi, {1, 2, 3, 4, 5}, aad})});
  EXPECT_EQ(describe(*message), "IKE_AUTH request 1 [ SK ]");
}

TEST(IkeKnownBytes, EncryptedFragments) {
  const Header header{
      IkeSpi(1),    IkeSpi(2), PayloadType::kNone, 0x20, ExchangeType::kIkeAuth, kFlagResponse,
      MessageId(1), 0};
  Bytes bytes = encode_skf_prefix(header, PayloadType::kIdr, 1, 3, 2);
  EXPECT_EQ(to_hex(bytes),
            "00000000000000010000000000000002"
            "352023200000000100000026"
            "2400000a00010003");
  bytes.insert(bytes.end(), {0xee, 0xff});
  const auto first = parse_message(bytes);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(first->payloads,
            std::vector<Payload>{(SkfPayload{PayloadType::kIdr, 1, 3, {0xee, 0xff}, 36})});
  EXPECT_EQ(describe(*first), "IKE_AUTH response 1 [ SKF(1/3) ]");

  bytes = encode_skf_prefix(header, PayloadType::kNone, 3, 3, 0);
  const auto third = parse_message(bytes);
  ASSERT_TRUE(third.ok()) << third.error().message;
  EXPECT_EQ(third->payloads, std::vector<Payload>{(SkfPayload{PayloadType::kNone, 3, 3, {}, 36})});
}

TEST(IkeKnownBytes, AnEncryptedPayloadMayFollowOthers) {
  Bytes bytes =
      hex("0000000000000001 0000000000000002 29 20 25 08 00000007 00000029"
          "2e 00 0008 00 00 4000"  // INITIAL_CONTACT in the clear, then SK
          "00 00 0005 99");
  const auto message = parse_message(bytes);
  ASSERT_TRUE(message.ok()) << message.error().message;
  const auto* sk = message->find<SkPayload>();
  ASSERT_NE(sk, nullptr);
  EXPECT_EQ(sk->aad_octets, 40u);
  EXPECT_EQ(sk->first_inner, PayloadType::kNone);
  EXPECT_EQ(sk->body, Bytes{0x99});
}

}  // namespace
}  // namespace espalier::wire::ike
