#include "ike/core/jobs.hpp"

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
  out.auth_method = job.method;
  out.error = store(job.method == crypto::AuthMethod::kDigitalSignature
                        ? key->sign(job.octets, job.peer_hashes)
                        : key->sign_ecdsa(job.method, job.octets),
                    out.auth_data);
  return out;
}

std::optional<Error> verify(const VerifyJob& job, std::int64_t now_utc) {
  if (job.chain.empty()) {
    return make_error(ErrorCode::kAuthentication, "the peer sent no certificate");
  }
  auto certificate = crypto::inspect_certificate(job.chain.front());
  if (!certificate) return certificate.error();
  if (const Status path = crypto::validate_path(job.chain, job.anchors, now_utc); !path) {
    return path.error();
  }
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
  if (const auto* sign = std::get_if<SignJob>(&job)) return run(*sign, keys);
  JobResult out;
  out.error = verify(std::get<VerifyJob>(job), now_utc);
  return out;
}

}  // namespace espalier::ike
