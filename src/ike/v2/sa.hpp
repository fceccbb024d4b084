// One IKE SA as a value: everything the protocol knows of it. Behaviour stands in the task files of
// this folder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/box.hpp"
#include "ike/core/io.hpp"
#include "ike/v2/keys.hpp"
#include "ike/v2/ticket.hpp"
#include "wire/ike/message.hpp"

namespace espalier::ike::v2 {

// Shared, never changed after it was made; equal when the pointed-to values are equal.
struct ConnectionRef {
  std::shared_ptr<const policy::Connection> ptr;
  const policy::Connection* operator->() const { return ptr.get(); }
  const policy::Connection& operator*() const { return *ptr; }
  explicit operator bool() const { return ptr != nullptr; }
  friend bool operator==(const ConnectionRef& a, const ConnectionRef& b) {
    return a.ptr == b.ptr || (a.ptr && b.ptr && *a.ptr == *b.ptr);
  }
};

enum class Role : std::uint8_t { kInitiator, kResponder };
std::string_view name(Role role);

enum class IkeState : std::uint8_t {
  kInit,          // IKE_SA_INIT: keys of the exchange are being made, or we wait for the response
  kIntermediate,  // additional key exchanges in IKE_INTERMEDIATE are under way (RFC 9370)
  kHalfOpen,      // responder: answered IKE_SA_INIT, waits for IKE_AUTH
  kAuth,          // IKE_AUTH is under way
  kEstablished,
  kReplaced,  // rekeyed: a successor has its children; it waits for its Delete
  kDeleting,  // we sent the Delete and wait for the answer
  kFailed,    // responder: IKE_AUTH was answered with an error; kept to repeat that answer
  kDead,      // to be swept
};
std::string_view name(IkeState state);
// An initiator's attempt that is under way.
inline bool is_attempt(IkeState state) {
  return state == IkeState::kInit || state == IkeState::kIntermediate || state == IkeState::kAuth;
}

enum class ChildState : std::uint8_t {
  kInstalled,
  kRekeying,  // a CREATE_CHILD_SA exchange of ours that replaces it is under way
  kReplaced,  // a successor is installed; it waits for its Delete
  kDeleting,  // we sent the Delete and wait for the answer
};
std::string_view name(ChildState state);

struct ChildSa {
  ChildSaSpec spec;
  ChildState state = ChildState::kInstalled;
  bool outbound_installed = false;
  bool initiator = false;  // we initiated the exchange that made it
  Instant installed_at{};
  Instant rekey_at{};
  Instant expire_at{};
  std::optional<Spi> successor;    // spi_in of the SA that replaces it
  std::optional<Spi> predecessor;  // spi_in of the SA it replaces
  // Of our exchange with a foreign peer that made it: the peer's own for the same child may still
  // come, and crosses ours.
  Box<Bytes> lowest_nonce;
  friend bool operator==(const ChildSa&, const ChildSa&) = default;
};

enum class TaskKind : std::uint8_t {
  kCreateChild,
  kRekeyChild,
  kDeleteChild,
  kRekeyIke,
  kDeleteIke,
  kLiveness,
  kInvalidSpi,     // tells the peer that its ESP has an SPI we do not know: `child`
  kQcdToken,       // gives the peer our token of an SA that a rekey made
  kTellAddresses,  // ours changed (RFC 4555 sections 3.5 and 3.6)
  kCheckRoute,     // is the peer where it says it is? (RFC 4555 section 3.7)
  kTicketRequest,  // asks for a session ticket (RFC 5723)
  kRedirect,       // sends the peer to `address` (RFC 5685)
};
std::string_view name(TaskKind kind);

// An exchange that we want to start, once the window (one request) is free and not before its time.
struct Task {
  TaskKind kind = TaskKind::kLiveness;
  Spi child;               // spi_in: kRekeyChild, kDeleteChild
  std::string child_name;  // kCreateChild
  Instant not_before{};
  // kCreateChild: these selectors alone, of a child that the peer narrowed; empty: the configured
  // ones.
  policy::SelectorList local_ts = {};
  policy::SelectorList remote_ts = {};
  // kDeleteChild: `child` is an SPI that we offered and whose answer we did not take: the peer has
  // a child for it, we have none.
  bool orphan = false;
  bool quick = false;  // kLiveness: there is reason to think that the peer is gone
  // When the peer first answered TEMPORARY_FAILURE to it (RFC 7296 section 2.25); the epoch: never.
  Instant refused_since{};
  IpAddress address = {};  // kRedirect
  friend bool operator==(const Task&, const Task&) = default;
};

// What a collision of two rekeys is decided by (RFC 7296 section 2.8.1): the lowest of the four
// nonces.
struct Collision {
  Bytes lowest_nonce;  // the lower of the two nonces of the peer's exchange
  Spi child;           // spi_in of the child that the peer's exchange made
  IkeSpi ike;          // local SPI of the IKE SA that the peer's exchange made
  friend bool operator==(const Collision&, const Collision&) = default;
};

// Additional key exchanges after CREATE_CHILD_SA (RFC 9370 section 2.2.4).
struct Followup {
  policy::AdditionalKes methods{};
  std::size_t next = 0;  // the slot being exchanged, from 0
  Bytes link;            // ADDITIONAL_KEY_EXCHANGE of the next request
  SecretBytes first;     // SK(0)
  SecretBytes more;      // SK(1) | SK(2) | ...
  crypto::DhKeyPair dh;  // initiator: of the exchange under way
  friend bool operator==(const Followup&, const Followup&) = default;
};

// A peer's CREATE_CHILD_SA that is answered, and made when its additional key exchanges are done.
struct PendingExchange {
  wire::ike::Message request;
  Bytes nonce_r;
  Spi spi;         // of the child to be
  IkeSpi ike_spi;  // of the IKE SA to be
  Followup followup;
  Instant expires{};
  friend bool operator==(const PendingExchange&, const PendingExchange&) = default;
};

// The exchange that we initiated and that is under way.
struct ActiveTask {
  Task task;
  crypto::DhKeyPair dh;
  Bytes nonce;  // ours
  Bytes peer_nonce;
  Spi new_spi;         // our inbound SPI of the child to be
  IkeSpi new_ike_spi;  // our SPI of the IKE SA to be
  policy::ChildConfig child;
  policy::SelectorList local_ts, remote_ts;  // as proposed
  std::optional<Collision> collision;
  // A CREATE_CHILD_SA response that waits for g^ir, or for the additional key exchanges.
  std::optional<wire::ike::Message> response;
  Box<Followup> followup;
  unsigned group_retries = 0;
  // Outbound SPIs that the peer deleted and we do not have: its Delete may have overtaken the
  // answer that makes them.
  std::set<Spi> deleted_by_peer;
  std::uint32_t epoch = 0;  // Mobike::epoch when the request was made
  Bytes cookie2;            // kCheckRoute
  friend bool operator==(const ActiveTask&, const ActiveTask&) = default;
};

// A peer's CREATE_CHILD_SA request that waits for its DH job.
struct Responding {
  wire::ike::Message request;
  friend bool operator==(const Responding&, const Responding&) = default;
};

struct Outstanding {  // our request, until it is answered (RFC 7296 section 2.1)
  wire::ike::ExchangeType exchange = wire::ike::ExchangeType::kInformational;
  MessageId id;
  std::vector<Bytes> packets;
  unsigned sent = 0;
  bool quick = false;  // retransmitted at most kQuickRetransmitMax apart
  Instant resend_at{};
  friend bool operator==(const Outstanding&, const Outstanding&) = default;
};

struct LastResponse {  // sent again when its request is (RFC 7296 section 2.1)
  MessageId id;
  std::vector<Bytes> packets;
  friend bool operator==(const LastResponse&, const LastResponse&) = default;
};

// Fragments of one message (RFC 7383 section 2.6); each was authenticated before it was kept.
struct Reassembly {
  MessageId id;
  bool response = false;
  std::uint16_t total = 0;
  wire::ike::PayloadType first = wire::ike::PayloadType::kNone;
  std::map<std::uint16_t, Bytes> parts;
  std::size_t octets = 0;
  Bytes prefix;  // IKE_INTERMEDIATE: the first fragment up to its Encrypted Fragment payload header
  friend bool operator==(const Reassembly&, const Reassembly&) = default;
};

enum class JobPurpose : std::uint8_t {
  kNone,
  kInitGenerate,
  kInitRespond,
  kInitShared,
  kAuthSign,
  kAuthVerify,
  kAuthStatus,  // the status of the peer's certificates is being fetched
  kChildGenerate,
  kChildShared,
  kChildRespond,
  kIntermediateGenerate,
  kIntermediateShared,
  kIntermediateRespond,
  kFollowupGenerate,
  kFollowupShared,
  kFollowupRespond,
};

// The initiator's two proofs when a post-quantum key is optional (RFC 8784 section 3).
enum class PpkStage : std::uint8_t {
  kNone,   // no PPK takes part
  kPlain,  // NO_PPK_AUTH is being made
  kMixed,  // AUTH with the PPK is being made, or was sent
};

// MOBIKE (RFC 4555), when both ends have it. Not the roles of the exchanges: who initiated the
// first of a series of rekeyed IKE SAs chooses the addresses for all of them (its section 2).
struct Mobike {
  bool initiator = false;
  bool update = false;      // initiator: the peer does not know sa.path yet
  bool list = false;        // the peer does not know our other addresses yet
  std::uint32_t epoch = 0;  // counts what an answer that is under way cannot be about
  unsigned refusals = 0;    // of UPDATE_SA_ADDRESSES, in a row
  bool listed = false;  // the peer sent a list since: what the configuration says is out of date
  std::vector<IpAddress> peer_addresses;  // beside the one in use of IKE_AUTH; the whole list since
  Bytes seen_as;  // the peer's hash of our address as it sees it (section 3.8); empty: not known
  friend bool operator==(const Mobike&, const Mobike&) = default;
};

// What only the first two exchanges need; dropped when the SA is established.
struct Handshake {
  crypto::DhKeyPair dh;
  Bytes init_request, init_response;  // RealMessage1 and RealMessage2 (RFC 7296 section 2.15)
  Bytes cookie;
  unsigned restarts = 0;  // COOKIE and INVALID_KE_PAYLOAD answers followed
  std::vector<std::uint16_t> groups_tried;
  std::optional<wire::ike::Message> init_message;  // waits for a DH job
  std::optional<wire::ike::Message> auth_message;  // waits for a signature job
  Bytes peer_id_body, own_id_body;
  Spi child_spi;  // initiator: our inbound SPI of the first child
  policy::Identity peer_id;
  Bytes peer_authorities;           // CAs of the peer's CERTREQ: key hashes of 20 octets each
  std::size_t own_certificate = 0;  // of the connection's, the one that they chose
  bool peer_wants_status = false;   // ... and it takes OCSP responses (RFC 4806)
  Bytes own_status;                 // our OCSP response for it
  std::optional<Instant>
      status_by;                 // the status of the peer's certificates is waited for until then
  bool status_asked = false;     // ... was: the policy decides now
  bool initial_contact = false;  // the peer sent INITIAL_CONTACT
  Bytes faked_nat_source;        // the same octets in a retry
  bool peer_nat_traversal = false;  // it sent NAT detection payloads
  bool use_ppk = false;             // both sent USE_PPK (RFC 8784)
  PpkStage ppk_stage = PpkStage::kNone;
  // IKE_INTERMEDIATE (RFC 9242 section 3.3.2, RFC 9370 section 2.2.2).
  std::size_t next_ke = 0;       // the slot being exchanged, from 0
  Bytes int_sent, int_received;  // A | P of this exchange's messages
  Bytes int_auth_i, int_auth_r;  // after the exchanges so far; empty: there were none
  MessageId auth_id;             // of the IKE_AUTH request
  IkeKeys ppk_keys;              // initiator: with the PPK mixed in, until the peer takes them
  Bytes no_ppk_auth;       // NO_PPK_AUTH: ours as initiator, the peer's that counts as responder
  bool childless = false;  // both know RFC 6023; responder: it was announced
  // IKE_SESSION_RESUME (RFC 5723): what the ticket holds, and the ticket; its handle as responder.
  Box<TicketState> resumed;
  Bytes ticket;
  TicketHandle ticket_handle;
  // RFC 5685: the gateway that sent us here, and the IKE SA with it that ends when this one stands.
  std::optional<IpAddress> redirected_from;
  IkeSpi leaves;
  friend bool operator==(const Handshake&, const Handshake&) = default;
};

struct IkeSa {
  Role role = Role::kInitiator;
  IkeState state = IkeState::kInit;
  IkeSpi spi_i, spi_r;
  ConnectionRef connection;  // responder: known from IKE_AUTH on
  Path path;
  bool encap = false;     // ESP in UDP
  bool nat_here = false;  // the peer sees another address of ours than we do
  bool nat_there = false;
  bool peer_fragmentation = false;
  bool ppk = false;  // a post-quantum key is mixed into SK_d (RFC 8784)
  // RFC 5685, of the initiator of the first exchange: it is us, or the peer, and follows redirects.
  bool follows_redirects = false;
  bool peer_follows_redirects = false;
  std::vector<crypto::HashId> peer_hashes;
  policy::IkeSuite suite;
  IkeKeys keys;
  Bytes nonce_i, nonce_r;
  std::uint64_t iv_counter = 0;
  JobId job;  // value 0: none
  JobPurpose job_purpose = JobPurpose::kNone;

