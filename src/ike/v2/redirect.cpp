// Redirect (RFC 5685): the responder sends the initiator to another address, in IKE_SA_INIT, in
// IKE_AUTH, or later in INFORMATIONAL.
//
// A redirect in IKE_SA_INIT is not authentic: whoever is on the path can send one, with the nonce.
// So we go only where the configuration lets that peer send us (Redirect::accept), and there only
// with the identity, the credentials and the policy of the same connection (section 3). What is
// learnt holds for one attempt: the next one begins with the configured addresses.
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/negotiate.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::NoncePayload;
using wire::ike::NotifyPayload;

// Section 9.2: GW Ident Type, GW Ident Len, New Responder GW Identity, Nonce Data.
constexpr std::uint8_t kGatewayIpv4 = 1, kGatewayIpv6 = 2;

Bytes encode_gateway(const IpAddress& address, ByteView nonce = {}) {
  Writer out;
  out.u8(address.is_v4() ? kGatewayIpv4 : kGatewayIpv6);
  out.u8(static_cast<std::uint8_t>(address.bytes().size()));
  out.bytes(address.bytes());
  out.bytes(nonce);
  return out.take();
}

struct Gateway {
  IpAddress address;
  Bytes nonce;
};

// Errors: kMalformed; kUnsupported for a DNS name, which nothing here looks up.
Result<Gateway> parse_gateway(ByteView data) {
  Reader reader(data);
  TRY_ASSIGN(const std::uint8_t type, reader.u8());
  TRY_ASSIGN(const std::uint8_t size, reader.u8());
  TRY_ASSIGN(const ByteView identity, reader.take(size));
  if (type == 3) {
    return make_error(ErrorCode::kUnsupported,
                      "the peer redirects us to a DNS name, and names are not looked up: have it "
                      "name the address");
  }
  const bool fits = (type == kGatewayIpv4 && size == 4) || (type == kGatewayIpv6 && size == 16);
  if (!fits) {
    return make_error(ErrorCode::kMalformed, "the peer's redirect names no address");
  }
  TRY_ASSIGN(const IpAddress address, IpAddress::from_bytes(identity));
  return Gateway{address, to_vector(reader.take_rest())};
}

bool follows(const policy::Connection& connection) {
  return connection.redirect && !connection.redirect->accept.empty();
}

// Whether the configuration and section 7 let us go there; it counts.
Status may_go(Context& ctx, const IkeSa& sa, const IpAddress& to) {
  const auto& accept = sa.connection->redirect->accept;
  if (std::none_of(accept.begin(), accept.end(),
                   [&](const Prefix& prefix) { return prefix.contains(to); })) {
    return make_error(
        ErrorCode::kAuthentication,
        fmt::format("{} redirects us to {}, which 'accept' of 'redirect' does not name",
                    sa.path.remote.to_string(), to.to_string()));
  }
  Pair* pair = ctx.pair_of(sa);
  if (pair == nullptr || pair->disabled || has_task(sa, TaskKind::kDeleteIke)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "the peer redirects us while we close the connection: not followed");
  }
  RedirectCount& count = pair->redirects.made();
  if (count.followed == 0 || ctx.now - count.since >= kRedirectPeriod) count = {ctx.now, 0};
  if (++count.followed > kRedirectsMax) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("{} redirects in {} s: the gateways send us from one to another",
                                  count.followed, whole_seconds(kRedirectPeriod)));
  }
  return {};
}

// Begins with the new gateway. leaves: the IKE SA that goes when the new one stands, or 0.
void go_to(Context& ctx, const IkeSa& sa, const IpAddress& to, IkeSpi leaves) {
  const ConnectionRef connection = sa.connection;
  const IpAddress from = sa.path.remote.ip;
  const bool same_family = to.family() == sa.path.local.ip.family();
  const IpAddress local = same_family ? sa.path.local.ip : IpAddress::any(to.family());
  const bool own_port = connection->remote_port != ctx.core.settings.port;
  const Path path{{local, own_port ? ctx.core.settings.nat_port : ctx.core.settings.port},
                  {to, connection->remote_port}};
  ctx.count(Counter::kRedirectsFollowed);
  ctx.event(EventKind::kNote, LogLevel::kInfo, connection->name,
            fmt::format("{} redirects us to {}", from.to_string(), to.to_string()));
  IkeSa& begun = start_init(ctx, connection, path);
  begun.handshake().redirected_from = from;
  begun.handshake().leaves = leaves;
}

bool can_be_redirected(const Message& init_request) {
  // Section 3: REDIRECTED_FROM says it too.
  return init_request.notify(NotifyType::kRedirectSupported) != nullptr ||
         init_request.notify(NotifyType::kRedirectedFrom) != nullptr;
}

// The gateway that sent the initiator to us, if one did.
std::optional<IpAddress> sender_of(const Message& init_request) {
  const auto* from = init_request.notify(NotifyType::kRedirectedFrom);
  if (from == nullptr) return std::nullopt;
  const auto gateway = parse_gateway(from->data);
  return gateway ? std::optional<IpAddress>(gateway->address) : std::nullopt;
}

void refuse_redirect(Context& ctx, const IkeSa& sa, const std::string& why) {
  ctx.count(Counter::kRedirectsRefused);
  ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(), why);
}

}  // namespace

