// IKE_AUTH (RFC 7296 sections 1.2, 2.15, 2.16; RFC 7427).
//
//   initiator                                                     responder
//   HDR, SK {IDi, [CERT+,] [CERTREQ,] [N(INITIAL_CONTACT),] IDr, AUTH, SAi2, TSi, TSr} -->
//                                <-- HDR, SK {IDr, [CERT+,] AUTH, SAr2, TSi, TSr | N(error)}
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/certificates.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/negotiate.hpp"
#include "ike/v2/ppk.hpp"
#include "policy/identity.hpp"
#include "policy/selectors.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::AuthPayload;
using wire::ike::IdPayload;

constexpr auto kPskMethod = static_cast<std::uint8_t>(crypto::AuthMethod::kSharedKeyMic);

// RestOfInitIDPayload of section 2.15.
Bytes id_body(const policy::Identity& identity) {
  Bytes body{static_cast<std::uint8_t>(identity.type), 0, 0, 0};
  body.insert(body.end(), identity.data.begin(), identity.data.end());
  return body;
}

IdPayload id_payload(PayloadType role, const policy::Identity& identity) {
  return {role, identity.type, identity.data, id_body(identity)};
}

// IntAuth = IntAuth_iN | IntAuth_rN | IKE_AUTH_MID (RFC 9242 section 3.3.2); nothing without
// IKE_INTERMEDIATE.
Bytes int_auth(const IkeSa& sa) {
  const Handshake& handshake = sa.handshake();
  if (handshake.int_auth_i.empty()) return {};
  Writer octets;
  octets.bytes(handshake.int_auth_i);
  octets.bytes(handshake.int_auth_r);
  octets.u32(handshake.auth_id.value);
  return octets.take();
}

// What the named end signs or MACs.
Result<Bytes> octets_of(const IkeSa& sa, Role end, ByteView body) {
  const IkeKeys& keys = keys_of_auth(sa, end);
  const Bytes extra = int_auth(sa);
  return end == Role::kInitiator ? auth_octets(sa.suite.prf, sa.handshake().init_request,
                                               sa.nonce_r, keys.pi.reveal(), body, extra)
                                 : auth_octets(sa.suite.prf, sa.handshake().init_response,
                                               sa.nonce_i, keys.pr.reveal(), body, extra);
}

// The peer's proof: of AUTH, or of NO_PPK_AUTH where we have no such PPK (RFC 8784 section 3).
const Bytes& proof_of_peer(const IkeSa& sa, const AuthPayload& auth) {
  const bool plain = sa.role == Role::kResponder && !sa.handshake().no_ppk_auth.empty();
  return plain ? sa.handshake().no_ppk_auth : auth.data;
}

Role other(Role role) { return role == Role::kInitiator ? Role::kResponder : Role::kInitiator; }

bool has_established(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr) return false;
  return std::any_of(pair->sas.begin(), pair->sas.end(), [&](IkeSpi spi) {
    const auto found = ctx.core.sas.find(spi);
    return found != ctx.core.sas.end() && found->second.is_up();
  });
}

// Makes our AUTH: at once for a shared key, by a job for a signature. auth_made() goes on.
void auth_made(Context& ctx, IkeSa& sa, crypto::AuthMethod method, Bytes data);

Status make_auth(Context& ctx, IkeSa& sa) {
  sa.handshake().own_id_body = id_body(sa.connection->local_id);
  TRY_ASSIGN(Bytes octets, octets_of(sa, sa.role, sa.handshake().own_id_body));
  if (sa.connection->auth == policy::AuthKind::kPsk) {
    TRY_ASSIGN(const SecretBytes mac, psk_auth(sa.suite.prf, sa.connection->psk.reveal(), octets));
    auth_made(ctx, sa, crypto::AuthMethod::kSharedKeyMic, to_vector(mac.reveal()));
    return {};
  }
  TRY_ASSIGN(SignJob job, sign_job(sa, std::move(octets)));
  ctx.start_job(sa, JobPurpose::kAuthSign, std::move(job));
  return {};
}

