// The userspace plane with its routes. A closed pair's lead into the TUN for good; one under
// `protect: use` has them only while its policy has an outbound SA, and is in the clear otherwise.
#pragma once

#include <map>
#include <set>

#include "base/log.hpp"
#include "dataplane/port.hpp"
#include "dataplane/userspace/host_setup.hpp"

namespace espalier::daemon {

class RoutedPort final : public dataplane::Port {
 public:
  // plane and log outlive it; network does until use() names another.
  RoutedPort(dataplane::Port& plane, const dataplane::userspace::HostNetwork& network, Logger& log)
      : plane_(plane), network_(&network), log_(log) {}

  void use(const dataplane::userspace::HostNetwork& network) { network_ = &network; }
  // As dataplane::userspace::apply_routes().
  Status apply_routes();

  // Routes go before what they lead to, and come after it.
  Status apply(std::span<const dataplane::Change> changes) override;
  Result<dataplane::Snapshot> query() override { return plane_.query(); }
  std::vector<dataplane::Event> poll_events() override { return plane_.poll_events(); }

 private:
  // What of the policies and outbound SAs there will be.
  struct State {
    std::map<ReqId, dataplane::PolicySpec> policies;
    std::map<dataplane::SaKey, ReqId> outbound;
    void note(const dataplane::Change& change);
    // Of policies with an SA, whose pair is not closed.
    std::set<ReqId> routed(const dataplane::userspace::HostNetwork& network) const;
  };
  dataplane::userspace::HostNetwork wanted(const std::set<ReqId>& routed) const;

  dataplane::Port& plane_;
  const dataplane::userspace::HostNetwork* network_;
  Logger& log_;
  State state_;
};

}  // namespace espalier::daemon
