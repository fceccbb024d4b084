// Who proves what in IKE_AUTH: what each end signs or MACs, ours made and the peer's checked (RFC
// 7296 section 2.15, RFC 7427, RFC 7619, RFC 8784, RFC 9242 section 3.3.2, RFC 5723 section 4.3.3).
#pragma once

#include <optional>

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

Role other(Role role);
// Whether the end does not prove who it is (RFC 7619).
bool is_anonymous(const IkeSa& sa, Role end);
// Whether an end shows certificates.
bool shows_certificates(const IkeSa& sa, Role end);

wire::ike::IdPayload id_payload(PayloadType role, const policy::Identity& identity);

struct Proof {
  crypto::AuthMethod method;
  Bytes data;
};
// Our AUTH: at once for a MAC; nothing when a job was started that signs (JobPurpose::kAuthSign).
// Errors: no certificate or key that fits.
Result<std::optional<Proof>> make_proof(Context& ctx, IkeSa& sa);

// Checks the peer's AUTH: a result at once for a MAC; for a signature a job is started
// (JobPurpose::kAuthVerify) and `pending` set. Once more when the status of the certificates was
// fetched. Errors: kAuthentication, in words for the operator.
Status check_auth(Context& ctx, IkeSa& sa, const Message& message, bool& pending);

}  // namespace espalier::ike::v2
