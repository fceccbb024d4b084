#include "mesh/certificate_files.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/identity.hpp"

namespace espalier::mesh {
namespace {

Error in_file(const Folder& folder, const std::string& path, const Error& error) {
  return make_error(error.code, folder.place(path) + ": " + error.message);
}

// The names in a folder that end so, sorted; nothing when there is no such folder.
std::optional<std::vector<std::string>> names_in(Folder& folder, const std::string& path,
                                                 std::initializer_list<std::string_view> ends) {
  auto names = folder.names(path);
  if (!names) return std::nullopt;
  std::erase_if(*names, [&](const std::string& name) {
    return std::none_of(ends.begin(), ends.end(), [&](std::string_view end) {
      return name.size() > end.size() && name.ends_with(end);
    });
  });
  std::sort(names->begin(), names->end());
  return names;
}

}  // namespace

Result<std::vector<OwnFile>> read_own_certificates(Folder& folder, const std::string& first) {
  const std::size_t slash = first.rfind('/');
  const std::size_t suffix = first.rfind(".pem");
  ASSERT(slash != std::string::npos && suffix != std::string::npos);
  const std::string sub = first.substr(0, slash);
  const std::string stem = first.substr(slash + 1, suffix - slash - 1) + ".";
  std::vector<std::string> files{first};
  for (const std::string& name :
       names_in(folder, sub, {".pem"}).value_or(std::vector<std::string>())) {
    if (name.starts_with(stem) && sub + "/" + name != first) files.push_back(sub + "/" + name);
  }
  std::vector<OwnFile> out;
  for (const std::string& file : files) {
    TRY_ASSIGN(const Bytes pem, folder.read(file));
    auto chain = crypto::certificates_from_pem(pem);
    if (!chain) return in_file(folder, file, chain.error());
    out.push_back({file, "private" + file.substr(slash), std::move(*chain)});
  }
  return out;
}

Result<std::vector<Bytes>> read_anchors(Folder& folder, const std::string& path) {
  const auto names = names_in(folder, path, {".pem"});
  if (!names) {
    return make_error(ErrorCode::kBadInput,
                      folder.place(path) +
                          ": No such folder; put the CA certificates of the peers there as *.pem");
  }
  std::vector<Bytes> anchors;
  for (const std::string& name : *names) {
    TRY_ASSIGN(const Bytes pem, folder.read(path + "/" + name));
    auto certificates = crypto::certificates_from_pem(pem);
    if (!certificates) return in_file(folder, path + "/" + name, certificates.error());
    anchors.insert(anchors.end(), certificates->begin(), certificates->end());
  }
  if (anchors.empty()) {
    return make_error(ErrorCode::kBadInput, folder.place(path) +
                                                " holds no CA certificate: put the anchors of the "
                                                "peers there as *.pem");
  }
  return anchors;
}

Result<crypto::RevocationLists> read_revocation_lists(Folder& folder,
                                                      const std::vector<Bytes>& anchors) {
  crypto::RevocationLists lists;
  for (const std::string& name :
       names_in(folder, "x509crl", {".pem", ".crl", ".der"}).value_or(std::vector<std::string>())) {
    const std::string path = "x509crl/" + name;
    TRY_ASSIGN(const Bytes file, folder.read(path));
    if (const Status added = lists.add(file, anchors); !added) {
      return make_error(
          ErrorCode::kBadInput,
          fmt::format("the revocation list {} {}", folder.place(path), added.error().message));
    }
  }
  return lists;
}

Status check_key(const OwnFile& own, const crypto::PrivateKey& key) {
  auto certificate = crypto::inspect_certificate(own.chain.front());
  if (!certificate) return certificate.error();
  if (key.public_der() == certificate->public_der) return {};
  return make_error(
      ErrorCode::kBadInput,
      fmt::format("the private key {} is not the key of the certificate {} ({}): put the pair "
                  "that belongs together in place",
                  own.private_key, own.path, certificate->subject));
}

}  // namespace espalier::mesh
