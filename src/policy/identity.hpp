// Identities: text to value and back (RFC 7296 section 3.5).
#pragma once

#include <string>
#include <string_view>

#include "crypto/signature.hpp"
#include "policy/nouns.hpp"

namespace espalier::policy {

// "192.0.2.1", "2001:db8::1" (address identities), "a@b.c" (email), "@host" and any other word
// without '=' (FQDN). Errors: kUnsupported for a distinguished name ("CN=...").
Result<Identity> parse_identity(std::string_view text);
std::string to_string(
    const Identity& identity);  // for people; a DN or key id as hex if it cannot be read

// Whether a certificate speaks for the identity (RFC 7296 section 3.5, RFC 4945 section 3): a
// subjectAltName of the same type and value, or for a DN the subject itself. A bare CN is accepted
// for an FQDN only when the certificate has no dNSName at all.
bool certificate_has_identity(const crypto::CertificateInfo& certificate, const Identity& identity);

}  // namespace espalier::policy
