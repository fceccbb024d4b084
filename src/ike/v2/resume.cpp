// Session resumption (RFC 5723): a client whose peer fell silent begins again with a ticket in
// place of a key exchange and an authentication.
//
//   HDR(IKE_SESSION_RESUME), [N(COOKIE),] Ni, N(TICKET_OPAQUE), N(NATD)x2 -->
//                                 <-- HDR(IKE_SESSION_RESUME), Nr, N(NATD)x2 | N(TICKET_NACK)
//   HDR(IKE_AUTH), SK {IDi, [IDr,] AUTH, ..., N(TICKET_REQUEST)} -->
//                                 <-- HDR(IKE_AUTH), SK {IDr, AUTH, ..., N(TICKET_LT_OPAQUE)}
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/first_exchange.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/negotiate.hpp"
#include "policy/identity.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::NoncePayload;
using wire::ike::NotifyPayload;

// Of the peer itself where the configured identity is a wildcard.
const policy::Identity& identity_of_peer(Context& ctx, const IkeSa& sa) {
  const Pair* pair = ctx.pair_of(sa);
  return pair != nullptr && pair->holder ? *pair->holder : sa.connection->remote_id;
}

// A session without an authentication has nothing to resume.
bool gives_tickets(const policy::Connection& connection) {
  return connection.resumption && connection.null_auth == policy::NullAuth::kNone;
}

Status derive(Context& ctx, IkeSa& sa) {
  const KeyInputs inputs{{}, sa.nonce_i, sa.nonce_r, sa.spi_i, sa.spi_r};
  TRY_ASSIGN(sa.keys,
             derive_resumed_ike_keys(sa.suite, sa.handshake().resumed->sk_d.reveal(), inputs));
  sa.iv_counter = ctx.rng.u64();
  return {};
}

void send_resume(Context& ctx, IkeSa& sa) {
  std::vector<Payload> payloads;
  if (!sa.handshake().cookie.empty()) {
    payloads.push_back(make_notify(NotifyType::kCookie, sa.handshake().cookie));
  }
  payloads.push_back(NoncePayload{sa.nonce_i});
  payloads.push_back(make_notify(NotifyType::kTicketOpaque, sa.handshake().ticket));
  add_first_notifies(ctx, sa, sa.connection, payloads);
  sa.next_request = MessageId(0);
  sa.outstanding.reset();
  send_request(ctx, sa, ExchangeType::kIkeSessionResume, payloads);
  sa.handshake().init_request = sa.outstanding->packets.front();
}

// The ticket is of no use: a full exchange, at once.
void start_over(Context& ctx, IkeSa& sa, const std::string& why) {
  const ConnectionRef connection = sa.connection;
  Path path = sa.path;
  if (Pair* pair = ctx.pair_of(sa)) pair->ticket.reset();
  ctx.event(EventKind::kNote, LogLevel::kInfo, connection->name,
            fmt::format("{}; a full exchange follows", why));
  destroy(ctx, sa, "");
  start_init(ctx, connection, path);
}

// What both ends keep of the session.
TicketState state_of(Context& ctx, const IkeSa& sa, bool client) {
  TicketState state;
  state.idi = client ? sa.connection->local_id : identity_of_peer(ctx, sa);
  state.idr = client ? identity_of_peer(ctx, sa) : sa.connection->local_id;
  state.suite = sa.suite;
  state.sk_d = sa.keys.d;
  state.ppk = sa.ppk;
  state.auth_by = sa.reauth_by.value_or(Instant());
  state.mark = credentials_mark(*sa.connection);
  if (sa.peer_certificates) state.path = sa.peer_certificates->path;
  return state;
}

void take_over(IkeSa& sa, const TicketState& state) {
  sa.ppk = state.ppk;
  if (!state.path.empty()) sa.peer_certificates = PeerCertificates{state.path, {}};
}

// Nothing that the configuration says now forbids the session.
Status fits(const policy::Connection& connection, const TicketState& state) {
  const auto refused = [](const char* why) { return make_error(ErrorCode::kAuthentication, why); };
  if (!gives_tickets(connection)) return refused("'resumption' is off for this peer");
  if (state.mark != credentials_mark(connection)) {
    return refused("the credentials of the session were changed");
  }
  if (connection.ppk && connection.ppk->required && !state.ppk) {
    return refused("the session had no post-quantum key, which 'ppk' requires now");
  }
  if (!policy::same_identity(state.idr, connection.local_id)) {
    return refused("our identity was changed");
  }
  return {};
}

