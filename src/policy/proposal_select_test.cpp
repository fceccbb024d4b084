#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "crypto/dh.hpp"
#include "policy/proposal.hpp"

namespace espalier::policy {
namespace {

using crypto::DhId;
using crypto::EncrId;
using crypto::IntegId;
using crypto::PrfId;
using ::testing::HasSubstr;
using wire::ike::ProtocolId;
using wire::ike::Transform;
using wire::ike::TransformType;
using WireProposal = wire::ike::Proposal;

const Bytes kSpi{0xc0, 0xff, 0xee, 0x01};

std::vector<IkeProposal> ike(std::initializer_list<const char*> list) {
  std::vector<IkeProposal> out;
  for (const char* words : list) out.push_back(parse_ike_proposal(words).value());
  return out;
}
std::vector<EspProposal> esp(std::initializer_list<const char*> list) {
  std::vector<EspProposal> out;
  for (const char* words : list) out.push_back(parse_esp_proposal(words).value());
  return out;
}
WireProposal offer_of(ProtocolId protocol, std::vector<Transform> transforms) {
  return {1, protocol, protocol == ProtocolId::kEsp ? kSpi : Bytes{}, std::move(transforms)};
}
Transform encr(unsigned id, unsigned bits) {
  return {TransformType::kEncr, static_cast<std::uint16_t>(id), static_cast<std::uint16_t>(bits),
          false};
}
Transform of(TransformType type, unsigned id) {
  return {type, static_cast<std::uint16_t>(id), 0, false};
}
const Transform kNoEsn = of(TransformType::kEsn, 0);
const Transform kEsn = of(TransformType::kEsn, 1);

TEST(ProposalWire, IkeNumbersAndTransforms) {
  const auto wire = to_wire(ike({"aes256gcm16-prfsha384-x25519", "aes256-sha384-modp3072"}), {});
  ASSERT_EQ(wire.size(), 2u);
  EXPECT_EQ(wire[0].number, 1);
  EXPECT_EQ(wire[1].number, 2);
  EXPECT_EQ(wire[0].protocol, ProtocolId::kIke);
  EXPECT_TRUE(wire[0].spi.empty());
  EXPECT_EQ(wire[0].transforms, (std::vector<Transform>{encr(20, 256), of(TransformType::kPrf, 6),
                                                        of(TransformType::kDh, 31)}));
  EXPECT_EQ(wire[1].transforms,
            (std::vector<Transform>{encr(12, 256), of(TransformType::kPrf, 6),
                                    of(TransformType::kInteg, 13), of(TransformType::kDh, 15)}));
}

TEST(ProposalWire, EspWithAndWithoutDh) {
  const auto ours = esp({"aes128gcm16-x25519", "aes256-sha256-modpnone"});
  const auto with = to_wire(ours, kSpi, true);
  EXPECT_EQ(with[0].spi, kSpi);
  EXPECT_EQ(with[0].transforms,
            (std::vector<Transform>{encr(20, 128), of(TransformType::kDh, 31), kEsn, kNoEsn}));
  EXPECT_EQ(with[1].transforms,
            (std::vector<Transform>{encr(12, 256), of(TransformType::kInteg, 12), kEsn, kNoEsn}));
  const auto without = to_wire(ours, kSpi, false);
  EXPECT_EQ(without[0].transforms, (std::vector<Transform>{encr(20, 128), kEsn, kNoEsn}));
}

TEST(ProposalSelect, OurOrderDecides) {
  const auto ours = ike({"aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256"});
  const auto theirs =
      to_wire(ike({"aes128gcm16-prfsha256-ecp256", "aes256gcm16-prfsha384-x25519"}), {});
  const auto got = select_ike(ours, theirs);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(words(got.value().suite), "aes256gcm16-prfsha384-x25519");
  EXPECT_EQ(got.value().reply.number, 2);
  EXPECT_TRUE(got.value().reply.spi.empty());
}

// As charon 5.9.8 offers by default: one proposal full of alternatives, with algorithms we do not
// have.
TEST(ProposalSelect, CrowdedOfferOfStrongSwan) {
  std::vector<Transform> crowd{encr(13, 128), encr(12, 128), encr(12, 192),
                               encr(12, 256), encr(23, 256), encr(3, 0)};
  for (const unsigned id : {12, 13, 14, 2, 5}) crowd.push_back(of(TransformType::kInteg, id));
  for (const unsigned id : {5, 6, 7, 4, 8, 2}) crowd.push_back(of(TransformType::kPrf, id));
  for (const unsigned id : {31, 32, 19, 20, 21, 28, 29, 30, 15, 16, 18, 14}) {
    crowd.push_back(of(TransformType::kDh, id));
  }
  const auto got = select_ike(default_ike_proposals(), {offer_of(ProtocolId::kIke, crowd)});
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(words(got.value().suite), "aes256-sha384-modp3072");
  EXPECT_EQ(got.value().reply.transforms.size(), 4u);
}

TEST(ProposalSelect, KeyLengthRules) {
  const auto ours = esp({"aes256gcm16", "chacha20poly1305"});
  // AES without a Key Length, with another one, and with an attribute we do not know.
  Transform odd = encr(20, 256);
  odd.unknown_attribute = true;
  for (const Transform& wrong : {encr(20, 0), encr(20, 192), encr(20, 255), odd, encr(28, 256)}) {
    const auto got =
        select_esp(ours, {offer_of(ProtocolId::kEsp, {wrong, kNoEsn})}, false, DhId::kNone);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, ErrorCode::kNoProposalChosen);
    EXPECT_THAT(got.error().message, HasSubstr("only the encryption algorithm differs"));
  }
  EXPECT_TRUE(
      select_esp(ours, {offer_of(ProtocolId::kEsp, {odd, encr(28, 0), kNoEsn})}, false, DhId::kNone)
          .ok());
}

TEST(ProposalSelect, IntegrityNoneBesideAnAead) {
  const auto ours = esp({"aes256gcm16"});
  const auto with_none = select_esp(
      ours, {offer_of(ProtocolId::kEsp, {encr(20, 256), of(TransformType::kInteg, 0), kNoEsn})},
      false, DhId::kNone);
  ASSERT_TRUE(with_none.ok()) << with_none.error().message;
  // The answer repeats one transform of each type offered.
  EXPECT_EQ(with_none.value().reply.transforms,
            (std::vector<Transform>{encr(20, 256), of(TransformType::kInteg, 0), kNoEsn}));
  EXPECT_EQ(with_none.value().suite.cipher.integ, IntegId::kNone);
  EXPECT_FALSE(select_esp(ours,
                          {offer_of(ProtocolId::kEsp,
                                    {encr(20, 256), of(TransformType::kInteg, 12), kNoEsn})},
                          false, DhId::kNone)
                   .ok());
  // And a cipher without integrity of its own never goes with NONE.
  EXPECT_FALSE(select_esp(esp({"aes256-sha256"}),
                          {offer_of(ProtocolId::kEsp,
                                    {encr(12, 256), of(TransformType::kInteg, 0), kNoEsn})},
                          false, DhId::kNone)
                   .ok());
}

TEST(ProposalSelect, SequenceNumbers) {
  const auto choose = [](const char* ours, std::vector<Transform> esn) {
    std::vector<Transform> all{encr(20, 256)};
    all.insert(all.end(), esn.begin(), esn.end());
    return select_esp({parse_esp_proposal(ours).value()}, {offer_of(ProtocolId::kEsp, all)}, false,
                      DhId::kNone);
  };
  EXPECT_TRUE(choose("aes256gcm16", {kNoEsn, kEsn}).value().suite.esn);
  EXPECT_FALSE(choose("aes256gcm16", {kNoEsn}).value().suite.esn);
  EXPECT_TRUE(choose("aes256gcm16", {kEsn}).value().suite.esn);
  EXPECT_FALSE(choose("aes256gcm16-noesn", {kNoEsn, kEsn}).value().suite.esn);
  EXPECT_THAT(choose("aes256gcm16-esn", {kNoEsn}).error().message,
              HasSubstr("only the use of extended sequence numbers differs"));
  EXPECT_FALSE(choose("aes256gcm16", {}).ok()) << "ESN is mandatory: RFC 7296 section 3.3.3";
}

TEST(ProposalSelect, PerfectForwardSecrecy) {
  const auto pfs = esp({"aes256gcm16-x25519-ecp384"});
  const auto may = esp({"aes256gcm16-x25519-modpnone"});
  const auto none = esp({"aes256gcm16"});
  const Transform g31 = of(TransformType::kDh, 31);
  const Transform g20 = of(TransformType::kDh, 20);
  const Transform g0 = of(TransformType::kDh, 0);
  const auto dh = [](const std::vector<EspProposal>& ours, std::vector<Transform> groups,
                     bool with_dh = true, DhId prefer = DhId::kNone) -> std::optional<DhId> {
    groups.push_back(encr(20, 256));
    groups.push_back(kNoEsn);
    const auto got = select_esp(ours, {offer_of(ProtocolId::kEsp, groups)}, with_dh, prefer);
    if (!got) return std::nullopt;
    return got.value().suite.dh;
  };
  EXPECT_EQ(dh(pfs, {g20, g31}), DhId::kX25519);
  EXPECT_EQ(dh(pfs, {g20, g31}, true, DhId::kEcp384), DhId::kEcp384);
  EXPECT_EQ(dh(pfs, {g20, g31}, true, DhId::kModp3072), DhId::kX25519);
  EXPECT_EQ(dh(pfs, {}), std::nullopt);
  EXPECT_EQ(dh(pfs, {g0}), std::nullopt);
  EXPECT_EQ(dh(pfs, {g31}, false), DhId::kNone);
  EXPECT_EQ(dh(pfs, {}, false), DhId::kNone);
  EXPECT_EQ(dh(may, {g31, g0}), DhId::kX25519);
  EXPECT_EQ(dh(may, {}), DhId::kNone);
  EXPECT_EQ(dh(may, {g20, g0}), DhId::kNone);
  EXPECT_EQ(dh(none, {}), DhId::kNone);
  EXPECT_EQ(dh(none, {g0, g31}), DhId::kNone);
  EXPECT_EQ(dh(none, {g31}), std::nullopt);
}

TEST(ProposalSelect, UnknownTransformTypesAreNeverChosen) {
  const auto ours = ike({"aes256gcm16-prfsha384-x25519"});
  const std::vector<Transform> good{encr(20, 256), of(TransformType::kPrf, 6),
                                    of(TransformType::kDh, 31)};
  // RFC 9370's first additional key exchange, a number from nowhere, and ESN inside IKE.
  for (const unsigned type : {6, 200, 5}) {
    auto odd = good;
    odd.push_back(of(static_cast<TransformType>(type), 35));
    EXPECT_FALSE(select_ike(ours, {offer_of(ProtocolId::kIke, odd)}).ok()) << type;
    auto offers = std::vector<WireProposal>{offer_of(ProtocolId::kIke, odd),
                                            offer_of(ProtocolId::kIke, good)};
    offers[1].number = 2;
    EXPECT_EQ(select_ike(ours, offers).value().reply.number, 2) << type;
  }
  auto wrong_protocol = offer_of(ProtocolId::kEsp, good);
  EXPECT_FALSE(select_ike(ours, {wrong_protocol}).ok());
  EXPECT_FALSE(select_ike(ours, {}).ok());
}

TEST(ProposalSelect, RefusalNamesBothSidesAndTheType) {
  const auto got = select_ike(ike({"aes256gcm16-prfsha384-x25519"}),
                              to_wire(ike({"aes256gcm16-prfsha384-ecp384"}), {}));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, ErrorCode::kNoProposalChosen);
  EXPECT_EQ(got.error().message,
            "no proposal in common: we take aes256gcm16-prfsha384-x25519; the peer offers "
            "aes256gcm16-prfsha384-ecp384; only the Diffie-Hellman group differs");
}

