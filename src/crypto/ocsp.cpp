#include "crypto/ocsp.hpp"

#include <fmt/format.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "crypto/limits.hpp"
#include "crypto/owned.hpp"
#include "crypto/x509_read.hpp"
#include "crypto/x509_text.hpp"

namespace espalier::crypto {
namespace {

using OwnedCertificate = Owned<X509, X509_free>;
using OwnedRequest = Owned<OCSP_REQUEST, OCSP_REQUEST_free>;
using OwnedResponse = Owned<OCSP_RESPONSE, OCSP_RESPONSE_free>;
using OwnedBasic = Owned<OCSP_BASICRESP, OCSP_BASICRESP_free>;
using OwnedId = Owned<OCSP_CERTID, OCSP_CERTID_free>;

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // not what it holds
using BorrowedStack = std::unique_ptr<STACK_OF(X509), FreeWith<free_stack>>;

Error bad(ErrorCode code, std::string why) { return make_error(code, std::move(why)); }

struct Pair {
  OwnedCertificate certificate, issuer;
};

Result<OwnedCertificate> parse(const Bytes& der) {
  const unsigned char* at = der.data();
  OwnedCertificate out(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!out) return bad(ErrorCode::kMalformed, "is about something that is no certificate");
  return out;
}

Result<Pair> parse(const PathCertificate& certificate) {
  Pair out;
  TRY_ASSIGN(out.certificate, parse(certificate.der));
  TRY_ASSIGN(out.issuer, parse(certificate.issuer_der));
  return out;
}

std::string_view refusal(int status) {
  switch (status) {
    case OCSP_RESPONSE_STATUS_MALFORMEDREQUEST: return "it does not understand our request";
    case OCSP_RESPONSE_STATUS_INTERNALERROR: return "it has an internal error";
    case OCSP_RESPONSE_STATUS_TRYLATER: return "it has no time now";
    case OCSP_RESPONSE_STATUS_SIGREQUIRED: return "it wants signed requests";
    case OCSP_RESPONSE_STATUS_UNAUTHORIZED: return "it does not answer for this certificate";
    default: return "a status that RFC 6960 does not have";
  }
}

// The extension's value is an OCTET STRING inside the extension's own (RFC 9654 section 2.1); some
// responders of old give the bare octets back.
bool nonce_differs(OCSP_BASICRESP* basic, ByteView nonce) {
  const int at = OCSP_BASICRESP_get_ext_by_NID(basic, NID_id_pkix_OCSP_Nonce, -1);
  if (at < 0 || nonce.empty()) return false;
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(basic, at));
  const ByteView octets(ASN1_STRING_get0_data(value),
                        static_cast<std::size_t>(ASN1_STRING_length(value)));
  return octets.size() < nonce.size() || !equal(octets.last(nonce.size()), nonce);
}

// RFC 6960 section 4.2.2.2: issued by the very CA, with id-kp-OCSPSigning, and valid now. Whether
// the responder's certificate itself is revoked is asked of the lists by nobody: RFC 6960 leaves
// that to the CA, which should give it a short life.
Status check_delegate(X509* signer, X509* issuer, std::int64_t now_utc) {
  EVP_PKEY* key = X509_get0_pubkey(issuer);
  if (X509_NAME_cmp(X509_get_issuer_name(signer), X509_get_subject_name(issuer)) != 0 ||
      key == nullptr || X509_verify(signer, key) != 1) {
    return bad(ErrorCode::kAuthentication,
               "is signed by a certificate that the CA did not issue itself");
  }
  if ((X509_get_extension_flags(signer) & EXFLAG_XKUSAGE) == 0 ||
      (X509_get_extended_key_usage(signer) & XKU_OCSP_SIGN) == 0) {
    return bad(ErrorCode::kAuthentication,
               "is signed by a certificate that may not sign responses (it lacks the extended key "
               "usage OCSPSigning)");
  }
  const auto from = seconds_of(X509_get0_notBefore(signer));
  const auto until = seconds_of(X509_get0_notAfter(signer));
  if (!from || !until || *from > now_utc || *until < now_utc) {
    return bad(ErrorCode::kAuthentication,
               "is signed by a responder whose own certificate is out of its dates");
  }
  int bits = 0;
  if (X509_get_signature_info(signer, nullptr, nullptr, &bits, nullptr) != 1 || bits < 112) {
    return bad(ErrorCode::kAuthentication,
               "is signed by a responder whose certificate has too weak a signature");
  }
  return {};
}

Result<std::string> check_signer(OCSP_BASICRESP* basic, X509* issuer, std::int64_t now_utc) {
  int hash = NID_undef;
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, OCSP_resp_get0_tbs_sigalg(basic));
  OBJ_find_sigid_algs(OBJ_obj2nid(algorithm), &hash, nullptr);
  if (hash == NID_sha1 || hash == NID_md5) {
    return bad(ErrorCode::kUnsupported, "is signed with too weak a hash (SHA-1 or older)");
  }
  const STACK_OF(X509)* sent = OCSP_resp_get0_certs(basic);
  if (sent != nullptr && sk_X509_num(sent) > static_cast<int>(kMaxChainCertificates)) {
    return bad(ErrorCode::kLimit, "holds too many certificates");
  }
  const BorrowedStack known(sk_X509_new_null());
  if (!known || sk_X509_push(known.get(), issuer) == 0) {
    return bad(ErrorCode::kInternal, "could not be read: out of memory");
  }
  // Finds the signer by its identifier among `known` and the response's own certificates, and
  // verifies the signature; whom we trust to sign is our own affair.
  if (OCSP_basic_verify(basic, known.get(), nullptr, OCSP_NOVERIFY) != 1) {
    return bad(ErrorCode::kAuthentication, "is not signed by the responder that it names");
  }
  X509* signer = nullptr;
  if (OCSP_resp_get0_signer(basic, &signer, known.get()) != 1) {
    return bad(ErrorCode::kAuthentication, "is not signed by the responder that it names");
  }
  if (X509_cmp(signer, issuer) != 0) TRY(check_delegate(signer, issuer, now_utc));
  return name_text(der_of<X509_NAME>(i2d_X509_NAME, X509_get_subject_name(signer)))
      .value_or("an unreadable name");
}

