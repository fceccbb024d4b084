#include "crypto/prf.hpp"

#include "crypto/pair_key.hpp"
#include "crypto/test_support.hpp"

namespace espalier::crypto {
namespace {

using test::read_json;
using test::unhex;

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

std::string hex(const SecretBytes& secret) { return to_hex(secret.reveal()); }

PrfId prf_of(const std::string& word) {
  if (word == "PRF_HMAC_SHA2_256") return PrfId::kHmacSha2_256;
  if (word == "PRF_HMAC_SHA2_384") return PrfId::kHmacSha2_384;
  if (word == "PRF_HMAC_SHA2_512") return PrfId::kHmacSha2_512;
  return PrfId::kNone;
}

TEST(Prf, Rfc4231) {
  const auto file = read_json("hmac/rfc4231.json");
  std::size_t checked = 0;
  for (const auto& test : file.at("cases")) {
    const Bytes key = unhex(test.at("key"));
    const Bytes data = unhex(test.at("data"));
    for (const auto& [field, id] :
         {std::pair("sha256", PrfId::kHmacSha2_256), std::pair("sha384", PrfId::kHmacSha2_384),
          std::pair("sha512", PrfId::kHmacSha2_512)}) {
      const auto expected = test.at(field).get<std::string>();
      const auto out = prf(id, key, {data});
      ASSERT_TRUE(out.ok());
      // Case 5 prints 128 bits only.
      EXPECT_EQ(hex(*out).substr(0, expected.size()), expected) << test.at("case");
      ++checked;
    }
  }
  EXPECT_EQ(checked, 21u);
}

TEST(Prf, PartsAreConcatenated) {
  const Bytes key = unhex("00112233");
  const Bytes a = unhex("0102");
  const Bytes b = unhex("030405");
  EXPECT_EQ(*prf(PrfId::kHmacSha2_256, key, {a, {}, b}),
            *prf(PrfId::kHmacSha2_256, key, {joined({a, b})}));
  EXPECT_EQ(prf(PrfId::kHmacSha2_256, {}, {})->size(), 32u);
}

TEST(Prf, CavpAsStrongswanCarriesThem) {
  const auto file = read_json("ikev2-kdf/strongswan-cavp.json");
  int prfs = 0;
  int expansions = 0;
  for (const auto& v : file.at("vectors")) {
    const PrfId id = prf_of(v.at("prf"));
    const Bytes key = unhex(v.at("key"));
    const Bytes salt = unhex(v.at("salt"));
    const Bytes out = unhex(v.at("out"));
    if (v.at("kdf") == "kdf_prf") {
      // SKEYSEED = prf(Ni | Nr, g^ir): there the salt is the HMAC's key.
      const auto result = prf(id, salt, {key});
      ASSERT_TRUE(result.ok());
      EXPECT_EQ(hex(*result), to_hex(out)) << v.at("name");
      ++prfs;
    } else {
      const auto result = prf_plus(id, key, salt, out.size());
      ASSERT_TRUE(result.ok());
      EXPECT_EQ(hex(*result), to_hex(out)) << v.at("name");
      ++expansions;
    }
  }
  EXPECT_EQ(prfs, 6);
  EXPECT_EQ(expansions, 7);
}

struct Exchange {
  PrfId id;
  Bytes ni, nr, spi_i, spi_r, gir, gir_new;
  std::string skeyseed, keys, child, child_dh, skeyseed_rekey;
};

// RFC 7296 sections 2.14 (SKEYSEED and keys), 2.17 (child) and 2.18 (rekey).
void check(const Exchange& x) {
  const auto skeyseed = prf(x.id, joined({x.ni, x.nr}), {x.gir});
  ASSERT_TRUE(skeyseed.ok());
  EXPECT_EQ(hex(*skeyseed), x.skeyseed);
  const auto keys =
      prf_plus(x.id, skeyseed->reveal(), joined({x.ni, x.nr, x.spi_i, x.spi_r}), x.keys.size() / 2);
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ(hex(*keys), x.keys);
  const ByteView sk_d = keys->reveal().first(info(x.id)->key_octets);
  const auto child = prf_plus(x.id, sk_d, joined({x.ni, x.nr}), x.child.size() / 2);
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(hex(*child), x.child);
  const auto child_dh =
      prf_plus(x.id, sk_d, joined({x.gir_new, x.ni, x.nr}), x.child_dh.size() / 2);
  ASSERT_TRUE(child_dh.ok());
  EXPECT_EQ(hex(*child_dh), x.child_dh);
  const auto rekey = prf(x.id, sk_d, {x.gir_new, x.ni, x.nr});
  ASSERT_TRUE(rekey.ok());
  EXPECT_EQ(hex(*rekey), x.skeyseed_rekey);
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

TEST(Prf, KeyDerivationSha256) {
  const auto v = read_json("ikev2-kdf/openssl-selftest-sha256.json");
  check({PrfId::kHmacSha2_256, unhex(v.at("ni")), unhex(v.at("nr")), unhex(v.at("spii")),
         unhex(v.at("spir")), unhex(v.at("gir")), unhex(v.at("gir_new")), lower(v.at("skeyseed")),
         lower(v.at("dkm")), lower(v.at("dkm_child")), lower(v.at("dkm_child_dh")),
         lower(v.at("skeyseed_rekey"))});
}

TEST(Prf, KeyDerivationSha1) {
  const auto v = read_json("ikev2-kdf/libreswan-cavp-sha1.json");
  const auto& in = v.at("in");
  const auto& out = v.at("out");
  check({PrfId::kHmacSha1, unhex(in.at("nInit")), unhex(in.at("nResp")), unhex(in.at("spiInit")),
         unhex(in.at("spiResp")), unhex(in.at("gir")), unhex(in.at("girNew")), out.at("sKeySeed"),
         out.at("derivedKeyingMaterial"), out.at("derivedKeyingMaterialChild"),
         out.at("derivedKeyingMaterialDh"), out.at("sKeySeedReKey")});
}

TEST(Prf, PlusIsBounded) {
  const Bytes key = unhex("0b0b");
  EXPECT_EQ(prf_plus(PrfId::kHmacSha2_256, key, {}, 0)->size(), 0u);
  const auto longest = prf_plus(PrfId::kHmacSha2_256, key, {}, 255 * 32);
  ASSERT_TRUE(longest.ok());
  EXPECT_EQ(longest->size(), 255u * 32);
  const auto more = prf_plus(PrfId::kHmacSha2_256, key, {}, 255 * 32 + 1);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kLimit);
  const auto shorter = prf_plus(PrfId::kHmacSha2_256, key, {}, 45);
  EXPECT_TRUE(equal(shorter->reveal(), longest->reveal().first(45)));
}

TEST(Prf, UnknownAlgorithms) {
  EXPECT_EQ(prf(PrfId::kNone, {}, {}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(prf_plus(static_cast<PrfId>(4), {}, {}, 1).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(integ_mac(IntegId::kNone, {}, {}).error().code, ErrorCode::kUnsupported);
}

// RFC 4868 section 2.7.2.1, test case AUTH256-1, and its truncation.
TEST(Integ, TruncatesTheHmac) {
  const Bytes key(32, 0x0b);
  const auto mac = integ_mac(IntegId::kHmacSha2_256_128, key, {as_bytes("Hi "), as_bytes("There")});
  ASSERT_TRUE(mac.ok());
  EXPECT_EQ(to_hex(*mac), "198a607eb44bfbc69903a0f1cf2bbdc5");
  EXPECT_EQ(integ_mac(IntegId::kHmacSha2_384_192, Bytes(48, 1), {})->size(), 24u);
  EXPECT_EQ(integ_mac(IntegId::kHmacSha2_512_256, Bytes(64, 1), {})->size(), 32u);
  EXPECT_EQ(integ_mac(IntegId::kHmacSha1_96, Bytes(20, 1), {})->size(), 12u);
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(to_hex(sha1({as_bytes("a"), as_bytes("bc")})),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(sha256({as_bytes("abc")})),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Hkdf, Rfc5869) {
  const auto file = read_json("hmac/rfc5869.json");
  ASSERT_EQ(file.at("cases").size(), 3u);
  for (const auto& v : file.at("cases")) {
    const auto okm = hkdf_sha256(unhex(v.at("ikm")), unhex(v.at("salt")), unhex(v.at("info")),
                                 v.at("octets").get<std::size_t>());
    EXPECT_EQ(hex(okm), v.at("okm").get<std::string>()) << v.at("case");
  }
}

TEST(PairKey, PublishedVectors) {
  const auto file = read_json("pair-key/vectors.json");
  ASSERT_GE(file.at("vectors").size(), 3u);
  const std::string page = test::read_text("../../docs/pair-key.md");
  for (const auto& v : file.at("vectors")) {
    const Bytes secret = unhex(v.at("mesh_secret"));
    const auto mesh = v.at("mesh").get<std::string>();
    const auto a = v.at("identity_a").get<std::string>();
    const auto b = v.at("identity_b").get<std::string>();
    const auto key = v.at("key").get<std::string>();
    EXPECT_EQ(hex(derive_pair_key(secret, mesh, a, b)), key);
    EXPECT_EQ(hex(derive_pair_key(secret, mesh, b, a)), key);
    EXPECT_NE(page.find(key), std::string::npos) << "docs/pair-key.md lacks " << key;
  }
}

TEST(PairKey, EveryInputMatters) {
  const Bytes secret(32, 7);
  const auto key = derive_pair_key(secret, "prod", "a", "b");
  EXPECT_FALSE(key == derive_pair_key(Bytes(32, 8), "prod", "a", "b"));
  EXPECT_FALSE(key == derive_pair_key(secret, "test", "a", "b"));
  EXPECT_FALSE(key == derive_pair_key(secret, "prod", "a", "c"));
  // Where one name ends and the next begins is part of the key.
  EXPECT_FALSE(derive_pair_key(secret, "prod", "ab", "c") ==
               derive_pair_key(secret, "prod", "a", "bc"));
}

}  // namespace
}  // namespace espalier::crypto
