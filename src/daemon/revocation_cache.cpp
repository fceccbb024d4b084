#include "daemon/revocation_cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "crypto/limits.hpp"
#include "crypto/prf.hpp"
#include "daemon/file.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {
namespace {

// Then: length of the address, the address, length of the CA's certificate, that, and the list.
constexpr std::string_view kMark = "espalier revocation list 1\n";
constexpr std::string_view kEnd = ".crl";

// The name tells files apart, it proves nothing.
std::string file_of(const std::string& folder, const CachedList& list) {
  const Bytes name = crypto::sha1({as_bytes(list.url), ByteView(list.issuer)});
  return folder + "/" + to_hex(name) + std::string(kEnd);
}

Result<CachedList> parse(const Bytes& file) {
  Reader reader(file);
  TRY_ASSIGN(const ByteView mark, reader.take(kMark.size()));
  if (!equal(mark, as_bytes(kMark))) return make_error(ErrorCode::kMalformed, "another file");
  CachedList out;
  TRY_ASSIGN(const std::uint32_t url_size, reader.u32());
  TRY_ASSIGN(const ByteView url, reader.take(url_size));
  TRY_ASSIGN(const std::uint32_t issuer_size, reader.u32());
  TRY_ASSIGN(const ByteView issuer, reader.take(issuer_size));
  out.url = to_text(url);
  out.issuer = to_vector(issuer);
  out.list = to_vector(reader.take_rest());
  return out;
}

}  // namespace

std::vector<CachedList> read_cached_lists(const std::string& folder) {
  std::vector<CachedList> out;
  auto names = names_in_folder(folder);
  if (!names) return out;
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) {
    if (!name.ends_with(kEnd) || out.size() == kCachedListsMax) continue;
    const auto file = read_file(folder + "/" + name, crypto::kMaxCrlOctets + 128 * 1024);
    if (!file) continue;
    if (auto list = parse(*file)) out.push_back(std::move(*list));
  }
  return out;
}

Status write_cached_list(const std::string& folder, const CachedList& list) {
  TRY(make_folder(folder));
  Writer content;
  content.bytes(as_bytes(kMark));
  content.u32(static_cast<std::uint32_t>(list.url.size()));
  content.bytes(as_bytes(list.url));
  content.u32(static_cast<std::uint32_t>(list.issuer.size()));
  content.bytes(list.issuer);
  content.bytes(list.list);
  const std::string path = file_of(folder, list);
  const std::string fresh = path + ".new";
  const auto failed = [&] {
    return make_error(ErrorCode::kSystem, fresh + ": " + std::strerror(errno));
  };
  const dataplane::userspace::Fd fd(
      open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return failed();
  ByteView rest = content.view();
  while (!rest.empty()) {
    const ssize_t written = write(fd.get(), rest.data(), rest.size());
    if (written < 0) return failed();
    rest = rest.subspan(static_cast<std::size_t>(written));
  }
  // A machine that stops now has the old list or the new one, never half of one.
  if (fsync(fd.get()) != 0 || std::rename(fresh.c_str(), path.c_str()) != 0) return failed();
  return {};
}

}  // namespace espalier::daemon