void add_redirect_support(IkeSa& sa, std::vector<Payload>& payloads) {
  sa.follows_redirects = follows(*sa.connection);
  if (!sa.follows_redirects) return;
  if (const auto& from = sa.handshake().redirected_from) {
    payloads.push_back(make_notify(NotifyType::kRedirectedFrom, encode_gateway(*from)));
  } else {
    payloads.push_back(make_notify(NotifyType::kRedirectSupported));
  }
}

void read_redirect_support(IkeSa& sa, const Message& init_request) {
  sa.peer_follows_redirects = can_be_redirected(init_request);
  sa.handshake().redirected_from = sender_of(init_request);
}

bool redirect_in_init(Context& ctx, const Path& path, const Message& request,
                      const policy::Connection& connection) {
  if (!connection.redirect || !connection.redirect->to || connection.redirect->after_auth ||
      !can_be_redirected(request)) {
    return false;
  }
  const IpAddress to = *connection.redirect->to;
  // Who comes to that address is where it shall be (section 4: our own may be meant), and who was
  // sent here by the one whom we would send it to stays.
  if (path.local.ip == to || sender_of(request) == to) return false;
  ctx.count(Counter::kRedirected);
  const Bytes& nonce = request.find<NoncePayload>()->data;
  send_stateless(ctx, path, request.header,
                 {make_notify(NotifyType::kRedirect, encode_gateway(to, nonce))});
  return true;
}

void follow_init_redirect(Context& ctx, IkeSa& sa, const NotifyPayload& redirect) {
  const auto gateway = parse_gateway(redirect.data);
  // Section 3: without our nonce it is silently discarded, and the answer waited for.
  if (!sa.follows_redirects || (gateway && gateway->nonce != sa.nonce_i)) {
    return ctx.count(Counter::kRedirectsRefused);
  }
  if (!gateway) return refuse_redirect(ctx, sa, gateway.error().message);
  if (const Status allowed = may_go(ctx, sa, gateway->address); !allowed) {
    ctx.count(Counter::kRedirectsRefused);
    if (allowed.error().code == ErrorCode::kLimit) {
      return fail_handshake(ctx, sa, allowed.error().message);
    }
    // It may be forged: the responder's own answer may yet come.
    return ctx.event(EventKind::kDropped, LogLevel::kWarning, sa.pair(), allowed.error().message);
  }
  go_to(ctx, sa, gateway->address, IkeSpi());
  destroy(ctx, sa, "");
}

bool redirect_in_auth(Context& ctx, IkeSa& sa, std::vector<Payload>& payloads) {
  const auto& redirect = sa.connection->redirect;
  if (!redirect || !redirect->to || !redirect->after_auth || !sa.peer_follows_redirects ||
      sa.path.local.ip == *redirect->to || sa.handshake().redirected_from == redirect->to) {
    return false;
  }
  ctx.count(Counter::kRedirected);
  payloads.push_back(make_notify(NotifyType::kRedirect, encode_gateway(*redirect->to)));
  return true;
}

bool follow_redirect(Context& ctx, IkeSa& sa, const Message& message) {
  const auto* redirect = message.notify(NotifyType::kRedirect);
  // Section 10: only the original responder redirects, and only the original initiator.
  if (redirect == nullptr) return false;
  if (!sa.follows_redirects) {
    refuse_redirect(ctx, sa, "the peer redirects us, and we did not say that we follow");
    return true;
  }
  const auto gateway = parse_gateway(redirect->data);
  const Status allowed = gateway ? may_go(ctx, sa, gateway->address) : Status(gateway.error());
  if (!allowed) {
    refuse_redirect(ctx, sa, allowed.error().message);
    return true;
  }
  go_to(ctx, sa, gateway->address, sa.local_spi());
  return true;
}

Status redirect_peer(Context& ctx, IkeSa& sa, const IpAddress& to) {
  if (!sa.peer_follows_redirects) {
    return make_error(ErrorCode::kUnsupported,
                      sa.pair() +
                          ": only a peer that began the session and follows redirects (RFC 5685) "
                          "can be redirected");
  }
  Task task{TaskKind::kRedirect, Spi(), "", ctx.now};
  task.address = to;
  add_task(ctx, sa, std::move(task));
  run_tasks(ctx, sa);
  return {};
}

void start_redirect(Context& ctx, IkeSa& sa, const Task& task) {
  if (sa.state != IkeState::kEstablished) return;
  sa.active = ActiveTask{};
  sa.active->task = task;
  ctx.count(Counter::kRedirected);
  // Section 5: without nonce data, the IKE SA protects it.
  send_request(ctx, sa, ExchangeType::kInformational,
               {make_notify(NotifyType::kRedirect, encode_gateway(task.address))});
}

void leave_old_gateway(Context& ctx, IkeSa& sa) {
  const IkeSpi leaves = sa.handshake().leaves;
  IkeSa* old = leaves.value != 0 ? ctx.find(leaves) : nullptr;
  if (old == nullptr || old->state == IkeState::kDead) return;
  // Rekeyed meanwhile: its successor has the children.
  if (old->successor) old = ctx.find(*old->successor);
  if (old == nullptr || old->state != IkeState::kEstablished) return;
  add_task(ctx, *old, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
  run_tasks(ctx, *old);
}

}  // namespace espalier::ike::v2
