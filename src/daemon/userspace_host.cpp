// The userspace plane: nftables keep what is protected closed, routes lead it into the TUN device.
#include <fmt/format.h>

#include "crypto/rng.hpp"
#include "daemon/clock.hpp"
#include "daemon/host_network.hpp"
#include "daemon/plane_host.hpp"
#include "daemon/routed_port.hpp"
#include "dataplane/userspace/tun.hpp"
#include "dataplane/userspace/userspace.hpp"

namespace espalier::daemon {
namespace {

class UserspaceHost final : public PlaneHost {
 public:
  explicit UserspaceHost(DaemonLogger& log) : log_(log) {}

  Status protect(const mesh::HostPlan& plan) override {
    auto network = make_host_network(plan);
    // Without an inventory the rules of an earlier run stay: its absence opens nothing.
    if (!plan.self.empty()) TRY(dataplane::userspace::apply_protection(network));
    network_ = std::move(network);
    if (routed_) routed_->use(network_);
    return {};
  }

  Status start(const IkeSockets& sockets) override {
    TRY_ASSIGN(tun_, dataplane::userspace::open_tun(network_.tun_name, true, network_.mtu));
    dataplane::UserspaceOptions options;
    options.tun_fd = tun_.fd.get();
    options.udp4_fd = sockets.natt4();
    options.udp6_fd = sockets.natt6();
    options.clock = monotonic_now;
    options.rng = &rng_;
    options.log = &log_;
    TRY_ASSIGN(plane_, dataplane::Userspace::make(options));
    routed_ = std::make_unique<RoutedPort>(*plane_, network_, log_);
    if (!tun_.offloads) {
      log_.log({LogLevel::kWarning, "daemon", "",
                network_.tun_name + " has no offloads here: packets go one by one, which is slow"});
    }
    return {};
  }

  Status apply_routes() override { return routed_->apply_routes(); }

  std::vector<std::string> warnings() override {
    std::vector<std::string> lines;
    for (const auto& warning : dataplane::userspace::preflight(network_)) {
      lines.push_back(warning.text + " Mend it with: " + warning.command);
    }
    return lines;
  }

  dataplane::Port& port() override { return *routed_; }
  std::vector<int> poll_fds() const override { return {plane_->notify_fd()}; }

  std::vector<ReceivedDatagram> take_ike_datagrams() override {
    std::vector<ReceivedDatagram> datagrams;
    for (dataplane::IkeDatagram& datagram : plane_->take_ike_datagrams()) {
      datagrams.push_back({{datagram.local, datagram.remote}, std::move(datagram.bytes)});
    }
    return datagrams;
  }

  Status stop() override { return {}; }  // the SAs end with the worker
  std::string_view name() const override { return "userspace"; }
  std::string describe() const override {
    return fmt::format("userspace dataplane on {}", network_.tun_name);
  }
  bool needs_udp() const override { return true; }
  SocketUse socket_use() const override { return {network_.fwmark, false}; }

 private:
  DaemonLogger& log_;
  crypto::SystemRng rng_;
  dataplane::userspace::HostNetwork network_;
  dataplane::userspace::Tun tun_;
  std::unique_ptr<dataplane::Userspace> plane_;  // its worker uses what stands above
  std::unique_ptr<RoutedPort> routed_;
};

}  // namespace

std::unique_ptr<PlaneHost> make_userspace_host(DaemonLogger& log) {
  return std::make_unique<UserspaceHost>(log);
}

}  // namespace espalier::daemon
