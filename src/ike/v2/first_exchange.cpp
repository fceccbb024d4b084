#include "ike/v2/first_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/prf.hpp"
#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/nat.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::NotifyPayload;

void demand_cookie(Context& ctx, const Path& path, const Message& message, const Bytes& nonce) {
  ctx.count(Counter::kCookiesDemanded);
  send_stateless(ctx, path, message.header,
                 {make_notify(NotifyType::kCookie,
                              make_cookie(ctx, nonce, path.remote, message.header.spi_i))});
}

}  // namespace

void add_first_notifies(Context& ctx, IkeSa& sa, const ConnectionRef& connection,
                        std::vector<Payload>& payloads) {
  if (wants_encap(ctx, connection) && sa.handshake().faked_nat_source.empty()) {
    // A source hash that fits no address makes the peer see a NAT, and so encapsulate ESP in UDP:
    // the only form that a dataplane without raw ESP can take.
    sa.handshake().faked_nat_source = ctx.rng.bytes(20);
  }
  const Bytes source = sa.handshake().faked_nat_source.empty()
                           ? nat_hash(sa.spi_i, sa.spi_r, sa.path.local)
                           : sa.handshake().faked_nat_source;
  payloads.push_back(make_notify(NotifyType::kNatDetectionSourceIp, source));
  payloads.push_back(make_notify(NotifyType::kNatDetectionDestinationIp,
                                 nat_hash(sa.spi_i, sa.spi_r, sa.path.remote)));
  if (!connection || connection->fragmentation) {
    payloads.push_back(make_notify(NotifyType::kIkev2FragmentationSupported));
  }
  Writer hashes;
  for (const crypto::HashId hash : crypto::supported_hashes()) {
    hashes.u16(static_cast<std::uint16_t>(hash));
  }
  payloads.push_back(make_notify(NotifyType::kSignatureHashAlgorithms, hashes.view()));
}

void read_first_notifies(Context& ctx, IkeSa& sa, const Message& message) {
  const IkeSpi spi_r = message.header.spi_r;
  bool source_seen = false;
  bool source_matches = false;
  const Bytes expected_source = nat_hash(sa.spi_i, spi_r, sa.path.remote);
  const Bytes expected_destination = nat_hash(sa.spi_i, spi_r, sa.path.local);
  for (const Payload& payload : message.payloads) {
    const auto* notify = std::get_if<NotifyPayload>(&payload);
    if (notify == nullptr) continue;
    switch (notify->type) {
      case NotifyType::kNatDetectionSourceIp:
        source_seen = true;
        source_matches = source_matches || notify->data == expected_source;
        break;
      case NotifyType::kNatDetectionDestinationIp:
        sa.nat_here = notify->data != expected_destination;
        break;
      case NotifyType::kIkev2FragmentationSupported: sa.peer_fragmentation = true; break;
      case NotifyType::kSignatureHashAlgorithms: {
        Reader reader(notify->data);
        while (sa.peer_hashes.size() < 16) {
          const auto hash = reader.u16();
          if (!hash) break;
          sa.peer_hashes.push_back(static_cast<crypto::HashId>(*hash));
        }
        break;
      }
      default: break;
    }
  }
  sa.nat_there = source_seen && !source_matches;
  sa.handshake().peer_nat_traversal = source_seen;
  sa.encap = source_seen && (sa.nat_here || sa.nat_there || wants_encap(ctx, sa.connection));
}

void move_to_nat_port(const Context& ctx, IkeSa& sa) {
  // With MOBIKE without a NAT too (RFC 4555 section 3.3): a later path may have one.
  const bool may_move = sa.handshake().peer_nat_traversal && may_use_mobike(*sa.connection);
  if (!sa.encap && !may_move) return;
  sa.path.local.port = ctx.core.settings.nat_port;
  // A peer on a port of its own stays there.
  if (sa.path.remote.port == ctx.core.settings.port) {
    sa.path.remote.port = ctx.core.settings.nat_port;
  }
}

