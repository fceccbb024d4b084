// IKE_INTERMEDIATE (RFC 9242) with the additional key exchanges of RFC 9370 section 2.2.2, one an
// exchange, in the order of their transform types.
//
//   HDR, SK {KEi(n)} -->
//                    <-- HDR, SK {KEr(n)}
//
// Each exchange is protected with the keys before it, and makes new ones.
#include <fmt/format.h>

#include "ike/v2/lifecycle.hpp"
#include "ike/v2/negotiate.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::KePayload;

// The first slot from `next_ke` on that has a method; slots that were negotiated away are skipped.
bool find_slot(IkeSa& sa) {
  std::size_t& slot = sa.handshake().next_ke;
  while (slot < sa.suite.additional.size() && sa.suite.additional[slot] == crypto::DhId::kNone) {
    ++slot;
  }
  return slot < sa.suite.additional.size();
}

crypto::DhId method_of(const IkeSa& sa) { return sa.suite.additional[sa.handshake().next_ke]; }

std::uint16_t number(crypto::DhId method) { return static_cast<std::uint16_t>(method); }

// Both messages of the exchange go into IntAuth, under the keys that protected them; then the keys
// change: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr).
Status step(IkeSa& sa, ByteView shared) {
  Handshake& handshake = sa.handshake();
  const bool initiator = sa.role == Role::kInitiator;
  const Bytes& request = initiator ? handshake.int_sent : handshake.int_received;
  const Bytes& response = initiator ? handshake.int_received : handshake.int_sent;
  TRY_ASSIGN(handshake.int_auth_i,
             next_int_auth(sa.suite.prf, sa.keys.pi.reveal(), handshake.int_auth_i, request));
  TRY_ASSIGN(handshake.int_auth_r,
             next_int_auth(sa.suite.prf, sa.keys.pr.reveal(), handshake.int_auth_r, response));
  handshake.int_sent.clear();
  handshake.int_received.clear();
  const KeyInputs inputs{shared, sa.nonce_i, sa.nonce_r, sa.spi_i, sa.spi_r};
  TRY_ASSIGN(sa.keys, derive_rekeyed_ike_keys(sa.suite, sa.suite.prf, sa.keys.d.reveal(), inputs));
  ++handshake.next_ke;
  return {};
}

void respond(Context& ctx, IkeSa& sa, const JobResult& result) {
  const wire::ike::Header request{sa.spi_i,
                                  sa.spi_r,
                                  PayloadType::kNone,
                                  0x20,
                                  ExchangeType::kIkeIntermediate,
                                  wire::ike::kFlagInitiator,
                                  sa.expected_request,
                                  0};
  if (result.error) {
    ctx.event(EventKind::kDropped, LogLevel::kWarning, "",
              fmt::format("IKE_INTERMEDIATE from {} refused: {}", sa.path.remote.to_string(),
                          result.error->message));
    return answer_invalid_syntax(ctx, sa, request, result.error->message);
  }
  send_response(ctx, sa, ExchangeType::kIkeIntermediate, sa.expected_request,
                {KePayload{number(method_of(sa)), result.key_pair.public_key}});
  if (const Status stepped = step(sa, result.shared.reveal()); !stepped) {
    return fail_handshake(ctx, sa, stepped.error().message);
  }
  // The half-open SA's lifetime goes on: its end was set by IKE_SA_INIT.
  if (!find_slot(sa)) sa.state = IkeState::kHalfOpen;
}

}  // namespace

void start_intermediate(Context& ctx, IkeSa& sa) {
  sa.state = IkeState::kIntermediate;
  if (find_slot(sa)) {
    return ctx.start_job(sa, JobPurpose::kIntermediateGenerate, DhGenerateJob{method_of(sa)});
  }
  sa.state = IkeState::kAuth;
  start_auth(ctx, sa);
}

void handle_intermediate_request(Context& ctx, IkeSa& sa, const Message& message) {
  const auto* ke = message.find<KePayload>();
  ASSERT(ke != nullptr);  // the transition table requires it
  if (!find_slot(sa) || ke->group != number(method_of(sa))) {
    ctx.count(Counter::kDropUnexpected);
    ctx.event(EventKind::kDropped, LogLevel::kWarning, "",
              fmt::format("IKE_INTERMEDIATE from {} has a key exchange by method {}, which is not "
                          "the one agreed to",
                          sa.path.remote.to_string(), ke->group));
    return answer_invalid_syntax(ctx, sa, message.header,
                                 "an additional key exchange by another "
                                 "method than agreed");
  }
  ctx.start_job(sa, JobPurpose::kIntermediateRespond, DhRespondJob{method_of(sa), ke->data});
}

void process_intermediate_response(Context& ctx, IkeSa& sa, const Message& message) {
  if (const auto* error = find_error(message)) {
    return fail_handshake(ctx, sa,
                          fmt::format("{} refused IKE_INTERMEDIATE with {}",
                                      sa.path.remote.to_string(), wire::ike::name(error->type)));
  }
  const auto* ke = message.find<KePayload>();
  if (ke == nullptr || ke->group != number(method_of(sa))) {
    return fail_handshake(ctx, sa,
                          "the peer answered IKE_INTERMEDIATE without a KE payload of the method "
                          "agreed to");
  }
  ctx.start_job(sa, JobPurpose::kIntermediateShared, DhSharedJob{sa.handshake().dh, ke->data});
}

void intermediate_job_done(Context& ctx, IkeSa& sa, JobPurpose purpose, const JobResult& result) {
  if (purpose == JobPurpose::kIntermediateRespond) return respond(ctx, sa, result);
  if (result.error) return fail_handshake(ctx, sa, result.error->message);
  if (purpose == JobPurpose::kIntermediateGenerate) {
    sa.handshake().dh = result.key_pair;
    return send_request(ctx, sa, ExchangeType::kIkeIntermediate,
                        {KePayload{number(method_of(sa)), result.key_pair.public_key}});
  }
  sa.handshake().dh = crypto::DhKeyPair();
  if (const Status stepped = step(sa, result.shared.reveal()); !stepped) {
    return fail_handshake(ctx, sa, stepped.error().message);
  }
  start_intermediate(ctx, sa);
}

}  // namespace espalier::ike::v2