Result<OpenedTicket> open(Context& ctx, ByteView opaque) {
  refresh(ctx.core.ticket_keys, ctx.rng, ctx.now);
  TRY_ASSIGN(OpenedTicket ticket, open_ticket(ctx.core.ticket_keys, opaque, ctx.now));
  // Section 4.3.1: "A reused ticket SHOULD be rejected".
  if (ctx.core.used_tickets.contains(ticket.handle)) {
    return make_error(ErrorCode::kAuthentication, "the session ticket was used before");
  }
  return ticket;
}

// The responder's SA to be; its connection is looked up again in IKE_AUTH.
Result<IkeSa> accept(Context& ctx, const Path& path, const Message& message, ByteView opaque) {
  TRY_ASSIGN(OpenedTicket ticket, open(ctx, opaque));
  IkeSa sa;
  sa.role = Role::kResponder;
  sa.state = IkeState::kHalfOpen;
  sa.path = path;
  sa.suite = ticket.state.suite;
  TRY_ASSIGN(const ConnectionRef connection, find_connection(ctx, sa, ticket.state.idi, nullptr));
  TRY(fits(*connection, ticket.state));
  const Pair& pair = ctx.core.pairs.at(connection->name);
  if (pair.disabled && !connection->foreign) {
    return make_error(ErrorCode::kAuthentication, "the pair is down by the operator's wish");
  }
  sa.spi_i = message.header.spi_i;
  sa.spi_r = ctx.allocate_ike_spi();
  sa.connection = connection;
  sa.nonce_i = message.find<NoncePayload>()->data;
  sa.nonce_r = ctx.rng.bytes(kNonceOctets);
  sa.handshake().resumed = std::move(ticket.state);
  sa.handshake().ticket_handle = std::move(ticket.handle);
  TRY(derive(ctx, sa));
  return sa;
}

}  // namespace

bool start_resume(Context& ctx, IkeSa& sa) {
  Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr || !pair->ticket || pair->ticket->sa.value != 0) return false;
  // Section 4.3.1: not when its lifetime is over.
  if (ctx.now >= pair->ticket->expires || !gives_tickets(*sa.connection)) {
    pair->ticket.reset();
    return false;
  }
  sa.handshake().resumed = pair->ticket->state;
  sa.handshake().ticket = pair->ticket->opaque;
  sa.suite = pair->ticket->state.suite;
  ctx.event(EventKind::kNote, LogLevel::kInfo, sa.pair(),
            fmt::format("resuming the session with {}", sa.path.remote.to_string()));
  send_resume(ctx, sa);
  return true;
}

void process_resume_response(Context& ctx, IkeSa& sa, ByteView datagram, const Message& message) {
  if (const auto* cookie = message.notify(NotifyType::kCookie)) {
    if (take_cookie(ctx, sa, *cookie)) send_resume(ctx, sa);
    return;
  }
  // Not authentic; what it can bring about is a full exchange.
  if (message.notify(NotifyType::kTicketNack) != nullptr) {
    return start_over(ctx, sa, "the peer did not take our session ticket");
  }
  if (const auto* error = find_error(message)) {
    return start_over(ctx, sa,
                      fmt::format("the peer refused to resume the session with {}",
                                  wire::ike::name(error->type)));
  }
  const auto* nonce = message.find<NoncePayload>();
  if (nonce == nullptr || message.header.spi_r.value == 0) {
    return ctx.count(Counter::kDropUnexpected);
  }
  // Whatever comes of it, the ticket has been presented; should IKE_AUTH come to nothing, a full
  // exchange is next.
  if (Pair* pair = ctx.pair_of(sa)) pair->ticket.reset();
  sa.spi_r = message.header.spi_r;
  sa.nonce_r = nonce->data;
  read_first_notifies(ctx, sa, message);
  if (wants_encap(ctx, sa.connection) && !sa.encap) {
    return start_over(ctx, sa, "the peer resumes the session without NAT traversal");
  }
  if (const Status agreed = agree_on_childless(sa, message); !agreed) {
    return start_over(ctx, sa, agreed.error().message);
  }
  sa.handshake().init_response = to_vector(datagram);
  sa.outstanding.reset();
  if (const Status derived = derive(ctx, sa); !derived) {
    return fail_handshake(ctx, sa, derived.error().message);
  }
  take_over(sa, *sa.handshake().resumed);
  move_to_nat_port(ctx, sa);
  sa.state = IkeState::kAuth;
  start_auth(ctx, sa);
}