TEST(ProposalAccept, OneProposalOneTransformEach) {
  const auto ours = ike({"aes256-aes128-sha256-x25519"});
  const std::vector<Transform> one{encr(12, 128), of(TransformType::kPrf, 5),
                                   of(TransformType::kInteg, 12), of(TransformType::kDh, 31)};
  EXPECT_EQ(accept_ike(ours, {offer_of(ProtocolId::kIke, one)}).value().suite.cipher.key_bits, 128);
  auto two = one;
  two.push_back(encr(12, 256));
  EXPECT_FALSE(accept_ike(ours, {offer_of(ProtocolId::kIke, two)}).ok());
  EXPECT_FALSE(accept_ike(ours, {}).ok());
  const auto p = offer_of(ProtocolId::kIke, one);
  EXPECT_FALSE(accept_ike(ours, {p, p}).ok());
  auto missing = one;
  missing.pop_back();
  EXPECT_FALSE(accept_ike(ours, {offer_of(ProtocolId::kIke, missing)}).ok());
}

// Random proposals for the properties below.
class Gen {
 public:
  explicit Gen(unsigned seed) : random_(seed) {}
  bool flip() { return random_() % 2 == 0; }
  template <class T>
  std::vector<T> some(std::vector<T> all) {
    std::shuffle(all.begin(), all.end(), random_);
    all.resize(1 + random_() % all.size());
    return all;
  }
  std::vector<EncrTransform> ciphers(bool aead) {
    if (aead) {
      return some<EncrTransform>(
          {{EncrId::kAesGcm16, 128}, {EncrId::kAesGcm16, 256}, {EncrId::kChaCha20Poly1305, 0}});
    }
    return some<EncrTransform>(
        {{EncrId::kAesCbc, 128}, {EncrId::kAesCbc, 192}, {EncrId::kAesCbc, 256}});
  }
  std::vector<IntegId> integ() {
    return some<IntegId>(
        {IntegId::kHmacSha1_96, IntegId::kHmacSha2_256_128, IntegId::kHmacSha2_512_256});
  }
  std::vector<DhId> groups() {
    return some<DhId>({DhId::kX25519, DhId::kEcp256, DhId::kEcp384, DhId::kModp3072});
  }
  std::vector<IkeProposal> ike() {
    std::vector<IkeProposal> list(1 + random_() % 3);
    for (IkeProposal& p : list) {
      const bool aead = flip();
      p.encr = ciphers(aead);
      if (!aead) p.integ = integ();
      p.prf = some<PrfId>({PrfId::kHmacSha2_256, PrfId::kHmacSha2_384, PrfId::kHmacSha2_512});
      p.dh = groups();
    }
    return list;
  }
  std::vector<EspProposal> esp() {
    std::vector<EspProposal> list(1 + random_() % 3);
    for (EspProposal& p : list) {
      const bool aead = flip();
      p.encr = ciphers(aead);
      if (!aead) p.integ = integ();
      if (flip()) p.dh = groups();
      if (random_() % 4 == 0) p.dh.push_back(DhId::kNone);
      p.esn = flip();
      p.no_esn = !p.esn || flip();
    }
    return list;
  }
  DhId group() { return groups()[0]; }

