#include "daemon/configuration.hpp"

#include <dirent.h>
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

Result<std::vector<Bytes>> read_anchors(const std::string& folder) {
  std::vector<std::string> names;
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) {
    return make_error(ErrorCode::kBadInput,
                      fmt::format("{}: {}; put the CA certificates there as *.pem", folder,
                                  std::strerror(errno)));
  }
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name.size() > 4 && name.ends_with(".pem")) names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  std::vector<Bytes> anchors;
  for (const std::string& name : names) {
    TRY_ASSIGN(const Bytes pem, read_file(folder + "/" + name, kMaxFileOctets));
    auto certificates = crypto::certificates_from_pem(pem);
    if (!certificates) return in_file(folder + "/" + name, certificates.error());
    anchors.insert(anchors.end(), certificates->begin(), certificates->end());
  }
  if (anchors.empty()) {
    return make_error(
        ErrorCode::kBadInput,
        folder + " holds no CA certificate: put the anchors of the peers there as *.pem");
  }
  return anchors;
}

Status read_credential(const std::string& folder, const mesh::RequiredFile& file,
                       mesh::Credentials& into, FileKeyStore& keys) {
  const std::string path = folder + "/" + file.path;
  if (file.kind == Kind::kAnchors) {
    TRY_ASSIGN(into.anchors, read_anchors(path));
    return {};
  }
  if (file.kind == Kind::kCertificate) {
    TRY_ASSIGN(const Bytes pem, read_file(path, kMaxFileOctets));
    auto certificates = crypto::certificates_from_pem(pem);
    if (!certificates) return in_file(path, certificates.error());
    into.certificates = std::move(*certificates);
    if (into.certificates.empty())
      return make_error(ErrorCode::kBadInput, path + " holds no certificate");
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
                                      : "put the secret there that the peer has too, in one line "
                                        "and with mode 0600"));
  }
  if (file.kind == Kind::kPrivateKey) {
    auto key = crypto::PrivateKey::from_pem(contents->reveal());
    if (!key) return in_file(path, key.error());
    into.private_key = file.path;
    keys.add(file.path, std::move(*key));
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

// A private key that is not its certificate's would fail at every peer, and only there.
Status check_key_fits(const mesh::Credentials& credentials, const FileKeyStore& keys) {
  if (credentials.certificates.empty() || credentials.private_key.empty()) return {};
  TRY_ASSIGN(const auto certificate, crypto::inspect_certificate(credentials.certificates.front()));
  if (keys.find(credentials.private_key)->public_der() == certificate.public_der) return {};
  return make_error(
      ErrorCode::kBadInput,
      fmt::format("the private key {} is not the key of the certificate ({}): put the pair "
                  "that belongs together in place",
                  credentials.private_key, certificate.subject));
}

Result<std::string> which_self(const config::Inventory& inventory,
                               const std::optional<std::string>& self) {
  if (self) return mesh::named_self(inventory, *self);
  char hostname[256] = {};
  gethostname(hostname, sizeof hostname - 1);
  return mesh::find_self(inventory, hostname, addresses_of_this_machine());
}

Result<Configuration> load(const std::string& folder, const std::optional<std::string>& self) {
  Configuration configuration;
  const std::string path = folder + "/mesh.yaml";
  if (!file_exists(path)) return configuration;
  TRY_ASSIGN(const Bytes text, read_file(path, kMaxFileOctets));
  const config::LoadOutcome outcome = config::load_inventory(to_text(text), path);
  if (!outcome.ok()) return config::to_error(outcome.diagnostics);
  TRY_ASSIGN(const std::string name, which_self(*outcome.inventory, self));
  mesh::Credentials credentials;
  for (const mesh::RequiredFile& file : mesh::required_files(*outcome.inventory, name)) {
    if (const Status read = read_credential(folder, file, credentials, configuration.keys); !read) {
      return with_reason(read.error(), file.why);
    }
  }
  TRY(check_key_fits(credentials, configuration.keys));
  TRY_ASSIGN(configuration.plan, mesh::compile(*outcome.inventory, name, credentials));
  return configuration;
}

}  // namespace

std::shared_ptr<const crypto::PrivateKey> FileKeyStore::find(const std::string& name) const {
  const auto found = keys_.find(name);
  return found == keys_.end() ? nullptr : found->second;
}

void FileKeyStore::add(const std::string& name, std::shared_ptr<const crypto::PrivateKey> key) {
  keys_[name] = std::move(key);
}

Result<Configuration> load_configuration(const std::string& folder,
                                         const std::optional<std::string>& self) {
  auto loaded = load(folder, self);
  // Whatever it was, a file is what has to change: exit 65 for the daemon and for `reload`.
  if (!loaded) return make_error(ErrorCode::kBadInput, loaded.error().message);
  return loaded;
}

}  // namespace espalier::daemon
