#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/algorithm_words.hpp"
#include "policy/proposal.hpp"

namespace espalier::policy {
namespace {

using crypto::DhId;
using crypto::EncrId;
using crypto::IntegId;
using crypto::PrfId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProposalWords, IkeAead) {
  const auto p = parse_ike_proposal("aes256gcm16-prfsha384-x25519");
  ASSERT_TRUE(p.ok()) << p.error().message;
  EXPECT_THAT(p.value().encr, ElementsAre(EncrTransform{EncrId::kAesGcm16, 256}));
  EXPECT_TRUE(p.value().integ.empty());
  EXPECT_THAT(p.value().prf, ElementsAre(PrfId::kHmacSha2_384));
  EXPECT_THAT(p.value().dh, ElementsAre(DhId::kX25519));
}

TEST(ProposalWords, PrfFollowsFromIntegrity) {
  const auto p = parse_ike_proposal("aes128-aes256-sha384-sha256-modp3072-ecp256");
  ASSERT_TRUE(p.ok()) << p.error().message;
  EXPECT_THAT(p.value().encr, ElementsAre(EncrTransform{EncrId::kAesCbc, 128},
                                          EncrTransform{EncrId::kAesCbc, 256}));
  EXPECT_THAT(p.value().integ, ElementsAre(IntegId::kHmacSha2_384_192, IntegId::kHmacSha2_256_128));
  EXPECT_THAT(p.value().prf, ElementsAre(PrfId::kHmacSha2_384, PrfId::kHmacSha2_256));
  EXPECT_THAT(p.value().dh, ElementsAre(DhId::kModp3072, DhId::kEcp256));
}

TEST(ProposalWords, EspSequenceNumbers) {
  EXPECT_TRUE(parse_esp_proposal("aes256gcm16").value().esn);
  EXPECT_TRUE(parse_esp_proposal("aes256gcm16").value().no_esn);
  EXPECT_TRUE(parse_esp_proposal("aes256gcm16-esn-noesn").value().no_esn);
  EXPECT_FALSE(parse_esp_proposal("aes256gcm16-esn").value().no_esn);
  EXPECT_TRUE(parse_esp_proposal("aes256gcm16-esn").value().esn);
  EXPECT_FALSE(parse_esp_proposal("aes256gcm16-noesn").value().esn);
}

TEST(ProposalWords, SynonymsMeanTheSame) {
  for (const auto& [synonym, word] : std::vector<std::pair<const char*, const char*>>{
           {"aes128gcm128-x25519", "aes128gcm16-x25519"},
           {"aes192gcm-curve25519", "aes192gcm16-x25519"},
           {"aes-sha", "aes128-sha1"},
           {"aes256-sha2_512", "aes256-sha512"},
           {"aes256-aes256-sha256", "aes256-sha256"}}) {
    ASSERT_TRUE(parse_esp_proposal(synonym).ok());
    EXPECT_EQ(parse_esp_proposal(synonym).value(), parse_esp_proposal(word).value()) << synonym;
  }
  EXPECT_EQ(parse_ike_proposal("aes256gcm16-prfsha2_256-ecp256").value(),
            parse_ike_proposal("aes256gcm16-prfsha256-ecp256").value());
}

TEST(ProposalWords, Refusals) {
  struct Case {
    const char* words;
    ErrorCode code;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {"3des-sha1-modp2048", ErrorCode::kUnsupported, "'3des'"},
           {"aes256-sha256-modp1024", ErrorCode::kUnsupported, "'modp1024'"},
           {"aes256-md5-modp2048", ErrorCode::kUnsupported, "'md5'"},
           {"aes256ccm16-prfsha256-x25519", ErrorCode::kUnsupported, "'aes256ccm16'"},
           {"camellia256-sha256-x25519", ErrorCode::kUnsupported, "'camellia256'"},
           {"aes256gcm16-prfaesxcbc-x25519", ErrorCode::kUnsupported, "prfsha256"},
           {"aes256gcm16-prfsha384-x25519-ke1_mlkem768", ErrorCode::kUnsupported, "ke1_mlkem768"},
           {"null-sha256-x25519", ErrorCode::kUnsupported, "'null'"},
           {"AES256-sha256-x25519", ErrorCode::kInvalidArgument, "'AES256'"},
           {"aes512-sha256-x25519", ErrorCode::kInvalidArgument, "no algorithm word"},
           {"", ErrorCode::kInvalidArgument, "''"},
           {"aes256-sha256-x25519-", ErrorCode::kInvalidArgument, "''"},
           {"aes256--sha256-x25519", ErrorCode::kInvalidArgument, "''"},
           {"sha256-x25519", ErrorCode::kInvalidArgument, "no encryption"},
           {"aes256-x25519", ErrorCode::kInvalidArgument, "no integrity"},
           {"aes256-sha256", ErrorCode::kInvalidArgument, "no Diffie-Hellman"},
           {"aes256-sha256-modpnone", ErrorCode::kInvalidArgument, "needs a group"},
           {"aes256gcm16-x25519", ErrorCode::kInvalidArgument, "no PRF"},
           {"aes256gcm16-sha256-prfsha256-x25519", ErrorCode::kInvalidArgument, "built-in"},
           {"aes256gcm16-aes256-sha256-x25519", ErrorCode::kInvalidArgument, "two proposals"},
           {"aes256-sha256-x25519-esn", ErrorCode::kInvalidArgument, "ESP proposal"}}) {
    const auto p = parse_ike_proposal(c.words);
    ASSERT_FALSE(p.ok()) << c.words;
    EXPECT_EQ(p.error().code, c.code) << c.words << ": " << p.error().message;
    EXPECT_THAT(p.error().message, HasSubstr(c.says)) << c.words;
  }
  EXPECT_THAT(parse_esp_proposal("aes256gcm16-prfsha256").error().message, HasSubstr("has a PRF"));
  std::string many = "aes256";
  for (int i = 0; i < 100; ++i) many += "-sha256";
  EXPECT_EQ(parse_esp_proposal(many).error().code, ErrorCode::kLimit);
}