void handle_resume_request(Context& ctx, const Path& path, ByteView datagram,
                           const Message& message) {
  if (is_repeated(ctx, path, datagram, message)) return;
  const auto* nonce = message.find<NoncePayload>();
  const auto* opaque = message.notify(NotifyType::kTicketOpaque);
  if (nonce == nullptr || opaque == nullptr || message.header.spi_i.value == 0) {
    return ctx.count(Counter::kDropUnexpected);
  }
  const Admission admission = admit(ctx, path, message, nonce->data);
  if (admission == Admission::kRefused) return;
  auto accepted = accept(ctx, path, message, opaque->data);
  if (!accepted) {
    ctx.count(Counter::kTicketsRefused);
    ctx.event(EventKind::kDropped, LogLevel::kInfo, "",
              fmt::format("IKE_SESSION_RESUME from {} refused with TICKET_NACK: {}",
                          path.remote.to_string(), accepted.error().message));
    return send_stateless(ctx, path, message.header, {make_notify(NotifyType::kTicketNack)});
  }
  read_first_notifies(ctx, *accepted, message);
  IkeSa& sa = add_half_open(ctx, std::move(*accepted), datagram, path, admission);
  std::vector<Payload> payloads{NoncePayload{sa.nonce_r}};
  add_first_notifies(ctx, sa, sa.connection, payloads);
  announce_childless(sa, payloads);
  send_response(ctx, sa, ExchangeType::kIkeSessionResume, MessageId(0), payloads);
  sa.handshake().init_response = sa.last_response->packets.front();
  // As after IKE_SA_INIT: until IKE_AUTH no pair may act on this SA.
  sa.connection = ConnectionRef();
}

Status check_resumed(Context& ctx, IkeSa& sa, const Message& request) {
  const auto refused = [](const char* why) { return make_error(ErrorCode::kAuthentication, why); };
  const TicketState& state = *sa.handshake().resumed;
  // Section 4.3.3: the identities are the ticket's, and nobody shows a certificate.
  if (!policy::same_identity(state.idi, sa.handshake().peer_id)) {
    return refused("the peer resumes a session as somebody else than whose it is");
  }
  if (request.find<wire::ike::CertPayload>() != nullptr) {
    return refused("the peer sent a certificate to resume a session");
  }
  if (ctx.core.used_tickets.contains(sa.handshake().ticket_handle)) {
    return refused("the session ticket was used before");
  }
  TRY(fits(*sa.connection, state));
  take_over(sa, state);
  return {};
}

void keep_authentication(Context& ctx, IkeSa& sa) {
  if (!sa.handshake().resumed || sa.handshake().resumed->auth_by == Instant()) return;
  const Instant by = sa.handshake().resumed->auth_by;
  if (sa.reauth_by && *sa.reauth_by <= by) return;
  sa.reauth_by = by;
  // As schedule_reauth() has it: the end that began, first.
  sa.reauth_at = by - (by - ctx.now) / (sa.began ? 10 : 20);
}

Status use_ticket(Context& ctx, const IkeSa& sa) {
  if (!sa.handshake().resumed) return {};
  auto& used = ctx.core.used_tickets;
  while (!used.empty() && used.begin()->first <= ctx.now) used.erase(used.begin());
  if (used.size() >= kUsedTicketsMax) {
    return make_error(ErrorCode::kLimit, "too many sessions were resumed in a day");
  }
  if (!used.insert(sa.handshake().ticket_handle).second) {
    return make_error(ErrorCode::kAuthentication, "the session ticket was used before");
  }
  ctx.count(Counter::kResumed);
  return {};
}

