// What the two exchanges that begin an IKE SA have in common: IKE_SA_INIT and IKE_SESSION_RESUME,
// which behaves like it where nothing else is said (RFC 5723 section 4.3.2).
#pragma once

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// NAT detection, fragmentation and the hashes we verify: in both directions.
void add_first_notifies(Context& ctx, IkeSa& sa, const ConnectionRef& connection,
                        std::vector<Payload>& payloads);
// The peer's: sets encap, nat_here, nat_there, peer_fragmentation and peer_hashes.
void read_first_notifies(Context& ctx, IkeSa& sa, const Message& message);
// Initiator: both ends move to port 4500 when ESP is in UDP (RFC 7296 section 2.23),
// and when MOBIKE is wanted.
void move_to_nat_port(const Context& ctx, IkeSa& sa);

enum class Admission { kRefused, kAdmitted, kProved };
// Floods: who floods, or has its prefix in common with a flood, is asked for a cookie, and nothing
// is kept for those who do not return it. Who does is never held up by the others.
Admission admit(Context& ctx, const Path& path, const Message& message, const Bytes& nonce);
// A repetition of a request that has an SA already; true when it was dealt with.
bool is_repeated(Context& ctx, const Path& path, ByteView datagram, const Message& message);
// Responder: adds the half-open SA, which is found again by a repetition of its request.
IkeSa& add_half_open(Context& ctx, IkeSa sa, ByteView datagram, const Path& path,
                     Admission admission);
// Initiator: COOKIE asks for the request again with it. False: not followed, or the SA is gone.
bool take_cookie(Context& ctx, IkeSa& sa, const wire::ike::NotifyPayload& cookie);
// Counts an answer that asks for the request again; false: too many, the SA is gone.
bool may_restart(Context& ctx, IkeSa& sa, const std::string& what);

// IKE SAs without a child (RFC 6023). Responder: that they are taken, unless forbidden.
void announce_childless(IkeSa& sa, std::vector<Payload>& payloads);
// Initiator: whether this one is to be such a one. Errors: kUnsupported, when it must and cannot.
Status agree_on_childless(IkeSa& sa, const Message& response);

}  // namespace espalier::ike::v2