// Whether the answer is about the certificate, whatever hash its CertID has.
bool is_about(const OCSP_SINGLERESP* single, const Pair& pair) {
  ASN1_OBJECT* hash = nullptr;
  auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
  if (OCSP_id_get0_info(nullptr, &hash, nullptr, nullptr, id) != 1) return false;
  const EVP_MD* digest = EVP_get_digestbyobj(hash);
  if (digest == nullptr) return false;
  const OwnedId ours(OCSP_cert_to_id(digest, pair.certificate.get(), pair.issuer.get()));
  return ours && OCSP_id_cmp(ours.get(), id) == 0;
}

Result<OcspStatus> read_single(OCSP_SINGLERESP* single, std::int64_t now_utc) {
  int reason = -1;
  ASN1_GENERALIZEDTIME* revoked = nullptr;
  ASN1_GENERALIZEDTIME* from = nullptr;
  ASN1_GENERALIZEDTIME* until = nullptr;
  const int verdict = OCSP_single_get0_status(single, &reason, &revoked, &from, &until);
  const auto this_update = seconds_of(from);
  if (!this_update) return bad(ErrorCode::kMalformed, "has no thisUpdate that can be read");
  OcspStatus out;
  out.verdict = verdict == V_OCSP_CERTSTATUS_GOOD      ? OcspStatus::Verdict::kGood
                : verdict == V_OCSP_CERTSTATUS_REVOKED ? OcspStatus::Verdict::kRevoked
                                                       : OcspStatus::Verdict::kUnknown;
  out.reason = reason < 0 ? 0 : reason;
  out.at = seconds_of(revoked).value_or(0);
  out.this_update = *this_update;
  const auto next = until == nullptr ? std::nullopt : seconds_of(until);
  if (until != nullptr && (!next || *next < *this_update)) {
    return bad(ErrorCode::kMalformed, "has a nextUpdate that cannot be");
  }
  // Without nextUpdate "newer revocation information is available all the time" (section 4.2.2.1).
  out.usable_until = next.value_or(*this_update + kOcspWithoutNextUpdate);
  if (out.this_update > now_utc + kOcspSkew) {
    return bad(ErrorCode::kAuthentication,
               fmt::format("is of {}, and it is {}: compare the clocks", utc_text(out.this_update),
                           utc_text(now_utc)));
  }
  // What revoked once revokes for good.
  if (out.usable_until + kOcspSkew < now_utc && out.verdict != OcspStatus::Verdict::kRevoked) {
    return bad(ErrorCode::kAuthentication,
               fmt::format("is an old one: it was in force until {}, and it is {}",
                           utc_text(out.usable_until), utc_text(now_utc)));
  }
  return out;
}