// Checks the peer's AUTH: a result at once for a shared key; for a signature a job is started and
// `pending` set.
Status check_auth(Context& ctx, IkeSa& sa, const Message& message, bool& pending) {
  const auto* auth = message.find<AuthPayload>();
  if (auth == nullptr) {
    return make_error(ErrorCode::kAuthentication,
                      "the peer sent no AUTH payload (it wants EAP, which is not supported)");
  }
  TRY_ASSIGN(Bytes octets, octets_of(sa, other(sa.role), sa.handshake().peer_id_body));
  if (sa.connection->auth == policy::AuthKind::kPsk) {
    if (auth->method != kPskMethod) {
      return make_error(
          ErrorCode::kAuthentication,
          fmt::format(
              "the peer authenticates by method {} (a certificate?), this side is configured for a "
              "pre-shared key: set the same 'auth' on both",
              auth->method));
    }
    TRY_ASSIGN(const SecretBytes mac, psk_auth(sa.suite.prf, sa.connection->psk.reveal(), octets));
    if (constant_time_equal(mac.reveal(), proof_of_peer(sa, *auth))) return {};
    return make_error(
        ErrorCode::kAuthentication,
        fmt::format(
            "the pre-shared keys differ (peer identity '{}', ours '{}'): compare the secret, {}the "
            "mesh name and the identities on both sides",
            policy::to_string(sa.handshake().peer_id), policy::to_string(sa.connection->local_id),
            sa.ppk ? "the post-quantum secret ('ppk'), " : ""));
  }
  if (auth->method == kPskMethod) {
    return make_error(ErrorCode::kAuthentication,
                      "the peer authenticates by a pre-shared key, this side is configured for "
                      "certificates: set the "
                      "same 'auth' on both");
  }
  TRY_ASSIGN(VerifyJob job, verify_job(sa, message, *auth, std::move(octets)));
  job.auth_data = proof_of_peer(sa, *auth);
  pending = true;
  ctx.start_job(sa, JobPurpose::kAuthVerify, std::move(job));
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
  // Of a pair that only the peer starts, nothing else would say why it is not up.
  if (Pair* pair = ctx.pair_of(sa);
      pair != nullptr && !pair->up && !pair->retry_at && !pair->disabled) {
    pair->last_error = why;
  }
  send_response(ctx, sa, ExchangeType::kIkeAuth, sa.expected_request, {make_notify(type)});
  // It still counts as half-open until it is discarded: who only ever fails cannot make us keep
  // more than kHalfOpenMax.
  sa.state = IkeState::kFailed;
  sa.discard_at = ctx.now + kDuplicateGrace;
  sa.failure = why;
}

bool suite_is_acceptable(const policy::Connection& connection, const policy::IkeSuite& suite) {
  policy::IkeProposal proposal;
  proposal.encr = {{suite.cipher.encr, suite.cipher.key_bits}};
  if (suite.cipher.integ != crypto::IntegId::kNone) proposal.integ = {suite.cipher.integ};
  proposal.prf = {suite.prf};
  proposal.dh = {suite.dh};
  proposal.additional = policy::listed(suite.additional);
  return policy::select_ike(connection.proposals, policy::to_wire({proposal}, ByteView())).ok();
}

// Why the pair is not for this request; nothing when it is.
std::optional<std::string> misfit(const IkeSa& sa, const Pair& pair, const policy::Identity& peer,
                                  const IdPayload* idr) {
  const policy::Connection& connection = *pair.connection;
  if (idr != nullptr && !policy::same_identity({idr->type, idr->data}, connection.local_id)) {
    return fmt::format("the peer '{}' asks for the identity '{}', ours is '{}'",
                       policy::to_string(peer), policy::to_string({idr->type, idr->data}),
                       policy::to_string(connection.local_id));
  }
  if (!suite_is_acceptable(connection, sa.suite)) {
    return fmt::format("the IKE suite {} is not among the proposals of {}", policy::words(sa.suite),
                       connection.name);
  }
  return std::nullopt;
}

// The connection whose remote identity is the peer's, else the most specific pattern that covers
// it: one look-up for each form that the table may have it under, whatever the number of pairs.
Result<ConnectionRef> find_connection(Context& ctx, const IkeSa& sa, const policy::Identity& peer,
                                      const IdPayload* idr) {
  if (policy::is_wildcard(peer)) {
    return make_error(
        ErrorCode::kAuthentication,
        fmt::format("the peer says it is '{}': a wildcard is nobody's identity, it needs its own",
                    policy::to_string(peer)));
  }
  std::string why;
  for (const policy::Identity& key : policy::lookup_keys(peer, ctx.core.name_masks)) {
    const auto names = ctx.core.by_identity.find(key);
    if (names == ctx.core.by_identity.end()) continue;
    for (const std::string& name : names->second) {
      const Pair& pair = ctx.core.pairs.at(name);
      auto reason = misfit(sa, pair, peer, idr);
      if (!reason) return pair.connection;
      why = std::move(*reason);
    }
  }
  if (why.empty()) {
    why = fmt::format("no configured peer has the identity '{}'", policy::to_string(peer));
  }
  return make_error(ErrorCode::kAuthentication, why);
}

