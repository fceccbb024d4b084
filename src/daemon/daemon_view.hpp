// The daemon as control sees it.
#pragma once

#include <functional>

#include "control/view.hpp"
#include "daemon/certificate_watch.hpp"
#include "daemon/engine_driver.hpp"
#include "daemon/manual_keying.hpp"
#include "daemon/plane_host.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

class DaemonView final : public control::View {
 public:
  DaemonView(EngineDriver& driver, PlaneHost& host, const CertificateWatch& certificates,
             const ManualKeying& manual,
             std::function<Result<control::ReloadReport>(const control::ReloadRequest&)> reload,
             std::string plane_why)
      : driver_(driver),
        host_(host),
        certificates_(certificates),
        manual_(manual),
        plane_(host.port()),
        reload_(std::move(reload)),
        plane_why_(std::move(plane_why)) {}

  void set_plan(const mesh::HostPlan& plan, std::uint64_t generation);

  control::StatusSnapshot status() override;
  std::vector<control::ConnectionConfig> connections() override;
  std::optional<control::PairStatus> pair_status(const std::string& name) override;
  std::optional<control::ConnectionConfig> connection_config(const std::string& name) override;
  Result<std::string> resolve(const std::string& name) override;
  Status initiate(const std::string& pair) override;
  Status terminate(const std::string& pair) override;
  Status rekey(const std::string& pair, bool ike) override;
  Status redirect(const std::string& pair, const IpAddress& to) override;
  Result<control::ReloadReport> reload(const control::ReloadRequest& request) override {
    return reload_(request);
  }
  std::vector<std::pair<std::string, std::uint64_t>> counters() override;

 private:
  // Refuses what only IKE has; nothing for a pair with IKE.
  Status not_manual(const std::string& pair, std::string_view what) const;

  EngineDriver& driver_;
  PlaneHost& host_;
  const CertificateWatch& certificates_;
  const ManualKeying& manual_;
  dataplane::Port& plane_;
  std::function<Result<control::ReloadReport>(const control::ReloadRequest&)> reload_;
  std::string plane_why_;
  std::string mesh_, self_;
  std::uint64_t generation_ = 0;
};

}  // namespace espalier::daemon
