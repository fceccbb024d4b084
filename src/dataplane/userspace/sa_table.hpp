// The SAD, the SPD and the changes to them. Only the worker thread touches it.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <unordered_map>

#include "dataplane/port.hpp"
#include "dataplane/userspace/policy_index.hpp"
#include "esp/inbound_sa.hpp"
#include "esp/outbound_sa.hpp"

namespace espalier::dataplane::userspace {

struct Limits {
  std::optional<std::uint64_t> soft_bytes, hard_bytes, soft_packets, hard_packets;
};

// What both directions share.
struct SaCommon {
  SaKey key;
  ReqId reqid;
  SocketAddress local, remote;
  Limits limits;
  SaCounters counters;
  bool soft_sent = false;
  bool dead = false;  // a hard limit was reached: not used any more, removed at the end of the turn

  // How many of `packets` packets may still pass, by the packet limit.
  std::uint64_t packets_left() const;
  bool soft_reached() const;
  bool hard_reached() const;
};

struct OutSa : SaCommon {
  explicit OutSa(esp::OutboundSa core) : esp(std::move(core)) {}
  esp::OutboundSa esp;
  sockaddr_storage to{};  // remote, as sendmsg wants it
  socklen_t to_octets = 0;
  // Segments of this many octets and more are sent one by one until then: the kernel refused them.
  std::size_t gso_refused = SIZE_MAX;
  Instant gso_retry{};
  void set_addresses(const SocketAddress& local_address, const SocketAddress& remote_address);
};

struct InSa : SaCommon {
  explicit InSa(esp::InboundSa core) : esp(std::move(core)) {}
  esp::InboundSa esp;
  policy::SelectorList local_ts, remote_ts;
  std::optional<Instant> moved_sent;  // the last PeerMoved event
  bool tell_first = false;            // a FirstPacket event is due
};

// The outbound SAs of one policy.
struct Bundle {
  std::vector<OutSa*> sas;  // newest last
  std::optional<Instant> acquire_sent;
};

class SaTable {
 public:
  Status apply(const Change& change);

  InSa* inbound(Spi spi);
  // Of a policy in the table. It is made if need be: it remembers when it last asked for an SA.
  Bundle& bundle(ReqId reqid) { return bundles_[reqid]; }
  const PolicySpec* policy(const Flow& flow) const { return policies_.find(flow); }

  // Removes the SAs that are dead.
  void sweep();
  void note_dead() { any_dead_ = true; }

  std::vector<SaState> states() const;  // ordered by key
  std::vector<PolicySpec> policies() const { return policies_.list(); }

 private:
  struct OutName {
    Spi spi;
    IpAddress peer;
    friend bool operator==(const OutName&, const OutName&) = default;
  };
  struct OutNameHash {
    std::size_t operator()(const OutName& name) const { return std::hash<Spi>{}(name.spi); }
  };
  using Outbound = std::unordered_map<OutName, std::unique_ptr<OutSa>, OutNameHash>;

  Status add(const SaSpec& sa);
  void remove(const SaKey& key);
  Status move(const MoveSa& change);
  void erase_outbound(Outbound::iterator at);

  std::unordered_map<Spi, std::unique_ptr<InSa>> inbound_;
  Outbound outbound_;
  std::unordered_map<ReqId, Bundle> bundles_;  // with SAs, or of a policy
  PolicyIndex policies_;
  bool any_dead_ = false;
};

}  // namespace espalier::dataplane::userspace
