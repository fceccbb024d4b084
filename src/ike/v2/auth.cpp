// IKE_AUTH (RFC 7296 sections 1.2, 2.15, 2.16; RFC 7427).
//
//   initiator                                                     responder
//   HDR, SK {IDi, [CERT+,] [CERTREQ,] [N(INITIAL_CONTACT),] IDr, AUTH, SAi2, TSi, TSr} -->
//                                <-- HDR, SK {IDr, [CERT+,] AUTH, SAr2, TSi, TSr | N(error)}
#include <fmt/format.h>

#include "ike/core/limits.hpp"
#include "ike/v2/authorize.hpp"
#include "ike/v2/certificates.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/negotiate.hpp"
#include "ike/v2/ppk.hpp"
#include "ike/v2/proof.hpp"
#include "ike/v2/transport.hpp"
#include "policy/identity.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::AuthPayload;
using wire::ike::IdPayload;

std::string at(const IkeSa& sa, policy::Setting setting) {
  return policy::where(sa.connection->lines, setting);
}

// Makes our AUTH: at once for a shared key, by a job for a signature. auth_made() goes on.
void auth_made(Context& ctx, IkeSa& sa, crypto::AuthMethod method, Bytes data);

Status make_auth(Context& ctx, IkeSa& sa) {
  TRY_ASSIGN(std::optional<Proof> proof, make_proof(ctx, sa));
  if (proof) auth_made(ctx, sa, proof->method, std::move(proof->data));
  return {};
}

// ---- responder
// ----------------------------------------------------------------------------------------------

// Answers with an error; the SA is kept a while to repeat the answer.
void refuse(Context& ctx, IkeSa& sa, NotifyType type, const std::string& why) {
  if (type == NotifyType::kAuthenticationFailed) ctx.count(Counter::kAuthFailed);
  ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(),
            fmt::format("IKE_AUTH from {} refused with {}: {}", sa.path.remote.to_string(),
                        wire::ike::name(type), why));
  if (sa.connection) {
    refused_peer(ctx, sa.pair(), why);
  } else {
    refused_address(ctx, sa.path.remote.ip, why);
  }
  send_response(ctx, sa, ExchangeType::kIkeAuth, sa.expected_request, {make_notify(type)});
  // It still counts as half-open until it is discarded: who only ever fails cannot make us keep
  // more than kHalfOpenMax.
  sa.state = IkeState::kFailed;
  sa.discard_at = ctx.now + kDuplicateGrace;
  sa.failure = why;
}

// The peer is who it says: its identity goes with the pair.
void establish_with_peer(Context& ctx, IkeSa& sa) {
  Pair* pair = ctx.pair_of(sa);
  if (pair != nullptr && policy::is_wildcard(sa.connection->remote_id)) {
    pair->holder = sa.handshake().peer_id;
  }
  establish(ctx, sa);
}

// The first child, as far as it was asked for and may be made here.
void answer_first_child(Context& ctx, IkeSa& sa, const Message& request,
                        std::vector<Payload>& payloads) {
  const bool childless = request.find<wire::ike::SaPayload>() == nullptr;
  if (childless) return;
  if (sa.connection->childless == policy::Childless::kForce) {
    ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(),
              "the peer asks for a child SA in IKE_AUTH, and 'childless: force' has it made by "
              "CREATE_CHILD_SA: refused with NO_ADDITIONAL_SAS");
    payloads.push_back(make_notify(NotifyType::kNoAdditionalSas));
    return;
  }
  auto child = negotiate_child(sa, request, false, crypto::DhId::kNone, "");
  if (child) {
    const Spi spi = ctx.allocate_spi();
    auto made = make_child(sa, *child, spi, false, {}, sa.nonce_i, sa.nonce_r);
    ASSERT(made);  // the suite was selected from our own proposals
    add_child_answer(payloads, *child, spi);
    install_child(ctx, sa, std::move(*made), !another_carries(ctx, sa));
    return;
  }
  count_refusal(ctx, child.error());
  ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(),
            fmt::format("child SA refused with {}: {}", wire::ike::name(notify_for(child.error())),
                        child.error().message));
  refused_peer(ctx, sa.pair(), child.error().message);
  payloads.push_back(make_notify(notify_for(child.error())));
  add_detail(sa, child.error().message, payloads);
}

