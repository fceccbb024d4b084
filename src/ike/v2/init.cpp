// IKE_SA_INIT (RFC 7296 sections 1.2, 2.6, 2.7, 2.23).
//
//   initiator                                   responder
//   HDR, [COOKIE], SAi1, KEi, Ni, N(NATD)x2 -->
//                                           <-- HDR, SAr1, KEr, Nr, N(NATD)x2 | N(COOKIE) |
//                                           N(INVALID_KE_PAYLOAD)
#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/certificates.hpp"
#include "ike/v2/first_exchange.hpp"
#include "ike/v2/lifecycle.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/negotiate.hpp"
#include "ike/v2/ppk.hpp"
#include "policy/proposal.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::KePayload;
using wire::ike::NoncePayload;
using wire::ike::NotifyPayload;
using wire::ike::SaPayload;

bool offers_additional(const std::vector<policy::IkeProposal>& proposals) {
  return std::any_of(proposals.begin(), proposals.end(),
                     [](const policy::IkeProposal& one) { return !one.additional.empty(); });
}

bool knows_intermediate(const Message& message) {
  return message.notify(NotifyType::kIntermediateExchangeSupported) != nullptr;
}

void send_init(Context& ctx, IkeSa& sa) {
  std::vector<Payload> payloads;
  if (!sa.handshake().cookie.empty()) {
    // RFC 7296 section 2.6: the cookie comes first.
    payloads.push_back(make_notify(NotifyType::kCookie, sa.handshake().cookie));
  }
  payloads.push_back(SaPayload{policy::to_wire(sa.connection->proposals, ByteView())});
  payloads.push_back(
      KePayload{static_cast<std::uint16_t>(sa.handshake().dh.group), sa.handshake().dh.public_key});
  payloads.push_back(NoncePayload{sa.nonce_i});
  add_first_notifies(ctx, sa, sa.connection, payloads);
  if (sa.connection->ppk) payloads.push_back(make_notify(NotifyType::kUsePpk));
  add_redirect_support(sa, payloads);
  if (offers_additional(sa.connection->proposals)) {
    payloads.push_back(make_notify(NotifyType::kIntermediateExchangeSupported));
  }
  sa.next_request = MessageId(0);
  sa.outstanding.reset();
  send_request(ctx, sa, ExchangeType::kIkeSaInit, payloads);
  sa.handshake().init_request = sa.outstanding->packets.front();
}

struct InitOffer {
  policy::Selected<policy::IkeSuite> selected;
  ConnectionRef connection;  // the first candidate that agrees; IKE_AUTH may choose another
};

Result<InitOffer> choose(const Context& ctx, const Path& path, const SaPayload& sa) {
  Error last =
      make_error(ErrorCode::kNoProposalChosen,
                 "no configured peer has this address, and none may come from any address");
  const auto try_one = [&](const ConnectionRef& connection) -> std::optional<InitOffer> {
    auto selected = policy::select_ike(connection->proposals, sa.proposals);
    if (selected) return InitOffer{std::move(*selected), connection};
    last = selected.error();
    last.message = connection->name + ": " + last.message +
                   policy::where(connection->lines, policy::Setting::kIkeProposals);
    return std::nullopt;
  };
  if (const auto found = ctx.core.by_address.find(path.remote.ip);
      found != ctx.core.by_address.end()) {
    for (const ConnectionRef& connection : found->second) {
      if (auto offer = try_one(connection)) return std::move(*offer);
    }
  }
  for (const ConnectionRef& connection : ctx.core.any_address) {
    if (auto offer = try_one(connection)) return std::move(*offer);
  }
  return last;
}

// Whether one of those who may ask has a post-quantum key (RFC 8784 section 3): who it is, IKE_AUTH
// says.
bool may_use_ppk(const Context& ctx, const Path& path) {
  const auto has = [](const std::vector<ConnectionRef>& list) {
    return std::any_of(list.begin(), list.end(),
                       [](const ConnectionRef& one) { return one->ppk.has_value(); });
  };
  const auto found = ctx.core.by_address.find(path.remote.ip);
  return (found != ctx.core.by_address.end() && has(found->second)) || has(ctx.core.any_address);
}

