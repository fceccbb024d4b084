#include "crypto/ids.hpp"

#include <gtest/gtest.h>

#include "crypto/rng.hpp"

namespace espalier::crypto {
namespace {

TEST(Ids, EveryNamedAlgorithmIsKnown) {
  for (const EncrId id :
       {EncrId::kNull, EncrId::kAesCbc, EncrId::kAesGcm16, EncrId::kChaCha20Poly1305}) {
    ASSERT_TRUE(info(id).has_value());
    EXPECT_EQ(info(id)->id, id);
  }
  EXPECT_EQ(info(EncrId::kAesGcm16)->name, "aes-gcm16");
  EXPECT_EQ(info(PrfId::kHmacSha2_384)->output_octets, 48u);
  EXPECT_EQ(info(PrfId::kHmacSha2_384)->key_octets, 48u);
  EXPECT_EQ(info(IntegId::kHmacSha2_384_192)->key_octets, 48u);
  EXPECT_EQ(info(IntegId::kHmacSha2_384_192)->icv_octets, 24u);
  EXPECT_EQ(info(IntegId::kHmacSha1_96)->icv_octets, 12u);
  EXPECT_EQ(info(DhId::kEcp384)->public_octets, 96u);
  EXPECT_EQ(info(DhId::kModp3072)->public_octets, 384u);
}

TEST(Ids, OthersAreAbsent) {
  EXPECT_FALSE(info(EncrId::kNone).has_value());
  EXPECT_FALSE(info(static_cast<EncrId>(3)).has_value());  // 3DES
  EXPECT_FALSE(info(PrfId::kNone).has_value());
  EXPECT_FALSE(info(IntegId::kNone).has_value());
  EXPECT_FALSE(info(DhId::kNone).has_value());
  EXPECT_FALSE(info(static_cast<DhId>(2)).has_value());  // MODP-1024
}

TEST(Ids, KeyLengths) {
  EXPECT_EQ(key_octets(EncrId::kAesCbc, 128), 16u);
  EXPECT_EQ(key_octets(EncrId::kAesGcm16, 192), 24u);
  EXPECT_EQ(key_octets(EncrId::kAesGcm16, 256), 32u);
  EXPECT_EQ(key_octets(EncrId::kChaCha20Poly1305, 0), 32u);
  EXPECT_FALSE(key_octets(EncrId::kAesCbc, 0).has_value());
  EXPECT_FALSE(key_octets(EncrId::kAesCbc, 129).has_value());
  EXPECT_FALSE(key_octets(EncrId::kChaCha20Poly1305, 256).has_value());
  EXPECT_FALSE(key_octets(EncrId::kNone, 0).has_value());
}

TEST(Rng, TheSameSeedGivesTheSameOctets) {
  SeededRng a(7);
  SeededRng b(7);
  SeededRng c(8);
  const Bytes first = a.bytes(100);
  EXPECT_EQ(first, b.bytes(100));
  EXPECT_TRUE(a == b);
  EXPECT_NE(first, c.bytes(100));
  EXPECT_NE(first, a.bytes(100));
  EXPECT_FALSE(a == b);
}

// splitmix64's published first outputs for the seed 1234567.
TEST(Rng, SeededIsSplitmix64) {
  SeededRng rng(1234567);
  EXPECT_EQ(rng.u64(), 6457827717110365317u);
  EXPECT_EQ(rng.u64(), 3203168211198807973u);
}

TEST(Rng, SystemFillsEveryLength) {
  SystemRng rng;
  EXPECT_TRUE(rng.bytes(0).empty());
  EXPECT_NE(rng.bytes(32), rng.bytes(32));
  EXPECT_NE(rng.u64(), rng.u64());
}

}  // namespace
}  // namespace espalier::crypto