void answer_auth(Context& ctx, IkeSa& sa, crypto::AuthMethod method, Bytes data) {
  // Another may have come while the signature was made.
  if (const auto why = held_by_another(ctx, sa)) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, *why);
  }
  if (const Status used = use_ticket(ctx, sa); !used) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, used.error().message);
  }
  const Message request = std::move(*sa.handshake().auth_message);
  sa.handshake().auth_message.reset();
  read_qcd_token(sa, request);
  schedule_reauth(ctx, sa, request);
  keep_authentication(ctx, sa);
  std::vector<Payload> payloads;
  payloads.push_back(id_payload(PayloadType::kIdr, sa.connection->local_id));
  if (shows_certificates(sa, sa.role)) add_certificates(sa, payloads);
  payloads.push_back(AuthPayload{static_cast<std::uint8_t>(method), std::move(data)});
  add_qcd_token(ctx, sa.spi_i, sa.spi_r, payloads);
  read_mobike(sa, request);
  if (sa.mobike) offer_mobike(ctx, sa, payloads);
  add_auth_lifetime(sa, payloads);
  if (sa.ppk && !sa.handshake().resumed) payloads.push_back(make_notify(NotifyType::kPpkIdentity));
  establish_with_peer(ctx, sa);
  if (redirect_in_auth(ctx, sa, payloads)) {
    sa.discard_at = ctx.now + kDuplicateGrace;  // the peer's Delete is expected long before
  } else {
    answer_ticket_request(ctx, sa, request, payloads);
    answer_first_child(ctx, sa, request, payloads);
  }
  send_response(ctx, sa, ExchangeType::kIkeAuth, request.header.message_id, payloads);
  resolve_duplicates(ctx, sa);
  sa.drop_handshake();
  run_tasks(ctx, sa);
}

void refuse_unwanted(Context& ctx, IkeSa& sa) {
  refuse(ctx, sa, NotifyType::kTemporaryFailure,
         "the pair is down by the operator's wish on this side ('espalier up' ends that), or was "
         "just configured anew");
}

void peer_is_authentic(Context& ctx, IkeSa& sa) {
  if (!is_wanted(ctx, sa)) return refuse_unwanted(ctx, sa);
  const Pair* pair = ctx.pair_of(sa);
  if (pair->sas.size() >= kIkeSasPerPairMax) {
    return refuse(ctx, sa, NotifyType::kNoAdditionalSas,
                  "the peer holds as many IKE SAs as a pair may have");
  }
  if (const auto why = held_by_another(ctx, sa)) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, *why);
  }
  if (const auto why = another_is_there(ctx, sa)) {
    return refuse(ctx, sa, NotifyType::kTemporaryFailure, *why);
  }
  if (const Status made = make_auth(ctx, sa); !made) {
    refuse(ctx, sa, NotifyType::kAuthenticationFailed, made.error().message);
  }
}

// ---- initiator
// ----------------------------------------------------------------------------------------------

void send_auth(Context& ctx, IkeSa& sa, crypto::AuthMethod method, Bytes data) {
  const policy::Connection& connection = *sa.connection;
  std::vector<Payload> payloads;
  payloads.push_back(id_payload(PayloadType::kIdi, connection.local_id));
  if (shows_certificates(sa, sa.role)) add_certificates(sa, payloads);
  if (shows_certificates(sa, Role::kResponder)) add_certificate_request(connection, payloads);
  if (!has_established(ctx, sa)) payloads.push_back(make_notify(NotifyType::kInitialContact));
  const bool anonymous = is_anonymous(sa, Role::kResponder);
  if (!anonymous && !policy::is_wildcard(connection.remote_id)) {
    payloads.push_back(id_payload(PayloadType::kIdr, connection.remote_id));
  }
  payloads.push_back(AuthPayload{static_cast<std::uint8_t>(method), std::move(data)});
  add_qcd_token(ctx, sa.spi_i, sa.spi_r, payloads);
  request_ticket(sa, payloads);
  if (!sa.handshake().childless) {
    const policy::ChildConfig& child = connection.children.front();
    sa.handshake().child_spi = ctx.allocate_spi();
    add_child_offer(payloads, child, offered_local(sa, child, child.local_ts),
                    offered_remote(sa, child, child.remote_ts), sa.handshake().child_spi, false);
  }
  if (may_use_mobike(connection)) offer_mobike(ctx, sa, payloads);
  add_ppk(sa, payloads);
  send_request(ctx, sa, ExchangeType::kIkeAuth, payloads);
}