  MessageId next_request;      // of ours
  MessageId expected_request;  // of the peer's
  Box<Outstanding> outstanding;
  Box<LastResponse> last_response;
  Box<Reassembly> reassembly;
  std::vector<Task> tasks;  // in order; few
  Box<ActiveTask> active;
  Box<Responding> responding;
  Box<PendingExchange> pending;
  Box<Mobike> mobike;
  // Where the request that is being answered came from, when that is not `path`: with MOBIKE a
  // request alone moves nothing, and its answer goes back to where it came from.
  Box<Path> reply_path;
  Box<PeerCertificates> peer_certificates;  // kCert

  std::vector<ChildSa> children;
  SocketAddress init_from;  // responder: where the IKE_SA_INIT request came from
  bool half_open = false;   // counted in Core::half_open
  bool rekeyed = false;     // made by a rekey, not by a first exchange
  bool cookie_returned = false;
  Instant begun{};  // IKE_SA_INIT sent or received
  Instant established_at{};
  Instant rekey_at{};
  Instant expire_at{};
  // When the authentication is to be repeated, by the end that began it (RFC 4478) or, if that end
  // does not, by the other; kept over rekeys. Nothing: never.
  std::optional<Instant> reauth_at;
  std::optional<Instant> reauth_by;  // then the SA is closed: nobody repeated it
  bool began = false;                // we are the initiator of its IKE_AUTH
  IkeSpi reauthenticates;            // local SPI of the IKE SA that this one is to replace; or 0
  Instant liveness_at{};
  Instant keepalive_at{};
  Instant last_heard{};
  std::optional<Instant> discard_at;  // half-open, or superseded and waiting for the other end
  bool use_query_sent = false;
  bool probe_slot = false;          // liveness_at is its turn among the engine's checks
  Instant next_hint{};              // before it, unproved hints about this SA are not followed
  Instant next_told{};              // before it, the peer is not told of another unknown SPI
  Bytes peer_token;                 // RFC 6290; empty: it gave none
  std::optional<IkeSpi> successor;  // local SPI of the SA that replaces it
  std::optional<Collision> rekey_collision;
  std::optional<Instant> armed;  // its entry in Core::sa_timers
  std::string failure;           // why it goes, for people

