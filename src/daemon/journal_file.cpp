#include "daemon/journal_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "crypto/prf.hpp"
#include "daemon/file.hpp"
#include "dataplane/kernel/left.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;
using ike::journal::Entry;

// The file: a head, then batches. A batch is the size of its entries (4 octets), their digest (8),
// and the entries: SPI (8), size (4), record. A batch that was cut short when the daemon ended was
// never acted on: nothing is sent before its batch is whole.
constexpr std::string_view kMagic = "ESPALIER-JOURNAL";
constexpr std::size_t kBatchHead = 12;
constexpr std::size_t kMaxOctets = 512 * 1024 * 1024;
constexpr std::size_t kMaxBatch = 64 * 1024 * 1024;

Error system_error(const std::string& path) {
  return make_error(ErrorCode::kSystem, path + ": " + std::strerror(errno));
}

// What the file must begin with, now: the format, and this boot.
Result<Bytes> make_head() {
  TRY_ASSIGN(const Bytes boot, read_file("/proc/sys/kernel/random/boot_id", 64));
  Writer head;
  head.bytes(as_bytes(kMagic));
  head.u32(ike::journal::kFormat);
  head.u32(static_cast<std::uint32_t>(boot.size()));
  head.bytes(boot);
  return head.take();
}

Bytes digest(ByteView entries) {
  Bytes whole = crypto::sha256({entries});
  whole.resize(8);
  return whole;
}

Status write_all(int fd, ByteView octets, const std::string& path) {
  while (!octets.empty()) {
    const ssize_t put = write(fd, octets.data(), octets.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return system_error(path);
    octets = octets.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

bool in_memory(int fd) {
  struct statfs status {};
  if (fstatfs(fd, &status) != 0) return false;
  const auto type = static_cast<std::uint32_t>(status.f_type);
  return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

// The entries of one batch, applied. False: it is not whole.
bool apply_batch(Reader& in, std::map<std::uint64_t, SecretBytes>& records) {
  const auto size = in.u32();
  const auto said = in.take(8);
  if (!size || !said || *size > kMaxBatch) return false;
  const auto entries = in.take(*size);
  if (!entries || !equal(digest(*entries), *said)) return false;
  Reader each(*entries);
  while (!each.empty()) {
    const auto spi = each.u64();
    const auto octets = each.u32();
    if (!spi || !octets) return false;
    const auto record = each.take(*octets);
    if (!record) return false;
    if (record->empty()) {
      records.erase(*spi);
    } else {
      records[*spi] = SecretBytes(*record);
    }
  }
  return true;
}

}  // namespace

Result<JournalFile> JournalFile::open(const std::string& run) {
  JournalFile file;
  file.path_ = dataplane::journal_path(run);
  TRY_ASSIGN(file.head_, make_head());
  file.fd_ =
      Fd(::open(file.path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.fd_) return system_error(file.path_);
  if (!in_memory(file.fd_.get())) {
    unlink(file.path_.c_str());
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("{} is on a disk, where no keys are written", run));
  }
  TRY(file.read());
  return file;
}

Status JournalFile::read() {
  struct stat status {};
  if (fstat(fd_.get(), &status) != 0) return system_error(path_);
  if (status.st_uid != geteuid() || (status.st_mode & 077) != 0 || !S_ISREG(status.st_mode)) {
    why_void_ = path_ + " belongs to others, or others may read or write it";
    return {};
  }
  if (status.st_size == 0) return {};
  TRY_ASSIGN(Bytes contents, read_file(path_, kMaxOctets));
  const SecretBytes octets(std::move(contents));
  const ByteView all = octets.reveal();
  if (all.size() < head_.size() || !equal(all.first(head_.size()), head_)) {
    why_void_ = "it is of another boot of this host, or of another version of espalierd";
    return {};
  }
  Reader in(all.subspan(head_.size()));
  std::map<std::uint64_t, SecretBytes> records;
  while (!in.empty() && apply_batch(in, records)) {
  }
  for (auto& [spi, record] : records) found_.push_back(std::move(record));
  return {};
}

Status JournalFile::write_batch(const Fd& fd, const std::vector<Entry>& entries) {
  Writer batch;
  batch.zeros(kBatchHead);
  for (const Entry& entry : entries) {
    batch.u64(entry.sa.value);
    batch.u32(static_cast<std::uint32_t>(entry.record.size()));
    batch.bytes(entry.record.reveal());
  }
  const std::size_t size = batch.size() - kBatchHead;
  if (size > kMaxBatch) return make_error(ErrorCode::kLimit, path_ + ": too much at once");
  const Bytes sum = digest(batch.view().subspan(kBatchHead));
  batch.patch_u32(0, static_cast<std::uint32_t>(size));
  for (std::size_t i = 0; i < sum.size(); ++i) batch.patch_u8(4 + i, sum[i]);
  const SecretBytes octets(batch.take());
  octets_ += octets.size();
  return write_all(fd.get(), octets.reveal(), path_);
}

void JournalFile::discard() {
  unlink(path_.c_str());
  fd_.reset();
}

Status JournalFile::append(const std::vector<Entry>& entries) {
  if (entries.empty()) return {};
  return write_batch(fd_, entries);
}

Status JournalFile::replace(const std::vector<Entry>& whole) {
  const std::string fresh = path_ + ".new";
  unlink(fresh.c_str());
  Fd fd(::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || fchmod(fd.get(), 0600) != 0) return system_error(fresh);
  octets_ = head_.size();
  TRY(write_all(fd.get(), head_, fresh));
  std::vector<Entry> some;
  std::size_t octets = 0;
  for (const Entry& entry : whole) {
    some.push_back(entry);
    octets += entry.record.size();
    if (octets < kMaxBatch / 4) continue;
    TRY(write_batch(fd, some));
    some.clear();
    octets = 0;
  }
  if (!some.empty()) TRY(write_batch(fd, some));
  if (rename(fresh.c_str(), path_.c_str()) != 0) return system_error(path_);
  fd_ = std::move(fd);
  octets_at_replace_ = octets_;
  return {};
}

}  // namespace espalier::daemon
