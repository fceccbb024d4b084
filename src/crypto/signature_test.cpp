#include "crypto/signature.hpp"

#include "crypto/auth_data.hpp"
#include "crypto/test_support.hpp"

namespace espalier::crypto {
namespace {

using test::read_json;
using test::read_text;
using test::unhex;

const std::vector<HashId> kEveryHash = supported_hashes();
constexpr std::array kKeyNames = {"rsa2048",  "ecdsa256", "ecdsa384",
                                  "ecdsa521", "ed25519",  "ed448"};

std::shared_ptr<const PrivateKey> load(const std::string& name) {
  auto key = PrivateKey::from_pem(as_bytes(read_text("certificates/" + name + ".key")));
  EXPECT_TRUE(key.ok()) << name;
  return key ? *key : nullptr;
}

ErrorCode code_of(const Status& status) {
  return status ? ErrorCode::kInternal : status.error().code;
}

TEST(PrivateKey, LoadsEveryFormAndKind) {
  EXPECT_EQ(load("rsa2048")->type(), KeyType::kRsa);
  EXPECT_EQ(load("ecdsa384")->type(), KeyType::kEcdsa);
  EXPECT_EQ(load("ed25519")->type(), KeyType::kEd25519);
  EXPECT_EQ(load("ed448")->type(), KeyType::kEd448);
  EXPECT_EQ(load("swan")->type(), KeyType::kEcdsa);  // written by strongSwan's pki
  EXPECT_EQ(load("rsa2048")->public_der(), load("rsa2048-pkcs1")->public_der());
  EXPECT_EQ(load("ecdsa256")->public_der(), load("ecdsa256-sec1")->public_der());
}

TEST(PrivateKey, RefusesOthersWithAReason) {
  const auto refused = [](const std::string& text) {
    const auto key = PrivateKey::from_pem(as_bytes(text));
    EXPECT_FALSE(key.ok());
    return key ? Error{} : key.error();
  };
  EXPECT_EQ(refused("").code, ErrorCode::kMalformed);
  EXPECT_EQ(refused("not a key").code, ErrorCode::kMalformed);
  EXPECT_EQ(refused(read_text("certificates/ca.pem")).code, ErrorCode::kMalformed);
  const Error encrypted = refused(read_text("certificates/encrypted.key"));
  EXPECT_EQ(encrypted.code, ErrorCode::kUnsupported);
  EXPECT_NE(encrypted.message.find("pass phrase"), std::string::npos);
  const Error weak = refused(read_text("certificates/rsa1024.key"));
  EXPECT_EQ(weak.code, ErrorCode::kUnsupported);
  EXPECT_NE(weak.message.find("1024 bits"), std::string::npos);
  EXPECT_EQ(refused(read_text("certificates/explicit-curve.key")).code, ErrorCode::kUnsupported);
}

TEST(Signature, RoundTripWithEveryKeyAndHash) {
  const Bytes data = unhex("00010203");
  int made = 0;
  for (const std::string name : kKeyNames) {
    const auto key = load(name);
    for (const HashId hash : kEveryHash) {
      const bool fits = is_eddsa(key->type()) == (hash == HashId::kIdentity);
      const auto signature = key->sign(data, {hash});
      ASSERT_EQ(signature.ok(), fits) << name;
      if (!fits) {
        EXPECT_EQ(signature.error().code, ErrorCode::kUnsupported);
        continue;
      }
      const auto verify = [&](ByteView over, ByteView auth_data) {
        return verify_signature(key->public_der(), AuthMethod::kDigitalSignature, over, auth_data);
      };
      EXPECT_TRUE(verify(data, *signature).ok()) << name;
      EXPECT_EQ(code_of(verify(unhex("00010204"), *signature)), ErrorCode::kAuthentication);
      Bytes longer = *signature;
      longer.push_back(0);
      EXPECT_EQ(code_of(verify(data, longer)), ErrorCode::kAuthentication) << name;
      Bytes shorter = *signature;
      shorter.pop_back();
      EXPECT_EQ(code_of(verify(data, shorter)), ErrorCode::kAuthentication) << name;
      Bytes flipped = *signature;
      flipped.back() ^= 1;
      EXPECT_EQ(code_of(verify(data, flipped)), ErrorCode::kAuthentication) << name;
      ++made;
    }
  }
  EXPECT_EQ(made, 4 * 3 + 2);
}

// RFC 8247 section 3.2 and RFC 4055 section 3.1.
TEST(Signature, RsaSignsWithPssAndASaltAsLongAsTheHash) {
  const auto algorithm_of = [](HashId hash) {
    const auto signature = load("rsa2048")->sign(unhex("01"), {hash});
    EXPECT_TRUE(signature.ok());
    return decode_auth_data(*signature)->algorithm;
  };
  for (const auto& [hash, salt] :
       {std::pair(HashId::kSha2_256, 32u), {HashId::kSha2_384, 48u}, {HashId::kSha2_512, 64u}}) {
    EXPECT_EQ(algorithm_of(hash), (SignatureAlgorithm{KeyType::kRsa, hash, true, salt}));
  }
}

TEST(Signature, TheHashThatFitsBestIsChosen) {
  const auto hash_of = [](const std::string& name, const std::vector<HashId>& offered) {
    const auto signature = load(name)->sign(unhex("01"), offered);
    EXPECT_TRUE(signature.ok());
    return decode_auth_data(*signature)->algorithm.hash;
  };
  EXPECT_EQ(hash_of("rsa2048", kEveryHash), HashId::kSha2_512);
  EXPECT_EQ(hash_of("rsa2048", {HashId::kSha1, HashId::kSha2_256}), HashId::kSha2_256);
  EXPECT_EQ(hash_of("ecdsa256", kEveryHash), HashId::kSha2_256);
  EXPECT_EQ(hash_of("ecdsa384", kEveryHash), HashId::kSha2_384);
  EXPECT_EQ(hash_of("ecdsa521", kEveryHash), HashId::kSha2_512);
  EXPECT_EQ(hash_of("ecdsa256", {HashId::kSha2_256, HashId::kSha2_384}), HashId::kSha2_256);
  EXPECT_EQ(hash_of("ecdsa256", {HashId::kSha2_384}), HashId::kSha2_384);
  EXPECT_FALSE(load("rsa2048")->sign({}, {HashId::kSha1, HashId::kIdentity}).ok());
  EXPECT_FALSE(load("ed25519")->sign({}, {}).ok());
}

TEST(Signature, MadeByOtherCode) {
  const auto file = read_json("certificates/signatures.json");
  int pss = 0;
  int others = 0;
  for (const auto& v : file.at("vectors")) {
    const Bytes key = unhex(v.at("public_der"));
    const Bytes data = unhex(v.at("data"));
    Bytes auth_data = unhex(v.at("auth_data"));
    const auto status = verify_signature(key, AuthMethod::kDigitalSignature, data, auth_data);
    EXPECT_TRUE(status.ok()) << v.at("name") << (status ? "" : status.error().message);
    ++(decode_auth_data(auth_data)->algorithm.pss ? pss : others);
    // An octet more, or another message, is another matter.
    auth_data.push_back(0);
    EXPECT_FALSE(verify_signature(key, AuthMethod::kDigitalSignature, data, auth_data).ok());
  }
  EXPECT_EQ(pss, 12);
  EXPECT_EQ(others, 3 + 9 + 1);
}

TEST(Signature, WycheproofEd25519) {
  const auto file = read_json("wycheproof/ed25519_test.json");
  int valid = 0;
  int invalid = 0;
  for (const auto& group : file.at("testGroups")) {
    const Bytes key = unhex(group.at("publicKeyDer"));
    for (const auto& v : group.at("tests")) {
      Bytes auth_data = unhex("07300506032b6570");
      const Bytes signature = unhex(v.at("sig"));
      auth_data.insert(auth_data.end(), signature.begin(), signature.end());
      const auto status =
          verify_signature(key, AuthMethod::kDigitalSignature, unhex(v.at("msg")), auth_data);
      EXPECT_EQ(status.ok(), v.at("result") == "valid") << v.at("tcId");
      ++(v.at("result") == "valid" ? valid : invalid);
    }
  }
  EXPECT_GE(valid, 80);
  EXPECT_GE(invalid, 60);
}

// RFC 8032 section 7.4, "1 octet" (ed448.key is its key), and RFC 8420 appendix A.2.
TEST(Signature, Ed448OfRfc8032) {
  const auto key = load("ed448");
  EXPECT_EQ(
      to_hex(key->public_der()),
      "3043300506032b6571033a0043ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c086"
      "6aea01eb00742802b8438ea4cb82169c235160627b4c3a9480");
  const auto made = key->sign(unhex("03"), {HashId::kSha2_512, HashId::kIdentity});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(
      to_hex(*made),
      "07300506032b6571"
      "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de"
      "8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a64729"
      "05e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00");
  // An Ed25519 key does not verify it, nor the other way round.
  const auto other = load("ed25519");
  EXPECT_EQ(code_of(verify_signature(other->public_der(), AuthMethod::kDigitalSignature,
                                     unhex("03"), *made)),
            ErrorCode::kAuthentication);
}

// RFC 4754 section 8: methods 9, 10 and 11, r | s.
TEST(Signature, Rfc4754) {
  const auto file = read_json("certificates/rfc4754.json");
  ASSERT_EQ(file.at("vectors").size(), 3u);
  for (const auto& v : file.at("vectors")) {
    const auto method = static_cast<AuthMethod>(v.at("method").get<int>());
    const Bytes key = unhex(v.at("public_der"));
    Bytes signature = unhex(v.at("r"));
    const Bytes s = unhex(v.at("s"));
    signature.insert(signature.end(), s.begin(), s.end());
    EXPECT_TRUE(verify_signature(key, method, as_bytes("abc"), signature).ok());
    EXPECT_FALSE(verify_signature(key, method, as_bytes("abd"), signature).ok());
    for (const AuthMethod other :
         {AuthMethod::kEcdsa256, AuthMethod::kEcdsa384, AuthMethod::kEcdsa521}) {
      EXPECT_EQ(verify_signature(key, other, as_bytes("abc"), signature).ok(), other == method);
    }
    Bytes longer = signature;
    longer.push_back(0);
    EXPECT_FALSE(verify_signature(key, method, as_bytes("abc"), longer).ok());
    EXPECT_FALSE(verify_signature(key, method, as_bytes("abc"), Bytes(signature.size())).ok());
    EXPECT_FALSE(verify_signature(key, method, as_bytes("abc"), {}).ok());
  }
}

TEST(Signature, OldEcdsaMethodsRoundTrip) {
  const Bytes data = unhex("0a0b0c");
  for (const auto& [name, method, octets] : {std::tuple("ecdsa256", AuthMethod::kEcdsa256, 64u),
                                             std::tuple("ecdsa384", AuthMethod::kEcdsa384, 96u),
                                             std::tuple("ecdsa521", AuthMethod::kEcdsa521, 132u)}) {
    const auto key = load(name);
    const auto signature = key->sign_ecdsa(method, data);
    ASSERT_TRUE(signature.ok());
    EXPECT_EQ(signature->size(), octets);
    EXPECT_TRUE(verify_signature(key->public_der(), method, data, *signature).ok());
  }
  EXPECT_EQ(load("ecdsa256")->sign_ecdsa(AuthMethod::kEcdsa384, data).error().code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(load("rsa2048")->sign_ecdsa(AuthMethod::kEcdsa256, data).error().code,
            ErrorCode::kUnsupported);
}

TEST(Signature, WeakAndForeignAreRefused) {
  const auto key = load("rsa2048");
  const Bytes data = unhex("01");
  const auto good = key->sign(data, kEveryHash);
  ASSERT_TRUE(good.ok());
  const auto digital = [&](ByteView public_der, ByteView auth_data) {
    return code_of(verify_signature(public_der, AuthMethod::kDigitalSignature, data, auth_data));
  };
  // Methods that are no signature, or SHA-1's.
  EXPECT_EQ(code_of(verify_signature(key->public_der(), AuthMethod::kRsaSignature, data, *good)),
            ErrorCode::kUnsupported);
  EXPECT_EQ(code_of(verify_signature(key->public_der(), AuthMethod::kSharedKeyMic, data, *good)),
            ErrorCode::kUnsupported);
  EXPECT_EQ(code_of(verify_signature(key->public_der(), static_cast<AuthMethod>(13), data, *good)),
            ErrorCode::kUnsupported);
  // An algorithm for another kind of key.
  EXPECT_EQ(digital(load("ed25519")->public_der(), *good), ErrorCode::kAuthentication);
  EXPECT_EQ(digital(load("ecdsa256")->public_der(), *good), ErrorCode::kAuthentication);
  EXPECT_EQ(digital({}, *good), ErrorCode::kMalformed);
  Bytes trailing = key->public_der();
  trailing.push_back(0);
  EXPECT_EQ(digital(trailing, *good), ErrorCode::kMalformed);
  // RSA under 2048 bits.
  const auto certificates = certificates_from_pem(as_bytes(read_text("certificates/rsa1024.pem")));
  ASSERT_TRUE(certificates.ok());
  const auto weak = inspect_certificate(certificates->front());
  ASSERT_TRUE(weak.ok());
  Bytes auth_data(good->begin(), good->begin() + 16);
  auth_data.resize(16 + 128);
  EXPECT_EQ(digital(weak->public_der, auth_data), ErrorCode::kUnsupported);
}

TEST(AuthData, EncodesTheObjectsOfRfc7427) {
  const auto prefix = [](const SignatureAlgorithm& algorithm) {
    return to_hex(encode_auth_data(algorithm, {}));
  };
  EXPECT_EQ(prefix({KeyType::kRsa, HashId::kSha2_256, false, 0}),
            "0f300d06092a864886f70d01010b0500");
  EXPECT_EQ(prefix({KeyType::kRsa, HashId::kSha2_512, false, 0}),
            "0f300d06092a864886f70d01010d0500");
  EXPECT_EQ(prefix({KeyType::kEcdsa, HashId::kSha2_384, false, 0}), "0c300a06082a8648ce3d040303");
  EXPECT_EQ(prefix({KeyType::kEd25519, HashId::kIdentity, false, 0}), "07300506032b6570");
  EXPECT_EQ(prefix({KeyType::kEd448, HashId::kIdentity, false, 0}), "07300506032b6571");
}

TEST(AuthData, DecodesAppendixA) {
  // A.4.3, with a signature of one octet.
  const Bytes pss = unhex(
      "48304606092a864886f70d01010a3039a00f300d06096086480165030402010500"
      "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101"
      "aa");
  const auto decoded = decode_auth_data(pss);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(decoded->algorithm, (SignatureAlgorithm{KeyType::kRsa, HashId::kSha2_256, true, 32}));
  EXPECT_EQ(to_hex(decoded->signature), "aa");
  // RFC 4055 section 5: parameters that are absent are accepted.
  EXPECT_TRUE(decode_auth_data(unhex("0d300b06092a864886f70d01010baa")).ok());
}

TEST(AuthData, RefusesEverythingElse) {
  const auto code = [](std::string_view hex) {
    const auto decoded = decode_auth_data(unhex(hex));
    return decoded ? ErrorCode::kInternal : decoded.error().code;
  };
  EXPECT_EQ(code(""), ErrorCode::kTruncated);
  EXPECT_EQ(code("0f300d"), ErrorCode::kTruncated);
  EXPECT_EQ(code("07300506032b6570"), ErrorCode::kTruncated);  // no signature
  EXPECT_EQ(code("00aa"), ErrorCode::kTruncated);              // no AlgorithmIdentifier
  // A.1.1, A.3.1, A.4.1 and A.4.2: SHA-1, by name and by default.
  EXPECT_EQ(code("0f300d06092a864886f70d0101050500aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("0b300906072a8648ce3d0401aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("0f300d06092a864886f70d01010a3000aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("40303e06092a864886f70d01010a3031a00b300906052b0e03021a0500"
                 "a118301606092a864886f70d010108300906052b0e03021a0500a203020114a303020101aa"),
            ErrorCode::kUnsupported);
  // A.2.2: DSA. X448. ECDSA with a NULL.
  EXPECT_EQ(code("0d300b0609608648016503040302aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("07300506032b656faa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code("0e300c06082a8648ce3d0403020500aa"), ErrorCode::kUnsupported);
  // Octets behind the object, inside its length.
  EXPECT_EQ(code("08300506032b657000aa"), ErrorCode::kUnsupported);
}

// A.4.3 with one thing changed at a time.
TEST(AuthData, RefusesPssThatIsNotAlike) {
  const auto code = [](std::string_view hex) {
    const auto decoded = decode_auth_data(unhex(hex));
    return decoded ? ErrorCode::kInternal : decoded.error().code;
  };
  const std::string start = "48304606092a864886f70d01010a3039";
  const std::string hash = "a00f300d06096086480165030402010500";
  const std::string mask = "a11c301a06092a864886f70d010108300d06096086480165030402010500";
  const std::string salt = "a203020120";
  const std::string trailer = "a303020101";
  ASSERT_EQ(code(start + hash + mask + salt + trailer + "aa"), ErrorCode::kInternal);  // accepted
  std::string other = mask;
  other.replace(other.size() - 6, 2, "02");  // MGF1 with SHA-384
  EXPECT_EQ(code(start + hash + other + salt + trailer + "aa"), ErrorCode::kUnsupported);
  other = mask;
  other.replace(24, 2, "09");  // no MGF1
  EXPECT_EQ(code(start + hash + other + salt + trailer + "aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(start + hash + mask + "a203020141" + trailer + "aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(start + hash + mask + "a2030201ff" + trailer + "aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(start + hash + mask + salt + "a303020102" + "aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(start + mask + hash + salt + trailer + "aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(start + hash + mask + trailer + salt + "aa"), ErrorCode::kUnsupported);
  EXPECT_EQ(code(start + hash + mask + salt + salt + "aa"), ErrorCode::kUnsupported);
  // A length in the long form that the short form could say is not DER.
  EXPECT_EQ(code("4930814606092a864886f70d01010a3039" + hash + mask + salt + trailer + "aa"),
            ErrorCode::kUnsupported);
}

TEST(AuthData, SupportedHashes) {
  const auto hashes = supported_hashes();
  EXPECT_EQ(hashes.size(), 4u);
  EXPECT_EQ(std::count(hashes.begin(), hashes.end(), HashId::kSha1), 0);
}

}  // namespace
}  // namespace espalier::crypto
