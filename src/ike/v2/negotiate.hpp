// What IKE_AUTH and CREATE_CHILD_SA share: offers, narrowing and keys of a child SA (RFC 7296
// sections 2.7, 2.9, 2.17).
#pragma once

#include "ike/v2/exchange.hpp"
#include "policy/proposal.hpp"

namespace espalier::ike::v2 {

struct NegotiatedChild {
  policy::ChildConfig config;
  policy::Selected<policy::ChildSuite> selected;
  policy::SelectorList local_ts, remote_ts;
  Spi peer_spi;
  Box<NatOriginal> original;
  bool more = false;  // we would give some of the rest in another child: ADDITIONAL_TS_POSSIBLE
};

// Responder: of the configured children in the mode asked for, the one whose selectors fit the
// offer best (the same, else all of it, else what the initiator named first, else a part) and whose
// proposals do too. `only`: that child alone (a rekey), or empty. Errors: kTsUnacceptable,
// kNoProposalChosen (proposals, or only a child in the other mode), kInvalidSyntax.
Result<NegotiatedChild> negotiate_child(const IkeSa& sa, const Message& request, bool with_dh,
                                        crypto::DhId prefer_group, const std::string& only);

// Initiator: the answer must be within what was proposed. The same errors, and kPeerRefused for an
// error notify.
Result<NegotiatedChild> accept_child(const IkeSa& sa, const policy::ChildConfig& config,
                                     const policy::SelectorList& local_ts,
                                     const policy::SelectorList& remote_ts, const Message& response,
                                     bool with_dh);

// Initiator: when the answer leaves out some of what our file has, says it; the supervisor asks for
// the rest (core/coverage.cpp). A peer with a child for each pair of networks answers so (RFC 7296
// section 2.9).
void tell_what_was_narrowed(Context& ctx, const IkeSa& sa, const NegotiatedChild& child);

// SA, TSi and TSr of an offer with our SPI; then USE_TRANSPORT_MODE if the child is of that.
void add_child_offer(std::vector<Payload>& payloads, const policy::ChildConfig& config,
                     const policy::SelectorList& local_ts, const policy::SelectorList& remote_ts,
                     Spi spi_in, bool with_dh);
// The same of an answer.
void add_child_answer(std::vector<Payload>& payloads, const NegotiatedChild& child, Spi spi_in);

// What a child's keys come from beside SK_d and the nonces.
struct ChildSecrets {
  ByteView shared = {};  // g^ir; empty without PFS
  ByteView more = {};    // of the additional key exchanges (RFC 9370 section 2.2.4)
};

// The child as a value, keyed. exchange_initiator: we sent the request of the exchange.
Result<ChildSa> make_child(const IkeSa& sa, const NegotiatedChild& child, Spi spi_in,
                           bool exchange_initiator, const ChildSecrets& secrets, ByteView nonce_i,
                           ByteView nonce_r);

// Why a child was refused, in words, for a peer of our own that has proved who it is; and what such
// a peer said, or nothing.
void add_detail(const IkeSa& sa, const std::string& why, std::vector<Payload>& payloads);
std::string detail_of(const IkeSa& sa, const Message& message);
// The line of ours that such a refusal of a child is about.
std::string place_of(const IkeSa& sa, NotifyType refusal);

// The notify that tells a peer of this error, and the counter for it.
NotifyType notify_for(const Error& error);
void count_refusal(Context& ctx, const Error& error);

// The first error notify of a message, if any.
const wire::ike::NotifyPayload* find_error(const Message& message);

}  // namespace espalier::ike::v2