 private:
  std::mt19937 random_;
};

bool within(const IkeSuite& s, const std::vector<IkeProposal>& list) {
  const auto has = [](const auto& all, const auto& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  return std::any_of(list.begin(), list.end(), [&](const IkeProposal& p) {
    const bool integ =
        s.cipher.integ == IntegId::kNone ? p.integ.empty() : has(p.integ, s.cipher.integ);
    return has(p.encr, EncrTransform{s.cipher.encr, s.cipher.key_bits}) && integ &&
           has(p.prf, s.prf) && has(p.dh, s.dh);
  });
}

TEST(ProposalProperties, WhatOneSideSelectsTheOtherAcceptsIke) {
  unsigned agreed = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Gen gen(seed);
    const auto ours = gen.ike();
    const auto theirs = gen.ike();
    const auto got = select_ike(ours, to_wire(theirs, {}));
    const auto other_way = select_ike(theirs, to_wire(ours, {}));
    ASSERT_EQ(got.ok(), other_way.ok()) << "seed " << seed;
    if (!got) continue;
    ++agreed;
    ASSERT_TRUE(within(got.value().suite, ours)) << "seed " << seed;
    ASSERT_TRUE(within(got.value().suite, theirs)) << "seed " << seed;
    const auto accepted = accept_ike(theirs, {got.value().reply});
    ASSERT_TRUE(accepted.ok()) << "seed " << seed << ": " << accepted.error().message;
    ASSERT_EQ(accepted.value().suite, got.value().suite) << "seed " << seed;
  }
  EXPECT_GT(agreed, 500u);
}