// A pair is one peer: while one holds the pair of a wildcard, another that it covers too is not
// let in. Nothing when the peer may have it.
std::optional<std::string> held_by_another(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  const policy::Identity& peer = sa.handshake().peer_id;
  if (pair == nullptr || !pair->holder || policy::same_identity(*pair->holder, peer) ||
      !has_established(ctx, sa)) {
    return std::nullopt;
  }
  return fmt::format(
      "'{}' matches the wildcard '{}', but '{}' holds this pair: give each peer an entry of its "
      "own in the inventory",
      policy::to_string(peer), policy::to_string(sa.connection->remote_id),
      policy::to_string(*pair->holder));
}

// The peer is who it says: its identity goes with the pair.
void establish_with_peer(Context& ctx, IkeSa& sa) {
  Pair* pair = ctx.pair_of(sa);
  if (pair != nullptr && policy::is_wildcard(sa.connection->remote_id)) {
    pair->holder = sa.handshake().peer_id;
  }
  establish(ctx, sa);
}

void answer_auth(Context& ctx, IkeSa& sa, crypto::AuthMethod method, Bytes data) {
  // Another may have come while the signature was made.
  if (const auto why = held_by_another(ctx, sa)) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, *why);
  }
  const Message request = std::move(*sa.handshake().auth_message);
  sa.handshake().auth_message.reset();
  read_qcd_token(sa, request);
  schedule_reauth(ctx, sa, request);
  std::vector<Payload> payloads;
  payloads.push_back(id_payload(PayloadType::kIdr, sa.connection->local_id));
  add_certificates(sa, payloads);
  payloads.push_back(AuthPayload{static_cast<std::uint8_t>(method), std::move(data)});
  add_qcd_token(ctx, sa.spi_i, sa.spi_r, payloads);
  read_mobike(sa, request);
  if (sa.mobike) offer_mobike(ctx, sa, payloads);
  add_auth_lifetime(sa, payloads);
  if (sa.ppk) payloads.push_back(make_notify(NotifyType::kPpkIdentity));
  establish_with_peer(ctx, sa);
  auto child = negotiate_child(*sa.connection, request, false, crypto::DhId::kNone, "");
  if (child) {
    const Spi spi = ctx.allocate_spi();
    auto made = make_child(sa, *child, spi, false, {}, sa.nonce_i, sa.nonce_r);
    ASSERT(made);  // the suite was selected from our own proposals
    add_child_answer(payloads, *child, spi);
    install_child(ctx, sa, std::move(*made), !another_carries(ctx, sa));
  } else {
    count_refusal(ctx, child.error());
    ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(),
              fmt::format("child SA refused with {}: {}",
                          wire::ike::name(notify_for(child.error())), child.error().message));
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = child.error().message;
    payloads.push_back(make_notify(notify_for(child.error())));
  }
  send_response(ctx, sa, ExchangeType::kIkeAuth, request.header.message_id, payloads);
  resolve_duplicates(ctx, sa);
  sa.drop_handshake();
  run_tasks(ctx, sa);
}