Admission admit(Context& ctx, const Path& path, const Message& message, const Bytes& nonce) {
  const NotifyPayload* cookie = message.notify(NotifyType::kCookie);
  const bool proved = cookie != nullptr &&
                      cookie_is_valid(ctx, cookie->data, nonce, path.remote, message.header.spi_i);
  if (cookie != nullptr && !proved) ctx.count(Counter::kDropCookie);
  if (!proved) {
    if (!ctx.core.half_open.demands_cookie(path.remote.ip)) return Admission::kAdmitted;
    demand_cookie(ctx, path, message, nonce);
    return Admission::kRefused;
  }
  if (ctx.core.half_open.size() < kHalfOpenMax) return Admission::kProved;
  // The oldest has had time enough to go on to IKE_AUTH, were it in earnest.
  const auto oldest = ctx.core.half_open.oldest(ctx.now - kHalfOpenFairTime);
  IkeSa* victim = oldest ? ctx.find(*oldest) : nullptr;
  if (victim == nullptr) {
    ctx.count(Counter::kDropHalfOpen);
    return Admission::kRefused;
  }
  ctx.count(Counter::kHalfOpenEvicted);
  destroy(ctx, *victim, "");
  return Admission::kProved;
}

bool is_repeated(Context& ctx, const Path& path, ByteView datagram, const Message& message) {
  const auto known = ctx.core.init_requests.find({message.header.spi_i, path.remote});
  if (known == ctx.core.init_requests.end()) return false;
  IkeSa* sa = ctx.find(known->second);
  if (sa == nullptr) return false;
  const bool answered = sa->state == IkeState::kHalfOpen || sa->state == IkeState::kIntermediate;
  if (answered && sa->last_response && sa->last_response->id.value == 0 &&
      equal(sa->handshake().init_request, datagram)) {
    ctx.count(Counter::kResponsesRepeated);
    transmit(ctx, sa->path, sa->last_response->packets);
  } else {
    ctx.count(Counter::kDropBusy);
  }
  return true;
}

IkeSa& add_half_open(Context& ctx, IkeSa sa, ByteView datagram, const Path& path,
                     Admission admission) {
  sa.begun = ctx.now;
  sa.discard_at = ctx.now + kHalfOpenLifetime;
  sa.handshake().init_request = to_vector(datagram);
  sa.half_open = true;
  sa.cookie_returned = admission == Admission::kProved;
  sa.init_from = path.remote;
  ctx.core.half_open.add(sa.begun, sa.spi_r, path.remote.ip, sa.cookie_returned);
  IkeSa& added = ctx.add(std::move(sa));
  ctx.core.init_requests[{added.spi_i, path.remote}] = added.local_spi();
  return added;
}

bool may_restart(Context& ctx, IkeSa& sa, const std::string& what) {
  if (++sa.handshake().restarts <= kInitRestartsMax) return true;
  fail_handshake(ctx, sa,
                 fmt::format("{} answered {} again and again", sa.path.remote.to_string(), what));
  return false;
}

bool take_cookie(Context& ctx, IkeSa& sa, const NotifyPayload& cookie) {
  if (!may_restart(ctx, sa, "COOKIE")) return false;
  if (cookie.data.empty() || cookie.data.size() > 64) {
    ctx.count(Counter::kDropMalformed);  // RFC 7296 section 2.6: between 1 and 64 octets
    return false;
  }
  sa.handshake().cookie = cookie.data;
  return true;
}

void announce_childless(IkeSa& sa, std::vector<Payload>& payloads) {
  if (sa.connection->childless == policy::Childless::kNever) return;
  // Section 4: with the protocol of IKE, unlike the other notifies here.
  payloads.push_back(
      NotifyPayload{wire::ike::ProtocolId::kIke, NotifyType::kChildlessIkev2Supported, {}, {}});
  sa.handshake().childless = true;
}

Status agree_on_childless(IkeSa& sa, const Message& response) {
  const policy::Childless wanted = sa.connection->childless;
  // Section 3: only where the responder said that it can.
  const bool possible = response.notify(NotifyType::kChildlessIkev2Supported) != nullptr;
  if (wanted == policy::Childless::kForce && !possible) {
    return make_error(
        ErrorCode::kUnsupported,
        fmt::format("{} does not take an IKE SA without a child (RFC 6023), and 'childless: force' "
                    "wants one: write prefer, or allow it there",
                    sa.path.remote.to_string()));
  }
  sa.handshake().childless =
      possible && (wanted == policy::Childless::kForce || wanted == policy::Childless::kPrefer);
  return {};
}

}  // namespace espalier::ike::v2
