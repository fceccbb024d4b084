// The kernel's plane: policies that want an SA keep what is protected closed while there is none.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/clock.hpp"
#include "daemon/device_network.hpp"
#include "daemon/host_network.hpp"
#include "daemon/plane_host.hpp"
#include "daemon/standing_policies.hpp"
#include "dataplane/kernel/kernel.hpp"
#include "dataplane/kernel/larval_drop.hpp"

namespace espalier::daemon {
namespace {

using dataplane::kernel::Extent;

constexpr std::size_t kDatagramsPerTurn = 64;

constexpr std::size_t kRepairsNamed = 20;  // at a time; a flush is one event, not a thousand lines

class KernelHost final : public PlaneHost {
 public:
  KernelHost(DaemonLogger& log, const std::string& run)
      : log_(log), larval_drop_(run + "/xfrm_larval_drop") {}

  Status protect(const mesh::HostPlan& plan) override {
    if (!plane_) {
      dataplane::KernelOptions options;
      options.clock = monotonic_now;
      options.unix_now = unix_now;
      options.log = &log_;
      options.keep = true;
      TRY_ASSIGN(plane_, dataplane::Kernel::make(options));
    }
    // Without an inventory the policies of an earlier run stay: its absence opens nothing.
    if (plan.self.empty()) return {};
    // The devices' routes close before a policy opens, and open when policies have closed.
    DeviceNetwork network = make_device_network(plan);
    if (const Status led = lead(network); !led) {
      if (took_over_) TRY(lead_only(network_));
      return led;
    }
    TRY(plane_->close(standing_.of(plan)));
    TRY(lead_only(network));
    network_ = std::move(network);
    took_over_ = true;
    warnings_ = warnings_for(plan);
    return choose_larval_drop(plan);
  }

  void repair() override {
    if (const Status led = apply_routes(); !led && led.error().code != ErrorCode::kBusy) {
      log_.log({LogLevel::kWarning, "dataplane", "", led.error().message});
    }
    const auto repaired = plane_->repair();
    if (!repaired) {
      log_.log({LogLevel::kWarning, "dataplane", "",
                "the kernel's policies could not be put right: " + repaired.error().message});
      return;
    }
    std::size_t told = 0;
    for (const auto& one : *repaired) {
      if (++told > kRepairsNamed) break;
      log_.log({LogLevel::kWarning, "dataplane", one.pair, one.text});
    }
    if (repaired->size() > kRepairsNamed) {
      log_.log({LogLevel::kWarning, "dataplane", "",
                fmt::format("and {} more entries", repaired->size() - kRepairsNamed)});
    }
  }

  std::vector<std::string> notes() const override {
    return larval_note_.empty() ? std::vector<std::string>() : std::vector{larval_note_};
  }

  Status start(const IkeSockets& sockets) override {
    sockets_ = &sockets;
    return {};
  }

  // Devices too, which somebody may have removed.
  Status apply_routes() override {
    if (network_.empty()) return {};
    TRY_ASSIGN(const auto made, dataplane::kernel::make_devices(network_.devices));
    for (const std::string& name : made) {
      log_.log(
          {LogLevel::kWarning, "dataplane", "",
           fmt::format("somebody removed or changed the interface {}: it is as it was", name)});
    }
    TRY_ASSIGN(const std::size_t written,
               dataplane::kernel::apply_routing(network_.routing, Extent::kWhole));
    if (written > 0) {
      log_.log({LogLevel::kInfo, "dataplane", "",
                fmt::format("{} routes and rules of our interfaces set", written)});
    }
    return {};
  }
  std::vector<std::string> warnings() override { return warnings_; }
  dataplane::Port& port() override { return *plane_; }
  std::vector<int> poll_fds() const override {
    return {plane_->notify_fd(), sockets_->natt4(), sockets_->natt6()};
  }
  std::vector<ReceivedDatagram> take_ike_datagrams() override {
    return sockets_->receive_natt(kDatagramsPerTurn);
  }
  Status stop() override {
    const auto restored = larval_drop_.restore();
    TRY(plane_->remove_sas(dataplane::Kernel::Which::kNegotiated));
    return restored ? Status() : Status(restored.error());
  }
  bool outlives_daemon() const override { return true; }
  Status adopt(std::span<const dataplane::SaSpec> sas,
               std::span<const dataplane::PolicySpec> policies) override {
    return plane_->adopt(sas, policies);
  }
  std::string_view name() const override { return "kernel"; }
  std::string describe() const override { return "kernel dataplane"; }
  bool needs_udp() const override { return false; }
  // What keeps IKE out of devices, with the mark of ESP: there may be one with the next reload.
  SocketUse socket_use() const override { return {policy::kOwnMark, true}; }
  config::Features honours() const override { return config::kKernelPlane; }

