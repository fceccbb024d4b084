// The dataplane port: declarative, batched, with an in-memory twin. `kernel`, `userspace` and
// `memory` pass one contract test suite (dataplane/contract_tests.hpp). Within one apply(),
// additions come before removals in the order given; nothing is ever flushed.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
#include "policy/nouns.hpp"

namespace espalier::dataplane {

enum class Direction : std::uint8_t { kIn, kOut };

// An SA's name: inbound by its SPI alone (we chose it), outbound by SPI and the peer's address.
struct SaKey {
  Direction direction = Direction::kIn;
  Spi spi;
  IpAddress peer;
  friend auto operator<=>(const SaKey&, const SaKey&) = default;
};

struct SaSpec {
  Direction direction = Direction::kIn;
  Spi spi;
  ReqId reqid;       // binds it to a policy; the newest outbound SA of a reqid carries its traffic
  std::string pair;  // for counters and log lines
  SocketAddress local;  // outer addresses; UDP ports when encapsulated
  SocketAddress remote;
  bool udp_encap = true;  // RFC 3948
  policy::Mode mode = policy::Mode::kTunnel;
  crypto::CipherSuite suite;
  SecretBytes encr_key;  // with salt at its end
  SecretBytes integ_key;
  bool esn = false;
  // Transport mode through NAT: this end's and the peer's address as the peer has them, for the
  // checksums behind ESP (RFC 3948 section 3.1.2; Linux: encap_oa).
  std::optional<IpAddress> original_local, original_remote;
  // Packets; inbound. 0, in both directions: no anti-replay, and numbers start again behind the
  // last (manual keys, RFC 4303 section 3.3.3).
  std::uint32_t replay_window = 1024;
  policy::OuterHeader outer;
  policy::Binding binding;  // the kernel's alone; an inbound SA has no mark (policies have)
  bool tell_first = false;  // inbound: FirstPacket when one has come
  policy::SelectorList
      local_ts;  // inbound: decrypted packets outside these are dropped (RFC 4301 section 5.2)
  policy::SelectorList remote_ts;
  std::optional<std::uint64_t> soft_bytes, hard_bytes, soft_packets, hard_packets;
  SaKey key() const { return {direction, spi, remote.ip}; }
  friend bool operator==(const SaSpec&, const SaSpec&) = default;
};

// Outbound protection: packets from local_ts to remote_ts take the newest outbound SA of reqid;
// when there is none they are dropped and counted (closed when it fails). More specific selectors
// win; among equals the later added.
struct PolicySpec {
  std::string pair;
  ReqId reqid;
  policy::SelectorList local_ts;
  policy::SelectorList remote_ts;
  policy::Mode mode = policy::Mode::kTunnel;
  IpAddress local{}, remote{};  // outer addresses; a tunnel's ends
  // Nothing passes, whatever SAs there are; any other policy with the same selectors comes first.
  bool closed = false;
  // These pass as they are, before every other policy, in both directions: an exception.
  bool clear = false;
  // While it stands, what leaves is protected, but what arrives in the clear is taken too.
  bool optional = false;
  // Of a closed one: what it keeps from leaving raises an Acquire.
  bool trap = false;
  policy::Binding binding{};  // about packets that have this
  // Of a closed one: what leaves is somebody else's to close, since the kernel would ask this
  // policy before a packet comes to the interface that it is routed to.
  bool inbound_only = false;
  // Of a closed one: a socket can be connected to what is behind it, though no packet leaves.
  bool connects = false;
  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

struct AddSa {
  SaSpec sa;
};
struct DeleteSa {
  SaKey key;
};  // of what is not there: done already
// NAT rebinding, roaming. The key's peer is the old one; afterwards the SA's key has the new one.
// Its keys, replay window and counters stay, and no sequence number is used again. Errors:
// kNotFound; kUnsupported as for AddSa.
struct MoveSa {
  SaKey key;
  SocketAddress local;
  SocketAddress remote;
  bool udp_encap = true;  // from now on
};
struct SetPolicy {
  PolicySpec policy;
};  // replaces the policy with the same reqid, without a gap
struct DeletePolicy {
  ReqId reqid;
};
using Change = std::variant<AddSa, DeleteSa, MoveSa, SetPolicy, DeletePolicy>;

struct SaCounters {
  std::uint64_t bytes = 0;  // inner octets
  std::uint64_t packets = 0;
  Instant last_used{};  // of the last packet; the epoch if none
  friend bool operator==(const SaCounters&, const SaCounters&) = default;
};
struct SaState {
  SaKey key;
  ReqId reqid;
  SocketAddress local, remote;
  SaCounters counters;
};
struct Snapshot {
  std::vector<SaState> sas;          // ordered by key
  std::vector<PolicySpec> policies;  // ordered by reqid
  std::vector<std::pair<std::string, std::uint64_t>>
      counters;  // plane-wide: drops by reason, ordered by name
};

struct SoftExpire {
  SaKey key;
};  // rekey now
struct HardExpire {
  SaKey key;
};  // the plane stopped using it
struct UnknownSpi {
  Spi spi;
  SocketAddress from;
};  // rate limited by the plane
struct PeerMoved {
  SaKey key;
  SocketAddress from;
};  // an authentic packet came from another address (inbound SA)
struct FirstPacket {
  SaKey key;
};  // an authentic packet came, the first one, on an SA with tell_first
struct Acquire {
  ReqId reqid;
  std::string pair = {};  // empty: the plane does not know
};                        // traffic for a policy without an SA; rate limited by the plane
struct Drifted {};        // somebody else changed what is ours in the plane: it is to be compared
using Event =
    std::variant<SoftExpire, HardExpire, UnknownSpi, PeerMoved, FirstPacket, Acquire, Drifted>;

class Port {
 public:
  virtual ~Port() = default;
  // All or nothing per change; the first failure stops the batch and says which change failed and
  // why.
  virtual Status apply(std::span<const Change> changes) = 0;
  virtual Result<Snapshot> query() = 0;
  virtual std::vector<Event> poll_events() = 0;
};

}  // namespace espalier::dataplane
