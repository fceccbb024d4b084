#include "crypto/dh.hpp"

#include "crypto/test_support.hpp"

namespace espalier::crypto {
namespace {

using test::FixedRng;
using test::read_json;
using test::unhex;

constexpr std::array kAllGroups = {DhId::kX25519, DhId::kEcp256, DhId::kEcp384, DhId::kModp2048,
                                   DhId::kModp3072};

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
  for (const DhId group : {DhId::kEcp256, DhId::kEcp384, DhId::kModp2048, DhId::kModp3072}) {
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

TEST(DhModp, KnownAnswers) {
  const auto file = read_json("modp/rfc3526.json");
  int checked = 0;
  for (const auto& v : file.at("vectors")) {
    const DhId group = v.at("group") == "modp2048" ? DhId::kModp2048 : DhId::kModp3072;
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
  EXPECT_EQ(checked, 4);
}

TEST(DhModp, ValuesOutsideTheGroupAreRefused) {
  const auto file = read_json("modp/rfc3526.json");
  for (const auto& v : file.at("vectors")) {
    const DhId group = v.at("group") == "modp2048" ? DhId::kModp2048 : DhId::kModp3072;
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
