#include "crypto/dh.hpp"

#include "crypto/test_support.hpp"

namespace espalier::crypto {
namespace {

using test::FixedRng;
using test::read_json;
using test::unhex;

constexpr std::array kAllGroups = {
    DhId::kX25519,   DhId::kX448,     DhId::kEcp256,   DhId::kEcp384,   DhId::kEcp521,
    DhId::kEcp256Bp, DhId::kEcp384Bp, DhId::kEcp512Bp, DhId::kModp2048, DhId::kModp3072,
    DhId::kModp4096, DhId::kModp6144, DhId::kModp8192};

DhKeyPair pair_of(DhId group, Bytes private_key) {
  FixedRng rng(std::move(private_key));
  auto pair = dh_generate(group, rng);
  EXPECT_TRUE(pair.ok());
  return *pair;
}

TEST(Dh, BothSidesAgreeInEveryGroup) {
  for (const DhId group : kAllGroups) {
    SeededRng rng(static_cast<std::uint64_t>(group));
    const auto a = dh_generate(group, rng);
    const auto b = dh_generate(group, rng);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->public_key.size(), info(group)->public_octets);
    EXPECT_NE(a->public_key, b->public_key);
    const auto ab = dh_shared(*a, b->public_key);
    const auto ba = dh_shared(*b, a->public_key);
    ASSERT_TRUE(ab.ok() && ba.ok()) << info(group)->name;
    EXPECT_TRUE(*ab == *ba);
    SeededRng again(static_cast<std::uint64_t>(group));
    EXPECT_TRUE(*dh_generate(group, again) == *a) << "not driven by the Rng alone";
  }
}

TEST(Dh, TheResponderDoesItInOne) {
  for (const DhId group : kAllGroups) {
    SeededRng rng(static_cast<std::uint64_t>(group));
    const auto a = dh_generate(group, rng);
    const auto b = dh_respond(group, a->public_key, rng);
    ASSERT_TRUE(b.ok());
    EXPECT_TRUE(*dh_shared(*a, b->public_key) == b->shared);
    EXPECT_EQ(dh_respond(group, Bytes(3), rng).error().code, ErrorCode::kInvalidKe);
  }
}

constexpr std::array kAllKems = {DhId::kMlKem512, DhId::kMlKem768, DhId::kMlKem1024};

TEST(MlKem, BothSidesAgree) {
  for (const DhId group : kAllKems) {
    const Status there = dh_available(group);
    if (!there) GTEST_SKIP() << there.error().message;
    SeededRng rng(static_cast<std::uint64_t>(group));
    const auto own = dh_generate(group, rng);
    ASSERT_TRUE(own.ok()) << own.error().message;
    EXPECT_EQ(own->public_key.size(), info(group)->public_octets);
    const auto answer = dh_respond(group, own->public_key, rng);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->public_key.size(), info(group)->answer_octets);
    const auto shared = dh_shared(*own, answer->public_key);
    ASSERT_TRUE(shared.ok()) << shared.error().message;
    EXPECT_TRUE(*shared == answer->shared);
    EXPECT_EQ(shared->size(), 32u);
    SeededRng again(static_cast<std::uint64_t>(group));
    EXPECT_TRUE(*dh_generate(group, again) == *own) << "not driven by the Rng alone";
    EXPECT_TRUE(dh_respond(group, own->public_key, again)->shared == answer->shared);
    // A changed ciphertext gives another secret, not an error (FIPS 203 section 6.3).
    Bytes changed = answer->public_key;
    changed[5] ^= 1;
    EXPECT_FALSE(*dh_shared(*own, changed) == *shared);
  }
}

TEST(MlKem, WhatIsNoKeyIsRefused) {
  for (const DhId group : kAllKems) {
    const Status there = dh_available(group);
    if (!there) GTEST_SKIP() << there.error().message;
    SeededRng rng(1);
    const auto own = dh_generate(group, rng);
    ASSERT_TRUE(own.ok());
    EXPECT_EQ(dh_respond(group, Bytes(own->public_key.size(), 0xff), rng).error().code,
              ErrorCode::kInvalidKe)
        << "coefficients above q: the modulus check of FIPS 203 section 7.2";
    EXPECT_EQ(dh_respond(group, Bytes(100), rng).error().code, ErrorCode::kInvalidKe);
    EXPECT_EQ(dh_shared(*own, Bytes(info(group)->answer_octets - 1)).error().code,
              ErrorCode::kInvalidKe);
  }
}