TEST(ProposalProperties, WhatOneSideSelectsTheOtherAcceptsEsp) {
  unsigned agreed = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Gen gen(seed);
    const auto ours = gen.esp();
    const auto theirs = gen.esp();
    const bool with_dh = gen.flip();
    const DhId prefer = gen.flip() ? gen.group() : DhId::kNone;
    const auto got = select_esp(ours, to_wire(theirs, kSpi, with_dh), with_dh, prefer);
    if (!got) continue;
    ++agreed;
    ASSERT_EQ(got.value().peer_spi, kSpi);
    ASSERT_TRUE(with_dh || got.value().suite.dh == DhId::kNone) << "seed " << seed;
    const auto accepted = accept_esp(theirs, {got.value().reply}, with_dh);
    ASSERT_TRUE(accepted.ok()) << "seed " << seed << ": " << accepted.error().message;
    ASSERT_EQ(accepted.value().suite, got.value().suite) << "seed " << seed;
  }
  EXPECT_GT(agreed, 500u);
}

// With ourselves the first of everything is chosen.
TEST(ProposalProperties, SelectionFromOurOwnOfferIsTheFirst) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    Gen gen(seed);
    const auto ours = gen.ike();
    const auto got = select_ike(ours, to_wire(ours, {}));
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got.value().suite.dh, ours[0].dh[0]) << "seed " << seed;
    EXPECT_EQ(got.value().suite.prf, ours[0].prf[0]) << "seed " << seed;
    EXPECT_EQ(got.value().suite.cipher.encr, ours[0].encr[0].id) << "seed " << seed;
  }
}

