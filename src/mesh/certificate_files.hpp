// Certificates, keys and revocation lists of the configuration folder: x509/, x509ca/, x509crl/,
// private/. Which files they are in and whether they belong together; the reading is an argument.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/revocation.hpp"
#include "crypto/signature.hpp"
#include "mesh/plan.hpp"

namespace espalier::mesh {

// The files of one configuration folder; paths are relative to it.
class Folder {
 public:
  virtual ~Folder() = default;
  // For messages: the whole path.
  virtual std::string place(const std::string& path) const = 0;
  // The names in a folder, in any order; nothing when there is no such folder.
  virtual std::optional<std::vector<std::string>> names(const std::string& folder) = 0;
  // Errors name the file.
  virtual Result<Bytes> read(const std::string& path) = 0;
};

// x509/SELF.pem and after it x509/SELF.*.pem in order of their names, each with the key of the same
// name in private/. `first` is the path of the first. Errors: kBadInput and others with the file.
Result<std::vector<OwnFile>> read_own_certificates(Folder& folder, const std::string& first);

// Every certificate of x509ca/*.pem; at least one. Errors with the file.
Result<std::vector<Bytes>> read_anchors(Folder& folder, const std::string& path);

// x509crl/*.pem, *.crl and *.der; the folder may be missing. The lists are signed by CAs of x509ca.
// Errors with the file: a list that cannot be used might be the one that revokes.
Result<crypto::RevocationLists> read_revocation_lists(Folder& folder,
                                                      const std::vector<Bytes>& anchors);

// Whether the key is the certificate's: one that is not would fail at every peer, and only there.
Status check_key(const OwnFile& own, const crypto::PrivateKey& key);

}  // namespace espalier::mesh
