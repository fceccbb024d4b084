#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "crypto/limits.hpp"
#include "crypto/owned.hpp"
#include "crypto/public_key.hpp"
#include "crypto/signature.hpp"
#include "crypto/x509_read.hpp"
#include "crypto/x509_text.hpp"

namespace espalier::crypto {
namespace {

using OwnedCertificate = Owned<X509, X509_free>;
using OwnedStore = Owned<X509_STORE, X509_STORE_free>;
using OwnedStoreContext = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;

void free_stack(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }
using OwnedStack = std::unique_ptr<STACK_OF(X509), FreeWith<free_stack>>;

// The library's level of 112 bits: no SHA-1 or MD5 signatures, no RSA under 2048 bits, in the whole
// path.
constexpr int kSecurityLevel = 2;

Result<OwnedCertificate> parse(ByteView der, std::string_view what) {
  const unsigned char* at = der.data();
  OwnedCertificate certificate;
  if (der.size() <= kMaxCertificateOctets) {
    certificate.reset(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  }
  if (!certificate || at != der.data() + der.size()) {
    return make_error(ErrorCode::kMalformed, std::string(what) + " is not a DER X.509 certificate");
  }
  return certificate;
}

std::string text_of(const X509_NAME* name) {
  const int size = i2d_X509_NAME(name, nullptr);
  Bytes der(size > 0 ? static_cast<std::size_t>(size) : 0);
  unsigned char* at = der.data();
  if (!der.empty()) i2d_X509_NAME(name, &at);
  return name_text(der).value_or("an unreadable name");
}

Error refused(const X509* certificate, std::string_view reason) {
  return make_error(ErrorCode::kAuthentication, "the certificate '" +
                                                    text_of(X509_get_subject_name(certificate)) +
                                                    "' is refused: " + std::string(reason));
}

// A date as the certificate writes it, in our form.
std::string date_text(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable date";
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

// The reason in our words where we can add what to do next, else the library's.
std::string reason_in_words(int code, const X509* certificate, std::int64_t now_utc) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "it was valid until " + date_text(X509_get0_notAfter(certificate)) + ", and it is " +
             utc_text(now_utc) + "; issue a new one";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "it is valid from " + date_text(X509_get0_notBefore(certificate)) + ", and it is " +
             utc_text(now_utc) + "; compare the clocks of the hosts";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "its issuer '" + text_of(X509_get_issuer_name(certificate)) +
             "' is neither one of our CAs nor in the chain that the peer sent";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return "it is self-signed and not one of our CAs";
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "its signature was not made by its issuer '" +
             text_of(X509_get_issuer_name(certificate)) + "'";
    case X509_V_ERR_INVALID_CA: return "it issued another certificate, but is not a CA";
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED: return "too many CAs stand between it and one of ours";
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
      return "a CA above it has name constraints that do not allow its names: issue it by a CA "
             "that may";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL: return "its key is too short";
    case X509_V_ERR_CA_MD_TOO_WEAK: return "it is signed with too weak a hash (SHA-1 or older)";
    default: break;
  }
  return X509_verify_cert_error_string(code);
}

Result<OwnedStore> store_of(const std::vector<Bytes>& anchors) {
  OwnedStore store(X509_STORE_new());
  if (!store) return make_error(ErrorCode::kInternal, "the crypto library is out of memory");
  for (const Bytes& der : anchors) {
    TRY_ASSIGN(const OwnedCertificate anchor, parse(der, "one of our CA certificates"));
    if (X509_STORE_add_cert(store.get(), anchor.get()) != 1) {
      return make_error(ErrorCode::kInternal, "the crypto library took no more CA certificates");
    }
  }
  return store;
}

Result<OwnedStack> helpers_of(const std::vector<Bytes>& chain) {
  OwnedStack stack(sk_X509_new_null());
  for (std::size_t i = 1; i < chain.size(); ++i) {
    TRY_ASSIGN(OwnedCertificate helper,
               parse(chain[i], "certificate " + std::to_string(i + 1) + " of the peer's chain"));
    if (!stack || sk_X509_push(stack.get(), helper.get()) == 0) break;
    static_cast<void>(helper.release());  // the stack owns it now
  }
  if (!stack || sk_X509_num(stack.get()) + 1 != static_cast<int>(chain.size())) {
    return make_error(ErrorCode::kInternal, "the crypto library is out of memory");
  }
  return stack;
}

// What the library leaves to the application, over the path that it built and verified.
Status check_roles(X509_STORE_CTX* context) {
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context);
  X509* leaf = sk_X509_value(path, 0);
  // RFC 4945 section 5.1.3.2: a key that signs IKE_AUTH has digitalSignature or nonRepudiation, if
  // it says anything (get_key_usage is all ones without the extension).
  constexpr std::uint32_t kSigns = KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION;
  if ((X509_get_key_usage(leaf) & kSigns) == 0) {
    return refused(leaf, "its keyUsage does not let it sign (digitalSignature)");
  }
  for (int i = 1; i < sk_X509_num(path); ++i) {
    X509* ca = sk_X509_value(path, i);
    // RFC 5280 section 6.1.4 (k). The library still takes version 1 certificates as CAs.
    if ((X509_get_extension_flags(ca) & EXFLAG_CA) == 0) {
      return refused(ca, "it issued another certificate, but its basicConstraints do not say CA");
    }
  }
  return {};
}

void add_address(const GENERAL_NAME* name, std::vector<std::string>& into) {
  int type = 0;
  const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
  if (type != GEN_URI || into.size() == kMaxStatusAddresses) return;
  const std::string text =
      to_text({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
  if (text.starts_with("http://")) into.push_back(text);
}

// An authorityInfoAccess (RFC 5280 section 4.2.2.1) may name a responder or only the issuer's
// certificate. True when it names a responder.
bool add_responders(const X509* certificate, std::vector<std::string>& into) {
  const Owned<AUTHORITY_INFO_ACCESS, AUTHORITY_INFO_ACCESS_free> access(
      static_cast<AUTHORITY_INFO_ACCESS*>(
          X509_get_ext_d2i(certificate, NID_info_access, nullptr, nullptr)));
  bool found = false;
  for (int i = 0; access && i < sk_ACCESS_DESCRIPTION_num(access.get()); ++i) {
    const ACCESS_DESCRIPTION* one = sk_ACCESS_DESCRIPTION_value(access.get(), i);
    if (OBJ_obj2nid(one->method) != NID_ad_OCSP) continue;
    found = true;
    add_address(one->location, into);
  }
  return found;
}

// RFC 5280 section 4.2.1.13. Points that hold a part of the reasons, or whose list another CA signs
// (an indirect one), are no help: such lists are refused.
void add_distribution_points(const X509* certificate, std::vector<std::string>& into) {
  const Owned<CRL_DIST_POINTS, CRL_DIST_POINTS_free> points(static_cast<CRL_DIST_POINTS*>(
      X509_get_ext_d2i(certificate, NID_crl_distribution_points, nullptr, nullptr)));
  for (int i = 0; points && i < sk_DIST_POINT_num(points.get()); ++i) {
    const DIST_POINT* point = sk_DIST_POINT_value(points.get(), i);
    if (point->reasons != nullptr || point->CRLissuer != nullptr) continue;
    if (point->distpoint == nullptr || point->distpoint->type != 0) continue;
    const GENERAL_NAMES* names = point->distpoint->name.fullname;
    for (int k = 0; k < sk_GENERAL_NAME_num(names); ++k) {
      add_address(sk_GENERAL_NAME_value(names, k), into);
    }
  }
}

struct Material {
  OwnedCertificate leaf;
  OwnedStack helpers;
  OwnedStore store;
};

std::vector<PathCertificate> describe(const STACK_OF(X509) * path) {
  std::vector<PathCertificate> out;
  for (int i = 0; i + 1 < sk_X509_num(path); ++i) {
    const X509* one = sk_X509_value(path, i);
    const X509* issuer = sk_X509_value(path, i + 1);
    PathCertificate certificate;
    certificate.id = {key_digest(issuer), serial_of(X509_get0_serialNumber(one))};
    certificate.subject = text_of(X509_get_subject_name(one));
    certificate.issuer = text_of(X509_get_issuer_name(one));
    certificate.not_before = seconds_of(X509_get0_notBefore(one)).value_or(0);
    certificate.not_after = seconds_of(X509_get0_notAfter(one)).value_or(0);
    add_distribution_points(one, certificate.crl_urls);
    certificate.names_a_list = add_responders(one, certificate.ocsp_urls) ||
                               X509_get_ext_by_NID(one, NID_crl_distribution_points, -1) >= 0;
    certificate.der = der_of<X509>(i2d_X509, one);
    certificate.issuer_der = der_of<X509>(i2d_X509, issuer);
    out.push_back(std::move(certificate));
  }
  return out;
}

Result<std::vector<PathCertificate>> path_of(const Material& material, std::int64_t now_utc) {
  const OwnedStoreContext context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), material.store.get(), material.leaf.get(),
                                      material.helpers.get()) != 1) {
    return make_error(ErrorCode::kInternal, "the crypto library could not validate a path");
  }
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(now_utc));
  X509_VERIFY_PARAM_set_depth(parameters, kMaxIntermediateCas);
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  if (X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY) != 1) {
    return make_error(ErrorCode::kInternal, "the crypto library could not validate a path");
  }
  if (X509_verify_cert(context.get()) != 1) {
    const int code = X509_STORE_CTX_get_error(context.get());
    const X509* culprit = X509_STORE_CTX_get_current_cert(context.get());
    if (culprit == nullptr) culprit = material.leaf.get();
    return refused(culprit, reason_in_words(code, culprit, now_utc));
  }
  TRY(check_roles(context.get()));
  return describe(X509_STORE_CTX_get0_chain(context.get()));
}

}  // namespace

Result<std::vector<PathCertificate>> validate_path(const std::vector<Bytes>& chain,
                                                   const std::vector<Bytes>& anchors,
                                                   std::int64_t now_utc) {
  const ErrorQueueGuard guard;
  if (chain.empty()) {
    return make_error(ErrorCode::kAuthentication, "the peer sent no certificate");
  }
  if (chain.size() > kMaxChainCertificates) {
    return make_error(ErrorCode::kLimit, "the peer sent " + std::to_string(chain.size()) +
                                             " certificates, more than " +
                                             std::to_string(kMaxChainCertificates));
  }
  Material material;
  TRY_ASSIGN(material.leaf, parse(chain[0], "the peer's certificate"));
  TRY_ASSIGN(material.helpers, helpers_of(chain));
  TRY_ASSIGN(material.store, store_of(anchors));
  return path_of(material, now_utc);
}

}  // namespace espalier::crypto
