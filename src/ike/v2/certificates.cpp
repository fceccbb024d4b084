#include "ike/v2/certificates.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ike/core/limits.hpp"
#include "ike/v2/lifecycle.hpp"

namespace espalier::ike::v2 {
namespace {

using wire::ike::AuthPayload;
using wire::ike::CertPayload;

constexpr std::uint8_t kX509Signature = 4;  // RFC 7296 section 3.6
constexpr std::uint8_t kOcspContent = 14;   // RFC 4806 section 3
constexpr std::size_t kKeyHashOctets = 20;  // SHA-1

bool asked_for(const Bytes& authorities, const policy::OwnCertificate& own) {
  for (std::size_t at = 0; at + kKeyHashOctets <= authorities.size(); at += kKeyHashOctets) {
    const ByteView wanted = ByteView(authorities).subspan(at, kKeyHashOctets);
    if (std::any_of(own.authorities.begin(), own.authorities.end(),
                    [&](const Bytes& one) { return equal(one, wanted); })) {
      return true;
    }
  }
  return false;
}

std::string_view encoding_name(std::uint8_t encoding) {
  switch (encoding) {
    case 1: return "a PKCS #7 bundle";
    case 2: return "a PGP certificate";
    case 7: return "a revocation list";
    case 11:
    case 15: return "a raw public key";
    case 12: return "the hash and URL of a certificate";
    case 13: return "the hash and URL of a bundle of certificates";
    default: return "a certificate of an unknown encoding";
  }
}

std::string revoked_reason(const crypto::RevocationLists& lists,
                           const std::vector<crypto::CertificateId>& path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (const auto why = lists.revoked(path[i])) {
      return fmt::format("the {} with the serial number {} {}",
                         i == 0 ? "peer's certificate" : "CA certificate of the peer's path",
                         to_hex(path[i].serial), *why);
    }
  }
  return {};
}

}  // namespace

void add_certificate_request(const policy::Connection& connection, std::vector<Payload>& payloads) {
  if (connection.auth != policy::AuthKind::kCert) return;
  wire::ike::CertReqPayload request;
  request.data = connection.authorities;
  payloads.push_back(std::move(request));
  // RFC 4806 section 3.1: without hashes, of any responder that the CA lets answer.
  payloads.push_back(wire::ike::CertReqPayload{kOcspContent, {}});
}

void read_certificate_requests(IkeSa& sa, const Message& message) {
  Bytes& authorities = sa.handshake().peer_authorities;
  for (const Payload& payload : message.payloads) {
    const auto* request = std::get_if<wire::ike::CertReqPayload>(&payload);
    if (request == nullptr) continue;
    if (request->encoding == kOcspContent) sa.handshake().peer_wants_status = true;
    if (request->encoding != kX509Signature) continue;
    const std::size_t room = kAuthoritiesMax * kKeyHashOctets - authorities.size();
    const std::size_t whole = request->data.size() / kKeyHashOctets * kKeyHashOctets;
    authorities.insert(authorities.end(), request->data.begin(),
                       request->data.begin() + static_cast<std::ptrdiff_t>(std::min(room, whole)));
  }
}

Result<SignJob> sign_job(IkeSa& sa, Bytes octets) {
  const auto& own = sa.connection->certificates;
  if (own.empty()) {
    return make_error(ErrorCode::kUnsupported, "this side has no certificate of its own");
  }
  const auto chosen = std::find_if(own.begin(), own.end(), [&](const auto& certificate) {
    return asked_for(sa.handshake().peer_authorities, certificate);
  });
  sa.handshake().own_certificate =
      chosen == own.end() ? 0 : static_cast<std::size_t>(chosen - own.begin());
  return SignJob{own[sa.handshake().own_certificate].private_key, std::move(octets), sa.peer_hashes,
                 sa.handshake().peer_wants_status};
}

void add_certificates(const IkeSa& sa, std::vector<Payload>& payloads) {
  const policy::Connection& connection = *sa.connection;
  if (connection.auth != policy::AuthKind::kCert) return;
  for (const Bytes& certificate : connection.certificates[sa.handshake().own_certificate].chain) {
    payloads.push_back(CertPayload{kX509Signature, certificate});
  }
  if (!sa.handshake().own_status.empty()) {
    payloads.push_back(CertPayload{kOcspContent, sa.handshake().own_status});
  }
}

Result<VerifyJob> verify_job(const IkeSa& sa, const Message& message, const AuthPayload& auth,
                             Bytes octets) {
  VerifyJob job;
  const CertPayload* other = nullptr;
  for (const Payload& payload : message.payloads) {
    const auto* certificate = std::get_if<CertPayload>(&payload);
    if (certificate == nullptr) continue;
    if (certificate->encoding == kX509Signature) {
      job.chain.push_back(certificate->data);
    } else if (certificate->encoding == kOcspContent) {
      if (job.responses.size() < kResponsesOfPeerMax) job.responses.push_back(certificate->data);
    } else if (other == nullptr) {
      other = certificate;
    }
  }
  if (job.chain.empty() && other != nullptr) {
    return make_error(
        ErrorCode::kAuthentication,
        fmt::format("the peer sent {} (encoding {}), which is not supported: let it send its "
                    "X.509 certificates themselves",
                    encoding_name(other->encoding), other->encoding));
  }
  if (job.chain.empty()) {
    return make_error(ErrorCode::kAuthentication,
                      "the peer sent no certificate: let it always send its own and the CAs "
                      "between that and the root");
  }
  job.anchors = sa.connection->anchors;
  job.revocation = sa.connection->revocation;
  job.identity = sa.handshake().peer_id;
  job.method = static_cast<crypto::AuthMethod>(auth.method);
  job.octets = std::move(octets);
  job.auth_data = auth.data;
  job.last_word = sa.handshake().status_asked;
  return job;
}

void close_revoked(Context& ctx, const crypto::RevocationLists& lists) {
  std::vector<std::pair<IkeSpi, std::string>> gone;
  for (const auto& [spi, sa] : ctx.core.sas) {
    if (!sa.peer_certificates) continue;
    if (std::string why = revoked_reason(lists, sa.peer_certificates->path); !why.empty()) {
      gone.emplace_back(spi, std::move(why));
    }
  }
  for (const auto& [spi, why] : gone) {
    IkeSa* sa = ctx.find(spi);
    if (sa == nullptr || sa->state == IkeState::kDead) continue;
    if (Pair* pair = ctx.pair_of(*sa)) pair->last_error = why;
    ctx.event(EventKind::kNote, LogLevel::kWarning, sa->pair(), "the IKE SA is closed: " + why);
    if (sa->state == IkeState::kEstablished) {
      add_task(ctx, *sa, {TaskKind::kDeleteIke, Spi(), "", ctx.now});
      run_tasks(ctx, *sa);
    } else if (sa->state == IkeState::kAuth) {
      destroy(ctx, *sa, why);
    }
  }
}

}  // namespace espalier::ike::v2
