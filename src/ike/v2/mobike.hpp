// MOBIKE (RFC 4555): an IKE SA and its children follow their ends to other addresses. The end that
// initiated the first of a series of rekeyed IKE SAs chooses the addresses; the other one says
// which it has.
#pragma once

#include <vector>

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// What of our request has to be known when its answer comes.
struct MobikeRequest {
  std::uint32_t epoch = 0;
  Bytes cookie2;
};

// Whether the connection asks for it and can have it: transport mode is bound to its addresses.
bool may_use_mobike(const policy::Connection& connection);

// ---- IKE_AUTH (sections 3.3 and 3.4)
// MOBIKE_SUPPORTED and our other addresses.
void offer_mobike(const Context& ctx, const IkeSa& sa, std::vector<Payload>& payloads);
// Sets sa.mobike when the peer offers it and we want it.
void read_mobike(IkeSa& sa, const Message& message);
// False when NO_NATS_ALLOWED names other addresses than the message came by (section 3.9).
bool addresses_are_untouched(const Message& message, const Path& path);

// ---- what changes
// The host's addresses: every established IKE SA that used one which is gone moves.
void own_addresses_changed(Context& ctx, const std::vector<IpAddress>& addresses);
// A request that came by another path than the SA's: it is answered there. It moves nothing, but
// for a translator's new port before a responder, to which the initiator then moves.
void request_from_elsewhere(Context& ctx, IkeSa& sa, const Path& path);
// A request is not answered: the initiator tries other addresses (section 3.10), and so does a
// responder that tells of a new one of its own (section 3.6). Whether there was another path.
bool try_other_path(Context& ctx, IkeSa& sa);
// A rekey made a successor: what was not told yet is told by it.
void hand_mobike_over(Context& ctx, const IkeSa& old, IkeSa& successor);

// ---- INFORMATIONAL
// What of a request is about addresses (sections 3.5 to 3.9); adds to its answer. sa.mobike is set.
void handle_mobike(Context& ctx, IkeSa& sa, const Message& message, std::vector<Payload>& answer);
void start_tell_addresses(Context& ctx, IkeSa& sa, const Task& task);
void addresses_told(Context& ctx, IkeSa& sa, const MobikeRequest& sent, const Message& response);
void start_check_route(Context& ctx, IkeSa& sa, const Task& task);
void route_checked(Context& ctx, IkeSa& sa, const MobikeRequest& sent, const Message& response);
// The payloads of a liveness check (section 3.8): a translator before us may have changed its mind.
// Notes the epoch in sa.active.
std::vector<Payload> look_for_nat_changes(Context& ctx, IkeSa& sa);
void see_nat_changes(Context& ctx, IkeSa& sa, const MobikeRequest& sent, const Message& response);

}  // namespace espalier::ike::v2
