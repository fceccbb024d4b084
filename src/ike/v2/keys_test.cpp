// Key derivation against outside vectors: NIST CAVP (SHA-1) and OpenSSL's own (SHA-256), and AUTH
// against values that Python's hmac computed.
#include "ike/v2/keys.hpp"

#include "crypto/prf.hpp"
#include "crypto/test_support.hpp"

namespace espalier::ike::v2 {
namespace {

using crypto::EncrId;
using crypto::IntegId;
using crypto::PrfId;
using crypto::test::read_json;
using crypto::test::unhex;

struct Vector {
  policy::IkeSuite suite;
  Bytes ni, nr, spi_i, spi_r, gir, gir_new;
  Bytes keys, child, child_dh, skeyseed_rekey;
};

Vector sha256() {
  const auto v = read_json("ikev2-kdf/openssl-selftest-sha256.json");
  Vector out;
  out.suite = {{EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128}, PrfId::kHmacSha2_256, {}};
  out.ni = unhex(v.at("ni"));
  out.nr = unhex(v.at("nr"));
  out.spi_i = unhex(v.at("spii"));
  out.spi_r = unhex(v.at("spir"));
  out.gir = unhex(v.at("gir"));
  out.gir_new = unhex(v.at("gir_new"));
  out.keys = unhex(v.at("dkm"));
  out.child = unhex(v.at("dkm_child"));
  out.child_dh = unhex(v.at("dkm_child_dh"));
  out.skeyseed_rekey = unhex(v.at("skeyseed_rekey"));
  return out;
}

Vector sha1() {
  const auto v = read_json("ikev2-kdf/libreswan-cavp-sha1.json");
  const auto& in = v.at("in");
  const auto& result = v.at("out");
  Vector out;
  out.suite = {{EncrId::kAesCbc, 128, IntegId::kHmacSha1_96}, PrfId::kHmacSha1, {}};
  out.ni = unhex(in.at("nInit"));
  out.nr = unhex(in.at("nResp"));
  out.spi_i = unhex(in.at("spiInit"));
  out.spi_r = unhex(in.at("spiResp"));
  out.gir = unhex(in.at("gir"));
  out.gir_new = unhex(in.at("girNew"));
  out.keys = unhex(result.at("derivedKeyingMaterial"));
  out.child = unhex(result.at("derivedKeyingMaterialChild"));
  out.child_dh = unhex(result.at("derivedKeyingMaterialDh"));
  out.skeyseed_rekey = unhex(result.at("sKeySeedReKey"));
  return out;
}

KeyInputs inputs_of(const Vector& v, const Bytes& shared) {
  Reader i(v.spi_i);
  Reader r(v.spi_r);
  return {shared, v.ni, v.nr, IkeSpi(i.u64().value()), IkeSpi(r.u64().value())};
}

// SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr (RFC 7296 section 2.14).
std::string joined(const IkeKeys& keys) {
  std::string text;
  for (const SecretBytes* key :
       {&keys.d, &keys.ai, &keys.ar, &keys.ei, &keys.er, &keys.pi, &keys.pr}) {
    text += to_hex(key->reveal());
  }
  return text;
}

std::string joined(const ChildKeys& keys) {
  std::string text;
  for (const SecretBytes* key : {&keys.encr_i, &keys.integ_i, &keys.encr_r, &keys.integ_r}) {
    text += to_hex(key->reveal());
  }
  return text;
}

TEST(Keys, OfTheFirstIkeSa) {
  for (const Vector& v : {sha256(), sha1()}) {
    const auto keys = derive_ike_keys(v.suite, inputs_of(v, v.gir));
    ASSERT_TRUE(keys.ok());
    EXPECT_EQ(joined(*keys), to_hex(v.keys));
    const std::size_t prf = crypto::info(v.suite.prf)->key_octets;
    EXPECT_EQ(keys->d.size(), prf);
    EXPECT_EQ(keys->pi.size(), prf);
    EXPECT_EQ(keys->ei.size(), crypto::sizes(v.suite.cipher)->encr_key);
  }
}

TEST(Keys, OfARekeyedIkeSa) {
  for (const Vector& v : {sha256(), sha1()}) {
    const auto old = derive_ike_keys(v.suite, inputs_of(v, v.gir));
    ASSERT_TRUE(old.ok());
    const auto keys =
        derive_rekeyed_ike_keys(v.suite, v.suite.prf, old->d.reveal(), inputs_of(v, v.gir_new));
    ASSERT_TRUE(keys.ok());
    Bytes seed = v.ni;
    for (const Bytes* part : {&v.nr, &v.spi_i, &v.spi_r}) {
      seed.insert(seed.end(), part->begin(), part->end());
    }
    const auto expected = crypto::prf_plus(v.suite.prf, v.skeyseed_rekey, seed, v.keys.size());
    ASSERT_TRUE(expected.ok());
    EXPECT_EQ(joined(*keys), to_hex(expected->reveal()));
  }
}

// RFC 7296 section 2.18: SKEYSEED is made by the old SA's PRF, the keys by the new one's.
TEST(Keys, ARekeyMayChangeThePrf) {
  const Vector v = sha1();
  const auto old = derive_ike_keys(v.suite, inputs_of(v, v.gir));
  ASSERT_TRUE(old.ok());
  const policy::IkeSuite suite{
      {EncrId::kAesGcm16, 256, IntegId::kNone}, PrfId::kHmacSha2_384, crypto::DhId::kEcp384};
  const auto keys =
      derive_rekeyed_ike_keys(suite, PrfId::kHmacSha1, old->d.reveal(), inputs_of(v, v.gir_new));
  ASSERT_TRUE(keys.ok());
  Bytes seed = v.ni;
  for (const Bytes* part : {&v.nr, &v.spi_i, &v.spi_r}) {
    seed.insert(seed.end(), part->begin(), part->end());
  }
  const auto expected =
      crypto::prf_plus(PrfId::kHmacSha2_384, v.skeyseed_rekey, seed, 3 * 48 + 2 * 36);
  EXPECT_EQ(joined(*keys), to_hex(expected->reveal()));
}

TEST(Keys, OfChildren) {
  for (const Vector& v : {sha256(), sha1()}) {
    const auto ike = derive_ike_keys(v.suite, inputs_of(v, v.gir));
    ASSERT_TRUE(ike.ok());
    for (const policy::ChildSuite& suite :
         {policy::ChildSuite{{EncrId::kAesGcm16, 128, IntegId::kNone}, {}, false},
          policy::ChildSuite{{EncrId::kAesCbc, 128, IntegId::kHmacSha1_96}, {}, false}}) {
      for (const bool pfs : {false, true}) {
        const auto keys = derive_child_keys(suite, v.suite.prf, ike->d.reveal(),
                                            pfs ? ByteView(v.gir_new) : ByteView(), v.ni, v.nr);
        ASSERT_TRUE(keys.ok());
        const std::string all = to_hex(pfs ? v.child_dh : v.child);
        const std::string ours = joined(*keys);
        EXPECT_EQ(ours, all.substr(0, ours.size()));
        EXPECT_EQ(keys->encr_i.size(), crypto::sizes(suite.cipher)->encr_key);
      }
    }
  }
}

TEST(Keys, UnknownAlgorithmsAreErrors) {
  const Vector v = sha256();
  policy::IkeSuite suite = v.suite;
  suite.prf = PrfId::kNone;
  EXPECT_EQ(derive_ike_keys(suite, inputs_of(v, v.gir)).error().code, ErrorCode::kUnsupported);
  suite = v.suite;
  suite.cipher.encr = EncrId::kNone;
  EXPECT_FALSE(derive_ike_keys(suite, inputs_of(v, v.gir)).ok());
}

// first message: octets 0 to 63; nonce: 0x80 to 0x9f; SK_p: as many 0x33 as the PRF has; ID: FQDN
// "bender"; key: "of bender and flexo". The values are from Python's hmac module.
TEST(Auth, SharedKey) {
  struct Case {
    PrfId prf;
    std::size_t octets;
    const char* maced_id;
    const char* auth;
  };
  const Case cases[] = {
      {PrfId::kHmacSha2_256, 32, "3e99ad4aa5981f1cac60b8e041f7542702846b608c291095103c57331a44bb97",
       "75c3d5cb0d1623d080ea70ad1bdf5f8becd3b4949cbc64d21a359f6cf97e61c3"},
      {PrfId::kHmacSha2_384, 48,
       "04ec01fbac09a324e0b4a736a5d6f0eecdebb5cd7fec7f08c35ed72d0917535ec475db4d03abbfaa"
       "2ab1d8f413a2cc57",
       "aa6316f60b087055343e56dfdd9062eda2c6aaaf7dee79062529992efb5b6210953f540046e1c05c"
       "3cec61a961787afc"},
      {PrfId::kHmacSha2_512, 64,
       "2e1add089e54ba633ebcb79290831314467c05cf09fbc515c0db68e94dfece70156da78afa245c73"
       "efe44607df4526d1d9a32c337b60b49e3df8715bf96b4f7d",
       "c163b54070e5668b5da99c49a666eb9648a6cfca2976cf5377d520833fd565398604e121d69d5564"
       "be1917334934da013f3524b18ae4c2ea998b0f37cc8cff90"},
  };
  Bytes first(64);
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::uint8_t>(i);
  Bytes nonce(32);
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::uint8_t>(0x80 + i);
  Bytes id{2, 0, 0, 0};
  for (const char c : std::string("bender")) id.push_back(static_cast<std::uint8_t>(c));
  for (const Case& c : cases) {
    const auto octets = auth_octets(c.prf, first, nonce, Bytes(c.octets, 0x33), id);
    ASSERT_TRUE(octets.ok());
    EXPECT_EQ(to_hex(*octets), to_hex(first) + to_hex(nonce) + c.maced_id);
    const auto auth = psk_auth(c.prf, as_bytes("of bender and flexo"), *octets);
    ASSERT_TRUE(auth.ok());
    EXPECT_EQ(to_hex(auth->reveal()), c.auth);
  }
}

TEST(Auth, UnknownPrfIsAnError) {
  EXPECT_FALSE(auth_octets(PrfId::kNone, {}, {}, {}, {}).ok());
  EXPECT_FALSE(psk_auth(PrfId::kNone, {}, {}).ok());
}

}  // namespace
}  // namespace espalier::ike::v2
