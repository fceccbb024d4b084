// Tunnels with manual keys, in whichever dataplane: installs what is in use now, changes keys when
// their time has come, repairs what vanished. No key ever expires or is renewed by itself.
#pragma once

#include <map>

#include "base/log.hpp"
#include "control/view.hpp"
#include "dataplane/port.hpp"
#include "policy/manual.hpp"

namespace espalier::daemon {

// Theirs of our reqids: between those of IKE's SAs and those of closed policies.
inline constexpr std::uint32_t kManualReqIdFirst = 0xE5E00000;
inline constexpr std::uint32_t kManualReqIdLast = 0xE5EFFFFF;

// What a tunnel needs in the dataplane at a moment. Pure.
struct ManualWanted {
  std::vector<dataplane::SaSpec> sas;
  dataplane::PolicySpec policy;
};
ManualWanted manual_wanted(const policy::ManualTunnel& tunnel, ReqId reqid, std::int64_t unix_now);

class ManualKeying {
 public:
  ManualKeying(dataplane::Port& plane, Logger& log) : plane_(plane), log_(log) {}

  // From now on these tunnels. What did not change is not touched.
  void set(std::vector<policy::ManualTunnel> tunnels, Instant now, std::int64_t unix_now);
  // Changes keys whose time has come. After it next_change() is later, or nothing.
  void update(Instant now, std::int64_t unix_now);
  // In seconds since 1970.
  std::optional<std::int64_t> next_change() const { return next_change_; }
  // Compares with what the dataplane has; how much was wrong. What vanished is installed again: its
  // keys are for that, and CBC uses no number twice.
  std::size_t reconcile(const dataplane::Snapshot& snapshot, Instant now, std::int64_t unix_now);

  std::vector<control::PairStatus> status(const dataplane::Snapshot& snapshot, Instant now,
                                          std::int64_t unix_now) const;
  // The tunnel's name for itself or its peer; empty: none.
  std::string resolve(const std::string& name) const;
  bool empty() const { return tunnels_.empty(); }

 private:
  struct Installed {
    dataplane::SaSpec sa;
    Instant at{};
  };
  void apply(const dataplane::Change& change, const std::string& pair);
  void drop(const dataplane::SaKey& key);
  void announce(const policy::ManualTunnel& tunnel, std::int64_t unix_now);
  ReqId reqid_of(const std::string& name);

  dataplane::Port& plane_;
  Logger& log_;
  std::vector<policy::ManualTunnel> tunnels_;
  std::map<std::string, ReqId> reqids_;
  std::uint32_t next_reqid_ = kManualReqIdFirst;
  std::map<dataplane::SaKey, Installed> sas_;
  std::map<ReqId, dataplane::PolicySpec> policies_;
  std::map<std::string, std::string> faults_;     // by tunnel: why it is not up
  std::map<std::string, std::size_t> announced_;  // by tunnel: the keys that the log told of
  std::optional<std::int64_t> next_change_;
};

}  // namespace espalier::daemon
