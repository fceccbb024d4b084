// Identities: text to value and back (RFC 7296 section 3.5), in strongSwan's words. Which are the
// same, and what a wildcard covers, is in identity_match.hpp.
#pragma once

#include <string>
#include <string_view>

#include "policy/identity_match.hpp"

namespace espalier::policy {

// "192.0.2.1", "2001:db8::1" (addresses); "a@b.c" (email); "CN=host, O=Example" (distinguished
// name); "@#0a1b" (key id, in hex); "@host" and any other word (FQDN). A prefix says the type
// itself: `ipv4:`, `ipv6:`, `fqdn:`, `dns:`, `email:`, `rfc822:`, `userfqdn:`, `asn1dn:`, `keyid:`;
// behind it `#` begins the value in hex. Errors: kInvalidArgument (wildcards among them), kLimit,
// kUnsupported for the types `ipv4range` and so on, which no IKEv2 peer is.
Result<Identity> parse_identity(std::string_view text);
// The same, and `%any`, `*.example.net`, `*@example.net` and `CN=*, O=Example`.
Result<Identity> parse_identity_pattern(std::string_view text);
// For people; parses back to the same value when it came from text.
std::string to_string(const Identity& identity);

}  // namespace espalier::policy