 private:
  // Devices, what leads into them and what closes the way past them, beside what there is.
  Status lead(const DeviceNetwork& network) {
    if (network.empty()) return {};
    TRY_ASSIGN(const auto made, dataplane::kernel::make_devices(network.devices));
    for (const std::string& name : made) {
      log_.log({LogLevel::kInfo, "dataplane", "", fmt::format("interface {} made", name)});
    }
    return unless_busy(dataplane::kernel::apply_routing(network.routing, Extent::kMore));
  }

  // Those of other devices go, and they too.
  static Status lead_only(const DeviceNetwork& network) {
    TRY(unless_busy(dataplane::kernel::apply_routing(network.routing, Extent::kWhole)));
    const auto removed = dataplane::kernel::remove_devices(network.devices);
    return removed ? Status() : Status(removed.error());
  }

  // A source that is no address yet: everything stands without it, apply_routes() tries again.
  static Status unless_busy(const Result<std::size_t>& written) {
    const bool good = written || written.error().code == ErrorCode::kBusy;
    return good ? Status() : Status(written.error());
  }

  static std::vector<std::string> warnings_for(const mesh::HostPlan& plan) {
    std::vector<std::string> lines;
    mesh::HostPlan led = plan;
    std::erase_if(led.connections, [](const policy::Connection& one) { return !one.device; });
    if (led.connections.empty()) return lines;
    for (const auto& warning : dataplane::userspace::preflight(make_host_network(led))) {
      lines.push_back(warning.text + " Mend it with: " + warning.command);
    }
    return lines;
  }

  Status choose_larval_drop(const mesh::HostPlan& plan) {
    const bool traps = std::any_of(
        plan.connections.begin(), plan.connections.end(),
        [](const policy::Connection& one) { return one.start == policy::Start::kTrap; });
    std::string note;
    if (traps) {
      // Once held it is: what others have then came later, and found it so.
      if (!larval_note_.empty()) return {};
      TRY_ASSIGN(const std::size_t foreign, plane_->foreign_entries());
      auto held = larval_drop_.hold(foreign);
      note = held ? std::move(*held)
                  : "the packet that asks for an SA may be lost: " + held.error().message;
    } else {
      TRY_ASSIGN(const bool restored, larval_drop_.restore());
      if (restored) {
        log_.log({LogLevel::kInfo, "dataplane", "",
                  "net.core.xfrm_larval_drop is what it was before espalierd"});
      }
    }
    if (!note.empty()) log_.log({LogLevel::kInfo, "dataplane", "", note});
    larval_note_ = std::move(note);
    return {};
  }

  DaemonLogger& log_;
  dataplane::LarvalDrop larval_drop_;
  std::string larval_note_;
  const IkeSockets* sockets_ = nullptr;
  std::unique_ptr<dataplane::Kernel> plane_;
  StandingPolicies standing_;
  DeviceNetwork network_;
  bool took_over_ = false;  // what network_ says stands; before that an earlier daemon's may
  std::vector<std::string> warnings_;
};

static_assert(policy::kOwnMark == dataplane::userspace::kFwmark);

}  // namespace

std::unique_ptr<PlaneHost> make_kernel_host(DaemonLogger& log, const std::string& run) {
  return std::make_unique<KernelHost>(log, run);
}

}  // namespace espalier::daemon
