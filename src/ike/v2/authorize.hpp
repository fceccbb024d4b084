// Who may have which pair (RFC 7296 section 2.15, RFC 4301 section 4.4.3; RFC 7619 section 2.4):
// from an identity to a connection, and the reasons against it.
#pragma once

#include <optional>
#include <string>

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// Whether the pair has an established IKE SA.
bool has_established(Context& ctx, const IkeSa& sa);

// Whether the pair is still as it was when the exchange began, and wanted.
bool is_wanted(Context& ctx, const IkeSa& sa);

// A pair is one peer: while one holds the pair of a wildcard, another that it covers too is not
// let in. Nothing when the peer may have it.
std::optional<std::string> held_by_another(Context& ctx, const IkeSa& sa);

// Who is anonymous cannot take the place of another (RFC 7619 sections 2.3 and 3.3): while the peer
// of the pair answers, a second one is not let in. The first is asked whether it is there.
std::optional<std::string> another_is_there(Context& ctx, const IkeSa& sa);

}  // namespace espalier::ike::v2