Result<OwnedBasic> parse_response(ByteView response) {
  if (response.size() > kMaxOcspOctets) {
    return bad(ErrorCode::kLimit, fmt::format("is larger than {} octets", kMaxOcspOctets));
  }
  const unsigned char* at = response.data();
  const OwnedResponse parsed(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(response.size())));
  if (!parsed || at != response.data() + response.size()) {
    return bad(ErrorCode::kMalformed, "is not one in DER form");
  }
  const int status = OCSP_response_status(parsed.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return bad(ErrorCode::kPeerRefused, fmt::format("is a refusal: {}", refusal(status)));
  }
  OwnedBasic basic(OCSP_response_get1_basic(parsed.get()));
  if (!basic) return bad(ErrorCode::kMalformed, "holds no basic response");
  return basic;
}

}  // namespace

Result<Bytes> ocsp_request(const PathCertificate& certificate, ByteView nonce) {
  const ErrorQueueGuard guard;
  TRY_ASSIGN(const Pair pair, parse(certificate));
  const OwnedRequest request(OCSP_REQUEST_new());
  OwnedId id(OCSP_cert_to_id(EVP_sha1(), pair.certificate.get(), pair.issuer.get()));
  if (!request || !id || OCSP_request_add0_id(request.get(), id.get()) == nullptr) {
    return bad(ErrorCode::kInternal, "the crypto library made no OCSP request");
  }
  static_cast<void>(id.release());  // the request has it
  Bytes octets = to_vector(nonce);
  if (!nonce.empty() &&
      OCSP_request_add1_nonce(request.get(), octets.data(), static_cast<int>(octets.size())) != 1) {
    return bad(ErrorCode::kInternal, "the crypto library made no OCSP request");
  }
  return der_of<OCSP_REQUEST>(i2d_OCSP_REQUEST, request.get());
}

Result<OcspStatus> read_ocsp(ByteView response, const PathCertificate& certificate, ByteView nonce,
                             std::int64_t now_utc) {
  const ErrorQueueGuard guard;
  TRY_ASSIGN(const Pair pair, parse(certificate));
  TRY_ASSIGN(const OwnedBasic basic, parse_response(response));
  const int count = OCSP_resp_count(basic.get());
  if (count > static_cast<int>(kMaxOcspAnswers)) {
    return bad(ErrorCode::kLimit, fmt::format("holds {} answers", count));
  }
  OCSP_SINGLERESP* single = nullptr;
  for (int i = 0; i < count && single == nullptr; ++i) {
    OCSP_SINGLERESP* one = OCSP_resp_get0(basic.get(), i);
    if (is_about(one, pair)) single = one;
  }
  if (single == nullptr) {
    return bad(ErrorCode::kAuthentication, "is about another certificate");
  }
  TRY_ASSIGN(std::string responder, check_signer(basic.get(), pair.issuer.get(), now_utc));
  if (nonce_differs(basic.get(), nonce)) {
    return bad(ErrorCode::kAuthentication, "answers another request: its nonce is not ours");
  }
  TRY_ASSIGN(OcspStatus status, read_single(single, now_utc));
  status.responder = std::move(responder);
  return status;
}

}  // namespace espalier::crypto
