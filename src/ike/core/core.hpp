// The state of one engine, shared by the demultiplexer (endpoint), the pair supervisor and the
// tasks of v2. A value: copying it copies the engine.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ike/core/counters.hpp"
#include "ike/core/half_open.hpp"
#include "ike/core/io.hpp"
#include "ike/core/rate_limit.hpp"
#include "ike/v2/sa.hpp"

namespace espalier::ike {

struct Settings {
  // The dataplane can only do UDP-encapsulated ESP: NAT detection is made to find a NAT (RFC 7296
  // section 2.23), so that the peer encapsulates too.
  bool force_encap = true;
  std::uint16_t port = 500;
  std::uint16_t nat_port = 4500;
  // false: both ends initiate at once (storm tests); true: kElectionGrace.
  bool election = true;
  // Of the host, the same after a restart: peers find out by it at once that SAs were lost (RFC
  // 6290). Empty: a random one.
  SecretBytes qcd_secret = {};
  bool journal = false;  // Core::unsaved is kept, for Endpoint::take_journal()
  friend bool operator==(const Settings&, const Settings&) = default;
};

// One pair of networks of a child whose configured selectors no single SA covers (coverage.cpp).
struct Part {
  std::string child;
  policy::TrafficSelector local, remote;
  bool was_covered = false;  // since the child was last missing as a whole
  unsigned refusals = 0;     // in a row
  Instant again{};           // asked for then; the epoch: at once
  bool single = false;       // the peer takes one pair of networks at a time (SINGLE_PAIR_REQUIRED)
  friend bool operator==(const Part&, const Part&) = default;
};

// Redirects followed since, against loops (RFC 5685 section 7).
struct RedirectCount {
  Instant since{};
  unsigned followed = 0;
  friend bool operator==(const RedirectCount&, const RedirectCount&) = default;
};

// What the supervisor knows of a configured pair.
struct Pair {
  v2::ConnectionRef connection;
  bool disabled = false;  // by Terminate, until Initiate
  bool up = false;
  bool changed = false;        // IKE SAs of it may be of a configuration before
  std::uint64_t attempts = 0;  // since it was last up
  Duration backoff{};
  std::optional<Instant> retry_at;
  std::string last_error;
  Box<std::string> refused;      // why the peer's own attempts fail here, since it was last up
  std::optional<Instant> armed;  // its entry in pair_timers
  std::size_t next_address = 0;  // of remote_addresses, tried in turn
  std::set<IkeSpi> sas;          // local SPIs
  // Of a pair whose remote_id is a wildcard: who it is while it has an established IKE SA.
  Box<policy::Identity> holder;
  std::vector<Part> parts;  // empty unless a peer narrowed a child
  Instant wanted_until{};   // start: trap: traffic asked for it, so that it is to come up
  Instant next_hint{};      // before it, stray ESP of the peer begins no attempt
  Box<v2::Ticket> ticket;   // as client (RFC 5723)
  Box<RedirectCount> redirects;
  Bytes mark;  // of the connection, for the journal (journal/journal.hpp)
  friend bool operator==(const Pair&, const Pair&) = default;
};

struct ReqIdEntry {
  ReqId id;
  std::size_t users = 0;
  friend bool operator==(const ReqIdEntry&, const ReqIdEntry&) = default;
};

struct LateRemoval {
  Instant at;
  DeleteSa removal;
  friend bool operator==(const LateRemoval&, const LateRemoval&) = default;
};

struct CookieSecret {
  Instant made{};
  Bytes current, previous;
  std::uint8_t version = 0;
  friend bool operator==(const CookieSecret&, const CookieSecret&) = default;
};

struct Core {
  Settings settings;
  std::map<std::string, Pair> pairs;
  std::map<IkeSpi, v2::IkeSa> sas;  // by our SPI
  // Our SPIs of IKE SAs that a rekey of ours is making: the peer may use one before we have its
  // answer, and must not be told that we lost it.
  std::set<IkeSpi> spis_to_be;
  // IKE_SA_INIT requests being answered or answered, by (peer's SPI, peer's address): a repeated
  // one finds its SA.
  std::map<std::pair<IkeSpi, SocketAddress>, IkeSpi> init_requests;
  HalfOpen half_open;
  CookieSecret cookie;
  v2::TicketKeys ticket_keys;
  std::set<v2::TicketHandle> used_tickets;  // until they expire
  std::map<JobId, IkeSpi> jobs;
  std::uint64_t last_job = 0;
  // Our inbound SPIs, with the local SPI of the IKE SA whose child has it; 0: set aside for a child
  // to be, or lingering after its child.
  std::map<Spi, IkeSpi> inbound_spis;
  std::set<std::pair<Spi, Spi>> outbound_spis;  // of children: the peer's SPI, then ours
  std::map<std::string, ReqIdEntry> reqids;     // key: pair, child and selectors
  std::uint32_t last_reqid = 0;
  std::deque<LateRemoval> late_removals;  // in order of time
  std::set<std::string> touched;          // pairs to look at before the call returns
  std::set<IkeSpi> dirty;    // SAs to sweep or to arm a timer for before the call returns
  std::set<IkeSpi> unsaved;  // changed, or gone, since the journal was last taken
  std::set<std::pair<Instant, IkeSpi>> sa_timers;
  std::set<std::pair<Instant, std::string>> pair_timers;
  // What a request from an address may be answered with before we know who asks: one connection
  // for each different answer (and so few, however many pairs share the address).
  std::map<IpAddress, std::vector<v2::ConnectionRef>> by_address;
  // Canonical remote identity -> pairs, and the masks of the distinguished names with wildcards
  // among them, the most specific first: policy::lookup_keys() makes the keys of a peer's identity.
  std::map<policy::Identity, std::vector<std::string>> by_identity;
  std::vector<std::uint32_t> name_masks;
  std::vector<v2::ConnectionRef>
      any_address;  // the same of pairs whose peer may come from anywhere

