#include "ike/v2/table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace espalier::ike::v2 {
namespace {

using wire::ike::ExchangeType;
using P = wire::ike::PayloadType;

std::vector<Row> handshake_rows() {
  return {
      {"the responder answers our first message: keys, or a cookie, or another group",
       ExchangeType::kIkeSaInit,
       true,
       {Role::kInitiator},
       {IkeState::kInit},
       {},
       {P::kSa, P::kKe, P::kNonce, P::kNotify, P::kCertReq, P::kVendorId},
       Handler::kInitResponse},
      {"the responder takes our session ticket (RFC 5723), or a cookie first, or refuses it",
       ExchangeType::kIkeSessionResume,
       true,
       {Role::kInitiator},
       {IkeState::kInit},
       {},
       {P::kNonce, P::kNotify, P::kVendorId},
       Handler::kResumeResponse},
      {"the initiator sends its part of an additional key exchange (RFC 9370)",
       ExchangeType::kIkeIntermediate,
       false,
       {Role::kResponder},
       {IkeState::kIntermediate},
       {P::kKe},
       {P::kNotify, P::kVendorId},
       Handler::kIntermediateRequest},
      {"the responder answers with its part; both have new keys from here on",
       ExchangeType::kIkeIntermediate,
       true,
       {Role::kInitiator},
       {IkeState::kIntermediate},
       {},
       {P::kKe, P::kNotify, P::kVendorId},
       Handler::kIntermediateResponse},
      {"the initiator says who it is and asks for the first child, or for none (RFC 6023)",
       ExchangeType::kIkeAuth,
       false,
       {Role::kResponder},
       {IkeState::kHalfOpen},
       {P::kIdi},
       {P::kSa, P::kTsi, P::kTsr, P::kAuth, P::kCert, P::kCertReq, P::kIdr, P::kNotify, P::kCp,
        P::kVendorId},
       Handler::kAuthRequest},
      {"the responder proves who it is and gives the first child, or refuses",
       ExchangeType::kIkeAuth,
       true,
       {Role::kInitiator},
       {IkeState::kAuth},
       {},
       {P::kIdr, P::kAuth, P::kSa, P::kTsi, P::kTsr, P::kCert, P::kNotify, P::kCp, P::kVendorId,
        P::kEap},
       Handler::kAuthResponse},
  };
}

std::vector<Row> established_rows() {
  const std::vector<Role> both{Role::kInitiator, Role::kResponder};
  const std::vector<IkeState> live{IkeState::kEstablished, IkeState::kReplaced,
                                   IkeState::kDeleting};
  return {
      {"the peer wants a child, or rekeys a child or the IKE SA",
       ExchangeType::kCreateChildSa,
       false,
       both,
       live,
       {P::kSa, P::kNonce},
       {P::kKe, P::kTsi, P::kTsr, P::kNotify, P::kVendorId},
       Handler::kCreateChildRequest},
      {"the peer answers our child or our rekey",
       ExchangeType::kCreateChildSa,
       true,
       both,
       live,
       {},
       {P::kSa, P::kNonce, P::kKe, P::kTsi, P::kTsr, P::kNotify, P::kVendorId},
       Handler::kCreateChildResponse},
      {"the peer goes on with the additional key exchanges of its child or rekey (RFC 9370)",
       ExchangeType::kIkeFollowupKe,
       false,
       both,
       live,
       {P::kKe},
       {P::kNotify, P::kVendorId},
       Handler::kFollowupRequest},
      {"the peer answers an additional key exchange of ours",
       ExchangeType::kIkeFollowupKe,
       true,
       both,
       live,
       {},
       {P::kKe, P::kNotify, P::kVendorId},
       Handler::kFollowupResponse},
      {"the peer deletes, notifies, or asks whether we live",
       ExchangeType::kInformational,
       false,
       both,
       live,
       {},
       {P::kDelete, P::kNotify, P::kCp, P::kVendorId},
       Handler::kInformationalRequest},
      {"the peer answers our Delete or liveness check",
       ExchangeType::kInformational,
       true,
       both,
       live,
       {},
       {P::kDelete, P::kNotify, P::kCp, P::kVendorId},
       Handler::kInformationalResponse},
  };
}

std::vector<Row> make_table() {
  std::vector<Row> table = handshake_rows();
  std::vector<Row> more = established_rows();
  for (Row& row : more) table.push_back(std::move(row));
  return table;
}

template <class T>
bool has(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

std::string_view state_word(IkeState state) {
  switch (state) {
    case IkeState::kInit: return "init";
    case IkeState::kIntermediate: return "intermediate";
    case IkeState::kHalfOpen: return "half-open";
    case IkeState::kAuth: return "auth";
    case IkeState::kEstablished: return "established";
    case IkeState::kReplaced: return "replaced";
    case IkeState::kDeleting: return "deleting";
    case IkeState::kFailed: return "failed";
    case IkeState::kDead: return "dead";
  }
  return "";
}

template <class T, class F>
std::string join(const std::vector<T>& list, F word) {
  std::string text;
  for (const T& item : list) text += (text.empty() ? "" : ", ") + std::string(word(item));
  return text.empty() ? "-" : text;
}

}  // namespace

const std::vector<Row>& transition_table() {
  static const std::vector<Row> table = make_table();
  return table;
}

const Row* find_row(const IkeSa& sa, const wire::ike::Header& header) {
  for (const Row& row : transition_table()) {
    if (row.exchange == header.exchange && row.response == header.is_response() &&
        has(row.roles, sa.role) && has(row.states, sa.state)) {
      return &row;
    }
  }
  return nullptr;
}

std::optional<P> missing_payload(const Row& row, const wire::ike::Message& message) {
  for (const P type : row.required) {
    const bool found =
        std::any_of(message.payloads.begin(), message.payloads.end(),
                    [&](const auto& payload) { return wire::ike::type_of(payload) == type; });
    if (!found) return type;
  }
  return std::nullopt;
}

std::optional<P> unsupported_critical(const wire::ike::Message& message) {
  for (const auto& payload : message.payloads) {
    const auto* unknown = std::get_if<wire::ike::OtherPayload>(&payload);
    const bool known = unknown != nullptr && (unknown->type == P::kCp || unknown->type == P::kEap);
    if (unknown != nullptr && unknown->critical && !known) return unknown->type;
  }
  return std::nullopt;
}

std::string describe_table() {
  std::string text =
      "# Which IKEv2 message is legal when\n\n"
      "Printed from `src/ike/v2/table.cpp`. An IKE_SA_INIT request makes the SA, so it has no "
      "row.\n\n"
      "| story | exchange | our role | states | must carry | may carry "
      "|\n|---|---|---|---|---|---|\n";
  for (const Row& row : transition_table()) {
    text += fmt::format("| {} | {} {} | {} | {} | {} | {} |\n", row.story,
                        wire::ike::name(row.exchange), row.response ? "response" : "request",
                        join(row.roles, [](Role role) { return name(role); }),
                        join(row.states, state_word),
                        join(row.required, [](P type) { return wire::ike::name(type); }),
                        join(row.allowed, [](P type) { return wire::ike::name(type); }));
  }
  return text;
}

}  // namespace espalier::ike::v2
