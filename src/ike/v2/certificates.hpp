// Certificates in IKE_AUTH: what is asked for, what is sent, what is checked (RFC 7296 sections 3.6
// and 3.7, RFC 7427), and what becomes of an IKE SA whose peer's certificate is revoked.
#pragma once

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// CERTREQ with the key hashes of the connection's anchors (RFC 7296 section 3.7), and one for OCSP
// responses (RFC 4806); nothing unless it uses certificates.
void add_certificate_request(const policy::Connection& connection, std::vector<Payload>& payloads);
// Keeps the CAs that the peer's CERTREQs ask for, and whether it takes OCSP responses.
void read_certificate_requests(IkeSa& sa, const Message& message);

// The job that signs `octets` with the first of our certificates that one of the asked CAs stands
// above, else with the first. Errors: kUnsupported when the connection has none.
Result<SignJob> sign_job(IkeSa& sa, Bytes octets);
// The chain of the certificate that sign_job() chose: the end entity first; and behind it the OCSP
// response that the job gave.
void add_certificates(const IkeSa& sa, std::vector<Payload>& payloads);

// The job that checks the peer's chain, identity and signature. Errors: kAuthentication when it
// sent no certificate that we can use, with what it sent instead.
Result<VerifyJob> verify_job(const IkeSa& sa, const Message& message,
                             const wire::ike::AuthPayload& auth, Bytes octets);

// Closes the IKE SAs whose peer's path has a certificate on the lists.
void close_revoked(Context& ctx, const crypto::RevocationLists& lists);

}  // namespace espalier::ike::v2