// The responder failed to prove who it is: it is told, and the attempt has failed (section 2.21.2).
void reject_responder(Context& ctx, IkeSa& sa, const std::string& why) {
  ctx.count(Counter::kAuthFailed);
  send_unacknowledged(ctx, sa, ExchangeType::kInformational,
                      {make_notify(NotifyType::kAuthenticationFailed)});
  fail_handshake(ctx, sa, why);
}

void first_child_failed(Context& ctx, IkeSa& sa, const Message& response, const std::string& why) {
  const Spi spi = sa.handshake().child_spi;
  ctx.core.inbound_spis.erase(spi);
  const auto* error = find_error(response);
  // Not refused by the peer, but by us: it has the child, and must hear that we do not.
  if (error == nullptr) delete_orphan(ctx, sa, spi);
  if (error != nullptr && error->type == NotifyType::kSinglePairRequired &&
      split_into_pairs(ctx, sa.pair(), sa.connection->children.front().name)) {
    return;
  }
  if (Pair* pair = ctx.pair_of(sa)) pair->last_error = why;
  ctx.event(EventKind::kAttemptFailed, LogLevel::kWarning, sa.pair(), why);
}

// The first child, as the answer has it.
void take_first_child(Context& ctx, IkeSa& sa, const Message& response) {
  const policy::ChildConfig& config = sa.connection->children.front();
  const Spi spi = sa.handshake().child_spi;
  auto child = accept_child(sa, config, offered_local(sa, config, config.local_ts),
                            offered_remote(sa, config, config.remote_ts), response, false);
  if (child) {
    auto made = make_child(sa, *child, spi, true, {}, sa.nonce_i, sa.nonce_r);
    ASSERT(made);
    install_child(ctx, sa, std::move(*made), true);
    tell_what_was_narrowed(ctx, sa, *child);
  } else {
    first_child_failed(ctx, sa, response, child.error().message);
  }
  sa.handshake().child_spi = Spi();
}

void responder_is_authentic(Context& ctx, IkeSa& sa) {
  const Message response = std::move(*sa.handshake().auth_message);
  sa.handshake().auth_message.reset();
  read_qcd_token(sa, response);
  read_mobike(sa, response);
  schedule_reauth(ctx, sa, response);
  keep_authentication(ctx, sa);
  if (const auto why = held_by_another(ctx, sa)) return reject_responder(ctx, sa, *why);
  establish_with_peer(ctx, sa);
  if (sa.handshake().resumed) ctx.count(Counter::kResumed);
  leave_old_gateway(ctx, sa);
  if (follow_redirect(ctx, sa, response)) {
    // RFC 5685 section 6: no child is made here, and the client deletes the IKE SA.
    ctx.core.inbound_spis.erase(sa.handshake().child_spi);
    sa.handshake().child_spi = Spi();
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = "the peer redirected us";
    add_task(ctx, sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
  } else {
    take_ticket(ctx, sa, response);
    const bool childless = sa.handshake().child_spi.value == 0;
    if (!childless) take_first_child(ctx, sa, response);
    for (std::size_t i = childless ? 0 : 1; i < sa.connection->children.size(); ++i) {
      add_task(ctx, sa, {TaskKind::kCreateChild, Spi(), sa.connection->children[i].name, ctx.now});
    }
    resolve_duplicates(ctx, sa);
  }
  sa.drop_handshake();
  run_tasks(ctx, sa);
}

void auth_made(Context& ctx, IkeSa& sa, crypto::AuthMethod method, Bytes data) {
  if (sa.role == Role::kInitiator && take_plain_proof(sa, data)) {
    if (const Status made = make_auth(ctx, sa); !made) {
      fail_handshake(ctx, sa, made.error().message);
    }
  } else if (sa.role == Role::kInitiator) {
    send_auth(ctx, sa, method, std::move(data));
  } else {
    answer_auth(ctx, sa, method, std::move(data));
  }
}

std::string refused_by_peer(const IkeSa& sa, NotifyType type) {
  const std::string who = sa.path.remote.to_string();
  if (type == NotifyType::kAuthenticationFailed) {
    return fmt::format(
        "{} refused our authentication: its log says why (an unknown identity '{}', another "
        "secret, or a "
        "certificate it does not trust){}",
        who, policy::to_string(sa.connection->local_id), at(sa, policy::Setting::kPeer));
  }
  if (type == NotifyType::kTemporaryFailure) {
    return fmt::format(
        "{} answered TEMPORARY_FAILURE: the pair is down there by its operator's wish, or it is "
        "busy",
        who);
  }
  return fmt::format("{} refused IKE_AUTH with {}", who, wire::ike::name(type));
}

}  // namespace

