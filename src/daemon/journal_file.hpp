// The journal of the IKE SAs (ike/journal/journal.hpp) on a file system that lives in memory: what
// a killed, stopped or upgraded daemon leaves for the next one. It holds keys: mode 0600, never on
// a disk, and void after a boot.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dataplane/userspace/fd.hpp"
#include "ike/journal/journal.hpp"

namespace espalier::daemon {

class JournalFile {
 public:
  // RUN/journal, made when it is not there. Errors: kUnsupported when RUN is not in memory,
  // kSystem.
  static Result<JournalFile> open(const std::string& run);

  // What an earlier daemon of this boot and of this format left; once. Why it is nothing, when
  // there was something: a sentence, or empty.
  std::vector<SecretBytes> take_records() { return std::move(found_); }
  const std::string& why_void() const { return why_void_; }

  // Both: when they return the octets are with the kernel, and the end of this process does not
  // lose them. All of it or nothing counts. Errors: kSystem; the journal is not to be used then.
  Status append(const std::vector<ike::journal::Entry>& entries);
  // `whole` in place of all that is there, under the same name.
  Status replace(const std::vector<ike::journal::Entry>& whole);
  // It is gone.
  void discard();
  // It has grown to many times of what counts in it.
  bool wants_replacing() const { return octets_ > kSlack + 4 * octets_at_replace_; }

 private:
  static constexpr std::uint64_t kSlack = 1 << 20;

  Status read();
  Status write_batch(const dataplane::userspace::Fd& fd,
                     const std::vector<ike::journal::Entry>& entries);

  std::string path_;
  dataplane::userspace::Fd fd_;
  Bytes head_;
  std::vector<SecretBytes> found_;
  std::string why_void_;
  std::uint64_t octets_ = 0, octets_at_replace_ = 0;
};

}  // namespace espalier::daemon
