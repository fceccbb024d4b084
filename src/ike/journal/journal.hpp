// IKE SAs as records, so that a daemon that starts again goes on with those of the one before it:
// the keys, the message IDs, the request under way and the last response as they were sent (RFC
// 7296 sections 2.1 and 2.2), and the children, whose SAs the kernel kept. Good until the host
// boots again, for this version of the program (kFormat) alone.
//
// An engine with Settings::journal says what changed (Endpoint::take_journal). Who drives it keeps
// that before a datagram of poll_transmit() leaves. So a message ID, an initialization vector or an
// SPI that the peer has seen is in the journal.
#pragma once

#include <optional>
#include <vector>

#include "ike/core/core.hpp"

namespace espalier::ike::journal {

// To be raised with every change of what a record holds (journal_test.cpp tells when).
inline constexpr std::uint32_t kFormat = 3;

struct Entry {
  IkeSpi sa;           // our SPI
  SecretBytes record;  // empty: the SA is gone, or nothing of it is worth keeping
  friend bool operator==(const Entry&, const Entry&) = default;
};

// What a record holds beside the SA.
struct Record {
  v2::IkeSa sa;                  // without its connection and its timer
  std::string connection;        // its name
  Bytes mark;                    // of the connection as it was (connection_mark)
  Box<policy::Identity> holder;  // Pair::holder, if it was this SA's peer's
  friend bool operator==(const Record&, const Record&) = default;
};

// Whether a record is kept of it: an SA that is not established yet begins anew instead, and one
// with a job under way keeps the record from before.
enum class Keep : std::uint8_t { kRecord, kNothing, kAsBefore };
Keep keep(const v2::IkeSa& sa);

// SHA-256 over all of a connection that its SAs rest on.
Bytes connection_mark(const policy::Connection& connection);

SecretBytes save(const Core& core, const v2::IkeSa& sa);
// Errors: kMalformed.
Result<Record> load(ByteView record);

struct Restored {
  std::size_t kept = 0;     // IKE SAs that go on
  std::size_t changed = 0;  // of connections that are not what they were: their peers were told
  std::size_t unreadable = 0;
};

// Of an engine that was configured and has no SA yet: the SAs of the records, into all its tables.
// An SA whose connection is gone or another is closed by a Delete that nobody waits for.
Restored restore(Context& ctx, const std::vector<SecretBytes>& records);

}  // namespace espalier::ike::journal
