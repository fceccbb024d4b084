// What goes into the protocol core and what comes out: plain values that can be compared, recorded
// and replayed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "base/box.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
#include "ike/core/jobs.hpp"
#include "policy/nouns.hpp"

namespace espalier::ike {

// The two ends of a datagram. local.port says which of our sockets: 500, or 4500 (with non-ESP
// marker).
struct Path {
  SocketAddress local;
  SocketAddress remote;
  friend auto operator<=>(const Path&, const Path&) = default;
};

struct Transmit {
  Path path;
  Bytes datagram;  // without the non-ESP marker: the driver adds it on port 4500
  bool keepalive =
      false;  // a NAT-keepalive of RFC 3948 section 2.3: one octet 0xFF, never with a marker
  friend bool operator==(const Transmit&, const Transmit&) = default;
};

// ---- effects: what the core wants done
// -----------------------------------------------------------------

enum class Direction : std::uint8_t { kIn, kOut };

// Transport mode through NAT: the addresses as the peer has them, which the checksums of what it
// sends are made with and those of what it receives must fit (RFC 7296 section 2.23.1, RFC 3948
// section 3.1.2).
struct NatOriginal {
  IpAddress local;   // of this end, as the peer sees it
  IpAddress remote;  // of the peer, as it has it itself
  friend bool operator==(const NatOriginal&, const NatOriginal&) = default;
};

// A child SA pair as a dataplane needs it.
struct ChildSaSpec {
  std::string pair;
  std::string child;
  ReqId reqid;
  Spi spi_in;
  Spi spi_out;
  policy::ChildSuite suite;
  policy::Mode mode = policy::Mode::kTunnel;
  Path path;
  bool udp_encap = true;
  policy::SelectorList local_ts;
  policy::SelectorList remote_ts;
  Box<NatOriginal> nat_original;  // transport mode, and a NAT on the way
  SecretBytes encr_in, integ_in, encr_out, integ_out;
  std::uint32_t replay_window = 1024;
  Box<policy::OuterHeader> outer;  // nothing: the defaults
  Box<policy::Binding> binding;    // nothing: any packet
  bool tell_first = false;         // FirstInbound is awaited
  std::optional<std::uint64_t> soft_bytes, hard_bytes, soft_packets, hard_packets;
  friend bool operator==(const ChildSaSpec&, const ChildSaSpec&) = default;
};
struct InstallSa {
  Direction direction = Direction::kIn;
  ChildSaSpec sa;
  friend bool operator==(const InstallSa&, const InstallSa&) = default;
};
struct DeleteSa {
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress peer;
  std::string pair;
  friend bool operator==(const DeleteSa&, const DeleteSa&) = default;
};
struct UpdateSa {  // the outer addresses of an installed SA changed
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress old_peer;
  Path path;
  std::string pair;
  bool udp_encap = true;
  friend bool operator==(const UpdateSa&, const UpdateSa&) = default;
};
struct SetPolicy {  // again when the outer addresses or the level of protection changed
  std::string pair;
  ReqId reqid;
  policy::SelectorList local_ts;
  policy::SelectorList remote_ts;
  policy::Mode mode = policy::Mode::kTunnel;
  Path path;
  bool optional = false;  // `protect: use`: what arrives in the clear is taken too
  Box<policy::Binding> binding{};
  friend bool operator==(const SetPolicy&, const SetPolicy&) = default;
};
struct DeletePolicy {
  std::string pair;
  ReqId reqid;
  friend bool operator==(const DeletePolicy&, const DeletePolicy&) = default;
};
struct StartJob {
  JobId id;
  Job job;
  friend bool operator==(const StartJob&, const StartJob&) = default;
};
struct QueryUse {  // answered by UseReport: inbound ESP counts as life
  IkeSpi sa;
  std::vector<Spi> inbound;
  std::vector<Spi> outbound;
  friend bool operator==(const QueryUse&, const QueryUse&) = default;
};
using Effect =
    std::variant<InstallSa, DeleteSa, UpdateSa, SetPolicy, DeletePolicy, StartJob, QueryUse>;

// ---- events: facts for observers; no behaviour depends on them
// --------------------------------------------

enum class EventKind : std::uint8_t {
  kNote,
  kPairUp,
  kPairDown,
  kAttemptFailed,
  kIkeEstablished,
  kIkeRekeyed,
  kIkeDeleted,
  kChildInstalled,
  kChildRekeyed,
  kChildDeleted,
  kRekeyFailed,
  kDuplicateResolved,
  kDropped,
};
std::string_view name(EventKind kind);

struct Event {
  EventKind kind = EventKind::kNote;
  LogLevel level = LogLevel::kInfo;
  std::string pair;  // empty: no pair known
  std::string text;  // a whole sentence
  friend bool operator==(const Event&, const Event&) = default;
};

// ---- commands
// ------------------------------------------------------------------------------------------------

struct Configure {
  std::vector<policy::Connection> connections;
};  // the whole desired set; only differences act
struct Initiate {
  std::string pair;
};  // now, and enabled from here on
struct Terminate {
  std::string pair;
};  // disabled until Initiate
struct Rekey {
  std::string pair;
  bool ike = false;
};
struct Redirect {  // sends the peer, which began the session, to another address (RFC 5685)
  std::string pair;
  IpAddress to;
};
// The revocation lists are other ones now: IKE SAs whose peer's path has a certificate on them are
// closed. Costs one look-up for each certificate of each SA.
struct CheckRevocation {
  std::shared_ptr<const crypto::RevocationLists> lists;
};
// The addresses that this host has now, for MOBIKE (RFC 4555) and new attempts; the ones to prefer
// first. Until the first of these commands the connections' local_addresses count.
struct OwnAddresses {
  std::vector<IpAddress> addresses;
};
struct Shutdown {};  // tells every peer by a Delete, once, without waiting
using Command = std::variant<Configure, Initiate, Terminate, Rekey, Redirect, CheckRevocation,
                             OwnAddresses, Shutdown>;

// ---- completions: answers from outside
// --------------------------------------------------------------------------

struct JobDone {
  JobId id;
  JobResult result;
};
struct SoftExpired {
  Direction direction;
  Spi spi;
  IpAddress peer;
};
struct HardExpired {
  Direction direction;
  Spi spi;
  IpAddress peer;
};
struct SaLost {
  Direction direction;
  Spi spi;
  IpAddress peer;
};  // the dataplane has not got it, and nobody asked for that: it is keyed anew
struct InstallFailed {
  Direction direction;
  Spi spi;
  IpAddress peer;
  std::string text;
};
struct PeerMoved {
  Spi inbound;
  SocketAddress from;
};  // an authentic ESP packet came from there
struct FirstInbound {
  Spi spi;
};  // the first authentic packet came on an SA with tell_first
struct UseReport {
  IkeSpi sa;
  std::optional<Instant> last_inbound;
  std::optional<Instant> last_outbound = {};
};
struct UnknownSpi {
  Spi spi;
  SocketAddress from;
};  // ESP came from there that no inbound SA fits
struct Acquired {
  std::string pair;
};  // traffic wants the pair, and there is no SA for it (start: trap)
using Completion = std::variant<JobDone, SoftExpired, HardExpired, SaLost, InstallFailed, PeerMoved,
                                FirstInbound, UseReport, UnknownSpi, Acquired>;

struct Wakeup {
  Instant at;
  std::string_view reason;
};

}  // namespace espalier::ike
