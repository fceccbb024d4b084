#include "daemon/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "crypto/rng.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;

Result<Bytes> read_all(int fd, const std::string& path, std::size_t max_octets) {
  Bytes contents;
  for (;;) {
    std::uint8_t chunk[65536];
    const ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return make_error(ErrorCode::kBadInput, path + ": " + std::strerror(errno));
    contents.insert(contents.end(), chunk, chunk + got);
    wipe({chunk, static_cast<std::size_t>(got)});
    if (contents.size() > max_octets) {
      wipe(contents);
      return make_error(ErrorCode::kLimit,
                        fmt::format("{} is larger than {} octets", path, max_octets));
    }
    if (got == 0) return contents;
  }
}

}  // namespace

bool file_exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::optional<std::vector<std::string>> names_in_folder(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return std::nullopt;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) names.emplace_back(entry->d_name);
  closedir(directory);
  return names;
}

Result<Bytes> read_file(const std::string& path, std::size_t max_octets) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return make_error(ErrorCode::kBadInput, path + ": " + std::strerror(errno));
  return read_all(fd.get(), path, max_octets);
}

Result<SecretBytes> read_private_file(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return make_error(ErrorCode::kBadInput, path + ": " + std::strerror(errno));
  struct stat status {};
  // Of the open file, so that it cannot be another one by the time it is read.
  if (fstat(fd.get(), &status) != 0)
    return make_error(ErrorCode::kSystem, path + ": " + std::strerror(errno));
  if ((status.st_mode & 077) != 0) {
    return make_error(
        ErrorCode::kPermission,
        fmt::format("{} may be read or written by others (mode {:04o}): run 'chmod 600 {}'", path,
                    static_cast<unsigned>(status.st_mode & 07777), path));
  }
  TRY_ASSIGN(Bytes contents, read_all(fd.get(), path, 64 * 1024));
  return SecretBytes(std::move(contents));
}

Result<SecretBytes> lasting_secret(const std::string& path) {
  constexpr std::size_t kOctets = 32;
  if (!file_exists(path)) {
    crypto::SystemRng rng;
    const SecretBytes made(rng.bytes(kOctets));
    // Under another name first: half a secret must never be found there.
    const std::string part = path + ".new";
    const Fd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const bool written =
        fd && fchmod(fd.get(), 0600) == 0 &&
        write(fd.get(), made.reveal().data(), kOctets) == static_cast<ssize_t>(kOctets) &&
        fsync(fd.get()) == 0 && rename(part.c_str(), path.c_str()) == 0;
    if (!written) {
      return make_error(ErrorCode::kSystem,
                        fmt::format("cannot write {}: {}", path, std::strerror(errno)));
    }
  }
  TRY_ASSIGN(SecretBytes secret, read_private_file(path));
  if (secret.size() != kOctets) {
    return make_error(ErrorCode::kBadInput,
                      fmt::format("{} has {} octets in place of {}: remove it, and the next start "
                                  "makes another",
                                  path, secret.size(), kOctets));
  }
  return secret;
}

Status make_folder(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
      return make_error(ErrorCode::kSystem,
                        fmt::format("cannot make the folder {}: {}", part, std::strerror(errno)));
    }
    if (slash == std::string::npos) return {};
  }
}

}  // namespace espalier::daemon
