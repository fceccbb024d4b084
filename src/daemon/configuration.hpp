// From the configuration folder to a host's plan: files are read, checked for their permissions,
// and compiled.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/diagnostic.hpp"
#include "ike/core/jobs.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

// Private keys by name, loaded once per configuration.
class FileKeyStore final : public ike::KeyStore {
 public:
  std::shared_ptr<const crypto::PrivateKey> find(const std::string& name) const override;
  void add(const std::string& name, std::shared_ptr<const crypto::PrivateKey> key);
  const crypto::RevocationLists* revocations() const override;
  Bytes own_status(const std::string& name) const override;
  void set_revocations(crypto::RevocationLists lists);
  void set_revocations(std::shared_ptr<const crypto::RevocationLists> lists) {
    revocations_ = std::move(lists);
  }
  // Who has the OCSP responses about our own certificates.
  void set_own_status(std::function<Bytes(const std::string&)> source) {
    own_status_ = std::move(source);
  }
  std::shared_ptr<const crypto::RevocationLists> shared_revocations() const { return revocations_; }

 private:
  std::map<std::string, std::shared_ptr<const crypto::PrivateKey>> keys_;
  std::shared_ptr<const crypto::RevocationLists> revocations_;
  std::function<Bytes(const std::string&)> own_status_;
};

struct Configuration {
  mesh::HostPlan plan;
  FileKeyStore keys;
  // For warnings about their dates.
  std::vector<mesh::OwnFile> certificates;
  std::vector<Bytes> anchors;
};

// Reads FOLDER/mesh.yaml and what it needs. self: --self, or nothing. accepts: what the dataplane
// can beyond what each can. No mesh.yaml: an empty plan.
// Errors carry file:line:column, or the file and what to do (chmod); then nothing of the
// configuration is to be used.
Result<Configuration> load_configuration(const std::string& folder,
                                         const std::optional<std::string>& self,
                                         config::Features accepts = {});

}  // namespace espalier::daemon
