// Sealing and opening against each other, and every way in which a packet can be wrong.
#include <gtest/gtest.h>

#include <numeric>

#include "crypto/rng.hpp"
#include "esp/inbound_sa.hpp"
#include "esp/outbound_sa.hpp"

namespace espalier::esp {
namespace {

using crypto::CipherSuite;
using crypto::EncrId;
using crypto::IntegId;

struct Keys {
  Bytes encr, integ;
};
Keys keys_for(const CipherSuite& suite) {
  const crypto::SuiteSizes sizes = crypto::sizes(suite).value();
  crypto::SeededRng rng(42);
  return {rng.bytes(sizes.encr_key), rng.bytes(sizes.integ_key)};
}

SaParameters parameters(const CipherSuite& suite, const Keys& keys, bool esn = false) {
  SaParameters out;
  out.spi = Spi(0xc0ffee01);
  out.suite = suite;
  out.encr_key = keys.encr;
  out.integ_key = keys.integ;
  out.esn = esn;
  return out;
}

Bytes pattern(std::size_t size) {
  Bytes out(size);
  std::iota(out.begin(), out.end(), std::uint8_t{1});
  return out;
}

// A batch with its own storage.
struct Sealed {
  std::vector<Bytes> storage;
  std::vector<SealPacket> packets;
  Sealed(const OutboundSa& sa, const std::vector<std::size_t>& sizes,
         std::uint8_t next_header = 4) {
    for (const std::size_t size : sizes) {
      Bytes& octets = storage.emplace_back(sa.shape().esp_size(size), std::uint8_t{0xee});
      const Bytes payload = pattern(size);
      std::copy(payload.begin(), payload.end(),
                octets.begin() + static_cast<std::ptrdiff_t>(sa.shape().headroom()));
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      packets.push_back({storage[i], sizes[i], next_header});
    }
  }
};

OpenPacket open_one(InboundSa& sa, Bytes& packet) {
  OpenPacket one{packet};
  sa.open({&one, 1});
  return one;
}

class Suites : public testing::TestWithParam<std::tuple<CipherSuite, bool>> {};
INSTANTIATE_TEST_SUITE_P(
    All, Suites,
    testing::Combine(testing::Values(CipherSuite{EncrId::kAesGcm16, 128, IntegId::kNone},
                                     CipherSuite{EncrId::kAesGcm16, 256, IntegId::kNone},
                                     CipherSuite{EncrId::kChaCha20Poly1305, 0, IntegId::kNone},
                                     CipherSuite{EncrId::kAesCbc, 128, IntegId::kHmacSha2_256_128},
                                     CipherSuite{EncrId::kAesCbc, 256, IntegId::kHmacSha2_384_192},
                                     CipherSuite{EncrId::kAesCbc, 256, IntegId::kHmacSha2_512_256}),
                     testing::Bool()));

TEST_P(Suites, everySizeThroughOneBatchComesBack) {
  const auto& [suite, esn] = GetParam();
  const Keys keys = keys_for(suite);
  OutboundSa out = OutboundSa::make(parameters(suite, keys, esn)).value();
  InboundSa in = InboundSa::make(parameters(suite, keys, esn)).value();
  std::vector<std::size_t> sizes(200);  // more than one chunk
  std::iota(sizes.begin(), sizes.end(), std::size_t{0});
  Sealed sealed(out, sizes, 41);
  crypto::SeededRng rng(1);
  ASSERT_EQ(out.seal(sealed.packets, rng), sizes.size());
  std::vector<OpenPacket> opened;
  for (Bytes& packet : sealed.storage) opened.push_back({packet});
  in.open(opened);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    ASSERT_EQ(opened[i].result, OpenResult::kOpened) << i;
    EXPECT_EQ(opened[i].next_header, 41);
    EXPECT_EQ(opened[i].sequence, i + 1);
    EXPECT_TRUE(opened[i].newest);
    EXPECT_TRUE(equal(opened[i].payload, pattern(sizes[i]))) << i;
  }
  EXPECT_EQ(in.counters()[static_cast<std::size_t>(OpenResult::kOpened)], sizes.size());
}

TEST_P(Suites, noOctetMayChange) {
  const auto& [suite, esn] = GetParam();
  const Keys keys = keys_for(suite);
  OutboundSa out = OutboundSa::make(parameters(suite, keys, esn)).value();
  InboundSa in = InboundSa::make(parameters(suite, keys, esn)).value();
  crypto::SeededRng rng(1);
  Sealed sealed(out, {33});
  out.seal(sealed.packets, rng);
  for (std::size_t i = 4; i < sealed.storage[0].size(); ++i) {  // the SPI chooses the SA, before us
    Bytes bent = sealed.storage[0];
    bent[i] ^= 1;
    const OpenPacket result = open_one(in, bent);
    if (i == 7) {  // sequence 1 became 0
      EXPECT_EQ(result.result, OpenResult::kBehindWindow);
    } else {
      EXPECT_TRUE(result.result == OpenResult::kBadIcv ||
                  result.result == OpenResult::kBehindWindow)
          << i;
    }
    EXPECT_TRUE(result.payload.empty());
  }
  EXPECT_EQ(in.window().highest(), 0u);  // no forgery moved the window
  EXPECT_EQ(open_one(in, sealed.storage[0]).result, OpenResult::kOpened);
}

TEST_P(Suites, everyTruncationIsRefused) {
  const auto& [suite, esn] = GetParam();
  const Keys keys = keys_for(suite);
  OutboundSa out = OutboundSa::make(parameters(suite, keys, esn)).value();
  InboundSa in = InboundSa::make(parameters(suite, keys, esn)).value();
  crypto::SeededRng rng(1);
  Sealed sealed(out, {60});
  out.seal(sealed.packets, rng);
  for (std::size_t size = 4; size < sealed.storage[0].size(); ++size) {
    Bytes cut(sealed.storage[0].begin(),
              sealed.storage[0].begin() + static_cast<std::ptrdiff_t>(size));
    const OpenResult result = open_one(in, cut).result;
    EXPECT_TRUE(result == OpenResult::kMalformed || result == OpenResult::kBadIcv) << size;
  }
}

TEST_P(Suites, replaysAreRefusedWithinAndAcrossBatches) {
  const auto& [suite, esn] = GetParam();
  const Keys keys = keys_for(suite);
  OutboundSa out = OutboundSa::make(parameters(suite, keys, esn)).value();
  InboundSa in = InboundSa::make(parameters(suite, keys, esn)).value();
  crypto::SeededRng rng(1);
  Sealed sealed(out, {40, 41});
  out.seal(sealed.packets, rng);
  Bytes twice = sealed.storage[1], late = sealed.storage[1];
  std::vector<OpenPacket> batch{{sealed.storage[1]}, {twice}, {sealed.storage[0]}};
  in.open(batch);
  EXPECT_EQ(batch[0].result, OpenResult::kOpened);
  EXPECT_EQ(batch[1].result, OpenResult::kReplayed);
  EXPECT_EQ(batch[2].result, OpenResult::kOpened);  // reordered, within the window
  EXPECT_FALSE(batch[2].newest);
  EXPECT_EQ(open_one(in, late).result, OpenResult::kReplayed);
}

TEST_P(Suites, theSequenceNeverCycles) {
  const auto& [suite, esn] = GetParam();
  const Keys keys = keys_for(suite);
  SaParameters last = parameters(suite, keys, esn);
  last.first_sequence = esn ? ~std::uint64_t{0} - 2 : 0xfffffffd;
  OutboundSa out = OutboundSa::make(last).value();
  crypto::SeededRng rng(1);
  EXPECT_EQ(out.remaining(), 3u);
  Sealed sealed(out, {20, 20, 20, 20, 20});
  const Bytes untouched = sealed.storage[3];
  EXPECT_EQ(out.seal(sealed.packets, rng), 3u);
  EXPECT_EQ(sealed.storage[3], untouched);
  EXPECT_EQ(out.remaining(), 0u);
  EXPECT_EQ(out.seal(sealed.packets, rng), 0u);
  InboundSa in = InboundSa::make(last).value();
  EXPECT_EQ(open_one(in, sealed.storage[2]).result, OpenResult::kOpened);
  EXPECT_EQ(in.window().highest(), last.first_sequence + 2);
}

TEST_P(Suites, esnCrossesTheLow32Bits) {
  const auto& [suite, esn] = GetParam();
  if (!esn) return;
  const Keys keys = keys_for(suite);
  SaParameters wrap = parameters(suite, keys, true);
  wrap.first_sequence = 0x2'ffff'ffff;
  OutboundSa out = OutboundSa::make(wrap).value();
  InboundSa in = InboundSa::make(wrap).value();
  crypto::SeededRng rng(1);
  Sealed sealed(out, {20, 20, 20});
  ASSERT_EQ(out.seal(sealed.packets, rng), 3u);
  EXPECT_EQ(open_one(in, sealed.storage[1]).sequence, 0x3'0000'0000u);
  EXPECT_EQ(open_one(in, sealed.storage[0]).result, OpenResult::kOpened);
  EXPECT_EQ(open_one(in, sealed.storage[2]).result, OpenResult::kOpened);
  // The same bits one subspace on are another packet, and not authentic.
  SaParameters later = wrap;
  later.first_sequence = 0x3'ffff'ffff;
  InboundSa other = InboundSa::make(later).value();
  Sealed again(out, {20});
  out.seal(again.packets, rng);
  EXPECT_EQ(open_one(other, again.storage[0]).result, OpenResult::kBadIcv);
}

const CipherSuite kGcm{EncrId::kAesGcm16, 128, IntegId::kNone};

TEST(Sa, theIvOfAnAeadIsTheSequenceNumber) {
  const Keys keys = keys_for(kGcm);
  OutboundSa out = OutboundSa::make(parameters(kGcm, keys)).value();
  crypto::SeededRng rng(1);
  Sealed sealed(out, {4, 4});
  out.seal(sealed.packets, rng);
  EXPECT_EQ(to_hex(ByteView(sealed.storage[1]).first(16)), "c0ffee01000000020000000000000002");
}

TEST(Sa, theIvsOfCbcAreFresh) {
  const CipherSuite suite{EncrId::kAesCbc, 128, IntegId::kHmacSha2_256_128};
  const Keys keys = keys_for(suite);
  OutboundSa out = OutboundSa::make(parameters(suite, keys)).value();
  crypto::SeededRng rng(1), same(1);
  const Bytes expected = same.bytes(32);
  Sealed sealed(out, {4, 4});
  out.seal(sealed.packets, rng);
  EXPECT_TRUE(equal(ByteView(sealed.storage[0]).subspan(8, 16), ByteView(expected).first(16)));
  EXPECT_TRUE(equal(ByteView(sealed.storage[1]).subspan(8, 16), ByteView(expected).last(16)));
}

TEST(Sa, dummiesAndForeignPayloadsAreNotDelivered) {
  const Keys keys = keys_for(kGcm);
  OutboundSa out = OutboundSa::make(parameters(kGcm, keys)).value();
  InboundSa in = InboundSa::make(parameters(kGcm, keys)).value();
  crypto::SeededRng rng(1);
  Sealed dummy(out, {100}, 59), tcp(out, {100}, 6);
  out.seal(dummy.packets, rng);
  out.seal(tcp.packets, rng);
  const Bytes for_transport = tcp.storage[0];
  EXPECT_EQ(open_one(in, dummy.storage[0]).result, OpenResult::kDummy);
  EXPECT_EQ(open_one(in, tcp.storage[0]).result, OpenResult::kBadNextHeader);
  SaParameters transport = parameters(kGcm, keys);
  transport.mode = policy::Mode::kTransport;
  InboundSa other = InboundSa::make(transport).value();
  Bytes copy = for_transport;
  EXPECT_EQ(open_one(other, copy).result, OpenResult::kOpened);
}

// Authentic packets with wrong padding: made with the cipher itself.
TEST(Sa, wrongPaddingIsRefused) {
  const Keys keys = keys_for(kGcm);
  InboundSa in = InboundSa::make(parameters(kGcm, keys)).value();
  auto cipher = crypto::make_cipher(kGcm, keys.encr, {}).value();
  std::uint8_t sequence = 0;
  const auto packet_of = [&](Bytes plain) {
    Bytes packet = from_hex("c0ffee01000000000000000000000000").value();
    packet[7] = packet[15] = ++sequence;
    packet.insert(packet.end(), plain.begin(), plain.end());
    packet.insert(packet.end(), 16, 0);
    const MutableByteView all = packet;
    crypto::SealItem item;
    item.aad = all.first(8);
    item.iv = all.subspan(8, 8);
    item.data = all.subspan(16, plain.size());
    item.icv = all.last(16);
    cipher->seal({&item, 1});
    return packet;
  };
  Bytes wrong = packet_of({0x45, 1, 3, 3, 3, 4});
  EXPECT_EQ(open_one(in, wrong).result, OpenResult::kBadPadding);
  Bytes too_long = packet_of({0x45, 1, 2, 3, 5, 4});
  EXPECT_EQ(open_one(in, too_long).result, OpenResult::kBadPadding);
  Bytes all_padding = packet_of({1, 2, 3, 4, 4, 4});
  EXPECT_EQ(open_one(in, all_padding).result, OpenResult::kOpened);
  EXPECT_EQ(in.window().highest(), 3u);  // authentic packets move the window
}

TEST(Sa, parametersAreChecked) {
  const Keys keys = keys_for(kGcm);
  SaParameters first = parameters(kGcm, keys);
  first.first_sequence = 0x1'0000'0000;  // without ESN
  EXPECT_EQ(OutboundSa::make(first).error().code, ErrorCode::kInvalidArgument);
  SaParameters window = parameters(kGcm, keys);
  window.replay_window = 4097;
  EXPECT_EQ(InboundSa::make(window).error().code, ErrorCode::kInvalidArgument);
  SaParameters key = parameters(kGcm, keys);
  key.encr_key = key.encr_key.first(19);
  EXPECT_FALSE(InboundSa::make(key).ok());
}

// Manual keys (RFC 4303 section 3.3.3): numbers go round, and nobody looks at them.
TEST(WithoutAntiReplay, numbersGoRoundAndAreNotLookedAt) {
  const CipherSuite cbc{EncrId::kAesCbc, 128, IntegId::kHmacSha2_256_128};
  const Keys keys = keys_for(cbc);
  SaParameters p = parameters(cbc, keys);
  p.replay_window = 0;
  InboundSa in = InboundSa::make(p).value();
  p.first_sequence = 0xfffffffe;
  OutboundSa out = OutboundSa::make(p).value();
  crypto::SystemRng rng;
  Sealed sealed(out, {10, 20, 30, 40});
  EXPECT_EQ(out.seal(sealed.packets, rng), 2u + 2u);
  std::vector<std::uint32_t> numbers;
  for (Bytes& packet : sealed.storage) {
    numbers.push_back(wire::esp::parse_header(packet)->sequence);
    for (int twice = 0; twice < 2; ++twice) {
      Bytes copy = packet;
      EXPECT_EQ(open_one(in, copy).result, OpenResult::kOpened);
    }
    packet.back() ^= 1;
    EXPECT_EQ(open_one(in, packet).result, OpenResult::kBadIcv);
  }
  EXPECT_EQ(numbers, (std::vector<std::uint32_t>{0xfffffffe, 0xffffffff, 1, 2}));
  EXPECT_GT(out.remaining(), 0u);
}

TEST(WithoutAntiReplay, onlyForCbcWithoutEsn) {
  const CipherSuite gcm{EncrId::kAesGcm16, 128, IntegId::kNone};
  const Keys keys = keys_for(gcm);
  SaParameters p = parameters(gcm, keys);
  p.replay_window = 0;
  EXPECT_EQ(OutboundSa::make(p).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(InboundSa::make(p).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace espalier::esp
