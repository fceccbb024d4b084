// One host of a world: a real engine, its chance, and the twin of its dataplane.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ike/core/endpoint.hpp"

namespace espalier::sim {

// What the dataplane of one host was told.
struct Twin {
  std::map<Spi, ike::ChildSaSpec> inbound;                         // by our SPI
  std::map<std::pair<Spi, IpAddress>, ike::ChildSaSpec> outbound;  // by the peer's SPI and address
  std::map<ReqId, ike::SetPolicy> policies;
  std::map<ReqId, std::vector<Spi>> newest;  // outbound SPIs in order of installation
  std::vector<std::string> violations;       // double installs, deletes of what is not there
  // SAs that the engine asked for and this dataplane has not: it refused them, or lost them. The
  // engine may delete them all the same.
  std::set<Spi> lost_inbound;
  std::set<std::pair<Spi, IpAddress>> lost_outbound;
};

// How a dataplane fails.
struct PlaneFaults {
  double refuse = 0;          // probability that an installation fails
  std::size_t sad_limit = 0;  // SAs that it can hold, both directions together; 0: any number
};

// A translator before the host: what it sends comes from another port, and what comes to that port
// reaches it. Its own ports stay open from outside, as with a port forward.
struct Nat {
  std::optional<IpAddress> address;                // that the peers see; nothing: the host's own
  std::map<std::uint16_t, std::uint16_t> outside;  // own port -> port that the peers see
};

using HostId = std::uint32_t;  // in the order of add_host()

struct Host {
  HostId id = 0;
  std::string name;
  IpAddress address;
  std::vector<IpAddress> other_addresses;
  std::uint32_t moves = 0;  // changes of its addresses; its engine is told of the new ones
  ike::Endpoint engine;
  crypto::SeededRng rng{0};
  Twin twin;
  PlaneFaults plane;
  Nat nat;
  std::vector<policy::Connection> connections;
  std::vector<ike::Event> events;
  bool running = true;
  std::int64_t drift_ppm = 0;  // its clock runs that much too fast
  std::uint64_t sent = 0;      // datagrams
  std::uint32_t boots = 0;     // starts after crashes
  // What its daemon keeps of its IKE SAs (ike::Settings::journal), as it was before the last
  // datagram left.
  std::map<IkeSpi, SecretBytes> journal;
  bool daemon_ended = false;  // and its dataplane goes on

  // The world's bookkeeping.
  std::optional<Instant> wakeup;  // in the world's time
  std::uint32_t stamp = 0;        // of its entry in the world's timers
  std::uint32_t spins = 0;        // wake-ups one after another without time moving on
  Instant last_fired{};
  bool looked_at = false;  // `up` is what the engine says now
  bool up = false;         // every pair is
};

class Keys final : public ike::KeyStore {
 public:
  std::map<std::string, std::shared_ptr<const crypto::PrivateKey>> keys;
  std::shared_ptr<const crypto::RevocationLists> lists;
  std::shared_ptr<const crypto::PrivateKey> find(const std::string& name) const override;
  const crypto::RevocationLists* revocations() const override { return lists.get(); }
  std::map<std::string, Bytes> statuses;  // OCSP responses about own certificates, by key
  Bytes own_status(const std::string& name) const override {
    const auto found = statuses.find(name);
    return found == statuses.end() ? Bytes() : found->second;
  }
};

}  // namespace espalier::sim
