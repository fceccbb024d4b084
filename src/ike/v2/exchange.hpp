// Requests and responses of one IKE SA: message IDs, retransmission, fragments, the Encrypted
// payload (RFC 7296 sections 2.1 to 2.3, RFC 7383).
#pragma once

#include <optional>
#include <vector>

#include "ike/core/core.hpp"

namespace espalier::ike::v2 {

using wire::ike::ExchangeType;
using wire::ike::Message;
using wire::ike::NotifyType;
using wire::ike::Payload;
using wire::ike::PayloadType;

// Sends the SA's next request. There must be none outstanding (the window is 1).
void send_request(Context& ctx, IkeSa& sa, ExchangeType exchange,
                  const std::vector<Payload>& payloads);

// Answers request `id` and remembers the answer for its repetitions; the peer's next request is id
// + 1.
void send_response(Context& ctx, IkeSa& sa, ExchangeType exchange, MessageId id,
                   const std::vector<Payload>& payloads);

// One request that nobody waits to be answered (Shutdown, and error answers after which the SA is
// gone).
void send_unacknowledged(Context& ctx, IkeSa& sa, ExchangeType exchange,
                         const std::vector<Payload>& payloads);

// An unprotected answer to a datagram without an SA (INVALID_KE_PAYLOAD, COOKIE,
// NO_PROPOSAL_CHOSEN, INVALID_MAJOR_VERSION).
void send_stateless(Context& ctx, const Path& path, const wire::ike::Header& request,
                    const std::vector<Payload>& payloads);

// Decrypts a protected message; gathers fragments. Nothing: dropped (and counted), or not yet
// whole. `malformed` is set when the peer itself sent what does not parse: its integrity was good.
std::optional<Message> unprotect(Context& ctx, IkeSa& sa, ByteView datagram, const Message& message,
                                 bool& malformed);

// Sends the outstanding request again, or gives the SA up (returns false) when it was sent
// kRetransmitTries times.
bool retransmit(Context& ctx, IkeSa& sa);

void transmit(Context& ctx, const Path& path, const std::vector<Bytes>& packets);

wire::ike::NotifyPayload make_notify(NotifyType type, ByteView data = {});
inline wire::ike::NotifyPayload make_notify(NotifyType type, const Bytes& data) {
  return make_notify(type, ByteView(data));
}

}  // namespace espalier::ike::v2
