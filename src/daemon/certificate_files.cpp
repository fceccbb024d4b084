#include "daemon/certificate_files.hpp"

#include <dirent.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>

#include "crypto/signature.hpp"
#include "daemon/file.hpp"

namespace espalier::daemon {
namespace {

constexpr std::int64_t kSoon = std::int64_t{14} * 24 * 3600;  // seconds

Error in_file(const std::string& path, const Error& error) {
  return make_error(error.code, path + ": " + error.message);
}

// The names in a folder that end so, sorted; nothing when there is no such folder.
std::optional<std::vector<std::string>> names_in(const std::string& folder,
                                                 std::initializer_list<std::string_view> ends) {
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return std::nullopt;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    const bool fits = std::any_of(ends.begin(), ends.end(), [&](std::string_view end) {
      return name.size() > end.size() && name.ends_with(end);
    });
    if (fits) names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

std::string date(std::int64_t utc) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(utc)));
}

void judge_dates(const std::string& file, const Bytes& der, const char* effect,
                 std::int64_t now_utc, std::vector<std::string>& out) {
  const auto info = crypto::inspect_certificate(der);
  if (!info) return;
  std::string why;
  if (info->not_after < now_utc) {
    why = fmt::format("was valid until {}: {}; issue a new one", date(info->not_after), effect);
  } else if (info->not_before > now_utc) {
    why = fmt::format("is valid only from {}: until then {}; or is this host's clock wrong?",
                      date(info->not_before), effect);
  } else if (info->not_after - now_utc < kSoon) {
    why = fmt::format("is valid only until {}: issue a new one before", date(info->not_after));
  }
  if (!why.empty()) {
    out.push_back(fmt::format("{}: the certificate '{}' {}", file, info->subject, why));
  }
}

}  // namespace

Result<std::vector<mesh::OwnFile>> read_own_certificates(const std::string& folder,
                                                         const std::string& first) {
  const std::size_t slash = first.rfind('/');
  const std::size_t suffix = first.rfind(".pem");
  ASSERT(slash != std::string::npos && suffix != std::string::npos);
  const std::string sub = first.substr(0, slash);
  const std::string stem = first.substr(slash + 1, suffix - slash - 1) + ".";
  std::vector<std::string> files{first};
  for (const std::string& name :
       names_in(folder + "/" + sub, {".pem"}).value_or(std::vector<std::string>())) {
    if (name.starts_with(stem) && sub + "/" + name != first) files.push_back(sub + "/" + name);
  }
  std::vector<mesh::OwnFile> out;
  for (const std::string& file : files) {
    const std::string path = folder + "/" + file;
    TRY_ASSIGN(const Bytes pem, read_file(path, kMaxFileOctets));
    auto chain = crypto::certificates_from_pem(pem);
    if (!chain) return in_file(path, chain.error());
    if (chain->empty()) return make_error(ErrorCode::kBadInput, path + " holds no certificate");
    out.push_back({file, "private" + file.substr(slash), std::move(*chain)});
  }
  return out;
}

Result<std::vector<Bytes>> read_anchors(const std::string& folder) {
  const auto names = names_in(folder, {".pem"});
  if (!names) {
    return make_error(ErrorCode::kBadInput,
                      fmt::format("{}: {}; put the CA certificates there as *.pem", folder,
                                  std::strerror(errno)));
  }
  std::vector<Bytes> anchors;
  for (const std::string& name : *names) {
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

Result<crypto::RevocationLists> read_revocation_lists(const std::string& folder,
                                                      const std::vector<Bytes>& anchors) {
  crypto::RevocationLists lists;
  const std::string place = folder + "/x509crl";
  for (const std::string& name :
       names_in(place, {".pem", ".crl", ".der"}).value_or(std::vector<std::string>())) {
    const std::string path = place + "/" + name;
    TRY_ASSIGN(const Bytes file, read_file(path, kMaxFileOctets));
    if (const Status added = lists.add(file, anchors); !added) {
      return make_error(ErrorCode::kBadInput,
                        fmt::format("the revocation list {} {}", path, added.error().message));
    }
  }
  return lists;
}

std::vector<std::string> certificate_warnings(const mesh::Credentials& credentials,
                                              const crypto::RevocationLists& lists,
                                              std::int64_t now_utc) {
  std::vector<std::string> out = lists.out_of_date(now_utc);
  for (const mesh::OwnFile& own : credentials.certificates) {
    for (const Bytes& der : own.chain) {
      judge_dates(own.path, der, "peers refuse it", now_utc, out);
    }
  }
  for (const Bytes& der : credentials.anchors) {
    judge_dates("x509ca", der, "no peer's path may end in it", now_utc, out);
  }
  return out;
}

}  // namespace espalier::daemon
