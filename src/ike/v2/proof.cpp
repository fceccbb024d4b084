#include "ike/v2/proof.hpp"

#include <fmt/format.h>

#include "crypto/prf.hpp"
#include "ike/v2/certificates.hpp"
#include "ike/v2/ppk.hpp"
#include "policy/identity.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::AuthPayload;

constexpr auto kPskMethod = static_cast<std::uint8_t>(crypto::AuthMethod::kSharedKeyMic);
constexpr auto kNullMethod = static_cast<std::uint8_t>(crypto::AuthMethod::kNull);

// RestOfInitIDPayload of section 2.15.
Bytes id_body(const policy::Identity& identity) {
  Bytes body{static_cast<std::uint8_t>(identity.type), 0, 0, 0};
  body.insert(body.end(), identity.data.begin(), identity.data.end());
  return body;
}

// IntAuth = IntAuth_iN | IntAuth_rN | IKE_AUTH_MID (RFC 9242 section 3.3.2); nothing without
// IKE_INTERMEDIATE.
Bytes int_auth(const IkeSa& sa) {
  const Handshake& handshake = sa.handshake();
  if (handshake.int_auth_i.empty()) return {};
  Writer octets;
  octets.bytes(handshake.int_auth_i);
  octets.bytes(handshake.int_auth_r);
  octets.u32(handshake.auth_id.value);
  return octets.take();
}

// What the named end signs or MACs.
Result<Bytes> octets_of(const IkeSa& sa, Role end, ByteView body) {
  const IkeKeys& keys = keys_of_auth(sa, end);
  const Bytes extra = int_auth(sa);
  return end == Role::kInitiator ? auth_octets(sa.suite.prf, sa.handshake().init_request,
                                               sa.nonce_r, keys.pi.reveal(), body, extra)
                                 : auth_octets(sa.suite.prf, sa.handshake().init_response,
                                               sa.nonce_i, keys.pr.reveal(), body, extra);
}

// The peer's proof: of AUTH, or of NO_PPK_AUTH where we have no such PPK (RFC 8784 section 3).
const Bytes& proof_of_peer(const IkeSa& sa, const AuthPayload& auth) {
  const bool plain = sa.role == Role::kResponder && !sa.handshake().no_ppk_auth.empty();
  return plain ? sa.handshake().no_ppk_auth : auth.data;
}

// AUTH that is a MAC: by the shared key, or by the end's own SK_p where a ticket stands for the
// authentication (RFC 5723 section 4.3.3) or nothing does (RFC 7619 section 2.1). Nothing: it is a
// signature.
std::optional<Result<SecretBytes>> mac_of(const IkeSa& sa, Role end, ByteView octets) {
  const IkeKeys& keys = keys_of_auth(sa, end);
  const SecretBytes& own = end == Role::kInitiator ? keys.pi : keys.pr;
  if (sa.handshake().resumed) return crypto::prf(sa.suite.prf, own.reveal(), {octets});
  if (is_anonymous(sa, end)) return psk_auth(sa.suite.prf, own.reveal(), octets);
  if (sa.connection->auth != policy::AuthKind::kPsk) return std::nullopt;
  return psk_auth(sa.suite.prf, sa.connection->psk.reveal(), octets);
}

std::uint8_t mac_method(const IkeSa& sa, Role end) {
  return is_anonymous(sa, end) ? kNullMethod : kPskMethod;
}

Error refused(std::string why) { return make_error(ErrorCode::kAuthentication, std::move(why)); }

