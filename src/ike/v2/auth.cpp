// IKE_AUTH (RFC 7296 sections 1.2, 2.15, 2.16; RFC 7427).
//
//   initiator                                                     responder
//   HDR, SK {IDi, [CERT+,] [CERTREQ,] [N(INITIAL_CONTACT),] IDr, AUTH, SAi2, TSi, TSr} -->
//                                <-- HDR, SK {IDr, [CERT+,] AUTH, SAr2, TSi, TSr | N(error)}
#include <fmt/format.h>

#include <algorithm>

#include "crypto/prf.hpp"
#include "ike/core/limits.hpp"
#include "ike/v2/certificates.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/negotiate.hpp"
#include "ike/v2/ppk.hpp"
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

constexpr auto kPskMethod = static_cast<std::uint8_t>(crypto::AuthMethod::kSharedKeyMic);
constexpr auto kNullMethod = static_cast<std::uint8_t>(crypto::AuthMethod::kNull);

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

// Whether the end does not prove who it is (RFC 7619).
bool is_anonymous(const IkeSa& sa, Role end) {
  return end == sa.role ? policy::we_are_anonymous(sa.connection->null_auth)
                        : policy::peer_is_anonymous(sa.connection->null_auth);
}

// AUTH that is a MAC: by the shared key, or by the end's own SK_p where a ticket stands for the
// authentication (RFC 5723 section 4.3.3) or nothing does (RFC 7619 section 2.1). Nothing: it is a
// signature.
std::optional<Result<SecretBytes>> mac_of(const IkeSa& sa, Role end, ByteView octets) {
  const IkeKeys& keys = keys_of_auth(sa, end);
  const SecretBytes& own = end == Role::kInitiator ? keys.pi : keys.pr;
  if (sa.handshake().resumed) return crypto::prf(sa.suite.prf, own.reveal(), {octets});
  if (is_anonymous(sa, end)) return psk_auth(sa.suite.prf, own.reveal(), octets);
  if (sa.connection->auth != policy::AuthKind::kPsk) return std::nullopt;
  return psk_auth(sa.suite.prf, sa.connection->psk.reveal(), octets);
}

std::uint8_t mac_method(const IkeSa& sa, Role end) {
  return is_anonymous(sa, end) ? kNullMethod : kPskMethod;
}

// Whether an end shows certificates.
bool shows_certificates(const IkeSa& sa, Role end) {
  return sa.connection->auth == policy::AuthKind::kCert && !sa.handshake().resumed &&
         !is_anonymous(sa, end);
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
  if (auto mac = mac_of(sa, sa.role, octets)) {
    TRY_ASSIGN(const SecretBytes value, std::move(*mac));
    auth_made(ctx, sa, static_cast<crypto::AuthMethod>(mac_method(sa, sa.role)),
              to_vector(value.reveal()));
    return {};
  }
  TRY_ASSIGN(SignJob job, sign_job(sa, std::move(octets)));
  ctx.start_job(sa, JobPurpose::kAuthSign, std::move(job));
  return {};
}

Error refused(std::string why) { return make_error(ErrorCode::kAuthentication, std::move(why)); }

// The method of the peer's AUTH is the one agreed to.
Status check_method(const IkeSa& sa, std::uint8_t method) {
  const bool anonymous = is_anonymous(sa, other(sa.role));
  if (method == kNullMethod && !anonymous) {
    return refused(
        "the peer does not prove who it is (NULL authentication), and 'null_auth' does not "
        "let it");
  }
  if (anonymous && method != kNullMethod) {
    return refused(fmt::format(
        "the peer authenticates by method {}, and 'null_auth' says that it does not at all",
        method));
  }
  const bool shared = sa.connection->auth == policy::AuthKind::kPsk || sa.handshake().resumed;
  if (!anonymous && shared && method != kPskMethod) {
    return refused(fmt::format(
        "the peer authenticates by method {} (a certificate?), this side is configured for a "
        "pre-shared key: set the same 'auth' on both{}",
        method, policy::where(sa.connection->lines, policy::Setting::kAuth)));
  }
  if (!anonymous && !shared && method == kPskMethod) {
    return refused(
        "the peer authenticates by a pre-shared key, this side is configured for certificates: "
        "set the same 'auth' on both" +
        policy::where(sa.connection->lines, policy::Setting::kAuth));
  }
  return {};
}

Error wrong_mac(const IkeSa& sa) {
  if (sa.handshake().resumed) return refused("the peer does not know the session of its ticket");
  if (is_anonymous(sa, other(sa.role))) return refused("the AUTH of the anonymous peer is wrong");
  return refused(fmt::format(
      "the pre-shared keys differ (peer identity '{}', ours '{}'): compare the secret, {}the "
      "mesh name and the identities on both sides ('espalier secret pair' prints a pair's key){}",
      policy::to_string(sa.handshake().peer_id), policy::to_string(sa.connection->local_id),
      sa.ppk ? "the post-quantum secret ('ppk'), " : "",
      policy::where(sa.connection->lines, policy::Setting::kPeer)));
}

