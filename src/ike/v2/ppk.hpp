// Post-quantum preshared keys (RFC 8784): what IKE_SA_INIT and IKE_AUTH say of them, and when the
// keys change.
#pragma once

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// Initiator, IKE_SA_INIT answered: whether both use a PPK. Error kAuthentication: ours is required
// and the peer does not know of it (section 3).
Status agree_on_ppk(IkeSa& sa, const Message& response);

// Initiator, before AUTH is made: the mixed keys, and whether NO_PPK_AUTH comes first.
Status begin_ppk(IkeSa& sa);
// Initiator: takes NO_PPK_AUTH's data and asks for a second proof; false: `data` is AUTH's.
bool take_plain_proof(IkeSa& sa, Bytes& data);
// Initiator: PPK_IDENTITY and NO_PPK_AUTH for the IKE_AUTH request.
void add_ppk(const IkeSa& sa, std::vector<Payload>& payloads);
// Initiator: the response says whether the PPK is in use. Error kAuthentication: it is required.
Status finish_ppk(Context& ctx, IkeSa& sa, const Message& response);

// Responder: table 1 of section 3. Mixes the key in, or notes the peer's NO_PPK_AUTH as the proof
// to check. Error kAuthentication: no IKE SA, with the reason.
Status choose_ppk(Context& ctx, IkeSa& sa, const Message& request);

// The keys that the named end's AUTH is made with at this moment.
const IkeKeys& keys_of_auth(const IkeSa& sa, Role end);

}  // namespace espalier::ike::v2
