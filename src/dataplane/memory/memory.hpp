// The in-memory twin of the dataplanes: keeps what it is told, for the simulator and for tests, and
// can be told to misbehave. Copyable. No threads, no system calls.
#pragma once

#include <map>

#include "dataplane/port.hpp"

namespace espalier::dataplane {

class Memory final : public Port {
 public:
  Status apply(std::span<const Change> changes) override;
  Result<Snapshot> query() override;
  std::vector<Event> poll_events() override;

  // What a test looks at.
  const std::map<SaKey, SaSpec>& sas() const { return sas_; }
  const std::map<ReqId, PolicySpec>& policies() const { return policies_; }
  const SaSpec* find(const SaKey& key) const;  // inbound: by SPI alone
  // The SA that would carry the policy's traffic: the newest outbound one of the reqid.
  const SaSpec* newest_outbound(ReqId reqid) const;

  // What a test does to it. lose(): the SA vanishes without an event, as when somebody flushes the
  // kernel; false when there is none. The next AddSa fails with the error and changes nothing.
  bool lose(const SaKey& key);
  void fail_next_install(Error error) { fail_next_ = std::move(error); }
  void emit(Event event) { events_.push_back(std::move(event)); }
  // Traffic as seen by an SA; false when there is none. Crossing a soft or hard limit emits the
  // event, and a hard one removes the SA, as in the planes that carry packets.
  bool account(const SaKey& key, std::uint64_t packets, std::uint64_t bytes, Instant now);
  void set_counter(std::string name, std::uint64_t value) { counters_[std::move(name)] = value; }

 private:
  struct Traffic {
    SaCounters counters;
    bool soft_sent = false;
  };
  using Sas = std::map<SaKey, SaSpec>;

  Status apply(const AddSa& change);
  Status apply(const DeleteSa& change);
  Status apply(const MoveSa& change);
  Status apply(const SetPolicy& change);
  Status apply(const DeletePolicy& change);
  Sas::iterator locate(const SaKey& key);
  void erase(Sas::iterator at);

  Sas sas_;
  std::map<SaKey, Traffic> traffic_;
  std::map<ReqId, std::vector<SaKey>> outbound_;  // newest last
  std::map<ReqId, PolicySpec> policies_;
  std::map<std::string, std::uint64_t> counters_;
  std::vector<Event> events_;
  std::optional<Error> fail_next_;
};

}  // namespace espalier::dataplane
