// The nouns of policy as plain data: what mesh and swanctl.conf compile to, what ike negotiates and
// what a dataplane is told. Values only: comparable, copyable.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/box.hpp"
#include "base/secret.hpp"
#include "base/shared_list.hpp"
#include "base/time.hpp"
#include "crypto/aead.hpp"
#include "crypto/ids.hpp"
#include "crypto/revocation.hpp"
#include "policy/lines.hpp"
#include "policy/service.hpp"
#include "wire/ike/message.hpp"

namespace espalier::policy {

using TrafficSelector = wire::ike::TrafficSelector;
using SelectorList = std::vector<TrafficSelector>;

enum class Mode : std::uint8_t { kTunnel, kTransport };
std::string_view name(Mode mode);  // "tunnel", "transport"

struct EncrTransform {
  crypto::EncrId id = crypto::EncrId::kNone;
  std::uint16_t key_bits = 0;  // 0 when the algorithm has one fixed length
  friend bool operator==(const EncrTransform&, const EncrTransform&) = default;
};

// A method that may be chosen for Additional Key Exchange `slot` (RFC 9370 section 2.2.1).
struct AdditionalKe {
  std::uint8_t slot = 1;                      // 1 to 7
  crypto::DhId method = crypto::DhId::kNone;  // kNone: the peer may do without
  friend bool operator==(const AdditionalKe&, const AdditionalKe&) = default;
};
// What was chosen, slot by slot; kNone: nothing.
using AdditionalKes = std::array<crypto::DhId, 7>;
inline bool has_additional(const AdditionalKes& methods) { return methods != AdditionalKes{}; }

// One proposal: per transform type a list in order of preference (policy/proposal.hpp parses,
// encodes and selects them).
struct IkeProposal {
  std::vector<EncrTransform> encr;
  std::vector<crypto::IntegId> integ;  // empty for AEAD
  std::vector<crypto::PrfId> prf;
  std::vector<crypto::DhId> dh;
  std::vector<AdditionalKe> additional;  // the methods of one slot in order of preference
  friend bool operator==(const IkeProposal&, const IkeProposal&) = default;
};
struct EspProposal {
  std::vector<EncrTransform> encr;
  std::vector<crypto::IntegId> integ;  // empty for AEAD
  std::vector<crypto::DhId> dh;        // groups for PFS at rekey; empty: none
  bool esn = true;                     // offered and accepted beside "no ESN"
  bool no_esn = true;
  std::vector<AdditionalKe> additional;  // after `dh`, at rekey
  friend bool operator==(const EspProposal&, const EspProposal&) = default;
};

// What a negotiation chose.
struct IkeSuite {
  crypto::CipherSuite cipher;
  crypto::PrfId prf = crypto::PrfId::kNone;
  crypto::DhId dh = crypto::DhId::kNone;
  AdditionalKes additional{};
  friend bool operator==(const IkeSuite&, const IkeSuite&) = default;
};
struct ChildSuite {
  crypto::CipherSuite cipher;
  crypto::DhId dh = crypto::DhId::kNone;  // kNone: keyed from SK_d alone
  bool esn = false;
  AdditionalKes additional{};
  friend bool operator==(const ChildSuite&, const ChildSuite&) = default;
};

struct Identity {
  wire::ike::IdType type = wire::ike::IdType::kFqdn;
  Bytes data;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

// One of our certificates. A host may have several, of different CAs; the peer's CERTREQ chooses.
struct OwnCertificate {
  std::string private_key;         // a name the job runner knows; never key material
  std::vector<Bytes> chain;        // DER, end entity first, without a self-signed root
  std::vector<Bytes> authorities;  // SHA-1 key hashes of the CAs above it (RFC 7296 section 3.7)
  friend bool operator==(const OwnCertificate&, const OwnCertificate&) = default;
};
// A post-quantum preshared key (RFC 8784), of the identifier type PPK_ID_FIXED.
struct Ppk {
  Bytes id;
  SecretBytes secret;
  bool required = true;  // without it on both ends there is no IKE SA
  friend bool operator==(const Ppk&, const Ppk&) = default;
};

enum class AuthKind : std::uint8_t { kPsk, kCert };

struct Lifetimes {
  Duration ike = 4h;
  Duration child = 1h;
  std::optional<Duration> reauth;  // the peers authenticate anew before their IKE SA is this old
  std::optional<std::uint64_t> child_bytes;
  std::optional<std::uint64_t> child_packets;
  unsigned jitter_percent = 10;  // an SA is rekeyed up to this much before its lifetime
  friend bool operator==(const Lifetimes&, const Lifetimes&) = default;
};

enum class Start : std::uint8_t { kNow, kTrap, kNone };
enum class Protect : std::uint8_t { kRequire, kUse, kOff };
enum class Encap : std::uint8_t { kAuto, kAlways, kNever };

// Whether the first child is made by CREATE_CHILD_SA, with a key exchange of its own, and not in
// IKE_AUTH (RFC 6023); swanctl's words.
enum class Childless : std::uint8_t {
  kAllow,   // as responder, when the peer wants it
  kPrefer,  // as initiator too, where the peer can
  kForce,   // no child is made in IKE_AUTH
  kNever,
};
// Which ends do not prove who they are (NULL authentication, RFC 7619).
enum class NullAuth : std::uint8_t { kNone, kLocal, kRemote, kBoth };
inline bool we_are_anonymous(NullAuth which) {
  return which == NullAuth::kLocal || which == NullAuth::kBoth;
}
inline bool peer_is_anonymous(NullAuth which) {
  return which == NullAuth::kRemote || which == NullAuth::kBoth;
}
// RFC 5685.
struct Redirect {
  std::vector<Prefix> accept;   // where the peer may send us; empty: nowhere
  std::optional<IpAddress> to;  // we send the peer there
  bool after_auth = false;      // ... in IKE_AUTH, when it has proved who it is
  friend bool operator==(const Redirect&, const Redirect&) = default;
};

// Of a packet mark: the bits of the mask get the value's.
struct Mark {
  std::uint32_t value = 0;
  std::uint32_t mask = 0xFFFFFFFF;
  friend bool operator==(const Mark&, const Mark&) = default;
};
enum class CopyDscp : std::uint8_t { kOut, kIn, kBoth, kNo };
// What a tunnel copies between a packet's header and the one around it (RFC 4301 section 5.1.2),
// and the mark that its ESP packets get on their way out. Other than the defaults: the kernel's
// ESP.
struct OuterHeader {
  bool copy_df = true;
  bool copy_ecn = true;  // RFC 6040
  CopyDscp copy_dscp = CopyDscp::kOut;
  std::optional<Mark> set_mark;
  friend bool operator==(const OuterHeader&, const OuterHeader&) = default;
};

// What a packet must have beside fitting selectors: the xfrm interface that it takes (its number;
// 0: none, which is another than every interface), and a firewall mark. With it SAs and policies
// are about such packets alone (route-based IPsec).
struct Binding {
  std::uint32_t if_id_in = 0, if_id_out = 0;
  std::optional<Mark> mark_in, mark_out;  // a mask of 0 is never in one
  bool is_bound_out() const { return if_id_out != 0 || mark_out.has_value(); }
  friend bool operator==(const Binding&, const Binding&) = default;
};

// On ESP packets of a pair with a device, and on what the daemon sends: it keeps them out of the
// device.
inline constexpr std::uint32_t kOwnMark = 0xE5000000;

// The device of a route-based pair, which the daemon makes and leads the pair's traffic into.
struct TunnelDevice {
  std::string name;
  std::string underlying;  // ESP leaves by this one; empty: as routes say
  std::uint16_t mtu = 0;   // octets; 0: what the pair's suites leave of 1500
  bool vti = false;        // a VTI device, told by its mark; else an xfrm interface, by its if_id
  friend bool operator==(const TunnelDevice&, const TunnelDevice&) = default;
};

struct ChildConfig {
  std::string name;
  Mode mode = Mode::kTunnel;
  SelectorList local_ts;
  SelectorList remote_ts;
  SharedList<EspProposal> proposals;   // in order of preference
  std::uint32_t replay_window = 1024;  // packets
  Box<OuterHeader> outer;              // nothing: the defaults
  Box<Binding> binding;                // nothing: any packet
  friend bool operator==(const ChildConfig&, const ChildConfig&) = default;
};

// Addresses of the two ends of a pair.
struct Bounds {
  SelectorList local, remote;
  friend bool operator==(const Bounds&, const Bounds&) = default;
};

struct Connection {
  std::string name;  // "<self>-<peer>"
  std::string peer;
  std::vector<IpAddress> local_addresses;   // empty: any
  std::vector<IpAddress> remote_addresses;  // tried in order; empty: only the peer initiates
  std::uint16_t remote_port = 500;
  Identity local_id;
  Identity remote_id;
  AuthKind auth = AuthKind::kPsk;
  SecretBytes psk;  // auth == kPsk
  std::optional<Ppk> ppk;
  std::vector<OwnCertificate> certificates;  // in order of preference (kCert)
  std::vector<Bytes> anchors;  // DER CA certificates the peer's chain must end in (kCert)
  Bytes authorities;           // the body of a CERTREQ for them (kCert)
  crypto::RevocationPolicy revocation = crypto::RevocationPolicy::kRelaxed;
  SharedList<IkeProposal> proposals;
  Lifetimes lifetimes;
  Duration dpd = 30s;  // 0: off
  bool fragmentation = true;
  bool mobike = false;  // RFC 4555; tunnel mode only
  Encap encap = Encap::kAuto;
  Start start = Start::kNow;
  Protect protect = Protect::kRequire;
  bool foreign = false;     // a peer outside the inventory's own hosts
  bool behind_nat = false;  // foreign.NAME nat: true
  Childless childless = Childless::kAllow;
  NullAuth null_auth = NullAuth::kNone;
  bool resumption = false;  // tickets are given, asked for and used (RFC 5723)
  Box<Redirect> redirect;
  std::vector<ChildConfig> children;
  SharedList<Service> except;  // stays outside IPsec, as this host sees it
  // Between these nothing passes that no child takes (mesh.yaml `only`). Nothing: between the
  // children's.
  Box<Bounds> bounds;
  Box<TunnelDevice> device;
  Lines lines;
  friend bool operator==(const Connection&, const Connection&) = default;
};

}  // namespace espalier::policy
