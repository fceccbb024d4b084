#include "ike/core/seal.hpp"

#include "crypto/test_support.hpp"
#include "ike/core/limits.hpp"

namespace espalier::ike {
namespace {

using crypto::CipherSuite;
using crypto::EncrId;
using crypto::IntegId;
using wire::ike::Header;
using wire::ike::NoncePayload;
using wire::ike::Payload;
using wire::ike::PayloadType;
using wire::ike::SkfPayload;
using wire::ike::SkPayload;

const std::vector<CipherSuite> kSuites = {
    {EncrId::kAesGcm16, 128, IntegId::kNone},
    {EncrId::kAesGcm16, 256, IntegId::kNone},
    {EncrId::kChaCha20Poly1305, 0, IntegId::kNone},
    {EncrId::kAesCbc, 128, IntegId::kHmacSha1_96},
    {EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128},
    {EncrId::kAesCbc, 256, IntegId::kHmacSha2_384_192},
    {EncrId::kAesCbc, 128, IntegId::kHmacSha2_512_256},
};

struct Sealer {
  CipherSuite suite;
  SecretBytes encr, integ;
  std::uint64_t counter = 7;
  crypto::SeededRng rng{1};

  explicit Sealer(const CipherSuite& of) : suite(of) {
    const auto sizes = crypto::sizes(suite).value();
    encr = SecretBytes(rng.bytes(sizes.encr_key));
    integ = SecretBytes(rng.bytes(sizes.integ_key));
  }
  SealKeys keys() const { return {suite, encr, integ}; }
  std::vector<Bytes> seal(const std::vector<Payload>& payloads, std::size_t fragment_octets) {
    Header header;
    header.spi_i = IkeSpi(0x1122334455667788);
    header.spi_r = IkeSpi(0x99aabbccddeeff00);
    header.exchange = wire::ike::ExchangeType::kInformational;
    header.flags = wire::ike::kFlagInitiator;
    header.message_id = MessageId(9);
    return ike::seal(header, payloads, keys(), {counter, rng}, fragment_octets);
  }
};

std::vector<Payload> payloads_of(std::size_t octets) {
  return {NoncePayload{Bytes(octets, 0xab)}, NoncePayload{Bytes(16, 0xcd)}};
}

Result<std::vector<Payload>> open(ByteView datagram, const SealKeys& keys) {
  TRY_ASSIGN(const auto message, wire::ike::parse_message(datagram));
  const auto* sk = message.find<SkPayload>();
  if (sk == nullptr) return make_error(ErrorCode::kMalformed, "no SK payload");
  return open_sk(datagram, *sk, keys);
}

TEST(Seal, RoundTripOfEverySuiteAndEveryPadding) {
  for (const CipherSuite& suite : kSuites) {
    Sealer sealer(suite);
    for (std::size_t octets = 16; octets < 50; ++octets) {
      const auto payloads = payloads_of(octets);
      const auto datagrams = sealer.seal(payloads, 0);
      ASSERT_EQ(datagrams.size(), 1u);
      const auto opened = open(datagrams.front(), sealer.keys());
      ASSERT_TRUE(opened.ok()) << opened.error().message;
      EXPECT_EQ(*opened, payloads);
    }
    const auto empty = sealer.seal({}, 0);
    const auto opened = open(empty.front(), sealer.keys());
    ASSERT_TRUE(opened.ok());
    EXPECT_TRUE(opened->empty());
  }
}

TEST(Seal, EveryOctetIsProtected) {
  for (const CipherSuite& suite : kSuites) {
    Sealer sealer(suite);
    const Bytes datagram = sealer.seal(payloads_of(20), 0).front();
    for (std::size_t i = 0; i < datagram.size(); ++i) {
      for (const std::uint8_t change : {std::uint8_t{0x01}, std::uint8_t{0x80}}) {
        Bytes tampered = datagram;
        tampered[i] = static_cast<std::uint8_t>(tampered[i] ^ change);
        // Octets that make it another kind of message (length, type of the payload) do not get as
        // far as the ICV; the reserved bits of the flags are cleared by the parser but still
        // covered by it.
        EXPECT_FALSE(open(tampered, sealer.keys()).ok()) << "octet " << i;
      }
    }
    for (std::size_t size = 0; size < datagram.size(); ++size) {
      EXPECT_FALSE(open(ByteView(datagram).first(size), sealer.keys()).ok()) << size;
    }
  }
}

TEST(Seal, ANewIvForEachMessage) {
  for (const CipherSuite& suite : kSuites) {
    Sealer sealer(suite);
    const auto iv = [&] {
      const Bytes datagram = sealer.seal(payloads_of(20), 0).front();
      return to_hex(ByteView(datagram).subspan(32, crypto::sizes(suite)->iv));
    };
    const std::string first = iv();
    EXPECT_NE(first, iv());
  }
}

TEST(Seal, OtherKeysDoNotOpen) {
  for (const CipherSuite& suite : kSuites) {
    Sealer sealer(suite);
    const Bytes datagram = sealer.seal(payloads_of(20), 0).front();
    const SecretBytes other(Bytes(sealer.encr.size(), 1));
    const SecretBytes other_mac(Bytes(sealer.integ.size(), 1));
    const auto opened = open(datagram, {suite, other, other_mac});
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::kAuthentication);
  }
}

TEST(Seal, ShortBodiesAreErrors) {
  for (const CipherSuite& suite : kSuites) {
    Sealer sealer(suite);
    const Bytes datagram = sealer.seal(payloads_of(20), 0).front();
    auto message = wire::ike::parse_message(datagram).value();
    SkPayload sk = *message.find<SkPayload>();
    while (!sk.body.empty()) {
      sk.body.pop_back();
      EXPECT_FALSE(open_sk(datagram, sk, sealer.keys()).ok()) << sk.body.size();
    }
  }
}

TEST(Fragments, RoundTrip) {
  for (const CipherSuite& suite : kSuites) {
    Sealer sealer(suite);
    std::vector<Payload> payloads;
    for (int i = 0; i < 20; ++i) {
      payloads.push_back(NoncePayload{Bytes(100 + static_cast<std::size_t>(i), 0x5a)});
    }
    const auto datagrams = sealer.seal(payloads, 576);
    ASSERT_GT(datagrams.size(), 3u);
    Bytes plaintext;
    PayloadType first = PayloadType::kNone;
    for (std::size_t i = 0; i < datagrams.size(); ++i) {
      EXPECT_LE(datagrams[i].size(), 576u);
      const auto message = wire::ike::parse_message(datagrams[i]);
      ASSERT_TRUE(message.ok());
      const auto* skf = message->find<SkfPayload>();
      ASSERT_NE(skf, nullptr);
      EXPECT_EQ(skf->number, i + 1);
      EXPECT_EQ(skf->total, datagrams.size());
      // RFC 7383 section 2.5: Next Payload is set in the first fragment only.
      EXPECT_EQ(skf->first_inner == PayloadType::kNone, i != 0);
      if (i == 0) first = skf->first_inner;
      const auto part = open_skf(datagrams[i], *skf, sealer.keys());
      ASSERT_TRUE(part.ok());
      plaintext.insert(plaintext.end(), part->begin(), part->end());
      Bytes tampered = datagrams[i];
      tampered[35] ^= 1;  // the low octet of Fragment Number
      const auto other = wire::ike::parse_message(tampered);
      const auto* moved = other ? other->find<SkfPayload>() : nullptr;
      EXPECT_TRUE(moved == nullptr || !open_skf(tampered, *moved, sealer.keys()).ok());
    }
    EXPECT_EQ(wire::ike::parse_payloads(first, plaintext).value(), payloads);
  }
}

TEST(Fragments, OnlyWhatDoesNotFitIsCut) {
  Sealer sealer(kSuites[1]);
  const std::size_t whole = sealer.seal(payloads_of(200), 0).front().size();
  EXPECT_EQ(sealer.seal(payloads_of(200), whole).size(), 1u);
  EXPECT_EQ(sealer.seal(payloads_of(200), whole - 1).size(), 2u);
}

// RFC 7634 appendix B. The IV 10 11 .. 17 is what the counter gives.
TEST(Seal, Rfc7634) {
  const auto v = crypto::test::read_json("ike/rfc7634-ikev2.json");
  const CipherSuite suite{EncrId::kChaCha20Poly1305, 0, IntegId::kNone};
  const SecretBytes encr(
      crypto::test::unhex(v.at("key").get<std::string>() + v.at("salt").get<std::string>()));
  const SecretBytes integ;
  const Bytes datagram = crypto::test::unhex(v.at("message"));
  const auto opened = open(datagram, {suite, encr, integ});
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  ASSERT_EQ(opened->size(), 1u);
  const auto& notify = std::get<wire::ike::NotifyPayload>(opened->front());
  EXPECT_EQ(notify.type, wire::ike::NotifyType::kSetWindowSize);
  EXPECT_EQ(to_hex(notify.data), "0000000a");

  Header header = wire::ike::parse_header(datagram).value();
  std::uint64_t counter = 0x1011121314151617;
  crypto::SeededRng rng(1);
  const auto sealed = seal(header, *opened, {suite, encr, integ}, {counter, rng}, 0);
  ASSERT_EQ(sealed.size(), 1u);
  EXPECT_EQ(to_hex(sealed.front()), to_hex(datagram));
}

}  // namespace
}  // namespace espalier::ike