const auto kKe1 = TransformType::kAddKe1;
const auto kKe2 = static_cast<TransformType>(7);

// RFC 9370 section 2.2.1.
TEST(AdditionalKeyExchanges, AreChosenSlotBySlot) {
  const auto ours = ike({"aes256gcm16-prfsha384-x25519-ke1_ecp384-ke2_modp3072-ke2_none"});
  const auto wire = to_wire(ours, {});
  const std::vector<Transform> sent = wire[0].transforms;
  EXPECT_EQ(std::vector<Transform>(sent.begin() + 3, sent.end()),
            (std::vector<Transform>{of(kKe1, 20), of(kKe2, 15), of(kKe2, 0)}));
  const auto both = select_ike(ours, wire).value();
  EXPECT_EQ(both.suite.additional[0], DhId::kEcp384);
  EXPECT_EQ(both.suite.additional[1], DhId::kModp3072);
  EXPECT_EQ(words(both.suite), "aes256gcm16-prfsha384-x25519-ke1_ecp384-ke2_modp3072");
  EXPECT_EQ(accept_ike(ours, {both.reply}).value().suite, both.suite);
  // A peer without the second: NONE is chosen, and said where it was offered.
  const auto fewer = ike({"aes256gcm16-prfsha384-x25519-ke1_ecp384"});
  const auto one = select_ike(fewer, wire).value();
  EXPECT_EQ(one.suite.additional[1], DhId::kNone);
  EXPECT_NE(std::find(one.reply.transforms.begin(), one.reply.transforms.end(), of(kKe2, 0)),
            one.reply.transforms.end());
  EXPECT_EQ(accept_ike(ours, {one.reply}).value().suite, one.suite);
  // And the other way round: we may do without what the peer does not offer.
  EXPECT_EQ(select_ike(ours, to_wire(fewer, {})).value().suite, one.suite);
}