// Whether the pair is still as it was when the exchange began, and wanted.
bool is_wanted(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  return pair != nullptr && pair->connection == sa.connection &&
         (!pair->disabled || sa.connection->foreign);
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
  add_certificates(sa, payloads);
  add_certificate_request(connection, payloads);
  if (!has_established(ctx, sa)) payloads.push_back(make_notify(NotifyType::kInitialContact));
  if (!policy::is_wildcard(connection.remote_id)) {
    payloads.push_back(id_payload(PayloadType::kIdr, connection.remote_id));
  }
  payloads.push_back(AuthPayload{static_cast<std::uint8_t>(method), std::move(data)});
  add_qcd_token(ctx, sa.spi_i, sa.spi_r, payloads);
  const policy::ChildConfig& child = connection.children.front();
  sa.handshake().child_spi = ctx.allocate_spi();
  add_child_offer(payloads, child, child.local_ts, child.remote_ts, sa.handshake().child_spi,
                  false);
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

void responder_is_authentic(Context& ctx, IkeSa& sa) {
  const Message response = std::move(*sa.handshake().auth_message);
  sa.handshake().auth_message.reset();
  read_qcd_token(sa, response);
  read_mobike(sa, response);
  schedule_reauth(ctx, sa, response);
  if (const auto why = held_by_another(ctx, sa)) return reject_responder(ctx, sa, *why);
  establish_with_peer(ctx, sa);
  const policy::ChildConfig& config = sa.connection->children.front();
  const Spi spi = sa.handshake().child_spi;
  auto child = accept_child(config, config.local_ts, config.remote_ts, response, false);
  if (child) {
    auto made = make_child(sa, *child, spi, true, {}, sa.nonce_i, sa.nonce_r);
    ASSERT(made);
    install_child(ctx, sa, std::move(*made), true);
    tell_what_was_narrowed(ctx, sa, *child);
  } else {
    ctx.core.inbound_spis.erase(spi);
    // Not refused by the peer, but by us: it has the child, and must hear that we do not.
    if (find_error(response) == nullptr) delete_orphan(ctx, sa, spi);
    if (Pair* pair = ctx.pair_of(sa)) pair->last_error = child.error().message;
    ctx.event(EventKind::kAttemptFailed, LogLevel::kWarning, sa.pair(), child.error().message);
  }
  sa.handshake().child_spi = Spi();
  for (std::size_t i = 1; i < sa.connection->children.size(); ++i) {
    add_task(ctx, sa, {TaskKind::kCreateChild, Spi(), sa.connection->children[i].name, ctx.now});
  }
  resolve_duplicates(ctx, sa);
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
        "certificate it does not trust)",
        who, policy::to_string(sa.connection->local_id));
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
    return fail_handshake(ctx, sa, mixed.error().message);
  }
  if (const Status made = make_auth(ctx, sa); !made) fail_handshake(ctx, sa, made.error().message);
}

void handle_auth_request(Context& ctx, IkeSa& sa, const Message& message) {
  sa.state = IkeState::kAuth;
  sa.handshake().auth_id = message.header.message_id;
  const IdPayload* idi = message.id(PayloadType::kIdi);
  ASSERT(idi != nullptr);  // the transition table requires it
  if (!addresses_are_untouched(message, sa.path)) {
    return refuse(ctx, sa, NotifyType::kUnexpectedNatDetected,
                  "the peer allows no NAT, and one changed the addresses of its message");
  }
  sa.handshake().peer_id = {idi->type, idi->data};
  sa.handshake().peer_id_body = idi->body;
  sa.handshake().initial_contact = message.notify(NotifyType::kInitialContact) != nullptr;
  read_certificate_requests(sa, message);
  auto connection = find_connection(ctx, sa, sa.handshake().peer_id, message.id(PayloadType::kIdr));
  if (!connection) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, connection.error().message);
  }
  sa.connection = *connection;
  if (const Status chosen = choose_ppk(ctx, sa, message); !chosen) {
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, chosen.error().message);
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
  if (!policy::covers(sa.connection->remote_id, peer)) {
    return reject_responder(
        ctx, sa,
        fmt::format("the peer says it is '{}', expected is '{}': set its 'id' in the inventory",
                    policy::to_string(peer), policy::to_string(sa.connection->remote_id)));
  }
  if (const Status used = finish_ppk(ctx, sa, message); !used) {
    return reject_responder(ctx, sa, used.error().message);
  }
  sa.handshake().peer_id = peer;
  sa.handshake().peer_id_body = idr->body;
  sa.handshake().auth_message = message;
  bool pending = false;
  if (const Status checked = check_auth(ctx, sa, message, pending); !checked) {
    return reject_responder(ctx, sa, checked.error().message);
  }
  if (!pending) responder_is_authentic(ctx, sa);
}

void auth_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result) {
  if (purpose == JobPurpose::kAuthSign) {
    // A command or a reload may have come while the signature was made.
    if (sa.role == Role::kResponder && !is_wanted(ctx, sa)) return refuse_unwanted(ctx, sa);
    if (!result.error) return auth_made(ctx, sa, result.auth_method, result.auth_data);
    if (sa.role == Role::kInitiator) return fail_handshake(ctx, sa, result.error->message);
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, result.error->message);
  }
  if (!result.error) sa.peer_path = result.path;
  if (sa.role == Role::kInitiator) {
    if (result.error) return reject_responder(ctx, sa, result.error->message);
    return responder_is_authentic(ctx, sa);
  }
  if (result.error)
    return refuse(ctx, sa, NotifyType::kAuthenticationFailed, result.error->message);
  peer_is_authentic(ctx, sa);
}

}  // namespace espalier::ike::v2
