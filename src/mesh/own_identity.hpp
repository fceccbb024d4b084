// Our own side of authentication by certificates: chains completed from x509ca, and which
// certificate speaks for which identity.
#pragma once

#include "crypto/signature.hpp"
#include "mesh/plan.hpp"

namespace espalier::mesh {

// What the connections of this host share that authenticate by certificate.
struct OwnIdentity {
  struct One {
    std::string path;  // "x509/bender.pem"
    crypto::CertificateInfo info;
    policy::OwnCertificate certificate;
  };
  std::vector<One> certificates;
  std::vector<Bytes> anchors;
  Bytes authorities;  // the body of a CERTREQ for the anchors
};

// Errors: kBadInput for a certificate that cannot be read, with its file.
Result<OwnIdentity> own_identity(const Credentials& credentials);

// Fills in what the connection needs when it authenticates by certificate: ours that speak for its
// local_id. Errors: kNotFound when there is none or no CA, kBadInput when none speaks for it.
Status authenticate(const Credentials& credentials, const OwnIdentity& own,
                    const config::Host& self, policy::Connection& connection);

}  // namespace espalier::mesh
