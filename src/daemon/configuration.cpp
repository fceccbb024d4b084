#include "daemon/configuration.hpp"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/secret.hpp"
#include "config/inventory.hpp"
#include "daemon/file.hpp"
#include "mesh/certificate_files.hpp"
#include "mesh/secret.hpp"

namespace espalier::daemon {
namespace {

using Kind = mesh::RequiredFile::Kind;

std::vector<IpAddress> addresses_of_this_machine() {
  std::vector<IpAddress> found;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    ByteView octets;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      octets = {reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), 4};
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      octets = {reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), 16};
    } else {
      continue;
    }
    found.push_back(IpAddress::from_bytes(octets).value());
  }
  freeifaddrs(list);
  return found;
}

Error with_reason(const Error& error, const std::string& why) {
  return make_error(error.code, fmt::format("{} ({})", error.message, why));
}

Error in_file(const std::string& path, const Error& error) {
  return make_error(error.code, path + ": " + error.message);
}

class DiskFolder final : public mesh::Folder {
 public:
  explicit DiskFolder(std::string path) : path_(std::move(path)) {}
  std::string place(const std::string& path) const override { return path_ + "/" + path; }
  std::optional<std::vector<std::string>> names(const std::string& folder) override {
    return names_in_folder(place(folder));
  }
  Result<Bytes> read(const std::string& path) override {
    return read_file(place(path), kMaxFileOctets);
  }

 private:
  std::string path_;
};

// The keys of the certificates beside the first, and whether each is its certificate's.
Status add_keys(const std::string& folder, const std::vector<mesh::OwnFile>& certificates,
                FileKeyStore& keys) {
  for (const mesh::OwnFile& own : certificates) {
    if (keys.find(own.private_key) == nullptr) {
      const std::string path = folder + "/" + own.private_key;
      TRY_ASSIGN(const SecretBytes pem, read_private_file(path));
      auto key = crypto::PrivateKey::from_pem(pem.reveal());
      if (!key) return in_file(path, key.error());
      keys.add(own.private_key, std::move(*key));
    }
    if (const Status fits = mesh::check_key(own, *keys.find(own.private_key)); !fits) {
      return fits.error();
    }
  }
  return {};
}

Status read_credential(const std::string& folder, const mesh::RequiredFile& file,
                       mesh::Credentials& into, FileKeyStore& keys) {
  const std::string path = folder + "/" + file.path;
  if (file.kind == Kind::kAnchors) {
    DiskFolder disk(folder);
    TRY_ASSIGN(into.anchors, mesh::read_anchors(disk, file.path));
    return {};
  }
  if (file.kind == Kind::kCertificate) {
    DiskFolder disk(folder);
    TRY_ASSIGN(into.certificates, mesh::read_own_certificates(disk, file.path));
    return {};
  }
  auto contents = read_private_file(path);
  if (!contents) {
    const bool absent = !file_exists(path);
    if (!absent || file.kind == Kind::kPrivateKey) return contents.error();
    return make_error(ErrorCode::kBadInput,
                      fmt::format("{} does not exist: {}", path,
                                  file.kind == Kind::kMeshSecret
                                      ? "make it once with 'espalier secret new' and give the same "
                                        "file to every host, with mode 0600"
                                  : file.kind == Kind::kManualKeys
                                      ? "make it with 'espalier manual new' and give the same file "
                                        "to the other end, with mode 0600"
                                      : "put the secret there that the peer has too, in one line "
                                        "and with mode 0600"));
  }
  if (file.kind == Kind::kPrivateKey) {
    auto key = crypto::PrivateKey::from_pem(contents->reveal());
    if (!key) return in_file(path, key.error());
    keys.add(file.path, std::move(*key));
    return {};
  }
  if (file.kind == Kind::kManualKeys) {
    into.manual_keys[file.name] = std::move(*contents);
    return {};
  }
  const ByteView view = contents->reveal();
  auto secret = mesh::parse_secret({reinterpret_cast<const char*>(view.data()), view.size()});
  if (!secret) return in_file(path, secret.error());
  if (file.kind == Kind::kMeshSecret) {
    into.mesh_secret = std::move(*secret);
  } else if (file.kind == Kind::kPpk) {
    into.ppks[file.name] = std::move(*secret);
  } else {
    into.foreign_secrets[file.name] = std::move(*secret);
  }
  return {};
}

Result<std::string> which_self(const config::Inventory& inventory,
                               const std::optional<std::string>& self) {
  if (self) return mesh::named_self(inventory, *self);
  char hostname[256] = {};
  gethostname(hostname, sizeof hostname - 1);
  return mesh::find_self(inventory, hostname, addresses_of_this_machine());
}

Result<Configuration> load(const std::string& folder, const std::optional<std::string>& self,
                           config::Features accepts) {
  Configuration configuration;
  const std::string path = folder + "/mesh.yaml";
  if (!file_exists(path)) return configuration;
  TRY_ASSIGN(const Bytes text, read_file(path, kMaxFileOctets));
  const config::LoadOutcome outcome = config::load_inventory(to_text(text), path, accepts);
  if (!outcome.ok()) return config::to_error(outcome.diagnostics);
  TRY_ASSIGN(const std::string name, which_self(*outcome.inventory, self));
  mesh::Credentials credentials;
  for (const mesh::RequiredFile& file : mesh::required_files(*outcome.inventory, name)) {
    if (const Status read = read_credential(folder, file, credentials, configuration.keys); !read) {
      return with_reason(read.error(), file.why);
    }
  }
  TRY(add_keys(folder, credentials.certificates, configuration.keys));
  TRY_ASSIGN(configuration.plan, mesh::compile(*outcome.inventory, name, credentials));
  if (!credentials.certificates.empty() || !credentials.anchors.empty()) {
    DiskFolder disk(folder);
    TRY_ASSIGN(crypto::RevocationLists lists,
               mesh::read_revocation_lists(disk, credentials.anchors));
    configuration.keys.set_revocations(std::move(lists));
  }
  configuration.certificates = std::move(credentials.certificates);
  configuration.anchors = std::move(credentials.anchors);
  return configuration;
}

}  // namespace

std::shared_ptr<const crypto::PrivateKey> FileKeyStore::find(const std::string& name) const {
  const auto found = keys_.find(name);
  return found == keys_.end() ? nullptr : found->second;
}

const crypto::RevocationLists* FileKeyStore::revocations() const { return revocations_.get(); }

Bytes FileKeyStore::own_status(const std::string& name) const {
  return own_status_ ? own_status_(name) : Bytes();
}

void FileKeyStore::set_revocations(crypto::RevocationLists lists) {
  revocations_ = std::make_shared<const crypto::RevocationLists>(std::move(lists));
}

void FileKeyStore::add(const std::string& name, std::shared_ptr<const crypto::PrivateKey> key) {
  keys_[name] = std::move(key);
}

Result<Configuration> load_configuration(const std::string& folder,
                                         const std::optional<std::string>& self,
                                         config::Features accepts) {
  auto loaded = load(folder, self, accepts);
  // Whatever it was, a file is what has to change: exit 65 for the daemon and for `reload`.
  if (!loaded) return make_error(ErrorCode::kBadInput, loaded.error().message);
  return loaded;
}

}  // namespace espalier::daemon