TEST(ProposalWords, DefaultsAreThoseOfTheDocumentation) {
  std::vector<std::string> ike;
  for (const IkeProposal& p : default_ike_proposals()) ike.push_back(words(p));
  EXPECT_THAT(ike, ElementsAre("aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp384",
                               "chacha20poly1305-prfsha256-x25519", "aes128gcm16-prfsha256-ecp256",
                               "aes256-sha384-modp3072"));
  std::vector<std::string> esp;
  for (const EspProposal& p : default_esp_proposals()) esp.push_back(words(p));
  EXPECT_THAT(esp, ElementsAre("aes256gcm16-x25519-ecp384-ecp256-modp3072",
                               "aes128gcm16-x25519-ecp384-ecp256-modp3072",
                               "chacha20poly1305-x25519-ecp384-ecp256-modp3072",
                               "aes256-sha256-x25519-ecp384-ecp256-modp3072"));
}

TEST(ProposalWords, SuitesInWords) {
  EXPECT_EQ(words(IkeSuite{
                {EncrId::kAesGcm16, 256, IntegId::kNone}, PrfId::kHmacSha2_384, DhId::kX25519}),
            "aes256gcm16-prfsha384-x25519");
  EXPECT_EQ(
      words(IkeSuite{
          {EncrId::kAesCbc, 256, IntegId::kHmacSha2_384_192}, PrfId::kHmacSha2_384, DhId::kEcp384}),
      "aes256-sha384-ecp384");
  EXPECT_EQ(
      words(IkeSuite{
          {EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128}, PrfId::kHmacSha2_384, DhId::kEcp384}),
      "aes256-sha256-prfsha384-ecp384");
  EXPECT_EQ(words(ChildSuite{{EncrId::kAesGcm16, 256, IntegId::kNone}, DhId::kX25519, true}),
            "aes256gcm16-x25519-esn");
  EXPECT_EQ(words(ChildSuite{{EncrId::kChaCha20Poly1305, 0, IntegId::kNone}, DhId::kNone, false}),
            "chacha20poly1305");
}