void start_auth(Context& ctx, IkeSa& sa) {
  sa.handshake().auth_id = sa.next_request;
  if (const Status mixed = begin_ppk(sa); !mixed) {
    return fail_handshake(ctx, sa, mixed.error().message + at(sa, policy::Setting::kPpk));
  }
  if (const Status made = make_auth(ctx, sa); !made) fail_handshake(ctx, sa, made.error().message);
}

namespace {

// Whether the request asks for a child as a whole, or not at all where that is allowed (RFC 6023
// section 3).
bool has_child_or_none(const IkeSa& sa, const Message& message) {
  const int parts = (message.find<wire::ike::SaPayload>() != nullptr ? 1 : 0) +
                    (message.ts(PayloadType::kTsi) != nullptr ? 1 : 0) +
                    (message.ts(PayloadType::kTsr) != nullptr ? 1 : 0);
  return parts == 3 || (parts == 0 && sa.handshake().childless);
}

// RFC 7619 section 2.2: what an anonymous peer says of itself is not for any decision.
policy::Identity identity_to_trust(const Message& message, const IdPayload& said) {
  const auto* auth = message.find<AuthPayload>();
  if (auth != nullptr && auth->method == static_cast<std::uint8_t>(crypto::AuthMethod::kNull))
    return {wire::ike::IdType::kNull, {}};
  return {said.type, said.data};
}

}  // namespace

void handle_auth_request(Context& ctx, IkeSa& sa, const Message& message) {
  sa.state = IkeState::kAuth;
  sa.handshake().auth_id = message.header.message_id;
  const IdPayload* idi = message.id(PayloadType::kIdi);
  ASSERT(idi != nullptr);  // the transition table requires it
  if (!addresses_are_untouched(message, sa.path)) {
    return refuse(ctx, sa, NotifyType::kUnexpectedNatDetected,
                  "the peer allows no NAT, and one changed the addresses of its message");
  }
  if (!has_child_or_none(sa, message)) {
    return answer_invalid_syntax(ctx, sa, message.header,
                                 "IKE_AUTH without its SA or a traffic selector payload");
  }
  sa.handshake().peer_id = identity_to_trust(message, *idi);
  sa.handshake().peer_id_body = idi->body;
  sa.handshake().initial_contact = message.notify(NotifyType::kInitialContact) != nullptr;
  read_certificate_requests(sa, message);
  auto connection = find_connection(ctx, sa, sa.handshake().peer_id, message.id(PayloadType::kIdr));
  if (!connection) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, connection.error().message);
  }
  sa.connection = *connection;
  // RFC 7619 section 2.3: who is anonymous cannot say that others are gone.
  if (is_anonymous(sa, Role::kInitiator)) sa.handshake().initial_contact = false;
  const Status chosen =
      sa.handshake().resumed ? check_resumed(ctx, sa, message) : choose_ppk(ctx, sa, message);
  if (!chosen) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed,
                  chosen.error().message + at(sa, policy::Setting::kPpk));
  }
  sa.handshake().auth_message = message;
  bool pending = false;
  if (const Status checked = check_auth(ctx, sa, message, pending); !checked) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, checked.error().message);
  }
  if (!pending) peer_is_authentic(ctx, sa);
}