  // Made when first asked for; dropped when the SA is established.
  Handshake& handshake() { return handshake_.made(); }
  const Handshake& handshake() const {
    static const Handshake kNone;
    return handshake_ ? *handshake_ : kNone;
  }
  const Box<Handshake>& if_handshake() const { return handshake_; }
  // SK_pi, SK_pr and the nonces have no use after IKE_AUTH (RFC 7296 section 2.15) and go too.
  void drop_handshake() {
    handshake_.reset();
    keys.pi = SecretBytes();
    keys.pr = SecretBytes();
    nonce_i = Bytes();
    nonce_r = Bytes();
  }

  IkeSpi local_spi() const { return role == Role::kInitiator ? spi_i : spi_r; }
  IkeSpi remote_spi() const { return role == Role::kInitiator ? spi_r : spi_i; }
  std::string pair() const { return connection ? connection->name : std::string(); }
  bool is_up() const { return state == IkeState::kEstablished; }
  ChildSa* child_in(Spi spi_in);
  ChildSa* child_out(Spi spi_out);
  friend bool operator==(const IkeSa&, const IkeSa&) = default;

 private:
  template <class Ar>
  friend void fields(Ar& ar, IkeSa& it);  // journal/fields.hpp
  Box<Handshake> handshake_;
};

}  // namespace espalier::ike::v2
