// Which identities are the same, and which patterns cover one. A pattern is an Identity too:
// `%any` (type 0), `*.example.net`, `*@example.net`, or a name with attributes that are `*`. Only a
// connection's remote_id may be one; a peer that says such an identity is refused.
#pragma once

#include <vector>

#include "crypto/signature.hpp"
#include "policy/nouns.hpp"

namespace espalier::policy {

// `%any`; RFC 7296 section 3.5 reserves the number, no peer may send it.
inline constexpr auto kAnyIdType = static_cast<wire::ike::IdType>(0);

// Two identities are the same when their canonical forms are equal: domain names without regard to
// case (RFC 4343), the local part of an email address with (RFC 5280 section 7.5), distinguished
// names as canonical_name() says.
Identity canonical(const Identity& identity);
bool same_identity(const Identity& a, const Identity& b);

bool is_wildcard(const Identity& identity);
// Whether the pattern covers the identity; an exact pattern covers what is the same.
bool covers(const Identity& pattern, const Identity& identity);

// The canonical keys under which a table of patterns may have the identity, the most specific
// first: the identity itself; for a domain name `*.` before each of its parents, the longest first;
// for an email address `*@` its domain; for a distinguished name its masked forms, in the order of
// `name_masks`; `%any`.
std::vector<Identity> lookup_keys(const Identity& identity,
                                  const std::vector<std::uint32_t>& name_masks);
// The mask of a pattern that is a distinguished name, else 0.
std::uint32_t name_mask(const Identity& pattern);
// The order for name_masks: fewer wildcards first.
bool more_specific_mask(std::uint32_t a, std::uint32_t b);

// Whether a certificate speaks for the identity (RFC 7296 section 3.5, RFC 4945 section 3): a
// subjectAltName of the same type and value, for a DN the subject itself, for a key id its
// subjectKeyIdentifier. A bare CN is accepted for an FQDN only when the certificate has no dNSName
// at all.
bool certificate_has_identity(const crypto::CertificateInfo& certificate, const Identity& identity);

}  // namespace espalier::policy
