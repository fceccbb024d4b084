// OCSP (RFC 6960): asks for the status of one certificate, and reads what a responder says of it.
#pragma once

#include "crypto/revocation.hpp"

namespace espalier::crypto {

// An OCSPRequest for the certificate, with a nonce (RFC 9654) unless that is empty. The hash of the
// CertID is SHA-1, the one that every responder knows (RFC 5019 section 2.1.1); nothing rests on
// it. Errors: kMalformed for certificates that do not parse.
Result<Bytes> ocsp_request(const PathCertificate& certificate, ByteView nonce);

// Reads an OCSPResponse about the certificate. `nonce`: that of our request, empty for a response
// that nobody asked for with one (a stapled one); a response without a nonce is taken, another
// nonce is not. Its signer is the certificate's issuer, or a certificate that the issuer gave
// id-kp-OCSPSigning (RFC 6960 section 4.2.2.2). Errors, as the end of a sentence "the OCSP
// response ...": kMalformed, kLimit, kUnsupported, kPeerRefused (tryLater and the like),
// kAuthentication (another certificate's, wrong signature or nonce, not in force now).
Result<OcspStatus> read_ocsp(ByteView response, const PathCertificate& certificate, ByteView nonce,
                             std::int64_t now_utc);

}  // namespace espalier::crypto
