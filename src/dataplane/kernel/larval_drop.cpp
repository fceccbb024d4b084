#include "dataplane/kernel/larval_drop.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "dataplane/userspace/fd.hpp"

namespace espalier::dataplane {
namespace {

using userspace::Fd;

constexpr const char* kName = "net.core.xfrm_larval_drop";

Error failed(const std::string& path) {
  return make_error(ErrorCode::kSystem, fmt::format("{}: {}", path, std::strerror(errno)));
}

// Without the line's end.
Result<std::string> read_line(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failed(path);
  std::array<char, 16> text{};
  const ssize_t got = read(file.get(), text.data(), text.size());
  if (got < 0) return failed(path);
  std::string line(text.data(), static_cast<std::size_t>(got));
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

Status write_line(const std::string& path, const std::string& line, int flags) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0600));
  if (!file) return failed(path);
  const std::string text = line + "\n";
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return failed(path);
  }
  return {};
}

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<std::string> LarvalDrop::hold(std::size_t foreign) const {
  TRY_ASSIGN(const std::string now, read_line(setting_));
  const std::string ours = fmt::format(
      "{} is 0: espalierd set it, so that the packet that asks for an SA waits for it; it was 1 "
      "and "
      "is that again when no pair has start: trap, and after 'espalier teardown'",
      kName);
  if (exists(memory_) && now == "0") return ours;
  if (now == "0") {
    return fmt::format("{} was 0 already: the packet that asks for an SA waits for it", kName);
  }
  if (foreign > 0) {
    return fmt::format(
        "{} stays {}: another program has {} SAs and policies in this network namespace; the first "
        "packet that asks for an SA is lost",
        kName, now, foreign);
  }
  TRY(write_line(memory_, now, O_CREAT | O_TRUNC));
  TRY(write_line(setting_, "0", 0));
  return ours;
}

Result<bool> LarvalDrop::restore() const {
  if (!exists(memory_)) return false;
  TRY_ASSIGN(const std::string before, read_line(memory_));
  TRY_ASSIGN(const std::string now, read_line(setting_));
  // Whoever set something else meanwhile meant it.
  if (now == "0" && (before == "0" || before == "1")) TRY(write_line(setting_, before, 0));
  if (unlink(memory_.c_str()) != 0 && errno != ENOENT) return failed(memory_);
  return true;
}

}  // namespace espalier::dataplane
