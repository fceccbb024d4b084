// Proposals and suites as words, both ways.
#include <algorithm>

#include "crypto/dh.hpp"
#include "policy/algorithm_words.hpp"
#include "policy/limits.hpp"
#include "policy/proposal.hpp"

namespace espalier::policy {
namespace {

using crypto::DhId;
using crypto::EncrId;
using crypto::IntegId;
using crypto::PrfId;
using wire::ike::TransformType;

template <class T>
void add_once(std::vector<T>& list, const T& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

Error bad(ErrorCode code, std::string_view proposal, std::string why) {
  return make_error(code, "the proposal '" + std::string(proposal) + "' " + std::move(why));
}

std::string_view type_noun(TransformType type) {
  switch (type) {
    case TransformType::kEncr: return "encryption";
    case TransformType::kPrf: return "PRF";
    case TransformType::kInteg: return "integrity";
    case TransformType::kDh: return "Diffie-Hellman";
    case TransformType::kEsn: return "ESN";
    default: return "additional key exchange";
  }
}

// What the words of one proposal say, before IKE's and ESP's own rules.
struct Collected {
  std::vector<EncrTransform> encr;
  std::vector<IntegId> integ;
  std::vector<PrfId> prf;
  std::vector<DhId> dh;
  std::vector<AdditionalKe> additional;
  bool esn = false;
  bool no_esn = false;
  bool aead = false;
  bool classic = false;          // a cipher that needs an integrity algorithm beside it
  std::string_view kernel_only;  // a word that only the kernel's ESP has
};

Status collect_method(Collected& all, std::string_view proposal, const AlgorithmWord& row) {
  const auto method = static_cast<DhId>(row.id);
  if (method != DhId::kNone) {
    if (const Status there = crypto::dh_available(method); !there) {
      return bad(ErrorCode::kUnsupported, proposal,
                 "has '" + std::string(row.word) + "': " + there.error().message);
    }
  }
  if (row.type == TransformType::kDh) {
    add_once(all.dh, method);
  } else {
    const auto slot = static_cast<std::uint8_t>(static_cast<unsigned>(row.type) -
                                                static_cast<unsigned>(TransformType::kAddKe1) + 1);
    add_once(all.additional, AdditionalKe{slot, method});
  }
  return {};
}

Status collect_word(Collected& all, std::string_view proposal, std::string_view word) {
  const std::optional<AlgorithmWord> row = find_word(word);
  if (!row) {
    return bad(ErrorCode::kInvalidArgument, proposal,
               "has '" + std::string(word) +
                   "', which is no algorithm word; encryption words are " +
                   supported_words(TransformType::kEncr) + "; integrity " +
                   supported_words(TransformType::kInteg) + "; PRF " +
                   supported_words(TransformType::kPrf) + "; Diffie-Hellman " +
                   supported_words(TransformType::kDh));
  }
  if (row->use == WordUse::kUnsupported) {
    return bad(ErrorCode::kUnsupported, proposal,
               "has '" + std::string(word) + "', which is not supported; use one of these " +
                   std::string(type_noun(row->type)) + " words: " +
                   (wire::ike::is_additional_ke(row->type)
                        ? std::string(word.substr(0, 4)) + "X with X one of " +
                              supported_words(TransformType::kDh)
                        : supported_words(row->type)));
  }
  if (row->type == TransformType::kDh || wire::ike::is_additional_ke(row->type)) {
    return collect_method(all, proposal, *row);
  }
  switch (row->type) {
    case TransformType::kEncr:
      add_once(all.encr, EncrTransform{static_cast<EncrId>(row->id), row->key_bits});
      (row->aead ? all.aead : all.classic) = true;
      if (row->kernel_only) all.kernel_only = row->word;
      break;
    case TransformType::kPrf: add_once(all.prf, static_cast<PrfId>(row->id)); break;
    case TransformType::kInteg: add_once(all.integ, static_cast<IntegId>(row->id)); break;
    case TransformType::kEsn: (row->id == 1 ? all.esn : all.no_esn) = true; break;
    default: break;
  }
  return {};
}

Result<Collected> collect(std::string_view proposal) {
  Collected all;
  std::string_view rest = proposal;
  for (std::size_t count = 0;; ++count) {
    if (count == kMaxProposalWords) {
      return bad(ErrorCode::kLimit, proposal.substr(0, 60),
                 "has more than " + std::to_string(kMaxProposalWords) + " words");
    }
    const std::size_t dash = rest.find('-');
    TRY(collect_word(all, proposal, rest.substr(0, dash)));
    if (dash == std::string_view::npos) break;
    rest.remove_prefix(dash + 1);
  }
  if (all.encr.empty()) {
    return bad(ErrorCode::kInvalidArgument, proposal, "has no encryption algorithm");
  }
  // RFC 7296 section 3.3: "combined-mode ciphers ... MUST NOT be offered in the same proposal as
  // ciphers that are not combined-mode", paraphrased; the integrity type would be needed and
  // forbidden at once.
  if (all.aead && all.classic) {
    return bad(
        ErrorCode::kInvalidArgument, proposal,
        "mixes ciphers with built-in integrity (gcm, chacha20poly1305) and without (aes256); "
        "write two proposals");
  }
  if (all.aead && !all.integ.empty()) {
    return bad(ErrorCode::kInvalidArgument, proposal,
               "names an integrity algorithm beside a cipher with built-in integrity; in an IKE "
               "proposal write the PRF, as in aes256gcm16-prfsha384-x25519");
  }
  if (all.classic && all.integ.empty()) {
    return bad(ErrorCode::kInvalidArgument, proposal,
               "has no integrity algorithm, which its cipher needs; add sha256, for example");
  }
  return all;
}

PrfId prf_of(IntegId integ) {
  switch (integ) {
    case IntegId::kHmacSha1_96: return PrfId::kHmacSha1;
    case IntegId::kHmacSha2_256_128: return PrfId::kHmacSha2_256;
    case IntegId::kHmacSha2_384_192: return PrfId::kHmacSha2_384;
    case IntegId::kHmacSha2_512_256: return PrfId::kHmacSha2_512;
    case IntegId::kNone: break;
  }
  return PrfId::kNone;
}

std::vector<PrfId> derived_prf(const std::vector<IntegId>& integ) {
  std::vector<PrfId> list;
  for (const IntegId id : integ) add_once(list, prf_of(id));
  return list;
}

void append(std::string& text, TransformType type, std::uint16_t id, std::uint16_t key_bits = 0) {
  if (!text.empty()) text += '-';
  text += word_for({type, id, key_bits, false});
}

template <class Id>
void append_all(std::string& text, TransformType type, const std::vector<Id>& list) {
  for (const Id id : list) append(text, type, static_cast<std::uint16_t>(id));
}

void append_all(std::string& text, const std::vector<EncrTransform>& list) {
  for (const EncrTransform& encr : list) {
    append(text, TransformType::kEncr, static_cast<std::uint16_t>(encr.id), encr.key_bits);
  }
}

void append_additional(std::string& text, const std::vector<AdditionalKe>& list) {
  for (unsigned slot = 1; slot <= AdditionalKes().size(); ++slot) {
    for (const AdditionalKe& one : list) {
      if (one.slot != slot) continue;
      append(text,
             static_cast<TransformType>(static_cast<unsigned>(TransformType::kAddKe1) + slot - 1),
             static_cast<std::uint16_t>(one.method));
    }
  }
}

Error bad_methods(std::string_view words) {
  return bad(ErrorCode::kInvalidArgument, words,
             "has no choice of different methods for all its key exchanges (RFC 9370 section "
             "2.2.1): no method is used twice");
}

}  // namespace

std::vector<AdditionalKe> listed(const AdditionalKes& methods) {
  std::vector<AdditionalKe> list;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    if (methods[i] != DhId::kNone) {
      list.push_back({static_cast<std::uint8_t>(i + 1), methods[i]});
    }
  }
  return list;
}

Result<IkeProposal> parse_ike_proposal(std::string_view words) {
  TRY_ASSIGN(Collected all, collect(words));
  if (!all.kernel_only.empty()) {
    return bad(ErrorCode::kUnsupported, words,
               "has '" + std::string(all.kernel_only) +
                   "', which is for ESP by the kernel only; IKE has " +
                   supported_words(TransformType::kEncr));
  }
  if (all.esn || all.no_esn) {
    return bad(ErrorCode::kInvalidArgument, words,
               "has esn or noesn, which belong in an ESP proposal");
  }
  if (all.prf.empty()) all.prf = derived_prf(all.integ);
  if (all.prf.empty()) {
    return bad(ErrorCode::kInvalidArgument, words,
               "has no PRF, and none follows from its cipher; add one of: " +
                   supported_words(TransformType::kPrf));
  }
  if (all.dh.empty()) {
    return bad(ErrorCode::kInvalidArgument, words,
               "has no Diffie-Hellman group, which IKE needs; add x25519, for example");
  }
  if (std::find(all.dh.begin(), all.dh.end(), DhId::kNone) != all.dh.end()) {
    return bad(ErrorCode::kInvalidArgument, words, "has modpnone, but IKE needs a group");
  }
  IkeProposal proposal{std::move(all.encr), std::move(all.integ), std::move(all.prf),
                       std::move(all.dh), std::move(all.additional)};
  if (!select_ike({proposal}, to_wire({proposal}, ByteView()))) return bad_methods(words);
  return proposal;
}

Result<EspProposal> parse_esp_proposal(std::string_view words) {
  TRY_ASSIGN(Collected all, collect(words));
  if (!all.prf.empty()) {
    return bad(ErrorCode::kInvalidArgument, words,
               "has a PRF, which belongs in an IKE proposal; ESP is keyed with the IKE SA's");
  }
  if (!all.additional.empty() && all.dh.empty()) {
    return bad(ErrorCode::kInvalidArgument, words,
               "has additional key exchanges and none that they could add to; add x25519, for "
               "example");
  }
  const bool either = all.esn == all.no_esn;
  EspProposal proposal{std::move(all.encr), std::move(all.integ), std::move(all.dh),
                       either || all.esn,   either || all.no_esn, std::move(all.additional)};
  if (!select_esp({proposal}, to_wire({proposal}, ByteView(), true), true, DhId::kNone)) {
    return bad_methods(words);
  }
  return proposal;
}

bool needs_kernel(const EspProposal& proposal) {
  return std::any_of(proposal.encr.begin(), proposal.encr.end(),
                     [](const EncrTransform& one) { return !crypto::is_implemented(one.id); });
}

bool may_not_encrypt(const EspProposal& proposal) {
  return std::any_of(proposal.encr.begin(), proposal.encr.end(), [](const EncrTransform& one) {
    return one.id == EncrId::kNull || one.id == EncrId::kAesGmac;
  });
}

SharedList<IkeProposal> default_ike_proposals() {
  // Made once: a thousand connections share them.
  static const SharedList<IkeProposal> kDefaults = [] {
    std::vector<IkeProposal> list;
    for (const std::string_view words :
         {"aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp384",
          "chacha20poly1305-prfsha256-x25519", "aes128gcm16-prfsha256-ecp256",
          "aes256-sha384-modp3072"}) {
      list.push_back(parse_ike_proposal(words).value());
    }
    return SharedList<IkeProposal>(std::move(list));
  }();
  return kDefaults;
}

SharedList<EspProposal> default_esp_proposals() {
  static const SharedList<EspProposal> kDefaults = [] {
    std::vector<EspProposal> list;
    for (const std::string_view words :
         {"aes256gcm16", "aes128gcm16", "chacha20poly1305", "aes256-sha256"}) {
      EspProposal proposal = parse_esp_proposal(words).value();
      proposal.dh = {DhId::kX25519, DhId::kEcp384, DhId::kEcp256, DhId::kModp3072};
      list.push_back(std::move(proposal));
    }
    return SharedList<EspProposal>(std::move(list));
  }();
  return kDefaults;
}

std::string words(const IkeProposal& proposal) {
  std::string text;
  append_all(text, proposal.encr);
  append_all(text, TransformType::kInteg, proposal.integ);
  if (proposal.prf != derived_prf(proposal.integ)) {
    append_all(text, TransformType::kPrf, proposal.prf);
  }
  append_all(text, TransformType::kDh, proposal.dh);
  append_additional(text, proposal.additional);
  return text;
}

std::string words(const EspProposal& proposal) {
  std::string text;
  append_all(text, proposal.encr);
  append_all(text, TransformType::kInteg, proposal.integ);
  append_all(text, TransformType::kDh, proposal.dh);
  append_additional(text, proposal.additional);
  if (proposal.esn != proposal.no_esn) text += proposal.esn ? "-esn" : "-noesn";
  return text;
}

std::string words(const IkeSuite& suite) {
  IkeProposal proposal{
      {{suite.cipher.encr, suite.cipher.key_bits}}, {}, {suite.prf}, {suite.dh}, {}};
  if (suite.cipher.integ != IntegId::kNone) proposal.integ = {suite.cipher.integ};
  proposal.additional = listed(suite.additional);
  return words(proposal);
}

std::string words(const ChildSuite& suite) {
  EspProposal proposal{{{suite.cipher.encr, suite.cipher.key_bits}}, {}, {}, true, true, {}};
  if (suite.cipher.integ != IntegId::kNone) proposal.integ = {suite.cipher.integ};
  if (suite.dh != DhId::kNone) proposal.dh = {suite.dh};
  proposal.additional = listed(suite.additional);
  return words(proposal) + (suite.esn ? "-esn" : "");
}

std::string words(const std::vector<wire::ike::Proposal>& offered) {
  std::string text;
  for (const wire::ike::Proposal& proposal : offered) {
    if (!text.empty()) text += ", ";
    std::string one;
    for (const wire::ike::Transform& transform : proposal.transforms) {
      if (!one.empty()) one += '-';
      one += word_for(transform);
      if (text.size() + one.size() > kMaxOfferText) return text + one + "...";
    }
    text += one.empty() ? "(no transforms)" : one;
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace espalier::policy
