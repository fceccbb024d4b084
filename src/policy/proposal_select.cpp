// Proposals on the wire: offering, choosing and checking the answer.
#include <algorithm>
#include <bit>
#include <optional>

#include "policy/proposal.hpp"

namespace espalier::policy {
namespace {

using crypto::DhId;
using crypto::IntegId;
using crypto::PrfId;
using wire::ike::ProtocolId;
using wire::ike::Transform;
using wire::ike::TransformType;
using WireProposal = wire::ike::Proposal;

// One of our proposals in the terms of the wire: per type the transforms we take, in our order. An
// `optional` type may also be missing from the offer, which then counts as NONE.
struct Want {
  TransformType type = TransformType::kEncr;
  std::vector<Transform> taken;
  bool optional = false;
};
using Wants = std::vector<Want>;

template <class Id>
Want want(TransformType type, const std::vector<Id>& ids) {
  Want w{type, {}, false};
  for (const Id id : ids) w.taken.push_back({type, static_cast<std::uint16_t>(id), 0, false});
  return w;
}

Want want_encr(const std::vector<EncrTransform>& list) {
  Want w{TransformType::kEncr, {}, false};
  for (const EncrTransform& encr : list) {
    w.taken.push_back({w.type, static_cast<std::uint16_t>(encr.id), encr.key_bits, false});
  }
  return w;
}

// RFC 7296 section 3.3.3 and RFC 5282 section 8: with a combined-mode cipher the integrity type is
// absent, or offered as NONE. Both are accepted; we send the former.
Want want_integ(const std::vector<IntegId>& list) {
  if (!list.empty()) return want(TransformType::kInteg, list);
  Want none = want(TransformType::kInteg, std::vector<IntegId>{IntegId::kNone});
  none.optional = true;
  return none;
}

// RFC 7296 section 3.3.6: omitting the group and offering NONE mean the same: no PFS.
Want want_pfs(const std::vector<DhId>& list) {
  Want w = want(TransformType::kDh, list.empty() ? std::vector<DhId>{DhId::kNone} : list);
  w.optional = list.empty() || std::find(list.begin(), list.end(), DhId::kNone) != list.end();
  return w;
}

TransformType slot_type(unsigned slot) {
  return static_cast<TransformType>(static_cast<unsigned>(TransformType::kAddKe1) + slot - 1);
}

bool is_key_exchange(TransformType type) {
  return type == TransformType::kDh || wire::ike::is_additional_ke(type);
}

// RFC 9370 section 2.2.1: every slot. One that we do not use is taken when the peer offers NONE in
// it, and left out of what we offer.
void add_additional(Wants& list, const std::vector<AdditionalKe>& methods) {
  for (unsigned slot = 1; slot <= AdditionalKes().size(); ++slot) {
    std::vector<DhId> ids;
    for (const AdditionalKe& one : methods) {
      if (one.slot == slot) ids.push_back(one.method);
    }
    Want w = want_pfs(ids);
    w.type = slot_type(slot);
    for (Transform& t : w.taken) t.type = w.type;
    list.push_back(std::move(w));
  }
}

Wants wants(const IkeProposal& p) {
  Wants list{want_encr(p.encr), want(TransformType::kPrf, p.prf), want_integ(p.integ),
             want(TransformType::kDh, p.dh)};
  add_additional(list, p.additional);
  return list;
}

Wants wants(const EspProposal& p, bool with_dh) {
  Wants list{want_encr(p.encr), want_integ(p.integ)};
  if (with_dh) list.push_back(want_pfs(p.dh));
  Want esn{TransformType::kEsn, {}, false};
  // Extended numbers first: at 10 Gbit/s the 32-bit number of RFC 4303 is used up within the hour.
  if (p.esn) esn.taken.push_back({TransformType::kEsn, 1, 0, false});
  if (p.no_esn) esn.taken.push_back({TransformType::kEsn, 0, 0, false});
  list.push_back(std::move(esn));
  if (with_dh) add_additional(list, p.additional);
  return list;
}

std::vector<WireProposal> encode(const std::vector<Wants>& all, ProtocolId protocol, ByteView spi) {
  std::vector<WireProposal> list;
  for (const Wants& one : all) {
    // RFC 7296 section 3.3.1: numbers are one octet; nobody is offered more.
    if (list.size() == 255) break;
    WireProposal proposal{static_cast<std::uint8_t>(list.size() + 1), protocol, to_vector(spi), {}};
    for (const Want& w : one) {
      const bool only_none = w.optional && w.taken.size() == 1;
      if (only_none) continue;  // said by leaving the type out
      proposal.transforms.insert(proposal.transforms.end(), w.taken.begin(), w.taken.end());
    }
    list.push_back(std::move(proposal));
  }
  return list;
}

std::uint32_t bit(TransformType type) {
  const auto number = static_cast<unsigned>(type);
  return number < 31 ? 1u << number : 1u << 31;
}

struct Match {
  std::vector<Transform> chosen;  // in our order of types; NONE for a type left out
  std::vector<Transform> reply;   // the same without types that the offer does not have
  std::uint32_t failed = 0;       // bits of the types to blame
};

bool offers(const WireProposal& offer, TransformType type) {
  return std::any_of(offer.transforms.begin(), offer.transforms.end(),
                     [&](const Transform& t) { return t.type == type; });
}

// The transforms of `w` that the offer has, in our order. `group`: the only one of type 4 to take.
std::vector<Transform> common(const Want& w, const WireProposal& offer, std::optional<DhId> group) {
  const bool present = offers(offer, w.type);
  std::vector<Transform> list;
  for (const Transform& t : w.taken) {
    if (group && w.type == TransformType::kDh && t.id != static_cast<std::uint16_t>(*group)) {
      continue;
    }
    // Whole-value comparison: an unknown attribute, a missing or a superfluous Key Length make a
    // different transform (RFC 7296 sections 3.3.5 and 3.3.6).
    const bool has =
        std::find(offer.transforms.begin(), offer.transforms.end(), t) != offer.transforms.end();
    if (has || (!present && w.optional && t.id == 0)) list.push_back(t);
  }
  return list;
}

// RFC 9370 section 2.2.1: no method but NONE is chosen twice. The first fitting choice in our
// order of preference, slot before slot; false when there is none.
bool choose_different(const std::vector<std::vector<Transform>>& choices,
                      std::vector<Transform>& chosen) {
  if (chosen.size() == choices.size()) return true;
  for (const Transform& t : choices[chosen.size()]) {
    const bool twice = t.id != 0 && std::any_of(chosen.begin(), chosen.end(),
                                                [&](const Transform& c) { return c.id == t.id; });
    if (twice) continue;
    chosen.push_back(t);
    if (choose_different(choices, chosen)) return true;
    chosen.pop_back();
  }
  return false;
}

// `group`: the only DH transform to take, if given.
Match match(const Wants& ours, const WireProposal& offer, bool ignore_dh,
            std::optional<DhId> group) {
  Match result;
  std::vector<std::vector<Transform>> exchanges;
  for (const Want& w : ours) {
    std::vector<Transform> choices = common(w, offer, group);
    if (choices.empty()) {
      result.failed |= bit(w.type);
    } else if (is_key_exchange(w.type)) {
      exchanges.push_back(std::move(choices));
    } else {
      result.chosen.push_back(choices.front());
    }
  }
  std::vector<Transform> different;
  if (choose_different(exchanges, different)) {
    result.chosen.insert(result.chosen.end(), different.begin(), different.end());
  } else {
    result.failed |= bit(TransformType::kAddKe7);
  }
  for (const Transform& t : result.chosen) {
    if (offers(offer, t.type)) result.reply.push_back(t);
  }
  // RFC 7296 section 3.3.6: "If the responder receives a proposal that contains a Transform Type it
  // does not understand ... it MUST consider this proposal unacceptable."
  for (const Transform& t : offer.transforms) {
    const bool known =
        std::any_of(ours.begin(), ours.end(), [&](const Want& w) { return w.type == t.type; });
    if (!known && !(ignore_dh && is_key_exchange(t.type))) result.failed |= bit(t.type);
  }
  return result;
}

std::string blame(std::uint32_t failed) {
  if (failed == bit(TransformType::kEncr)) return "; only the encryption algorithm differs";
  if (failed == bit(TransformType::kPrf)) return "; only the PRF differs";
  if (failed == bit(TransformType::kInteg)) return "; only the integrity algorithm differs";
  if (failed == bit(TransformType::kDh)) return "; only the Diffie-Hellman group differs";
  if (failed == bit(TransformType::kEsn)) {
    return "; only the use of extended sequence numbers differs";
  }
  for (unsigned slot = 1; slot <= AdditionalKes().size(); ++slot) {
    if (failed == bit(slot_type(slot))) return "; only the additional key exchanges differ";
  }
  return "";
}

struct Choice {
  Match match;
  const WireProposal* offer = nullptr;
};

template <class Proposal>
std::string join(const std::vector<Proposal>& list) {
  std::string text;
  for (const Proposal& proposal : list) {
    if (!text.empty()) text += ", ";
    text += words(proposal);
  }
  return text;
}

Result<Choice> choose(const std::vector<Wants>& ours, const std::string& our_words,
                      const std::vector<WireProposal>& offered, ProtocolId protocol, bool ignore_dh,
                      DhId prefer_group) {
  std::optional<std::uint32_t> nearest;
  const auto pass = [&](std::optional<DhId> group) -> std::optional<Choice> {
    for (const Wants& mine : ours) {
      for (const WireProposal& offer : offered) {
        if (offer.protocol != protocol) continue;
        Match m = match(mine, offer, ignore_dh, group);
        if (m.failed == 0) return Choice{std::move(m), &offer};
        if (!nearest || std::popcount(m.failed) < std::popcount(*nearest)) nearest = m.failed;
      }
    }
    return std::nullopt;
  };
  if (prefer_group != DhId::kNone) {
    if (auto choice = pass(prefer_group)) return std::move(*choice);
    nearest.reset();
  }
  if (auto choice = pass(std::nullopt)) return std::move(*choice);
  return make_error(ErrorCode::kNoProposalChosen, "no proposal in common: we take " + our_words +
                                                      "; the peer offers " + words(offered) +
                                                      blame(nearest.value_or(0)));
}

std::uint16_t id_of(const Match& m, TransformType type) {
  for (const Transform& t : m.chosen) {
    if (t.type == type) return t.id;
  }
  return 0;
}

AdditionalKes additional_of(const Match& m) {
  AdditionalKes methods{};
  for (unsigned slot = 1; slot <= methods.size(); ++slot) {
    methods[slot - 1] = static_cast<DhId>(id_of(m, slot_type(slot)));
  }
  return methods;
}

crypto::CipherSuite cipher_of(const Match& m) {
  crypto::CipherSuite suite;
  for (const Transform& t : m.chosen) {
    if (t.type != TransformType::kEncr) continue;
    suite.encr = static_cast<crypto::EncrId>(t.id);
    suite.key_bits = t.key_bits;
  }
  suite.integ = static_cast<IntegId>(id_of(m, TransformType::kInteg));
  return suite;
}

template <class Suite>
Selected<Suite> selected(Suite suite, Choice choice) {
  WireProposal reply{choice.offer->number, choice.offer->protocol, {}, {}};
  reply.transforms = std::move(choice.match.reply);
  return {std::move(suite), std::move(reply), choice.offer->spi};
}

// RFC 7296 section 2.7: "the responder MUST choose a single suite": one proposal, one transform of
// each type.
Status check_single(const std::vector<WireProposal>& answer) {
  if (answer.size() != 1) {
    return make_error(ErrorCode::kNoProposalChosen,
                      "the peer's answer has " + std::to_string(answer.size()) +
                          " proposals where RFC 7296 section 2.7 asks for one");
  }
  std::vector<TransformType> seen;
  for (const Transform& t : answer[0].transforms) {
    if (std::find(seen.begin(), seen.end(), t.type) != seen.end()) {
      return make_error(ErrorCode::kNoProposalChosen,
                        "the peer's answer chose two transforms of one type: " + words(answer));
    }
    seen.push_back(t.type);
  }
  return {};
}

std::vector<Wants> all_wants(const std::vector<IkeProposal>& list) {
  std::vector<Wants> all;
  for (const IkeProposal& p : list) all.push_back(wants(p));
  return all;
}

std::vector<Wants> all_wants(const std::vector<EspProposal>& list, bool with_dh) {
  std::vector<Wants> all;
  for (const EspProposal& p : list) all.push_back(wants(p, with_dh));
  return all;
}

}  // namespace

std::vector<WireProposal> to_wire(const std::vector<IkeProposal>& proposals, ByteView spi) {
  return encode(all_wants(proposals), ProtocolId::kIke, spi);
}

std::vector<WireProposal> to_wire(const std::vector<EspProposal>& proposals, ByteView spi,
                                  bool with_dh) {
  return encode(all_wants(proposals, with_dh), ProtocolId::kEsp, spi);
}

Result<Selected<IkeSuite>> select_ike(const std::vector<IkeProposal>& ours,
                                      const std::vector<WireProposal>& offered) {
  TRY_ASSIGN(Choice choice,
             choose(all_wants(ours), join(ours), offered, ProtocolId::kIke, false, DhId::kNone));
  const Match& m = choice.match;
  const IkeSuite suite{cipher_of(m), static_cast<PrfId>(id_of(m, TransformType::kPrf)),
                       static_cast<DhId>(id_of(m, TransformType::kDh)), additional_of(m)};
  return selected(suite, std::move(choice));
}

Result<Selected<ChildSuite>> select_esp(const std::vector<EspProposal>& ours,
                                        const std::vector<WireProposal>& offered, bool with_dh,
                                        DhId prefer_group) {
  TRY_ASSIGN(Choice choice, choose(all_wants(ours, with_dh), join(ours), offered, ProtocolId::kEsp,
                                   !with_dh, with_dh ? prefer_group : DhId::kNone));
  const Match& m = choice.match;
  const ChildSuite suite{cipher_of(m), static_cast<DhId>(id_of(m, TransformType::kDh)),
                         id_of(m, TransformType::kEsn) == 1, additional_of(m)};
  return selected(suite, std::move(choice));
}

// The answer's number ought to be that of the proposal chosen (RFC 7296 section 3.3.1). Another
// number is let pass: the suite is still one that we offered, and that is what protects us.
Result<Selected<IkeSuite>> accept_ike(const std::vector<IkeProposal>& ours,
                                      const std::vector<WireProposal>& answer) {
  TRY(check_single(answer));
  return select_ike(ours, answer);
}

Result<Selected<ChildSuite>> accept_esp(const std::vector<EspProposal>& ours,
                                        const std::vector<WireProposal>& answer, bool with_dh) {
  TRY(check_single(answer));
  return select_esp(ours, answer, with_dh, DhId::kNone);
}

}  // namespace espalier::policy
