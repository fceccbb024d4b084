#include "crypto/aead.hpp"

#include "crypto/prf.hpp"
#include "crypto/test_support.hpp"

namespace espalier::crypto {
namespace {

using test::read_json;
using test::unhex;

constexpr CipherSuite kGcm128{EncrId::kAesGcm16, 128, IntegId::kNone};
constexpr CipherSuite kGcm256{EncrId::kAesGcm16, 256, IntegId::kNone};
constexpr CipherSuite kChaCha{EncrId::kChaCha20Poly1305, 0, IntegId::kNone};
constexpr CipherSuite kCbcSha256{EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128};
constexpr CipherSuite kCbcSha512{EncrId::kAesCbc, 128, IntegId::kHmacSha2_512_256};
constexpr std::array kSuites = {kGcm128, kGcm256, kChaCha, kCbcSha256, kCbcSha512};

std::unique_ptr<Cipher> cipher_of(const CipherSuite& suite, ByteView encr_key,
                                  ByteView integ_key = {}) {
  auto cipher = make_cipher(suite, encr_key, integ_key);
  EXPECT_TRUE(cipher.ok());
  return std::move(*cipher);
}

// A packet that owns its octets.
struct Packet {
  Bytes aad, iv, data, icv, esn_high;
  SealItem item() { return {aad, iv, data, icv, esn_high, false}; }
};

void seal(Cipher& cipher, Packet& packet) {
  SealItem item = packet.item();
  cipher.seal({&item, 1});
}

bool open(Cipher& cipher, Packet& packet) {
  SealItem item = packet.item();
  cipher.open({&item, 1});
  return item.ok;
}

Packet random_packet(const SuiteSizes& lengths, Rng& rng, std::size_t blocks) {
  return {rng.bytes(8),
          rng.bytes(lengths.iv),
          rng.bytes(blocks * lengths.block),
          Bytes(lengths.icv),
          {}};
}

struct Counts {
  int valid = 0;
  int invalid = 0;
};

// Wycheproof's nonce is our salt | IV, so its first four octets become part of the key.
Counts check_wycheproof(const std::string& path, EncrId encr) {
  Counts counts;
  const auto file = read_json(path);
  for (const auto& group : file.at("testGroups")) {
    if (group.at("ivSize") != 96 || group.at("tagSize") != 128) continue;
    const auto key_bits = group.at("keySize").get<std::uint16_t>();
    const CipherSuite suite{encr, encr == EncrId::kAesGcm16 ? key_bits : std::uint16_t{0},
                            IntegId::kNone};
    for (const auto& v : group.at("tests")) {
      Bytes key = unhex(v.at("key"));
      const Bytes nonce = unhex(v.at("iv"));
      key.insert(key.end(), nonce.begin(), nonce.begin() + 4);
      const auto cipher = cipher_of(suite, key);
      const Bytes message = unhex(v.at("msg"));
      Packet packet{unhex(v.at("aad")),
                    Bytes(nonce.begin() + 4, nonce.end()),
                    unhex(v.at("ct")),
                    unhex(v.at("tag")),
                    {}};
      const bool valid = v.at("result") == "valid";
      EXPECT_EQ(open(*cipher, packet), valid) << v.at("tcId");
      if (!valid) {
        EXPECT_EQ(packet.data, Bytes(packet.data.size())) << "unverified octets were released";
        ++counts.invalid;
        continue;
      }
      EXPECT_EQ(packet.data, message) << v.at("tcId");
      packet.icv.assign(16, 0);
      seal(*cipher, packet);
      EXPECT_EQ(to_hex(packet.data), v.at("ct").get<std::string>()) << v.at("tcId");
      EXPECT_EQ(to_hex(packet.icv), v.at("tag").get<std::string>()) << v.at("tcId");
      ++counts.valid;
    }
  }
  return counts;
}

TEST(Aead, WycheproofAesGcm) {
  const Counts counts = check_wycheproof("wycheproof/aes_gcm_test.json", EncrId::kAesGcm16);
  EXPECT_GE(counts.valid, 100);
  EXPECT_GE(counts.invalid, 60);
}

TEST(Aead, WycheproofChaCha20Poly1305) {
  const Counts counts =
      check_wycheproof("wycheproof/chacha20_poly1305_test.json", EncrId::kChaCha20Poly1305);
  EXPECT_GE(counts.valid, 200);
  EXPECT_GE(counts.invalid, 50);
}

// RFC 3602 section 4: the cipher alone, so the MAC's key may be any.
TEST(CbcHmac, Rfc3602) {
  const auto file = read_json("cbc-hmac/rfc3602.json");
  ASSERT_EQ(file.at("cases").size(), 4u);
  for (const auto& v : file.at("cases")) {
    const auto cipher = cipher_of({EncrId::kAesCbc, 128, IntegId::kHmacSha2_256_128},
                                  unhex(v.at("key")), Bytes(32, 9));
    Packet packet{{}, unhex(v.at("iv")), unhex(v.at("plaintext")), Bytes(16), {}};
    seal(*cipher, packet);
    EXPECT_EQ(to_hex(packet.data), v.at("ciphertext").get<std::string>());
    EXPECT_TRUE(open(*cipher, packet));
    EXPECT_EQ(to_hex(packet.data), v.at("plaintext").get<std::string>());
  }
}

// Whole ESP packets: outer IP header | SPI, sequence number | IV | ciphertext | ICV.
TEST(CbcHmac, PacketsOfDpdk) {
  const auto file = read_json("cbc-hmac/dpdk.json");
  int checked = 0;
  for (const auto& v : file.at("vectors")) {
    const Bytes integ_key = unhex(v.at("auth_key"));
    const IntegId integ =
        integ_key.size() == 48 ? IntegId::kHmacSha2_384_192 : IntegId::kHmacSha2_256_128;
    const auto cipher = cipher_of({EncrId::kAesCbc, 128, integ}, unhex(v.at("key")), integ_key);
    const Bytes whole = unhex(v.at("output_text"));
    const std::size_t ip = whole[0] >> 4 == 4 ? 20 : 40;
    const std::size_t icv = info(integ)->icv_octets;
    const auto part = [&](std::size_t from, std::size_t to) {
      return Bytes(whole.begin() + static_cast<std::ptrdiff_t>(from),
                   whole.begin() + static_cast<std::ptrdiff_t>(to));
    };
    Packet packet{part(ip, ip + 8),
                  part(ip + 8, ip + 24),
                  part(ip + 24, whole.size() - icv),
                  part(whole.size() - icv, whole.size()),
                  {}};
    const Packet sealed = packet;
    ASSERT_TRUE(open(*cipher, packet)) << v.at("name");
    const Bytes inner = unhex(v.at("input_text"));
    ASSERT_GE(packet.data.size(), inner.size());
    EXPECT_TRUE(equal(ByteView(packet.data).first(inner.size()), inner));
    packet.icv.assign(icv, 0);
    seal(*cipher, packet);
    EXPECT_EQ(packet.data, sealed.data);
    EXPECT_EQ(packet.icv, sealed.icv);
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

// RFC 4303 section 2.2.1: the implicit high bits are authenticated behind the packet.
TEST(CbcHmac, HighSequenceBitsComeLast) {
  const Bytes integ_key(32, 5);
  const auto cipher = cipher_of(kCbcSha256, Bytes(32, 4), integ_key);
  SeededRng rng(3);
  Packet packet = random_packet(*sizes(kCbcSha256), rng, 3);
  packet.esn_high = unhex("00000001");
  seal(*cipher, packet);
  const auto expected = integ_mac(IntegId::kHmacSha2_256_128, integ_key,
                                  {packet.aad, packet.iv, packet.data, packet.esn_high});
  EXPECT_EQ(packet.icv, *expected);
  Packet wrapped = packet;
  wrapped.esn_high = unhex("00000002");
  EXPECT_FALSE(open(*cipher, wrapped));
  wrapped.esn_high.clear();
  EXPECT_FALSE(open(*cipher, wrapped));
  EXPECT_TRUE(open(*cipher, packet));
}

TEST(Cipher, BatchesRoundTripAndEveryBitIsProtected) {
  for (const CipherSuite& suite : kSuites) {
    const SuiteSizes lengths = *sizes(suite);
    SeededRng rng(11);
    const Bytes encr_key = rng.bytes(lengths.encr_key);
    const Bytes integ_key = rng.bytes(lengths.integ_key);
    const auto sender = cipher_of(suite, encr_key, integ_key);
    const auto receiver = cipher_of(suite, encr_key, integ_key);
    std::vector<Packet> packets;
    for (std::size_t blocks = 0; blocks < 90; blocks += 9) {
      packets.push_back(random_packet(lengths, rng, blocks));
    }
    const std::vector<Packet> plain = packets;
    std::vector<SealItem> batch;
    for (Packet& packet : packets) batch.push_back(packet.item());
    sender->seal(batch);
    const std::vector<Packet> sealed = packets;
    // Of every third packet one bit is changed: in turn of the AAD, IV, data and ICV.
    for (std::size_t i = 1; i < packets.size(); i += 3) {
      Bytes* const fields[] = {&packets[i].aad, &packets[i].iv, &packets[i].data, &packets[i].icv};
      (*fields[(i / 3) % 4])[0] ^= 1;
    }
    receiver->open(batch);
    for (std::size_t i = 0; i < packets.size(); ++i) {
      EXPECT_EQ(batch[i].ok, i % 3 != 1) << i;
      if (batch[i].ok) {
        EXPECT_EQ(packets[i].data, plain[i].data);
      }
    }
    // A forged packet leaves no trace in the context: what was sealed still opens.
    for (Packet packet : sealed) EXPECT_TRUE(open(*receiver, packet));
  }
}

TEST(Cipher, PeersSizesAreNeverAnAssertion) {
  for (const CipherSuite& suite : kSuites) {
    const SuiteSizes lengths = *sizes(suite);
    const auto cipher = cipher_of(suite, Bytes(lengths.encr_key, 1), Bytes(lengths.integ_key, 2));
    SeededRng rng(5);
    Packet packet = random_packet(lengths, rng, 2);
    seal(*cipher, packet);
    Packet short_icv = packet;
    short_icv.icv.pop_back();
    EXPECT_FALSE(open(*cipher, short_icv));
    Packet short_iv = packet;
    short_iv.iv.pop_back();
    EXPECT_FALSE(open(*cipher, short_iv));
    Packet ragged = packet;
    ragged.data.push_back(0);
    EXPECT_FALSE(open(*cipher, ragged));
    Packet no_data = packet;
    no_data.data.clear();
    EXPECT_FALSE(open(*cipher, no_data));
    EXPECT_TRUE(open(*cipher, packet));
  }
}

TEST(Cipher, SizesForKeysAndMtu) {
  EXPECT_EQ(sizes(kGcm256)->encr_key, 36u);
  EXPECT_EQ(sizes(kGcm256)->iv, 8u);
  EXPECT_EQ(sizes(kGcm256)->icv, 16u);
  EXPECT_EQ(sizes(kGcm256)->integ_key, 0u);
  EXPECT_EQ(sizes(kChaCha)->encr_key, 36u);
  EXPECT_EQ(sizes(kCbcSha512)->encr_key, 16u);
  EXPECT_EQ(sizes(kCbcSha512)->integ_key, 64u);
  EXPECT_EQ(sizes(kCbcSha512)->iv, 16u);
  EXPECT_EQ(sizes(kCbcSha512)->block, 16u);
  EXPECT_EQ(sizes(kCbcSha512)->icv, 32u);
}

TEST(Cipher, RefusedSuitesAndKeys) {
  const auto code = [](const CipherSuite& suite, std::size_t encr, std::size_t integ) {
    const auto cipher = make_cipher(suite, Bytes(encr), Bytes(integ));
    return cipher ? ErrorCode::kInternal : cipher.error().code;
  };
  EXPECT_EQ(code({EncrId::kNull, 0, IntegId::kHmacSha2_256_128}, 0, 32), ErrorCode::kUnsupported);
  EXPECT_EQ(code({EncrId::kNone, 0, IntegId::kNone}, 0, 0), ErrorCode::kUnsupported);
  EXPECT_EQ(code({EncrId::kAesCbc, 128, IntegId::kNone}, 16, 0), ErrorCode::kUnsupported);
  EXPECT_EQ(code({EncrId::kAesGcm16, 100, IntegId::kNone}, 16, 0), ErrorCode::kUnsupported);
  EXPECT_EQ(code({EncrId::kAesGcm16, 128, IntegId::kHmacSha2_256_128}, 20, 32),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(kGcm128, 16, 0), ErrorCode::kInvalidArgument);  // the salt is missing
  EXPECT_EQ(code(kGcm128, 36, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(kGcm128, 20, 1), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(kCbcSha256, 32, 31), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace espalier::crypto