TEST(MlKem, WithoutTheLibraryEveryCallSaysSo) {
  if (dh_available(DhId::kMlKem768)) GTEST_SKIP() << "this library has ML-KEM";
  SeededRng rng(1);
  const auto own = dh_generate(DhId::kMlKem768, rng);
  EXPECT_EQ(own.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(own.error().message.rfind("ML-KEM-768 needs OpenSSL 3.5 or newer; this is 3.", 0), 0u);
  EXPECT_EQ(dh_respond(DhId::kMlKem768, Bytes(1184), rng).error().code, ErrorCode::kUnsupported);
}

TEST(Dh, WrongLengthsAndUnknownGroups) {
  for (const DhId group : kAllGroups) {
    SeededRng rng(1);
    const auto pair = dh_generate(group, rng);
    ASSERT_TRUE(pair.ok());
    for (const std::size_t octets :
         {std::size_t{0}, pair->public_key.size() - 1, pair->public_key.size() + 1}) {
      const auto shared = dh_shared(*pair, Bytes(octets, 3));
      ASSERT_FALSE(shared.ok());
      EXPECT_EQ(shared.error().code, ErrorCode::kInvalidKe);
    }
  }
  SeededRng rng(1);
  EXPECT_EQ(dh_generate(DhId::kNone, rng).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(dh_generate(static_cast<DhId>(2), rng).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(dh_shared({}, Bytes(32)).error().code, ErrorCode::kUnsupported);
}

// A source that gives only zeros must end, not spin or hand out a key that everybody knows.
TEST(Dh, BrokenSourceIsAnError) {
  for (const DhId group : kAllGroups) {
    if (group == DhId::kX25519 || group == DhId::kX448) continue;  // clamped: never zero
    FixedRng zeros({});
    EXPECT_EQ(dh_generate(group, zeros).error().code, ErrorCode::kInternal);
  }
}

// RFC 5903 sections 8.1 and 8.2.
TEST(DhEcp, Rfc5903Group19) {
  const auto i = pair_of(DhId::kEcp256, unhex("c88f01f510d9ac3f70a292daa2316de5"
                                              "44e9aab8afe84049c62a9c57862d1433"));
  const auto r = pair_of(DhId::kEcp256, unhex("c6ef9c5d78ae012a011164acb397ce20"
                                              "88685d8f06bf9be0b283ab46476bee53"));
  EXPECT_EQ(to_hex(i.public_key),
            "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3");
  EXPECT_EQ(to_hex(r.public_key),
            "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
  const auto shared = dh_shared(i, r.public_key);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(to_hex(shared->reveal()),
            "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
  EXPECT_TRUE(*shared == *dh_shared(r, i.public_key));
}

TEST(DhEcp, Rfc5903Group20) {
  const auto i = pair_of(DhId::kEcp384, unhex("099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f16"
                                              "0647b67414dce655e35b538041e649ee3faef896783ab194"));
  const auto r = pair_of(DhId::kEcp384, unhex("41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060"
                                              "855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc"));
  EXPECT_EQ(to_hex(i.public_key),
            "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
            "de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f"
            "65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c");
  const auto shared = dh_shared(i, r.public_key);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(to_hex(shared->reveal()),
            "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
            "d603135569b9e9d09cf5d4a270f59746");
  EXPECT_TRUE(*shared == *dh_shared(r, i.public_key));
}

struct KnownExchange {
  DhId group;
  std::string_view private_a, public_a, private_b, public_b, shared;
};

// RFC 5903 section 8.3, RFC 6954 appendix A, RFC 7748 section 6.2.
const KnownExchange kKnownExchanges[] = {
    {DhId::kEcp521,
     "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0"
     "95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d"
     "4a52",
     "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
     "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176c"
     "ed3e017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4"
     "a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3"
     "926f9582",
     "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e"
     "9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb15168"
     "5eb9",
     "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21"
     "9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9"
     "460f015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d985207"
     "7b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd1"
     "7f0fc56a",
     "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04"
     "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3"
     "ddea"},
    {DhId::kEcp256Bp, "81db1ee100150ff2ea338d708271be38300cb54241d79950f77b063039804f1d",
     "44106e913f92bc02a1705d9953a8414db95e1aaa49e81d9e85f929a8e3100be5"
     "8ab4846f11caccb73ce49cbdd120f5a900a69fd32c272223f789ef10eb089bdc",
     "55e40bc41e37e3e2ad25c3c6654511ffa8474a91a0032087593852d3e7d76bd3",
     "8d2d688c6cf93e1160ad04cc4429117dc2c41825e1e9fca0addd34e6f1b39f7b"
     "990c57520812be512641e47034832106bc7d3e8dd0e4c7f1136d7006547cec6a",
     "89afc39d41d3b327814b80940b042590f96556ec91e6ae7939bce31f3a18bf2b"},
    {DhId::kEcp384Bp,
     "1e20f5e048a5886f1f157c74e91bde2b98c8b52d58e5003d57053fc4b0bd65d6"
     "f15eb5d1ee1610df870795143627d042",
     "68b665dd91c195800650cdd363c625f4e742e8134667b767b1b476793588f885"
     "ab698c852d4a6e77a252d6380fcaf06855bc91a39c9ec01dee36017b7d673a93"
     "1236d2f1f5c83942d049e3fa20607493e0d038ff2fd30c2ab67d15c85f7faa59",
     "032640bc6003c59260f7250c3db58ce647f98e1260acce4acda3dd869f74e01f"
     "8ba5e0324309db6a9831497abac96670",
     "4d44326f269a597a5b58bba565da5556ed7fd9a8a9eb76c25f46db69d19dc8ce"
     "6ad18e404b15738b2086df37e71d1eb462d692136de56cbe93bf5fa3188ef58b"
     "c8a3a0ec6c1e151a21038a42e9185329b5b275903d192f8d4e1f32fe9cc78c48",
     "0bd9d3a7ea0b3d519d09d8e48d0785fb744a6b355e6304bc51c229fbbce239bb"
     "adf6403715c35d4fb2a5444f575d4f42"},
    {DhId::kEcp512Bp,
     "16302ff0dbbb5a8d733dab7141c1b45acbc8715939677f6a56850a38bd87bd59"
     "b09e80279609ff333eb9d4c061231fb26f92eeb04982a5f1d1764cad57665422",
     "0a420517e406aac0acdce90fcd71487718d3b953efd7fbec5f7f27e28c614999"
     "9397e91e029e06457db2d3e640668b392c2a7e737a7f0bf04436d11640fd09fd"
     "72e6882e8db28aad36237cd25d580db23783961c8dc52dfa2ec138ad472a0fce"
     "f3887cf62b623b2a87de5c588301ea3e5fc269b373b60724f5e82a6ad147fde7",
     "230e18e1bcc88a362fa54e4ea3902009292f7f8033624fd471b5d8ace49d12cf"
     "abbc19963dab8e2f1eba00bffb29e4d72d13f2224562f405cb80503666b25429",
     "9d45f66de5d67e2e6db6e93a59ce0bb48106097ff78a081de781cdb31fce8ccb"
     "aaea8dd4320c4119f1e9cd437a2eab3731fa9668ab268d871deda55a5473199f"
     "2fdc313095bcdd5fb3a91636f07a959c8e86b5636a1e930e8396049cb481961d"
     "365cc11453a06c719835475b12cb52fc3c383bce35e27ef194512b71876285fa",
     "a7927098655f1f9976fa50a9d566865dc530331846381c87256baf3226244b76"
     "d36403c024d7bbf0aa0803eaff405d3d24f11a9b5c0bef679fe1454b21c4cd1f"},
    {DhId::kX448,
     "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf5"
     "74a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
     "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bb"
     "c836647241d953d40c5b12da88120d53177f80e532c41fa0",
     "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120"
     "bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
     "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972"
     "fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
     "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56"
     "fd2464c335543936521c24403085d59a449a5037514a879d"},
};

TEST(Dh, KnownExchangesOfTheRfcs) {
  for (const KnownExchange& known : kKnownExchanges) {
    const auto a = pair_of(known.group, unhex(known.private_a));
    const auto b = pair_of(known.group, unhex(known.private_b));
    EXPECT_EQ(to_hex(a.public_key), known.public_a);
    EXPECT_EQ(to_hex(b.public_key), known.public_b);
    const auto ab = dh_shared(a, b.public_key);
    const auto ba = dh_shared(b, a.public_key);
    ASSERT_TRUE(ab.ok() && ba.ok()) << info(known.group)->name;
    EXPECT_EQ(to_hex(ab->reveal()), known.shared);
    EXPECT_TRUE(*ab == *ba);
  }
}

// RFC 7748 section 6: small orders give a secret that everybody knows.
TEST(DhX448, PointsOfSmallOrderAreRefused) {
  const auto own = pair_of(DhId::kX448, Bytes(56, 7));
  Bytes one(56);
  one[0] = 1;
  for (const Bytes& point : {Bytes(56), one}) {
    const auto shared = dh_shared(own, point);
    ASSERT_FALSE(shared.ok());
    EXPECT_EQ(shared.error().code, ErrorCode::kInvalidKe);
  }
}

// Points off the curve, and coordinates that are not below the prime.
TEST(DhEcp, WhatIsNoPointIsRefused) {
  for (const DhId group : {DhId::kEcp521, DhId::kEcp256Bp, DhId::kEcp384Bp, DhId::kEcp512Bp}) {
    SeededRng rng(5);
    const auto own = dh_generate(group, rng);
    ASSERT_TRUE(own.ok());
    Bytes off = own->public_key;
    off.back() ^= 1;
    for (const Bytes& bad : {off, Bytes(off.size()), Bytes(off.size(), 0xFF)}) {
      const auto shared = dh_shared(*own, bad);
      ASSERT_FALSE(shared.ok());
      EXPECT_EQ(shared.error().code, ErrorCode::kInvalidKe);
    }
  }
}

// A private key of our form from the integer that Wycheproof prints (with or without leading
// zeros).
Bytes scalar_octets(Bytes number, std::size_t size) {
  while (number.size() > size && number.front() == 0) number.erase(number.begin());
  while (number.size() < size) number.insert(number.begin(), 0);
  return number;
}

void check_wycheproof_ecdh(DhId group, const std::string& path, std::size_t least_valid,
                           std::size_t least_invalid) {
  const auto file = read_json(path);
  std::size_t valid = 0;
  std::size_t invalid = 0;
  for (const auto& test_group : file.at("testGroups")) {
    for (const auto& v : test_group.at("tests")) {
      DhKeyPair own;
      own.group = group;
      own.private_key =
          SecretBytes(scalar_octets(unhex(v.at("private")), info(group)->public_octets / 2));
      Bytes peer = unhex(v.at("public"));
      // Ours goes without the 0x04; compressed points are no format of IKE's, so "acceptable" is
      // refused.
      const bool uncompressed = !peer.empty() && peer[0] == 4;
      if (uncompressed) peer.erase(peer.begin());
      const auto shared = dh_shared(own, peer);
      if (v.at("result") == "valid" && uncompressed) {
        ASSERT_TRUE(shared.ok()) << v.dump();
        EXPECT_EQ(to_hex(shared->reveal()), v.at("shared").get<std::string>()) << v.at("tcId");
        ++valid;
      } else {
        ASSERT_FALSE(shared.ok()) << v.dump();
        EXPECT_EQ(shared.error().code, ErrorCode::kInvalidKe);
        ++invalid;
      }
    }
  }
  EXPECT_GE(valid, least_valid);
  EXPECT_GE(invalid, least_invalid);
}

TEST(DhEcp, WycheproofP256) {
  check_wycheproof_ecdh(DhId::kEcp256, "wycheproof/ecdh_secp256r1_ecpoint_test.json", 300, 20);
}

TEST(DhEcp, WycheproofP384) {
  check_wycheproof_ecdh(DhId::kEcp384, "wycheproof/ecdh_secp384r1_ecpoint_test.json", 200, 15);
}

TEST(DhEcp, CoordinatesNotBelowThePrimeAreRefused) {
  const auto own = pair_of(DhId::kEcp256, unhex("c88f01f510d9ac3f70a292daa2316de5"
                                                "44e9aab8afe84049c62a9c57862d1433"));
  // P-256 has a point with x = 0; the same point written with x = p would pass after a reduction.
  const Bytes good = unhex(
      "0000000000000000000000000000000000000000000000000000000000000000"
      "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4");
  const Bytes bad = unhex(
      "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
      "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4");
  EXPECT_TRUE(dh_shared(own, good).ok());
  EXPECT_EQ(dh_shared(own, bad).error().code, ErrorCode::kInvalidKe);
  EXPECT_EQ(dh_shared(own, Bytes(64)).error().code, ErrorCode::kInvalidKe);
}

// RFC 7748 section 6.1.
TEST(DhX25519, Rfc7748) {
  const auto alice = pair_of(DhId::kX25519, unhex("77076d0a7318a57d3c16c17251b26645"
                                                  "df4c2f87ebc0992ab177fba51db92c2a"));
  EXPECT_EQ(to_hex(alice.public_key),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  const auto bob = pair_of(DhId::kX25519, unhex("5dab087e624a8a4b79e17f8b83800ee6"
                                                "6f3bb1292618b6fd1c2f8b27ff88e0eb"));
  const auto shared = dh_shared(alice, bob.public_key);
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(to_hex(shared->reveal()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

// RFC 7748 section 5.2: one and a thousand iterations.
TEST(DhX25519, Rfc7748Iterated) {
  Bytes k = unhex("0900000000000000000000000000000000000000000000000000000000000000");
  Bytes u = k;
  for (int i = 1; i <= 1000; ++i) {
    DhKeyPair own;
    own.group = DhId::kX25519;
    own.private_key = SecretBytes(k);
    const auto out = dh_shared(own, u);
    ASSERT_TRUE(out.ok());
    u = k;
    k = to_vector(out->reveal());
    if (i == 1) {
      EXPECT_EQ(to_hex(k), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(to_hex(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(DhX25519, Wycheproof) {
  const auto file = read_json("wycheproof/x25519_test.json");
  int accepted = 0;
  int small_order = 0;
  for (const auto& group : file.at("testGroups")) {
    for (const auto& v : group.at("tests")) {
      DhKeyPair own;
      own.group = DhId::kX25519;
      own.private_key = SecretBytes(unhex(v.at("private")));
      const auto shared = dh_shared(own, unhex(v.at("public")));
      const Bytes expected = unhex(v.at("shared"));
      if (expected == Bytes(32)) {
        ASSERT_FALSE(shared.ok()) << v.dump();
        EXPECT_EQ(shared.error().code, ErrorCode::kInvalidKe);
        ++small_order;
      } else {
        // RFC 8031 section 3.2: non-canonical values must be accepted.
        ASSERT_TRUE(shared.ok()) << v.dump();
        EXPECT_EQ(to_hex(shared->reveal()), to_hex(expected)) << v.at("tcId");
        ++accepted;
      }
    }
  }
  EXPECT_GE(accepted, 400);
  EXPECT_GE(small_order, 10);
}

DhId modp_named(std::string_view word) {
  for (const DhId group : kAllGroups) {
    if (info(group)->name == word) return group;
  }
  ADD_FAILURE() << word;
  return DhId::kNone;
}

TEST(DhModp, KnownAnswers) {
  const auto file = read_json("modp/rfc3526.json");
  int checked = 0;
  for (const auto& v : file.at("vectors")) {
    const DhId group = modp_named(v.at("group").get<std::string>());
    const auto a = pair_of(group, unhex(v.at("private_a")));
    const auto b = pair_of(group, unhex(v.at("private_b")));
    EXPECT_EQ(to_hex(a.public_key), v.at("public_a").get<std::string>());
    EXPECT_EQ(to_hex(b.public_key), v.at("public_b").get<std::string>());
    const auto ab = dh_shared(a, b.public_key);
    const auto ba = dh_shared(b, a.public_key);
    ASSERT_TRUE(ab.ok() && ba.ok());
    // One vector of each group begins with a zero octet: the length stays that of the modulus.
    EXPECT_EQ(to_hex(ab->reveal()), v.at("shared").get<std::string>());
    EXPECT_TRUE(*ab == *ba);
    ++checked;
  }
  EXPECT_EQ(checked, 10);
}

TEST(DhModp, ValuesOutsideTheGroupAreRefused) {
  const auto file = read_json("modp/rfc3526.json");
  for (const auto& v : file.at("vectors")) {
    const DhId group = modp_named(v.at("group").get<std::string>());
    const auto own = pair_of(group, unhex(v.at("private_a")));
    const Bytes prime = unhex(v.at("prime"));
    ASSERT_FALSE(prime.empty());
    Bytes one(prime.size() - 1);
    one.push_back(1);
    Bytes two = one;
    two.back() = 2;
    Bytes prime_minus_1 = prime;
    prime_minus_1.back() -= 1;  // both primes end in ff
    Bytes prime_minus_2 = prime;
    prime_minus_2.back() -= 2;
    const Bytes zero(prime.size());
    const Bytes ones(prime.size(), 0xff);
    for (const Bytes& bad : {zero, one, prime_minus_1, prime, ones}) {
      const auto shared = dh_shared(own, bad);
      ASSERT_FALSE(shared.ok());
      EXPECT_EQ(shared.error().code, ErrorCode::kInvalidKe);
    }
    EXPECT_TRUE(dh_shared(own, two).ok());
    EXPECT_TRUE(dh_shared(own, prime_minus_2).ok());
  }
}

}  // namespace
}  // namespace espalier::crypto