void answer_init(Context& ctx, IkeSa& sa, const JobResult& result) {
  const Message request = std::move(*sa.handshake().init_message);
  sa.handshake().init_message.reset();
  const KeyInputs inputs{result.shared.reveal(), sa.nonce_i, sa.nonce_r, sa.spi_i, sa.spi_r};
  auto keys = derive_ike_keys(sa.suite, inputs);
  if (!keys) {
    fail_handshake(ctx, sa, keys.error().message);
    return;
  }
  sa.keys = std::move(*keys);
  sa.iv_counter = ctx.rng.u64();
  auto selected =
      policy::select_ike(sa.connection->proposals, request.find<SaPayload>()->proposals);
  if (!selected) {
    fail_handshake(ctx, sa, selected.error().message);
    return;
  }
  std::vector<Payload> payloads;
  payloads.push_back(SaPayload{{selected->reply}});
  payloads.push_back(
      KePayload{static_cast<std::uint16_t>(sa.suite.dh), result.key_pair.public_key});
  payloads.push_back(NoncePayload{sa.nonce_r});
  add_first_notifies(ctx, sa, sa.connection, payloads);
  if (sa.handshake().use_ppk) payloads.push_back(make_notify(NotifyType::kUsePpk));
  const bool more = policy::has_additional(sa.suite.additional);
  if (more) payloads.push_back(make_notify(NotifyType::kIntermediateExchangeSupported));
  add_certificate_request(*sa.connection, payloads);
  announce_childless(sa, payloads);
  send_response(ctx, sa, ExchangeType::kIkeSaInit, MessageId(0), payloads);
  sa.handshake().init_response = sa.last_response->packets.front();
  sa.state = more ? IkeState::kIntermediate : IkeState::kHalfOpen;
  // Who asks is known from IKE_AUTH on; until then no pair may act on this SA.
  sa.connection = ConnectionRef();
}

void follow_invalid_ke(Context& ctx, IkeSa& sa, const NotifyPayload& notify) {
  Reader reader(notify.data);
  const auto wanted = reader.u16();
  if (!wanted) {
    ctx.count(Counter::kDropMalformed);
    return;
  }
  const auto group = static_cast<crypto::DhId>(*wanted);
  const auto& proposals = sa.connection->proposals;
  const bool ours =
      std::any_of(proposals.begin(), proposals.end(), [&](const policy::IkeProposal& p) {
        return std::find(p.dh.begin(), p.dh.end(), group) != p.dh.end();
      });
  auto& tried = sa.handshake().groups_tried;
  if (!ours || std::find(tried.begin(), tried.end(), *wanted) != tried.end()) {
    fail_handshake(
        ctx, sa,
        fmt::format("{} wants Diffie-Hellman group {}, which our proposals do not have: "
                    "add it to 'proposals' on this side, or one of ours on the other{}",
                    sa.path.remote.to_string(), *wanted,
                    policy::where(sa.connection->lines, policy::Setting::kIkeProposals)));
    return;
  }
  if (!may_restart(ctx, sa, "INVALID_KE_PAYLOAD")) return;
  tried.push_back(*wanted);
  sa.outstanding.reset();
  ctx.start_job(sa, JobPurpose::kInitGenerate, DhGenerateJob{group});
}

std::string refusal(const IkeSa& sa, NotifyType type) {
  if (type == NotifyType::kNoProposalChosen) {
    std::string ours;
    for (const auto& proposal : sa.connection->proposals) {
      ours += (ours.empty() ? "" : ", ") + policy::words(proposal);
    }
    return fmt::format("{} accepts none of our IKE proposals ({}) or does not know our address{}",
                       sa.path.remote.to_string(), ours,
                       policy::where(sa.connection->lines, policy::Setting::kIkeProposals));
  }
  return fmt::format("{} refused IKE_SA_INIT with {}", sa.path.remote.to_string(),
                     wire::ike::name(type));
}

}  // namespace

