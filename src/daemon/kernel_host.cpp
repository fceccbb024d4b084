// The kernel's plane: policies that want an SA keep what is protected closed while there is none.
#include <fmt/format.h>

#include "daemon/clock.hpp"
#include "daemon/plane_host.hpp"
#include "dataplane/kernel/kernel.hpp"

namespace espalier::daemon {
namespace {

constexpr std::size_t kDatagramsPerTurn = 64;

// The closed policies of a plan: one for each child of each connection, each by a reqid of its own
// that no SA ever has.
std::vector<dataplane::PolicySpec> closed_policies(const mesh::HostPlan& plan) {
  std::vector<dataplane::PolicySpec> closed;
  std::uint32_t next = dataplane::kernel::kClosedReqIdFirst;
  for (const policy::Connection& connection : plan.connections) {
    for (const policy::ChildConfig& child : connection.children) {
      dataplane::PolicySpec spec;
      spec.pair = connection.name;
      spec.reqid = ReqId(next++);
      spec.local_ts = child.local_ts;
      spec.remote_ts = child.remote_ts;
      spec.closed = true;
      closed.push_back(std::move(spec));
    }
  }
  for (const policy::ManualTunnel& tunnel : plan.manual) {
    dataplane::PolicySpec spec;
    spec.pair = tunnel.name;
    spec.reqid = ReqId(next++);
    spec.local_ts = tunnel.local_ts;
    spec.remote_ts = tunnel.remote_ts;
    spec.closed = true;
    closed.push_back(std::move(spec));
  }
  return closed;
}

class KernelHost final : public PlaneHost {
 public:
  explicit KernelHost(DaemonLogger& log) : log_(log) {}

  Status protect(const mesh::HostPlan& plan) override {
    if (!plane_) {
      dataplane::KernelOptions options;
      options.clock = monotonic_now;
      options.unix_now = unix_now;
      options.log = &log_;
      TRY_ASSIGN(plane_, dataplane::Kernel::make(options));
    }
    // Without an inventory the policies of an earlier run stay: its absence opens nothing.
    if (plan.self.empty()) return {};
    return plane_->close(closed_policies(plan));
  }

  Status start(const IkeSockets& sockets) override {
    sockets_ = &sockets;
    return {};
  }

  Status apply_routes() override { return {}; }
  std::vector<std::string> warnings() override { return {}; }
  dataplane::Port& port() override { return *plane_; }
  std::vector<int> poll_fds() const override {
    return {plane_->notify_fd(), sockets_->natt4(), sockets_->natt6()};
  }
  std::vector<ReceivedDatagram> take_ike_datagrams() override {
    return sockets_->receive_natt(kDatagramsPerTurn);
  }
  Status stop() override { return plane_->remove_all_sas(); }
  std::string_view name() const override { return "kernel"; }
  std::string describe() const override { return "kernel dataplane"; }
  bool needs_udp() const override { return false; }
  SocketUse socket_use() const override { return {0, true}; }
  config::Features honours() const override { return config::kKernelPlane; }

 private:
  DaemonLogger& log_;
  const IkeSockets* sockets_ = nullptr;
  std::unique_ptr<dataplane::Kernel> plane_;
};

}  // namespace

std::unique_ptr<PlaneHost> make_kernel_host(DaemonLogger& log) {
  return std::make_unique<KernelHost>(log);
}

}  // namespace espalier::daemon
