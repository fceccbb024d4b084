#include "mesh/own_identity.hpp"

#include <algorithm>

#include "policy/identity.hpp"

namespace espalier::mesh {
namespace {

// Whether the certificate may be the issuer of the other one, by what both say of themselves.
bool may_have_issued(const crypto::CertificateInfo& issuer, const crypto::CertificateInfo& issued) {
  const bool keys_agree = issued.issuer_key_id.empty() || issuer.key_id.empty() ||
                          issued.issuer_key_id == issuer.key_id;
  return issuer.is_ca && issuer.subject_dn == issued.issuer_dn && keys_agree;
}

struct Anchor {
  const Bytes* der;
  crypto::CertificateInfo info;
};

// The chain without its root, and with the CAs that the file left out and x509ca has.
Result<policy::OwnCertificate> complete_chain(const OwnFile& file,
                                              const std::vector<Anchor>& anchors) {
  policy::OwnCertificate own;
  own.private_key = file.private_key;
  crypto::CertificateInfo last;
  const auto self_signed = [&] { return last.subject_dn == last.issuer_dn; };
  const auto append = [&](const Bytes& der, crypto::CertificateInfo info) {
    if (!own.chain.empty()) own.authorities.push_back(info.ca_key_hash);
    last = std::move(info);
    if (own.chain.empty() || !self_signed()) own.chain.push_back(der);
  };
  for (const Bytes& der : file.chain) {
    auto info = crypto::inspect_certificate(der);
    if (!info) return make_error(ErrorCode::kBadInput, file.path + ": " + info.error().message);
    append(der, std::move(*info));
  }
  for (std::size_t i = 0; i < anchors.size() && !self_signed(); ++i) {
    const auto issuer = std::find_if(anchors.begin(), anchors.end(), [&](const Anchor& anchor) {
      return may_have_issued(anchor.info, last);
    });
    if (issuer == anchors.end()) break;
    append(*issuer->der, issuer->info);
  }
  return own;
}

Error speaks_for_nobody(const config::Host& self, const OwnIdentity::One& one,
                        const policy::Identity& id) {
  return make_error(ErrorCode::kBadInput,
                    "the certificate " + one.path + " (" + one.info.subject +
                        ") does not speak for the identity '" + policy::to_string(id) + "' of " +
                        self.name +
                        ": issue it with that as subjectAltName, or set id in the inventory");
}

}  // namespace

Result<OwnIdentity> own_identity(const Credentials& credentials) {
  OwnIdentity own;
  own.anchors = credentials.anchors;
  if (credentials.stand_ins) return own;
  std::vector<Anchor> anchors;
  for (const Bytes& der : credentials.anchors) {
    auto info = crypto::inspect_certificate(der);
    if (!info) continue;  // of a kind that no path of ours can end in
    own.authorities.insert(own.authorities.end(), info->ca_key_hash.begin(),
                           info->ca_key_hash.end());
    anchors.push_back({&der, std::move(*info)});
  }
  for (const OwnFile& file : credentials.certificates) {
    auto info = crypto::inspect_certificate(file.chain.front());
    if (!info) return make_error(ErrorCode::kBadInput, file.path + ": " + info.error().message);
    TRY_ASSIGN(policy::OwnCertificate complete, complete_chain(file, anchors));
    own.certificates.push_back({file.path, std::move(*info), std::move(complete)});
  }
  return own;
}

Status authenticate(const Credentials& credentials, const OwnIdentity& own,
                    const config::Host& self, policy::Connection& connection) {
  if (connection.auth != policy::AuthKind::kCert) return {};
  const bool shows = !policy::we_are_anonymous(connection.null_auth);
  const bool checks = !policy::peer_is_anonymous(connection.null_auth);
  if (shows && credentials.certificates.empty()) {
    return make_error(ErrorCode::kNotFound, connection.name +
                                                " authenticates by certificate, and there is none: "
                                                "put it into x509/" +
                                                self.name + ".pem and its key into private/" +
                                                self.name + ".pem");
  }
  if (checks && credentials.anchors.empty()) {
    return make_error(ErrorCode::kNotFound,
                      connection.name +
                          " authenticates by certificate, and there is no CA to "
                          "trust: put its certificate into x509ca/");
  }
  connection.anchors = own.anchors;
  connection.authorities = own.authorities;
  if (credentials.stand_ins || !shows) return {};
  // Without its identity in it every peer would turn a certificate down, and say less about why.
  for (const OwnIdentity::One& one : own.certificates) {
    if (!policy::certificate_has_identity(one.info, connection.local_id)) continue;
    // The same name may be written in other string types: the peer gets the certificate's octets.
    if (connection.certificates.empty() && connection.local_id.type == wire::ike::IdType::kDerDn) {
      connection.local_id.data = one.info.subject_dn;
    }
    connection.certificates.push_back(one.certificate);
  }
  if (!connection.certificates.empty()) return {};
  return speaks_for_nobody(self, own.certificates.front(), connection.local_id);
}

}  // namespace espalier::mesh