IkeSa& start_init(Context& ctx, const ConnectionRef& connection, const Path& path) {
  IkeSa sa;
  sa.role = Role::kInitiator;
  sa.state = IkeState::kInit;
  sa.connection = connection;
  sa.path = path;
  sa.spi_i = ctx.allocate_ike_spi();
  sa.nonce_i = ctx.rng.bytes(kNonceOctets);
  sa.begun = ctx.now;
  ctx.count(Counter::kInitiated);
  IkeSa& added = ctx.add(std::move(sa));
  if (Pair* pair = ctx.pair_of(added)) pair->sas.insert(added.local_spi());
  if (start_resume(ctx, added)) return added;
  const crypto::DhId group = connection->proposals.front().dh.front();
  added.handshake().groups_tried.push_back(static_cast<std::uint16_t>(group));
  ctx.start_job(added, JobPurpose::kInitGenerate, DhGenerateJob{group});
  ctx.event(EventKind::kNote, LogLevel::kInfo, connection->name,
            fmt::format("initiating an IKE SA with {}", path.remote.to_string()));
  return added;
}

void handle_init_request(Context& ctx, const Path& path, ByteView datagram,
                         const Message& message) {
  if (is_repeated(ctx, path, datagram, message)) return;
  const auto* offer = message.find<SaPayload>();
  const auto* ke = message.find<KePayload>();
  const auto* nonce = message.find<NoncePayload>();
  if (offer == nullptr || ke == nullptr || nonce == nullptr || message.header.spi_i.value == 0) {
    ctx.count(Counter::kDropUnexpected);
    return;
  }
  const Admission admission = admit(ctx, path, message, nonce->data);
  if (admission == Admission::kRefused) return;
  auto chosen = choose(ctx, path, *offer);
  if (chosen && policy::has_additional(chosen->selected.suite.additional) &&
      !knows_intermediate(message)) {
    chosen = make_error(ErrorCode::kNoProposalChosen,
                        "it offers additional key exchanges without the IKE_INTERMEDIATE exchange "
                        "that carries them (RFC 9370 section 2.2.1)");
  }
  if (!chosen) {
    ctx.count(Counter::kNoProposal);
    ctx.event(EventKind::kDropped, LogLevel::kWarning, "",
              fmt::format("IKE_SA_INIT from {} refused: {}", path.remote.to_string(),
                          chosen.error().message));
    // Nobody has proved anything yet: that is for our own people alone.
    refused_address(ctx, path.remote.ip, chosen.error().message);
    send_stateless(ctx, path, message.header, {make_notify(NotifyType::kNoProposalChosen)});
    return;
  }
  if (redirect_in_init(ctx, path, message, *chosen->connection)) return;
  const policy::IkeSuite suite = chosen->selected.suite;
  if (static_cast<crypto::DhId>(ke->group) != suite.dh) {
    ctx.count(Counter::kGroupRefused);
    Writer group;
    group.u16(static_cast<std::uint16_t>(suite.dh));
    send_stateless(ctx, path, message.header,
                   {make_notify(NotifyType::kInvalidKePayload, group.view())});
    return;
  }
  IkeSa sa;
  sa.role = Role::kResponder;
  sa.state = IkeState::kInit;
  sa.path = path;
  sa.spi_i = message.header.spi_i;
  sa.spi_r = ctx.allocate_ike_spi();
  sa.suite = suite;
  sa.connection = chosen->connection;
  sa.nonce_i = nonce->data;
  sa.nonce_r = ctx.rng.bytes(kNonceOctets);
  read_first_notifies(ctx, sa, message);
  const bool peer_has_ppk = message.notify(NotifyType::kUsePpk) != nullptr;
  sa.handshake().use_ppk = peer_has_ppk && may_use_ppk(ctx, path);
  if (peer_has_ppk && !sa.handshake().use_ppk) {
    refused_address(ctx, path.remote.ip,
                    "the peer has a post-quantum key and this side has none: set the same on both" +
                        policy::where(sa.connection->lines, policy::Setting::kPpk));
  }
  sa.handshake().init_message = message;
  read_redirect_support(sa, message);
  IkeSa& added = add_half_open(ctx, std::move(sa), datagram, path, admission);
  ctx.start_job(added, JobPurpose::kInitRespond, DhRespondJob{suite.dh, ke->data});
}

