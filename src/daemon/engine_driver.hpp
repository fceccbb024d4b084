// Drives the protocol engine: its effects to the dataplane, its datagrams to the sockets, its jobs
// to the CPU, its events to the log.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "control/view.hpp"
#include "crypto/rng.hpp"
#include "daemon/ike_sockets.hpp"
#include "daemon/journal_file.hpp"
#include "dataplane/port.hpp"
#include "ike/core/endpoint.hpp"
#include "reconcile/reconcile.hpp"

namespace espalier::daemon {

struct DriverParts {
  dataplane::Port& plane;
  const IkeSockets& sockets;
  Logger& log;
  std::function<void(const control::PairEvent&)> on_pair_event;
  // Begins to fetch; finish() when it is done. Empty: nothing is fetched.
  std::function<void(ike::JobId, const std::vector<crypto::PathCertificate>&)> fetch = {};
  // The peer of an IKE SA to be showed these.
  std::function<void(const std::vector<ike::Watched>&)> watch = {};
  JournalFile* journal = nullptr;  // null: none is kept
};

// What the dataplane counted, by SA.
using UseCounters = std::map<std::pair<dataplane::Direction, Spi>, dataplane::SaCounters>;

class EngineDriver {
 public:
  EngineDriver(DriverParts parts, const ike::KeyStore& keys, ike::Settings settings);

  void receive(const ike::Path& path, ByteView datagram);
  void handle_timeout();
  Status command(const ike::Command& command);
  // What `fetch` began is done, or given up.
  void finish(ike::JobId job);
  void handle_plane_events();
  // Compares what the engine wants with what the dataplane has, and repairs
  // (reconcile/reconcile.hpp). After handle_plane_events(). How much was wrong.
  std::size_t reconcile();
  // Whether the plane said, since the last time it was asked, that it is to be compared.
  bool take_drift() { return std::exchange(drift_seen_, false); }
  // After the first Configure, with DriverParts::journal: the IKE SAs of the daemon before go on.
  // What the dataplane must have for them: standing().
  ike::journal::Restored restore();
  struct Standing {
    std::vector<dataplane::SaSpec> sas;  // without keys
    std::vector<dataplane::PolicySpec> policies;
  };
  Standing standing() const;
  bool keeps_journal() const { return parts_.journal != nullptr; }
  void use_keys(const ike::KeyStore& keys) { keys_ = &keys; }

  // At most a second old: liveness checks of a thousand SAs read the dataplane once a second, not a
  // thousand times.
  const UseCounters& recent_use();

  std::optional<ike::Wakeup> next_wakeup() const { return engine_.poll_timeout(); }
  const ike::Endpoint& engine() const { return engine_; }

 private:
  void drain();
  bool carry_out();
  void keep_journal();
  void journal_failed(const Error& error);
  void collect(const ike::Effect& effect, std::vector<dataplane::Change>& changes);
  void apply(const std::vector<dataplane::Change>& changes);
  void run(const ike::StartJob& start);
  void answer(const ike::QueryUse& query);
  void publish(const ike::Event& event);
  void name_policies(const reconcile::Repair& repair);

  DriverParts parts_;
  const ike::KeyStore* keys_;
  crypto::SystemRng rng_;
  ike::Endpoint engine_;
  UseCounters use_;
  std::optional<Instant> use_read_;
  bool drift_seen_ = false;
};

}  // namespace espalier::daemon