TEST(AdditionalKeyExchanges, WhatIsNotOptionalIsNeeded) {
  const auto with = ike({"aes256gcm16-prfsha384-x25519-ke1_ecp384"});
  const auto without = ike({"aes256gcm16-prfsha384-x25519"});
  const auto refused = select_ike(with, to_wire(without, {}));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("only the additional key exchanges differ"));
  EXPECT_FALSE(select_ike(without, to_wire(with, {})).ok());
  const auto either =
      ike({"aes256gcm16-prfsha384-x25519-ke1_ecp384", "aes256gcm16-prfsha384-x25519"});
  EXPECT_EQ(select_ike(either, to_wire(without, {})).value().reply.number, 1);
  EXPECT_EQ(select_ike(without, to_wire(either, {})).value().reply.number, 2);
}

TEST(AdditionalKeyExchanges, NoMethodIsUsedTwice) {
  const auto ours = ike({"aes256gcm16-prfsha384-x25519-ecp384-ke1_x25519-ke1_ecp384-ke1_modp2048"});
  const auto free = select_ike(ours, to_wire(ours, {})).value();
  EXPECT_EQ(free.suite.dh, DhId::kX25519);
  EXPECT_EQ(free.suite.additional[0], DhId::kEcp384);
  WireProposal twice = free.reply;
  for (Transform& t : twice.transforms) {
    if (t.type == kKe1) t.id = 31;
  }
  EXPECT_FALSE(accept_ike(ours, {twice}).ok());
  EXPECT_FALSE(parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke1_x25519").ok());
  EXPECT_FALSE(parse_esp_proposal("aes256gcm16-ke1_x25519").ok());
  const auto unknown = parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke8_ecp384");
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
}

TEST(AdditionalKeyExchanges, ChildrenHaveThemAtRekeyOnly) {
  const auto ours = esp({"aes256gcm16-x25519-ke1_ecp384"});
  const auto offered = to_wire(ours, kSpi, false);
  for (const Transform& t : offered[0].transforms) {
    EXPECT_FALSE(wire::ike::is_additional_ke(t.type));
  }
  const auto first = select_esp(ours, to_wire(ours, kSpi, true), false, DhId::kNone).value();
  EXPECT_EQ(first.suite.additional, AdditionalKes{});
  const auto rekey = select_esp(ours, to_wire(ours, kSpi, true), true, DhId::kX25519).value();
  EXPECT_EQ(rekey.suite.additional[0], DhId::kEcp384);
  EXPECT_EQ(words(rekey.suite), "aes256gcm16-x25519-ke1_ecp384-esn");
}

TEST(AdditionalKeyExchanges, WhatTheLibraryLacksIsNamed) {
  if (crypto::dh_available(DhId::kMlKem768)) {
    EXPECT_TRUE(parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke1_mlkem768").ok());
    return;
  }
  const auto refused = parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp384");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message,
              HasSubstr("'ke1_mlkem768': ML-KEM-768 needs OpenSSL 3.5 or newer; this is 3."));
}

}  // namespace
}  // namespace espalier::policy