void process_init_response(Context& ctx, IkeSa& sa, ByteView datagram, const Message& message) {
  if (const auto* cookie = message.notify(NotifyType::kCookie)) {
    if (take_cookie(ctx, sa, *cookie)) send_init(ctx, sa);
    return;
  }
  if (const auto* redirect = message.notify(NotifyType::kRedirect)) {
    return follow_init_redirect(ctx, sa, *redirect);
  }
  if (const auto* group = message.notify(NotifyType::kInvalidKePayload)) {
    return follow_invalid_ke(ctx, sa, *group);
  }
  for (const Payload& payload : message.payloads) {
    const auto* notify = std::get_if<NotifyPayload>(&payload);
    if (notify != nullptr && is_error(notify->type)) {
      return fail_handshake(ctx, sa, refusal(sa, notify->type));
    }
  }
  const auto* answer = message.find<SaPayload>();
  const auto* ke = message.find<KePayload>();
  const auto* nonce = message.find<NoncePayload>();
  if (answer == nullptr || ke == nullptr || nonce == nullptr || message.header.spi_r.value == 0) {
    ctx.count(Counter::kDropUnexpected);
    return;
  }
  auto accepted = policy::accept_ike(sa.connection->proposals, answer->proposals);
  if (!accepted) return fail_handshake(ctx, sa, accepted.error().message);
  if (accepted->suite.dh != sa.handshake().dh.group ||
      static_cast<crypto::DhId>(ke->group) != sa.handshake().dh.group) {
    return fail_handshake(
        ctx, sa, "the peer chose a Diffie-Hellman group other than the one of our KE payload");
  }
  if (policy::has_additional(accepted->suite.additional) && !knows_intermediate(message)) {
    return fail_handshake(ctx, sa,
                          "the peer chose additional key exchanges without the IKE_INTERMEDIATE "
                          "exchange that carries them (RFC 9370 section 2.2.1)");
  }
  sa.suite = accepted->suite;
  sa.spi_r = message.header.spi_r;
  sa.nonce_r = nonce->data;
  read_first_notifies(ctx, sa, message);
  if (wants_encap(ctx, sa.connection) && !sa.encap) {
    return fail_handshake(
        ctx, sa,
        fmt::format("{} does not offer NAT traversal (UDP encapsulation), the only form "
                    "of ESP that this dataplane has",
                    sa.path.remote.to_string()));
  }
  if (const Status agreed = agree_on_ppk(sa, message); !agreed) {
    return fail_handshake(ctx, sa, agreed.error().message);
  }
  if (const Status agreed = agree_on_childless(sa, message); !agreed) {
    return fail_handshake(ctx, sa, agreed.error().message);
  }
  sa.handshake().init_response = to_vector(datagram);
  read_certificate_requests(sa, message);
  sa.outstanding.reset();
  ctx.start_job(sa, JobPurpose::kInitShared, DhSharedJob{sa.handshake().dh, ke->data});
}

void init_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result) {
  if (result.error) return fail_handshake(ctx, sa, result.error->message);
  if (purpose == JobPurpose::kInitRespond) return answer_init(ctx, sa, result);
  if (purpose == JobPurpose::kInitGenerate) {
    sa.handshake().dh = result.key_pair;
    return send_init(ctx, sa);
  }
  const KeyInputs inputs{result.shared.reveal(), sa.nonce_i, sa.nonce_r, sa.spi_i, sa.spi_r};
  auto keys = derive_ike_keys(sa.suite, inputs);
  if (!keys) return fail_handshake(ctx, sa, keys.error().message);
  sa.keys = std::move(*keys);
  sa.iv_counter = ctx.rng.u64();
  sa.handshake().dh = crypto::DhKeyPair();
  move_to_nat_port(ctx, sa);
  start_intermediate(ctx, sa);
}

}  // namespace espalier::ike::v2