void process_auth_response(Context& ctx, IkeSa& sa, const Message& message) {
  const IdPayload* idr = message.id(PayloadType::kIdr);
  if (idr == nullptr || message.find<AuthPayload>() == nullptr) {
    const auto* error = find_error(message);
    return fail_handshake(ctx, sa,
                          error != nullptr
                              ? refused_by_peer(sa, error->type)
                              : "the peer answered IKE_AUTH without identity and AUTH");
  }
  const policy::Identity peer{idr->type, idr->data};
  const bool anonymous = is_anonymous(sa, Role::kResponder);
  if (!anonymous && !policy::covers(sa.connection->remote_id, peer)) {
    return reject_responder(
        ctx, sa,
        fmt::format("the peer says it is '{}', expected is '{}': set its 'id' in the inventory{}",
                    policy::to_string(peer), policy::to_string(sa.connection->remote_id),
                    policy::where(sa.connection->lines, policy::Setting::kPeer)));
  }
  if (const Status used = finish_ppk(ctx, sa, message); !used) {
    return reject_responder(ctx, sa, used.error().message + at(sa, policy::Setting::kPpk));
  }
  sa.handshake().peer_id = anonymous ? policy::Identity{wire::ike::IdType::kNull, {}} : peer;
  sa.handshake().peer_id_body = idr->body;
  sa.handshake().auth_message = message;
  bool pending = false;
  if (const Status checked = check_auth(ctx, sa, message, pending); !checked) {
    return reject_responder(ctx, sa, checked.error().message);
  }
  if (!pending) responder_is_authentic(ctx, sa);
}

namespace {

// The signature, the path and the rest were good, or not.
void peer_was_checked(Context& ctx, IkeSa& sa, const JobResult& result) {
  if (!result.error) sa.peer_certificates = result.peer;
  if (sa.role == Role::kInitiator) {
    if (result.error) {
      return reject_responder(ctx, sa, result.error->message + at(sa, policy::Setting::kAuth));
    }
    return responder_is_authentic(ctx, sa);
  }
  if (result.error) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed,
                  result.error->message + at(sa, policy::Setting::kAuth));
  }
  peer_is_authentic(ctx, sa);
}

// The peer is who it says, and it is not known whether its certificates still hold.
void fetch_status(Context& ctx, IkeSa& sa, std::vector<crypto::PathCertificate> certificates) {
  ctx.count(Counter::kRevocationWaits);
  sa.handshake().status_by = ctx.now + kRevocationWait;
  ctx.start_job(sa, JobPurpose::kAuthStatus, FetchJob{std::move(certificates)});
}

// Fetched, or given up: the same check again, and the policy decides about what is not known.
void status_is_there(Context& ctx, IkeSa& sa) {
  sa.handshake().status_by.reset();
  sa.handshake().status_asked = true;
  const Message message = *sa.handshake().auth_message;
  bool pending = false;
  JobResult result;
  if (const Status checked = check_auth(ctx, sa, message, pending); !checked) {
    result.error = checked.error();
  }
  if (!pending) peer_was_checked(ctx, sa, result);
}

}  // namespace

void auth_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result) {
  if (purpose == JobPurpose::kAuthSign) {
    // A command or a reload may have come while the signature was made.
    if (sa.role == Role::kResponder && !is_wanted(ctx, sa)) return refuse_unwanted(ctx, sa);
    sa.handshake().own_status = result.status;
    if (!result.error) return auth_made(ctx, sa, result.auth_method, result.auth_data);
    if (sa.role == Role::kInitiator) return fail_handshake(ctx, sa, result.error->message);
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, result.error->message);
  }
  if (purpose == JobPurpose::kAuthStatus) return status_is_there(ctx, sa);
  for (const std::string& note : result.notes) {
    ctx.count(Counter::kResponsesUnused);
    ctx.event(EventKind::kNote, LogLevel::kInfo, sa.pair(), note);
  }
  if (!result.error && !result.unknown.empty()) return fetch_status(ctx, sa, result.unknown);
  peer_was_checked(ctx, sa, result);
}

void status_is_late(Context& ctx, IkeSa& sa) {
  ctx.count(Counter::kRevocationLate);
  ctx.core.jobs.erase(sa.job);
  sa.job = JobId();
  sa.job_purpose = JobPurpose::kNone;
  status_is_there(ctx, sa);
}

}  // namespace espalier::ike::v2
