// The userspace plane with its routes. A closed pair's lead into the TUN for good; one under
// `protect: use` has them only while its policy has an outbound SA, and is in the clear otherwise.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "base/log.hpp"
#include "dataplane/port.hpp"
#include "dataplane/userspace/host_setup.hpp"

namespace espalier::daemon {

class RoutedPort final : public dataplane::Port {
 public:
  // plane and log outlive it; network does until use() names another.
  RoutedPort(dataplane::Port& plane, const dataplane::userspace::HostNetwork& network, Logger& log)
      : plane_(plane), network_(&network), log_(log) {
    use(network);
  }

  void use(const dataplane::userspace::HostNetwork& network);
  // As dataplane::userspace::apply_routes().
  Status apply_routes();

  // Routes go before what they lead to, and come after it.
  Status apply(std::span<const dataplane::Change> changes) override;
  Result<dataplane::Snapshot> query() override { return plane_.query(); }
  std::vector<dataplane::Event> poll_events() override { return plane_.poll_events(); }

 private:
  // What the plane will have; the numbers of outbound SAs.
  std::optional<ReqId> note(const dataplane::Change& change);  // which it concerns
  void count(ReqId reqid, int by);
  bool is_routed(ReqId reqid) const;  // it has a policy and an SA, and its pair is not closed
  dataplane::userspace::HostNetwork wanted() const;

  dataplane::Port& plane_;
  const dataplane::userspace::HostNetwork* network_;
  Logger& log_;
  std::set<std::string, std::less<>> open_;  // pairs that are not closed
  std::map<ReqId, dataplane::PolicySpec> policies_;
  std::map<dataplane::SaKey, ReqId> outbound_;
  std::map<ReqId, int> sas_;
  std::set<ReqId> routed_;
};

}  // namespace espalier::daemon
