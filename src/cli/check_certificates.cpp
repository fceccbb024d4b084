// The certificates beside an inventory: whether they can be read, belong to their keys, and are
// within their dates. What is not there is no fault: a file may be checked anywhere.
#include <algorithm>

#include "cli/check_report.hpp"
#include "cli/environment.hpp"
#include "mesh/certificate_files.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kMaxFile = std::size_t{8} << 20;

class EnvironmentFolder final : public mesh::Folder {
 public:
  EnvironmentFolder(Environment& env, std::string path) : env_(env), path_(std::move(path)) {}
  std::string place(const std::string& path) const override {
    return path_.empty() ? path : path_ + "/" + path;
  }
  std::optional<std::vector<std::string>> names(const std::string& folder) override {
    return env_.names(place(folder));
  }
  Result<Bytes> read(const std::string& path) override {
    TRY_ASSIGN(const std::string text, env_.read_file(place(path), kMaxFile));
    return to_vector(as_bytes(text));
  }

 private:
  Environment& env_;
  std::string path_;
};

// A private key is looked at only where it may be: by root, as the daemon would.
Status check_own(Environment& env, EnvironmentFolder& folder, const mesh::OwnFile& own) {
  const std::string path = folder.place(own.private_key);
  auto text = env.read_file(path, kMaxFile);
  if (!text) return {};
  SecretBytes pem(to_vector(as_bytes(*text)));
  wipe({reinterpret_cast<std::uint8_t*>(text->data()), text->size()});
  TRY(env.check_private(path));
  auto key = crypto::PrivateKey::from_pem(pem.reveal());
  if (!key) return make_error(key.error().code, path + ": " + key.error().message);
  return mesh::check_key(own, **key);
}

}  // namespace

void check_certificates(Environment& env, CheckReport& report) {
  using Kind = mesh::RequiredFile::Kind;
  const std::size_t slash = report.file.rfind('/');
  EnvironmentFolder folder(env, slash == std::string::npos ? "" : report.file.substr(0, slash));
  std::vector<mesh::OwnFile> own;
  std::vector<Bytes> anchors;
  const auto fault = [&](const Error& error) { report.faults.push_back(error.message); };
  const auto is_absent = [&](const std::string& path) {
    const std::size_t at = path.rfind('/');
    const auto names = folder.names(path.substr(0, at));
    return !names || std::find(names->begin(), names->end(), path.substr(at + 1)) == names->end();
  };
  for (const mesh::RequiredFile& file : report.files) {
    if (file.kind == Kind::kCertificate && !is_absent(file.path)) {
      auto read = mesh::read_own_certificates(folder, file.path);
      if (!read) {
        fault(read.error());
      } else {
        own = std::move(*read);
      }
    }
    if (file.kind == Kind::kAnchors && folder.names(file.path)) {
      auto read = mesh::read_anchors(folder, file.path);
      if (!read) {
        fault(read.error());
      } else {
        anchors = std::move(*read);
      }
    }
  }
  for (const mesh::OwnFile& one : own) {
    if (const Status checked = check_own(env, folder, one); !checked) fault(checked.error());
  }
  report.certificates = mesh::judge(mesh::dated(own, anchors), env.unix_now());
  if (anchors.empty()) return;
  const auto lists = mesh::read_revocation_lists(folder, anchors);
  if (!lists) return fault(lists.error());
  for (mesh::DateNotice& notice : mesh::judge(mesh::dated(*lists), env.unix_now())) {
    report.certificates.push_back(std::move(notice));
  }
}

}  // namespace espalier::cli
