#include "ike/core/jobs.hpp"

#include "crypto/ocsp.hpp"
#include "policy/identity.hpp"

namespace espalier::ike {
namespace {

template <class T>
std::optional<Error> store(Result<T>&& result, T& into) {
  if (!result) return std::move(result).error();
  into = std::move(result).value();
  return std::nullopt;
}

JobResult run(const DhGenerateJob& job, crypto::Rng& rng) {
  JobResult out;
  out.error = store(crypto::dh_generate(job.group, rng), out.key_pair);
  return out;
}

JobResult run(const DhSharedJob& job) {
  JobResult out;
  out.error = store(crypto::dh_shared(job.own, job.peer_public), out.shared);
  return out;
}

JobResult run(const DhRespondJob& job, crypto::Rng& rng) {
  JobResult out;
  auto answer = crypto::dh_respond(job.group, job.peer_public, rng);
  if (!answer) {
    out.error = answer.error();
    return out;
  }
  out.key_pair.group = job.group;
  out.key_pair.public_key = std::move(answer->public_key);
  out.shared = std::move(answer->shared);
  return out;
}

JobResult run(const SignJob& job, const KeyStore& keys) {
  JobResult out;
  const auto key = keys.find(job.key);
  if (!key) {
    out.error = make_error(ErrorCode::kNotFound, "the private key '" + job.key + "' is not loaded");
    return out;
  }
  if (!job.peer_hashes.empty()) {
    out.error = store(key->sign(job.octets, job.peer_hashes), out.auth_data);
    return out;
  }
  // RFC 7427 section 3: without SIGNATURE_HASH_ALGORITHMS only the methods of RFC 4754 remain. The
  // other one, RSA with SHA-1, is not made.
  const auto method = key->ecdsa_method();
  if (!method) {
    out.error = make_error(ErrorCode::kUnsupported,
                           "the peer does not know signature authentication of RFC 7427, without "
                           "which only ECDSA certificates can be used (RSA would mean SHA-1): "
                           "update the peer, or give this host an ECDSA certificate");
    return out;
  }
  out.auth_method = *method;
  out.error = store(key->sign_ecdsa(*method, job.octets), out.auth_data);
  return out;
}

// What the peer's own responses say, beside what is known. A response that is of no use is no
// fault: the peer may have a clock, or a responder, that is not ours.
crypto::RevocationLists with_responses(const VerifyJob& job,
                                       const std::vector<crypto::PathCertificate>& path,
                                       crypto::RevocationLists lists, std::int64_t now_utc,
                                       std::vector<std::string>& notes) {
  for (const Bytes& response : job.responses) {
    std::string why;
    bool taken = false;
    for (const crypto::PathCertificate& certificate : path) {
      const auto status = crypto::read_ocsp(response, certificate, {}, now_utc);
      if (status) {
        lists.add(certificate.id, *status);
        taken = true;
        break;
      }
      if (why.empty()) why = status.error().message;
    }
    if (!taken) notes.push_back("the OCSP response that the peer sent is not used: it " + why);
  }
  return lists;
}

void look_at(const std::vector<crypto::PathCertificate>& path, const crypto::RevocationLists& lists,
             std::int64_t now_utc, bool last_word, JobResult& out) {
  for (const crypto::PathCertificate& one : path) {
    if (one.ocsp_urls.empty() && one.crl_urls.empty()) continue;
    const auto until = lists.known_until(one.id, now_utc);
    out.watched.push_back({one, until.value_or(0)});
    if (!until && !last_word) out.unknown.push_back(one);
  }
}

std::optional<Error> check_revocation(const VerifyJob& job,
                                      const std::vector<crypto::PathCertificate>& path,
                                      const KeyStore& keys, std::int64_t now_utc, JobResult& out) {
  static const crypto::RevocationLists kNone;
  const crypto::RevocationLists* known = keys.revocations();
  const crypto::RevocationLists& held = known != nullptr ? *known : kNone;
  crypto::RevocationLists merged;
  if (!job.responses.empty()) {
    merged = with_responses(job, path, held, now_utc, out.notes);
  }
  const crypto::RevocationLists& lists = job.responses.empty() ? held : merged;
  look_at(path, lists, now_utc, job.last_word, out);
  const auto policy = out.unknown.empty() ? job.revocation : crypto::RevocationPolicy::kRelaxed;
  if (const Status valid = lists.check(path, policy, now_utc); !valid) return valid.error();
  return std::nullopt;
}

std::optional<Error> verify(const VerifyJob& job, const KeyStore& keys, std::int64_t now_utc,
                            JobResult& out) {
  if (job.chain.empty()) {
    return make_error(ErrorCode::kAuthentication, "the peer sent no certificate");
  }
  auto certificate = crypto::inspect_certificate(job.chain.front());
  if (!certificate) return certificate.error();
  const auto path = crypto::validate_path(job.chain, job.anchors, now_utc);
  if (!path) return path.error();
  if (auto revoked = check_revocation(job, *path, keys, now_utc, out)) return revoked;
  for (const crypto::PathCertificate& one : *path) out.peer.path.push_back(one.id);
  out.peer.validity = crypto::validity_of(*path);
  if (!policy::certificate_has_identity(*certificate, job.identity)) {
    return make_error(ErrorCode::kAuthentication,
                      "the peer's certificate (" + certificate->subject +
                          ") does not name its identity '" + policy::to_string(job.identity) +
                          "': add it as a subjectAltName");
  }
  if (const Status signature =
          crypto::verify_signature(certificate->public_der, job.method, job.octets, job.auth_data);
      !signature) {
    return signature.error();
  }
  return std::nullopt;
}

}  // namespace

JobResult run_job(const Job& job, crypto::Rng& rng, const KeyStore& keys, std::int64_t now_utc) {
  if (const auto* generate = std::get_if<DhGenerateJob>(&job)) return run(*generate, rng);
  if (const auto* shared = std::get_if<DhSharedJob>(&job)) return run(*shared);
  if (const auto* respond = std::get_if<DhRespondJob>(&job)) return run(*respond, rng);
  JobResult out;
  if (const auto* sign = std::get_if<SignJob>(&job)) {
    out = run(*sign, keys);
    if (sign->wants_status && !out.error) out.status = keys.own_status(sign->key);
    return out;
  }
  if (const auto* check = std::get_if<VerifyJob>(&job)) {
    out.error = verify(*check, keys, now_utc, out);
  }
  return out;
}

}  // namespace espalier::ike