  std::map<IpAddress, std::vector<std::string>> pairs_at;  // configured remote address -> pairs
  SecretBytes qcd_secret;                                  // when Settings has none
  RateLimit answers;     // unprotected ones, to those who may not be who they say
  Instant next_probe{};  // liveness checks are kProbeInterval apart, whatever their number
  std::vector<IpAddress> own_addresses;  // OwnAddresses; empty: not told

  Instant drop_window{};  // of the events about dropped messages: a flood must not flood the log
  std::size_t drops_told = 0;
  std::uint64_t drops_untold = 0;

  std::deque<Transmit> transmits;
  std::deque<Effect> effects;
  std::deque<Event> events;
  Counters counters;

  friend bool operator==(const Core&, const Core&) = default;
};

// What a handler works with.
struct Context {
  Core& core;
  Instant now;
  crypto::Rng& rng;

  void count(Counter counter) { core.counters.add(counter); }
  void event(EventKind kind, LogLevel level, const std::string& pair, std::string text);
  void effect(Effect effect) { core.effects.push_back(std::move(effect)); }
  void touch(const std::string& pair) {
    if (!pair.empty()) core.touched.insert(pair);
  }
  void start_job(v2::IkeSa& sa, v2::JobPurpose purpose, Job job);
  Spi allocate_spi();
  IkeSpi allocate_ike_spi();
  ReqId acquire_reqid(const std::string& key);
  // True when that was the last user.
  bool release_reqid(const std::string& key);
  // Uniform in [0, range).
  Duration jitter(Duration range);
  // Also marks the SA dirty: its timer is armed anew before the call returns.
  v2::IkeSa* find(IkeSpi local);
  v2::IkeSa& add(v2::IkeSa sa);
  // The child with that SPI and its IKE SA, or two nullptrs. Outbound: `peer` tells two peers' SPIs
  // apart, unless it is unspecified.
  std::pair<v2::IkeSa*, v2::ChildSa*> find_child(Direction direction, Spi spi,
                                                 const IpAddress& peer);
  // Moves every child of one IKE SA to another (a rekey).
  void hand_children_over(v2::IkeSa& from, v2::IkeSa& to);
  Pair* pair_of(const v2::IkeSa& sa);
};

// ---- core/pairs.cpp: the supervisor; desired pairs against actual SAs
// --------------------------------------------
void configure(Context& ctx, const std::vector<policy::Connection>& connections);
// Its first attempt. anyway: whatever `start` says, since an SA that stands is to be replaced.
void schedule_start(Context& ctx, Pair& pair, bool anyway = false);
void supervise(Context& ctx, const std::string& pair);     // after anything that touched the pair
void pair_timeout(Context& ctx, const std::string& pair);  // its retry_at has come
void initiate_pair(Context& ctx, const std::string& pair);
void acquired(Context& ctx, const std::string& pair);  // traffic wants it
void terminate_pair(Context& ctx, const std::string& pair, bool disable);
Status rekey_pair(Context& ctx, const std::string& pair, bool ike);
Status redirect_pair(Context& ctx, const std::string& pair, const IpAddress& to);
void attempt_failed(Context& ctx, const std::string& pair, const std::string& why);

// ---- core/change.cpp: a pair whose configuration changes
// --------------------------------------------
// Takes the new configuration over; what stands goes when its successor does, or after
// kChangeGrace. False: it is another peer now, and nothing was done.
bool change_pair(Context& ctx, const std::string& pair, const policy::Connection& now);
// Of a configuration before a change.
bool is_outdated(const Pair& pair, const v2::IkeSa& sa);
// The connection without what holds from the next rekey, check or attempt on, and needs no other
// SA.
policy::Connection what_sas_rest_on(policy::Connection connection);

// ---- core/diagnosis.cpp: why the peer's attempts fail here
// --------------------------------------------
// The pair is known, or all that is known is an address, which then names the pairs that have it.
void refused_peer(Context& ctx, const std::string& pair, const std::string& why);
void refused_address(Context& ctx, const IpAddress& from, const std::string& why);
// The pair's last error and what the peer's attempts fail for, in one sentence.
std::string explain(const Pair& pair);

// ---- core/coverage.cpp: the configured selectors against those of the child SAs
// --------------------------------------------
struct Coverage {
  bool whole = true;                 // nothing is missing that the peer ever gave or may yet give
  std::vector<std::string> missing;  // children without any SA
  std::optional<Instant> next;       // when the next missing part is to be asked for
};
// live: the pair's established IKE SAs. Keeps pair.parts.
Coverage look_at_coverage(Context& ctx, Pair& pair, const std::vector<const v2::IkeSa*>& live);
// Queues the requests for the missing parts that are due.
void ask_for_parts(Context& ctx, Pair& pair, v2::IkeSa& sa);
// The peer wants an SA for each pair of networks (SINGLE_PAIR_REQUIRED, RFC 7296 section 2.9):
// false when the child has but one.
bool split_into_pairs(Context& ctx, const std::string& pair, const std::string& child);
// The peer refused a part: it is asked again, ever more rarely.
void part_refused(Context& ctx, const std::string& pair, const v2::Task& task,
                  const std::string& why);

// ---- core/cookies.cpp
// -------------------------------------------------------------------------------------------- RFC
// 7296 section 2.6: Cookie = version | hash(Ni | IPi | SPIi | secret).
Bytes make_cookie(Context& ctx, ByteView nonce, const SocketAddress& from, IkeSpi spi_i);
bool cookie_is_valid(Context& ctx, ByteView cookie, ByteView nonce, const SocketAddress& from,
                     IkeSpi spi_i);

}  // namespace espalier::ike
