#include "cli/os_environment.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "cli/os_prober.hpp"
#include "cli/vici_client.hpp"
#include "dataplane/kernel/kernel.hpp"
#include "dataplane/userspace/host_setup.hpp"

namespace espalier::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Error file_error(const std::string& path, int code) {
  ErrorCode kind = ErrorCode::kSystem;
  if (code == ENOENT || code == ENOTDIR) kind = ErrorCode::kNotFound;
  if (code == EACCES || code == EPERM) kind = ErrorCode::kPermission;
  return make_error(kind, fmt::format("{} cannot be read: {}.", path, std::strerror(code)));
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;  // a closed pipe (`espalier log | head`): nobody to tell
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

void OsEnvironment::out(std::string_view text) { write_all(STDOUT_FILENO, text); }
void OsEnvironment::err(std::string_view text) { write_all(STDERR_FILENO, text); }

bool OsEnvironment::color() const {
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::strcmp(term, "dumb") == 0;
  return ::isatty(STDOUT_FILENO) == 1 && !dumb && std::getenv("NO_COLOR") == nullptr;
}

bool OsEnvironment::err_is_terminal() const { return ::isatty(STDERR_FILENO) == 1; }

double OsEnvironment::clock() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::size_t OsEnvironment::heap() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

Result<std::unique_ptr<Connection>> OsEnvironment::connect(const std::string& socket_path) {
  return connect_vici(socket_path);
}

Result<std::string> OsEnvironment::read_file(const std::string& path, std::size_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return file_error(path, errno);
  std::string text;
  std::string buffer(65536, '\0');
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error(path, errno);
    if (count == 0) return text;
    text.append(buffer, 0, static_cast<std::size_t>(count));
    if (text.size() > max_bytes) {
      return make_error(ErrorCode::kLimit,
                        fmt::format("{} is larger than {} octets.", path, max_bytes));
    }
  }
}

std::optional<std::vector<std::string>> OsEnvironment::names(const std::string& folder) {
  DIR* directory = ::opendir(folder.c_str());
  if (directory == nullptr) return std::nullopt;
  std::vector<std::string> found;
  while (const dirent* entry = ::readdir(directory)) found.emplace_back(entry->d_name);
  ::closedir(directory);
  return found;
}

std::int64_t OsEnvironment::unix_now() { return static_cast<std::int64_t>(::time(nullptr)); }

Status OsEnvironment::check_private(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return file_error(path, errno);
  if ((info.st_mode & 077) == 0) return {};
  return make_error(ErrorCode::kBadInput,
                    fmt::format("{} has mode {:04o}: others may read it; run `chmod 0600 {}`.",
                                path, info.st_mode & 07777, path));
}

Result<SecretBytes> OsEnvironment::random(std::size_t count) {
  Bytes bytes(count);
  std::size_t filled = 0;
  while (filled < count) {
    const ssize_t got = ::getrandom(bytes.data() + filled, count - filled, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return make_error(ErrorCode::kSystem, fmt::format("The kernel gives no random numbers: {}.",
                                                        std::strerror(errno)));
    }
    filled += static_cast<std::size_t>(got);
  }
  return SecretBytes(std::move(bytes));
}

Result<std::unique_ptr<PathProber>> OsEnvironment::open_prober(const ProbeTarget& target) {
  return open_os_prober(target);
}

std::string OsEnvironment::host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "";
}

std::vector<IpAddress> OsEnvironment::own_addresses() {
  std::vector<IpAddress> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    ByteView bytes;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      bytes = {reinterpret_cast<const std::uint8_t*>(&v4->sin_addr), 4};
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      bytes = {reinterpret_cast<const std::uint8_t*>(&v6->sin6_addr), 16};
    }
    if (auto address = IpAddress::from_bytes(bytes)) found.push_back(*address);
  }
  ::freeifaddrs(list);
  return found;
}

std::string OsEnvironment::local_time(std::int64_t unix_ms) {
  const std::time_t whole = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  ::localtime_r(&whole, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%F %T", &parts);
  return fmt::format("{}.{:03}", text.data(), unix_ms % 1000);
}

std::string OsEnvironment::ssh_connection() {
  const char* text = std::getenv("SSH_CONNECTION");
  return text == nullptr ? "" : text;
}

std::vector<mesh::Login> OsEnvironment::logins() {
  constexpr std::size_t kMaxTable = 16u << 20;
  std::vector<mesh::Login> list;
  if (const auto own = mesh::parse_ssh_connection(ssh_connection())) list.push_back(*own);
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto table = read_file(path, kMaxTable);
    if (!table) continue;
    for (const mesh::Login& login : mesh::parse_ssh_sockets(*table)) list.push_back(login);
  }
  return list;
}

dataplane::preflight::HostFacts OsEnvironment::host_facts(
    const dataplane::userspace::HostNetwork& network) {
  return dataplane::preflight::read_facts(network);
}

namespace {

class CountingLogger : public Logger {
 public:
  explicit CountingLogger(Logger& inner) : inner_(inner) {}
  void log(const LogLine& line) override {
    ++lines;
    inner_.log(line);
  }
  std::size_t lines = 0;

 private:
  Logger& inner_;
};

}  // namespace

Status OsEnvironment::teardown(Logger& logger, const std::string& run) {
  CountingLogger counting(logger);
  const Status userspace = dataplane::userspace::teardown_host(counting);
  const Status kernel = dataplane::teardown_kernel(counting, run);
  const Status done = userspace ? kernel : userspace;
  if (done && counting.lines == 0) {
    logger.log(
        {LogLevel::kInfo, "dataplane", "", "Nothing of ours was on this host: nothing to remove."});
  }
  return done;
}

}  // namespace espalier::cli
