// Proposals: strongSwan's words ("aes256gcm16-prfsha384-x25519") to values, values to the wire, and
// the choice of one suite from a peer's offer (RFC 7296 sections 2.7 and 3.3).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/nouns.hpp"

namespace espalier::policy {

// Words are joined by '-'. "ke1_ecp384" to "ke7_...": additional key exchanges (RFC 9370);
// "ke1_none" beside it: the peer may do without. Errors: kUnsupported names the word that this
// version cannot honour and lists what it can; kInvalidArgument a word that is no algorithm at all,
// or a combination that cannot work (no DH group, AEAD with an integrity word, no PRF derivable).
// Without a prf word, the PRF is the one of each integrity word, as strongSwan does.
Result<IkeProposal> parse_ike_proposal(std::string_view words);
// "aes256gcm16", "aes256-sha256", "aes128gcm16-x25519-esn". A DH word means PFS at rekey, and
// "modpnone" beside it that a peer may do without. Neither esn nor noesn: both.
Result<EspProposal> parse_esp_proposal(std::string_view words);
// Whether it has a cipher that only the kernel's ESP has, and one that encrypts nothing.
bool needs_kernel(const EspProposal& proposal);
bool may_not_encrypt(const EspProposal& proposal);

// The defaults of mesh.yaml (docs: README "mesh.yaml").
SharedList<IkeProposal> default_ike_proposals();
// With the PFS groups x25519, ecp384, ecp256, modp3072.
SharedList<EspProposal> default_esp_proposals();

// To wire proposals, numbered from 1. spi: 0 octets (first IKE SA), 8 (IKE rekey) or 4 (ESP). For
// ESP, with_dh says whether DH transforms are sent (never in IKE_AUTH: RFC 7296 section 1.2).
std::vector<wire::ike::Proposal> to_wire(const std::vector<IkeProposal>& proposals, ByteView spi);
std::vector<wire::ike::Proposal> to_wire(const std::vector<EspProposal>& proposals, ByteView spi,
                                         bool with_dh);

template <class Suite>
struct Selected {
  Suite suite;
  wire::ike::Proposal reply;  // the one proposal to send back: its number, one transform of each
                              // type, the SPI empty
  Bytes peer_spi;             // the SPI that the chosen proposal carried
};

// Our order of preference decides among what the peer offers. Errors: kNoProposalChosen; the
// message names both sides' offers in words and, where one transform type alone is to blame, that
// type.
Result<Selected<IkeSuite>> select_ike(const std::vector<IkeProposal>& ours,
                                      const std::vector<wire::ike::Proposal>& offered);
// with_dh: false in IKE_AUTH (DH ignored on both sides). prefer_group: if it is acceptable, it wins
// over our order, because a KE payload of that group is at hand (kNone: no preference).
Result<Selected<ChildSuite>> select_esp(const std::vector<EspProposal>& ours,
                                        const std::vector<wire::ike::Proposal>& offered,
                                        bool with_dh, crypto::DhId prefer_group);

// Initiator side: the responder's single answer must be one of ours (RFC 7296 section 2.7); the
// same errors.
Result<Selected<IkeSuite>> accept_ike(const std::vector<IkeProposal>& ours,
                                      const std::vector<wire::ike::Proposal>& answer);
Result<Selected<ChildSuite>> accept_esp(const std::vector<EspProposal>& ours,
                                        const std::vector<wire::ike::Proposal>& answer,
                                        bool with_dh);

// The chosen additional key exchanges as a proposal's list.
std::vector<AdditionalKe> listed(const AdditionalKes& methods);

// Words for people and for status: "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519-esn".
std::string words(const IkeSuite& suite);
std::string words(const ChildSuite& suite);
std::string words(const IkeProposal& proposal);
std::string words(const EspProposal& proposal);
std::string words(const std::vector<wire::ike::Proposal>& offered);

}  // namespace espalier::policy
