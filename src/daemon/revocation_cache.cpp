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
// Then: the members, each with its length before it.
constexpr std::string_view kPeerMark = "espalier ocsp peer 1\n";
constexpr std::string_view kPeerEnd = ".peer";

// The name tells files apart, it proves nothing.
std::string file_of(const std::string& folder, const CachedList& list) {
  const Bytes name = crypto::sha1({as_bytes(list.url), ByteView(list.issuer)});
  return folder + "/" + to_hex(name) + std::string(kEnd);
}

void put(Writer& out, ByteView octets) {
  out.u32(static_cast<std::uint32_t>(octets.size()));
  out.bytes(octets);
}

Result<ByteView> get(Reader& in) {
  TRY_ASSIGN(const std::uint32_t size, in.u32());
  return in.take(size);
}

Result<CachedList> parse(const Bytes& file) {
  Reader reader(file);
  TRY_ASSIGN(const ByteView mark, reader.take(kMark.size()));
  if (!equal(mark, as_bytes(kMark))) return make_error(ErrorCode::kMalformed, "another file");
  CachedList out;
  TRY_ASSIGN(const ByteView url, get(reader));
  TRY_ASSIGN(const ByteView issuer, get(reader));
  out.url = to_text(url);
  out.issuer = to_vector(issuer);
  out.list = to_vector(reader.take_rest());
  return out;
}

// A machine that stops now has the old file or the new one, never half of one; which, is certain
// only when it is durable.
Status replace_file(const std::string& path, ByteView content, bool durable) {
  const std::string fresh = path + ".new";
  const auto failed = [&] {
    return make_error(ErrorCode::kSystem, fresh + ": " + std::strerror(errno));
  };
  const dataplane::userspace::Fd fd(
      open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return failed();
  while (!content.empty()) {
    const ssize_t written = write(fd.get(), content.data(), content.size());
    if (written < 0) return failed();
    content = content.subspan(static_cast<std::size_t>(written));
  }
  if (durable && fsync(fd.get()) != 0) return failed();
  return std::rename(fresh.c_str(), path.c_str()) == 0 ? Status() : Status(failed());
}

std::string file_of(const std::string& folder, const std::string& url,
                    const crypto::CertificateId& id) {
  const Bytes name = crypto::sha1({as_bytes(url), ByteView(id.issuer_key), ByteView(id.serial)});
  return folder + "/" + to_hex(name) + std::string(kPeerEnd);
}

Result<CachedPeer> parse_peer(const Bytes& file) {
  Reader reader(file);
  TRY_ASSIGN(const ByteView mark, reader.take(kPeerMark.size()));
  if (!equal(mark, as_bytes(kPeerMark))) return make_error(ErrorCode::kMalformed, "another file");
  CachedPeer out;
  crypto::PathCertificate& certificate = out.certificate;
  for (std::string* text : {&out.url, &certificate.subject, &certificate.issuer}) {
    TRY_ASSIGN(const ByteView octets, get(reader));
    *text = to_text(octets);
  }
  for (Bytes* octets : {&certificate.id.issuer_key, &certificate.id.serial, &certificate.der,
                        &certificate.issuer_der}) {
    TRY_ASSIGN(const ByteView some, get(reader));
    *octets = to_vector(some);
  }
  for (std::int64_t* when : {&certificate.not_before, &certificate.not_after}) {
    TRY_ASSIGN(const std::uint64_t seconds, reader.u64());
    *when = static_cast<std::int64_t>(seconds);
  }
  certificate.names_a_list = true;
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
  put(content, as_bytes(list.url));
  put(content, list.issuer);
  content.bytes(list.list);
  return replace_file(file_of(folder, list), content.view(), true);
}

std::vector<CachedPeer> read_cached_peers(const std::string& folder) {
  std::vector<CachedPeer> out;
  const auto names = names_in_folder(folder);
  if (!names) return out;
  for (const std::string& name : *names) {
    if (!name.ends_with(kPeerEnd) || out.size() == kCachedPeersMax) continue;
    const auto file = read_file(folder + "/" + name, 256 * 1024);
    if (!file) continue;
    if (auto peer = parse_peer(*file)) out.push_back(std::move(*peer));
  }
  return out;
}

Status write_cached_peer(const std::string& folder, const CachedPeer& peer) {
  TRY(make_folder(folder));
  const crypto::PathCertificate& certificate = peer.certificate;
  Writer content;
  content.bytes(as_bytes(kPeerMark));
  for (const std::string* text : {&peer.url, &certificate.subject, &certificate.issuer}) {
    put(content, as_bytes(*text));
  }
  for (const Bytes* octets : {&certificate.id.issuer_key, &certificate.id.serial, &certificate.der,
                              &certificate.issuer_der}) {
    put(content, *octets);
  }
  content.u64(static_cast<std::uint64_t>(certificate.not_before));
  content.u64(static_cast<std::uint64_t>(certificate.not_after));
  return replace_file(file_of(folder, peer.url, certificate.id), content.view(), false);
}

void remove_cached_peer(const std::string& folder, const std::string& url,
                        const crypto::CertificateId& id) {
  static_cast<void>(unlink(file_of(folder, url, id).c_str()));
}

}  // namespace espalier::daemon