TEST(ProposalWords, OffersInWordsAreBounded) {
  using wire::ike::Proposal;
  using wire::ike::Transform;
  using wire::ike::TransformType;
  Proposal p;
  p.transforms = {
      {TransformType::kEncr, 3, 0, false},          {TransformType::kEncr, 12, 256, false},
      {TransformType::kEncr, 4711, 77, false},      {TransformType::kDh, 2, 0, false},
      {static_cast<TransformType>(9), 5, 0, false}, {static_cast<TransformType>(13), 5, 0, false}};
  EXPECT_EQ(words(std::vector<Proposal>{p}),
            "3des-aes256-encr-4711/77-modp1024-ke4_modp1536-type13-5");
  EXPECT_EQ(words(std::vector<Proposal>{}), "nothing");
  p.transforms.assign(5000, {TransformType::kEncr, 12, 256, false});
  EXPECT_LT(words(std::vector<Proposal>(50, p)).size(), 1100u);
}

TEST(ProposalWords, EveryWordIsWhole) {
  for (const AlgorithmWord& row : algorithm_words()) {
    EXPECT_EQ(find_word(row.word)->id, row.id) << row.word << " stands twice in the table";
    if (row.use == WordUse::kUnsupported) continue;
    const std::string printed = word_for({row.type, row.id, row.key_bits, false});
    EXPECT_EQ(find_word(printed)->id, row.id) << row.word;
    EXPECT_EQ(printed == row.word, row.use == WordUse::kSupported) << row.word;
  }
}

// What parses can also be computed: crypto knows every algorithm that has a word.
TEST(ProposalWords, EverySupportedWordIsImplemented) {
  using wire::ike::TransformType;
  for (const AlgorithmWord& row : algorithm_words()) {
    if (row.use == WordUse::kUnsupported) continue;
    switch (row.type) {
      case TransformType::kEncr: {
        const auto id = static_cast<EncrId>(row.id);
        EXPECT_TRUE(crypto::key_octets(id, row.key_bits)) << row.word;
        ASSERT_TRUE(crypto::info(id)) << row.word;
        EXPECT_EQ(crypto::info(id)->aead, row.aead) << row.word;
        EXPECT_EQ(crypto::info(id)->variable_key, row.key_bits != 0) << row.word;
        break;
      }
      case TransformType::kPrf:
        EXPECT_TRUE(crypto::info(static_cast<PrfId>(row.id))) << row.word;
        break;
      case TransformType::kInteg:
        EXPECT_TRUE(crypto::info(static_cast<IntegId>(row.id))) << row.word;
        break;
      case TransformType::kDh:
        EXPECT_TRUE(row.id == 0 || crypto::info(static_cast<DhId>(row.id))) << row.word;
        break;
      default: break;
    }
  }
}

// Every proposal that parses prints as words that parse to the same proposal.
TEST(ProposalWords, RoundTrip) {
  for (const char* text :
       {"aes128-aes192-aes256-sha1-sha256-modp2048",
        "aes128gcm16-chacha20poly1305-prfsha512-x25519",
        "aes256-sha512-prfsha256-prfsha512-ecp256-ecp384", "aes256-sha384-modp3072",
        "aes256gcm16-prfsha384-x25519-ke1_ecp384-ke1_none-ke2_modp2048-ke7_modp3072"}) {
    const IkeProposal p = parse_ike_proposal(text).value();
    EXPECT_EQ(words(p), text);
    EXPECT_EQ(parse_ike_proposal(words(p)).value(), p);
  }
  for (const char* text : {"aes192gcm16", "aes256-sha1-sha512-ecp384-modpnone", "aes256gcm16-noesn",
                           "chacha20poly1305-x25519-esn", "aes128gcm16-x25519-ke1_ecp256-noesn"}) {
    const EspProposal p = parse_esp_proposal(text).value();
    EXPECT_EQ(words(p), text);
    EXPECT_EQ(parse_esp_proposal(words(p)).value(), p);
  }
}

}  // namespace
}  // namespace espalier::policy