// The method of the peer's AUTH is the one agreed to.
Status check_method(const IkeSa& sa, std::uint8_t method) {
  const bool anonymous = is_anonymous(sa, other(sa.role));
  if (method == kNullMethod && !anonymous) {
    return refused(
        "the peer does not prove who it is (NULL authentication), and 'null_auth' does not "
        "let it");
  }
  if (anonymous && method != kNullMethod) {
    return refused(fmt::format(
        "the peer authenticates by method {}, and 'null_auth' says that it does not at all",
        method));
  }
  const bool shared = sa.connection->auth == policy::AuthKind::kPsk || sa.handshake().resumed;
  if (!anonymous && shared && method != kPskMethod) {
    return refused(fmt::format(
        "the peer authenticates by method {} (a certificate?), this side is configured for a "
        "pre-shared key: set the same 'auth' on both{}",
        method, policy::where(sa.connection->lines, policy::Setting::kAuth)));
  }
  if (!anonymous && !shared && method == kPskMethod) {
    return refused(
        "the peer authenticates by a pre-shared key, this side is configured for certificates: "
        "set the same 'auth' on both" +
        policy::where(sa.connection->lines, policy::Setting::kAuth));
  }
  return {};
}

Error wrong_mac(const IkeSa& sa) {
  if (sa.handshake().resumed) return refused("the peer does not know the session of its ticket");
  if (is_anonymous(sa, other(sa.role))) return refused("the AUTH of the anonymous peer is wrong");
  return refused(fmt::format(
      "the pre-shared keys differ (peer identity '{}', ours '{}'): compare the secret, {}the "
      "mesh name and the identities on both sides ('espalier secret pair' prints a pair's key){}",
      policy::to_string(sa.handshake().peer_id), policy::to_string(sa.connection->local_id),
      sa.ppk ? "the post-quantum secret ('ppk'), " : "",
      policy::where(sa.connection->lines, policy::Setting::kPeer)));
}

}  // namespace

bool is_anonymous(const IkeSa& sa, Role end) {
  return end == sa.role ? policy::we_are_anonymous(sa.connection->null_auth)
                        : policy::peer_is_anonymous(sa.connection->null_auth);
}

bool shows_certificates(const IkeSa& sa, Role end) {
  return sa.connection->auth == policy::AuthKind::kCert && !sa.handshake().resumed &&
         !is_anonymous(sa, end);
}

Role other(Role role) { return role == Role::kInitiator ? Role::kResponder : Role::kInitiator; }

wire::ike::IdPayload id_payload(PayloadType role, const policy::Identity& identity) {
  return {role, identity.type, identity.data, id_body(identity)};
}

Result<std::optional<Proof>> make_proof(Context& ctx, IkeSa& sa) {
  sa.handshake().own_id_body = id_body(sa.connection->local_id);
  TRY_ASSIGN(Bytes octets, octets_of(sa, sa.role, sa.handshake().own_id_body));
  if (auto mac = mac_of(sa, sa.role, octets)) {
    TRY_ASSIGN(const SecretBytes value, std::move(*mac));
    return std::optional<Proof>(
        Proof{static_cast<crypto::AuthMethod>(mac_method(sa, sa.role)), to_vector(value.reveal())});
  }
  TRY_ASSIGN(SignJob job, sign_job(sa, std::move(octets)));
  ctx.start_job(sa, JobPurpose::kAuthSign, std::move(job));
  return std::optional<Proof>();
}

Status check_auth(Context& ctx, IkeSa& sa, const Message& message, bool& pending) {
  const auto* auth = message.find<AuthPayload>();
  if (auth == nullptr) {
    return make_error(ErrorCode::kAuthentication,
                      "the peer sent no AUTH payload (it wants EAP, which is not supported)");
  }
  TRY_ASSIGN(Bytes octets, octets_of(sa, other(sa.role), sa.handshake().peer_id_body));
  if (auto mac = mac_of(sa, other(sa.role), octets)) {
    TRY(check_method(sa, auth->method));
    TRY_ASSIGN(const SecretBytes value, std::move(*mac));
    if (constant_time_equal(value.reveal(), proof_of_peer(sa, *auth))) return {};
    return wrong_mac(sa);
  }
  TRY(check_method(sa, auth->method));
  TRY_ASSIGN(VerifyJob job, verify_job(sa, message, *auth, std::move(octets)));
  job.auth_data = proof_of_peer(sa, *auth);
  pending = true;
  ctx.start_job(sa, JobPurpose::kAuthVerify, std::move(job));
  return {};
}

}  // namespace espalier::ike::v2