void request_ticket(const IkeSa& sa, std::vector<Payload>& payloads) {
  if (gives_tickets(*sa.connection)) payloads.push_back(make_notify(NotifyType::kTicketRequest));
}

void answer_ticket_request(Context& ctx, IkeSa& sa, const Message& request,
                           std::vector<Payload>& payloads) {
  if (request.notify(NotifyType::kTicketRequest) == nullptr) return;
  // Section 6.2: no longer than the IKE SA, and than its authentication is good.
  const Instant end = std::min(sa.expire_at, sa.reauth_by.value_or(sa.expire_at));
  const Duration left = std::min<Duration>(end - ctx.now, kTicketLifetimeMax);
  const std::int64_t lifetime = whole_seconds(left);
  if (!gives_tickets(*sa.connection) || sa.state != IkeState::kEstablished || lifetime <= 0) {
    payloads.push_back(make_notify(NotifyType::kTicketNack));
    return;
  }
  refresh(ctx.core.ticket_keys, ctx.rng, ctx.now);
  Writer data;
  data.u32(static_cast<std::uint32_t>(lifetime));
  data.bytes(seal_ticket(ctx.core.ticket_keys, ctx.rng, state_of(ctx, sa, false), ctx.now + left));
  ctx.count(Counter::kTicketsGranted);
  payloads.push_back(make_notify(NotifyType::kTicketLtOpaque, data.view()));
}

void take_ticket(Context& ctx, IkeSa& sa, const Message& response) {
  Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr || !gives_tickets(*sa.connection)) return;
  const auto* granted = response.notify(NotifyType::kTicketLtOpaque);
  if (granted == nullptr) {
    // Section 4.1: it could not at once.
    if (response.notify(NotifyType::kTicketAck) != nullptr) {
      add_task(ctx, sa, {TaskKind::kTicketRequest, Spi(), "", ctx.now + kRekeyRetry});
    }
    return;
  }
  Reader reader(granted->data);
  const auto lifetime = reader.u32();
  const ByteView opaque = reader.take_rest();
  if (!lifetime || opaque.empty() || opaque.size() > kTicketOctetsMax) {
    return ctx.count(Counter::kDropMalformed);
  }
  const Duration good = std::min<Duration>(std::chrono::seconds(*lifetime), kTicketLifetimeMax);
  pair->ticket = Ticket{to_vector(opaque), ctx.now + good, state_of(ctx, sa, true), sa.local_spi()};
  // Another before it expires, if the IKE SA lives longer.
  if (ctx.now + good + kRekeyRetry < sa.expire_at) {
    add_task(ctx, sa, {TaskKind::kTicketRequest, Spi(), "", ctx.now + good * 3 / 4});
  }
}

void start_ticket_request(Context& ctx, IkeSa& sa, const Task& task) {
  if (sa.state != IkeState::kEstablished) return;
  sa.active = ActiveTask{};
  sa.active->task = task;
  send_request(ctx, sa, ExchangeType::kInformational, {make_notify(NotifyType::kTicketRequest)});
}

void drop_ticket(Context& ctx, const IkeSa& sa) {
  Pair* pair = ctx.pair_of(sa);
  if (pair != nullptr && pair->ticket && pair->ticket->sa == sa.local_spi()) pair->ticket.reset();
}

void keep_ticket(Context& ctx, const IkeSa& sa) {
  Pair* pair = ctx.pair_of(sa);
  if (pair != nullptr && pair->ticket && pair->ticket->sa == sa.local_spi()) {
    pair->ticket->sa = IkeSpi();
  }
}

void void_tickets(Context& ctx) {
  forget_keys(ctx.core.ticket_keys);
  for (auto& [name, pair] : ctx.core.pairs) pair.ticket.reset();
}

void ticket_goes_on(Context& ctx, const IkeSa& old, IkeSa& successor) {
  const Pair* pair = ctx.pair_of(old);
  if (pair == nullptr || !pair->ticket || pair->ticket->sa != old.local_spi()) return;
  drop_ticket(ctx, old);
  add_task(ctx, successor, {TaskKind::kTicketRequest, Spi(), "", ctx.now});
}

}  // namespace espalier::ike::v2