// Checks the peer's AUTH: a result at once for a shared key; for a signature a job is started and
// `pending` set. Once more when the status of the certificates was fetched.
Status check_auth(Context& ctx, IkeSa& sa, const Message& message, bool& pending) {
  const auto* auth = message.find<AuthPayload>();
  if (auth == nullptr) {
    return make_error(ErrorCode::kAuthentication,
                      "the peer sent no AUTH payload (it wants EAP, which is not supported)");
  }
  TRY_ASSIGN(Bytes octets, octets_of(sa, other(sa.role), sa.handshake().peer_id_body));
  if (auto mac = mac_of(sa, other(sa.role), octets)) {
    TRY(check_method(sa, auth->method));
    TRY_ASSIGN(const SecretBytes value, std::move(*mac));
    if (constant_time_equal(value.reveal(), proof_of_peer(sa, *auth))) return {};
    return wrong_mac(sa);
  }
  TRY(check_method(sa, auth->method));
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
    return fmt::format("the peer '{}' asks for the identity '{}', ours is '{}'{}",
                       policy::to_string(peer), policy::to_string({idr->type, idr->data}),
                       policy::to_string(connection.local_id),
                       policy::where(connection.lines, policy::Setting::kOwn));
  }
  if (!suite_is_acceptable(connection, sa.suite)) {
    return fmt::format("the IKE suite {} is not among the proposals of {}{}",
                       policy::words(sa.suite), connection.name,
                       policy::where(connection.lines, policy::Setting::kIkeProposals));
  }
  return std::nullopt;
}

// Of peers that do not say who they are the address tells which (RFC 7619 section 2.4: only a
// connection made for them); from anywhere else, one that may come from anywhere.
Result<ConnectionRef> find_anonymous(Context& ctx, const IkeSa& sa, const IdPayload* idr) {
  static const std::vector<std::string> kNone;
  const auto at = ctx.core.pairs_at.find(sa.path.remote.ip);
  const auto anywhere = ctx.core.by_identity.find({wire::ike::IdType::kNull, {}});
  std::string why = "no configured peer may stay anonymous ('null_auth')";
  std::size_t looked_at = 0;
  for (const auto* names : {at != ctx.core.pairs_at.end() ? &at->second : &kNone,
                            anywhere != ctx.core.by_identity.end() ? &anywhere->second : &kNone}) {
    for (const std::string& name : *names) {
      if (++looked_at > 2 * kPairsAtAddressMax) break;
      const Pair& pair = ctx.core.pairs.at(name);
      const policy::Connection& connection = *pair.connection;
      if (!policy::peer_is_anonymous(connection.null_auth)) continue;
      const bool from_anywhere = connection.behind_nat || connection.remote_addresses.empty();
      if (names != (at != ctx.core.pairs_at.end() ? &at->second : nullptr) && !from_anywhere) {
        continue;
      }
      auto reason = misfit(sa, pair, {wire::ike::IdType::kNull, {}}, idr);
      if (!reason) return pair.connection;
      why = std::move(*reason);
    }
  }
  return make_error(ErrorCode::kAuthentication, why);
}

// Who is expected at the address that an unknown identity comes from.
std::string expected_there(Context& ctx, const IpAddress& address) {
  const auto names = ctx.core.pairs_at.find(address);
  if (names == ctx.core.pairs_at.end()) return "; nor is one configured at its address";
  const policy::Connection& connection = *ctx.core.pairs.at(names->second.front()).connection;
  return fmt::format("; {} at its address expects '{}': set the same 'id' on both sides{}",
                     connection.name, policy::to_string(connection.remote_id),
                     policy::where(connection.lines, policy::Setting::kPeer));
}

}  // namespace

// One look-up for each form that the table may have the identity under, whatever the number of
// pairs.
Result<ConnectionRef> find_connection(Context& ctx, const IkeSa& sa, const policy::Identity& peer,
                                      const IdPayload* idr) {
  if (peer.type == wire::ike::IdType::kNull) return find_anonymous(ctx, sa, idr);
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
    why = fmt::format("no configured peer has the identity '{}'{}", policy::to_string(peer),
                      expected_there(ctx, sa.path.remote.ip));
  }
  return make_error(ErrorCode::kAuthentication, why);
}

namespace {

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

// Who is anonymous cannot take the place of another (RFC 7619 sections 2.3 and 3.3): while the peer
// of the pair answers, a second one is not let in.
std::optional<std::string> another_is_there(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr || !is_anonymous(sa, other(sa.role))) return std::nullopt;
  const std::vector<IkeSpi> spis(pair->sas.begin(), pair->sas.end());
  for (const IkeSpi spi : spis) {
    IkeSa* there = ctx.find(spi);
    if (there == nullptr || !there->is_up() || has_task(*there, TaskKind::kDeleteIke)) continue;
    // Both ends started at once: the rule for that decides.
    if (there->role == Role::kInitiator && sa.begun < there->established_at) continue;
    if (ctx.now >= there->next_hint) {
      there->next_hint = ctx.now + kHintInterval;
      Task check{TaskKind::kLiveness, Spi(), "", ctx.now};
      check.quick = true;
      add_task(ctx, *there, std::move(check));
      run_tasks(ctx, *there);
    }
    return "an anonymous peer has this pair already, and is asked whether it is still there";
  }
  return std::nullopt;
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
  if (auth != nullptr && auth->method == kNullMethod) return {wire::ike::IdType::kNull, {}};
  return {said.type, said.data};
}

}  // namespace

void handle_auth_request(Context& ctx, IkeSa& sa, const Message& message) {
  sa.state = IkeState::kAuth;
  sa.handshake().auth_id = message.header.message_id;
  const IdPayload* idi = message.id(PayloadType::kIdi);
  ASSERT(idi != nullptr);  // the transition table requires it
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
