// Certificates and revocation lists of the configuration folder: x509/, x509ca/, x509crl/.
#pragma once

#include <string>
#include <vector>

#include "crypto/revocation.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

// x509/SELF.pem and after it x509/SELF.*.pem in order of their names, each with the key of the same
// name in private/. `first` is the path of the first below the folder. Errors: kBadInput and others
// with the file.
Result<std::vector<mesh::OwnFile>> read_own_certificates(const std::string& folder,
                                                         const std::string& first);

// Every certificate of FOLDER/*.pem; at least one. Errors with the file.
Result<std::vector<Bytes>> read_anchors(const std::string& folder);

// x509crl/*.pem, *.crl and *.der; the folder may be missing. The lists are signed by CAs of x509ca.
// Errors with the file: a list that cannot be used might be the one that revokes.
Result<crypto::RevocationLists> read_revocation_lists(const std::string& folder,
                                                      const std::vector<Bytes>& anchors);

// A sentence for each own certificate and CA that is out of its dates at now_utc or will soon be,
// and for each list that is not in force. They name the file.
std::vector<std::string> certificate_warnings(const mesh::Credentials& credentials,
                                              const crypto::RevocationLists& lists,
                                              std::int64_t now_utc);

}  // namespace espalier::daemon
