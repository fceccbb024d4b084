// The protocol engine: a value with entries and queues, no clock, no socket, no file, no chance of
// its own (Rng is an argument).
//
// After any handle_*: drain poll_effect() first (an inbound SA must stand before the message that
// tells the peer of it leaves), then poll_transmit(), then poll_event(); then sleep until
// poll_timeout() and call handle_timeout(). Parents drain children inside handle_*: nothing is left
// half done between calls.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ike/core/core.hpp"
#include "ike/journal/journal.hpp"

namespace espalier::ike {

struct ChildSnapshot {
  ChildSaSpec spec;  // keys left out
  std::string_view state;
  Instant installed_at{};
  Instant rekey_at{};
};
struct IkeSnapshot {
  std::string_view state;
  v2::Role role = v2::Role::kInitiator;
  Path path;
  IkeSpi spi_local, spi_remote;
  policy::IkeSuite suite;
  bool established = false;
  Instant established_at{};
  Instant rekey_at{};
  bool nat = false;
  bool ppk = false;                   // keyed with a post-quantum key too (RFC 8784)
  crypto::PathValidity certificates;  // the peer's that ends first; empty: it showed none
};
struct PairSnapshot {
  std::string name, peer;
  v2::ConnectionRef connection;
  policy::Identity peer_id;  // of a wildcard's peer: who holds the pair, else the wildcard
  std::string_view state;    // "up", "connecting", "waiting", "down", "disabled"
  bool idle = false;         // start: trap, and traffic does not ask for it
  std::string last_error;
  std::uint64_t attempts = 0;
  std::optional<Instant> retry_at;
  std::optional<IkeSnapshot> ike;       // the best one
  std::vector<ChildSnapshot> children;  // of all its IKE SAs
  std::size_t ike_sas = 0;              // not counting those that only wait to go
};

class Endpoint {
 public:
  Endpoint() = default;
  explicit Endpoint(Settings settings) { core_.settings = settings; }

  // A datagram without non-ESP marker, at most 65535 octets. Whatever it holds: no error comes out,
  // counters tell.
  void handle_datagram(Instant now, crypto::Rng& rng, const Path& path, ByteView datagram);
  void handle_timeout(Instant now, crypto::Rng& rng);
  // Errors: kNotFound (no such pair), kInvalidArgument (nothing to rekey). Configure never fails.
  Status handle_command(Instant now, crypto::Rng& rng, const Command& command);
  void handle_completion(Instant now, crypto::Rng& rng, const Completion& completion);

  // Settings::journal: what changed since the last call (journal/journal.hpp), to be kept before
  // poll_transmit() is called. After poll_effect(), and when no job is under way.
  std::vector<journal::Entry> take_journal();
  // The whole journal anew: a record of each SA that is worth one.
  std::vector<journal::Entry> whole_journal() const;
  // Once, right after the first Configure and before anything it wants is polled: the SAs of an
  // engine before this one go on. Effects are none: the dataplane still has what the SAs need, or
  // is found not to (wanted.hpp).
  journal::Restored restore(Instant now, crypto::Rng& rng, const std::vector<SecretBytes>& records);

  std::optional<Transmit> poll_transmit();
  std::optional<Effect> poll_effect();
  std::optional<Event> poll_event();
  std::optional<Wakeup> poll_timeout() const;

  // Every configured pair, ordered by name.
  std::vector<PairSnapshot> snapshot() const;
  // One pair; nothing when it is not configured.
  std::optional<PairSnapshot> snapshot(const std::string& name) const;
  std::uint64_t counter(Counter counter) const { return core_.counters.get(counter); }
  const Core& core() const { return core_; }

  friend bool operator==(const Endpoint&, const Endpoint&) = default;

 private:
  PairSnapshot describe_pair(const std::string& name, const Pair& pair) const;
  void settle(Context& ctx);
  void handle_job(Context& ctx, const JobDone& done);
  Core core_;
};

}  // namespace espalier::ike
