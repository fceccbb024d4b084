// Tunnels with manual keys, in whichever dataplane: takes over what an earlier daemon left running,
// installs what is in use now, changes keys when their time has come, sets again what vanished. No
// key ever expires or is renewed by itself.
#pragma once

#include <map>

#include "base/log.hpp"
#include "control/view.hpp"
#include "dataplane/kernel/xfrm_sa.hpp"
#include "dataplane/port.hpp"
#include "policy/manual.hpp"

namespace espalier::daemon {

// What a tunnel needs in the dataplane at a moment. Pure.
struct ManualWanted {
  std::vector<dataplane::SaSpec> sas;
  dataplane::PolicySpec policy;
};
ManualWanted manual_wanted(const policy::ManualTunnel& tunnel, ReqId reqid, std::int64_t unix_now);

class ManualKeying {
 public:
  ManualKeying(dataplane::Port& plane, Logger& log) : plane_(plane), log_(log) {}

  // Once, before anything else: these tunnels, and what they want. A tunnel has the reqid that the
  // daemon before gave it: it comes from its name.
  struct Wanted {
    std::vector<dataplane::SaSpec> sas;  // with their keys
    std::vector<dataplane::PolicySpec> policies;
  };
  Wanted begin(std::vector<policy::ManualTunnel> tunnels, std::int64_t unix_now);
  // After it: what of that the dataplane has goes on as it is (its sequence numbers too); the rest
  // is installed.
  void take_over(const dataplane::Snapshot& snapshot, Instant now, std::int64_t unix_now);

  // From now on these tunnels. What did not change is not touched.
  void set(std::vector<policy::ManualTunnel> tunnels, Instant now, std::int64_t unix_now);
  // Changes keys whose time has come. After it next_change() is later, or nothing.
  void update(Instant now, std::int64_t unix_now);
  // In seconds since 1970.
  std::optional<std::int64_t> next_change() const { return next_change_; }
  // Compares with what the dataplane has; how much was wrong. What vanished is installed again,
  // unlike an SA of IKE: there is nobody to negotiate another key with, and with CBC, whose IVs do
  // not come from the sequence numbers, and without anti-replay numbers may start again (RFC 4303
  // section 3.3.3).
  std::size_t reconcile(const dataplane::Snapshot& snapshot, Instant now, std::int64_t unix_now);

  std::vector<control::PairStatus> status(const dataplane::Snapshot& snapshot, Instant now,
                                          std::int64_t unix_now) const;
  // The tunnel's name for itself or its peer; empty: none.
  std::string resolve(const std::string& name) const;
  std::vector<std::string> names() const;
  // SAs that vanished and were installed again.
  std::uint64_t restored() const { return restored_; }
  bool empty() const { return tunnels_.empty(); }

 private:
  struct Installed {
    dataplane::SaSpec sa;
    Instant at{};
  };
  bool apply(const dataplane::Change& change, const std::string& pair);  // whether it worked
  void drop(const dataplane::SaKey& key);
  void announce(const policy::ManualTunnel& tunnel, std::int64_t unix_now);
  ReqId reqid_of(const std::string& name);

  dataplane::Port& plane_;
  Logger& log_;
  std::vector<policy::ManualTunnel> tunnels_;
  std::map<std::string, ReqId> reqids_;
  std::map<dataplane::SaKey, Installed> sas_;
  std::map<ReqId, dataplane::PolicySpec> policies_;
  std::map<std::string, std::string> faults_;     // by tunnel: why it is not up
  std::map<std::string, std::string> told_;       // of these, what the log had last
  std::map<std::string, std::size_t> announced_;  // by tunnel: the keys that the log told of
  std::optional<std::int64_t> next_change_;
  std::uint64_t restored_ = 0;
};

}  // namespace espalier::daemon
