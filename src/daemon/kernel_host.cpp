// The kernel's plane: policies that want an SA keep what is protected closed while there is none.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "daemon/clock.hpp"
#include "daemon/plane_host.hpp"
#include "dataplane/kernel/kernel.hpp"
#include "dataplane/kernel/larval_drop.hpp"

namespace espalier::daemon {
namespace {

constexpr std::size_t kDatagramsPerTurn = 64;

constexpr std::size_t kRepairsNamed = 20;  // at a time; a flush is one event, not a thousand lines

// A tunnel's ends as far as they are known before there is one, of one family.
void set_ends(const policy::Connection& connection, dataplane::PolicySpec& spec) {
  if (connection.remote_addresses.empty()) return;
  spec.remote = connection.remote_addresses.front();
  spec.local = IpAddress::any(spec.remote.family());
  for (const IpAddress& address : connection.local_addresses) {
    if (address.family() != spec.remote.family()) continue;
    spec.local = address;
    return;
  }
}

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
      TRY_ASSIGN(plane_, dataplane::Kernel::make(options));
    }
    // Without an inventory the policies of an earlier run stay: its absence opens nothing.
    if (plan.self.empty()) return {};
    TRY(plane_->close(closed_policies(plan)));
    return choose_larval_drop(plan);
  }

  void repair() override {
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

  Status apply_routes() override { return {}; }
  std::vector<std::string> warnings() override { return {}; }
  dataplane::Port& port() override { return *plane_; }
  std::vector<int> poll_fds() const override {
    return {plane_->notify_fd(), sockets_->natt4(), sockets_->natt6()};
  }
  std::vector<ReceivedDatagram> take_ike_datagrams() override {
    return sockets_->receive_natt(kDatagramsPerTurn);
  }
  Status stop() override {
    const auto restored = larval_drop_.restore();
    TRY(plane_->remove_all_sas());
    return restored ? Status() : Status(restored.error());
  }
  std::string_view name() const override { return "kernel"; }
  std::string describe() const override { return "kernel dataplane"; }
  bool needs_udp() const override { return false; }
  SocketUse socket_use() const override { return {0, true}; }
  config::Features honours() const override { return config::kKernelPlane; }

 private:
  // The closed policies of a plan: one for each child of each connection, each by a reqid of its
  // own that no SA ever has, and that it keeps while the daemon runs: a reload touches what
  // changed.
  std::vector<dataplane::PolicySpec> closed_policies(const mesh::HostPlan& plan) {
    std::map<std::pair<std::string, std::string>, ReqId> still;
    std::vector<dataplane::PolicySpec> closed;
    for (const policy::Connection& connection : plan.connections) {
      const bool traps = connection.start == policy::Start::kTrap && !connection.behind_nat &&
                         !connection.remote_addresses.empty();
      for (const policy::ChildConfig& child : connection.children) {
        dataplane::PolicySpec spec;
        spec.pair = connection.name;
        spec.reqid = reqid_of({connection.name, child.name});
        still[{connection.name, child.name}] = spec.reqid;
        spec.local_ts = child.local_ts;
        spec.remote_ts = child.remote_ts;
        spec.closed = true;
        spec.trap = traps;
        if (traps) {
          spec.mode = child.mode;
          set_ends(connection, spec);
        }
        closed.push_back(std::move(spec));
      }
    }
    for (const policy::ManualTunnel& tunnel : plan.manual) {
      const std::pair<std::string, std::string> name{tunnel.name, "manual"};
      dataplane::PolicySpec spec;
      spec.pair = tunnel.name;
      spec.reqid = still[name] = reqid_of(name);
      spec.local_ts = tunnel.local_ts;
      spec.remote_ts = tunnel.remote_ts;
      spec.closed = true;
      closed.push_back(std::move(spec));
    }
    reqids_ = std::move(still);
    return closed;
  }

  ReqId reqid_of(const std::pair<std::string, std::string>& name) {
    const auto known = reqids_.find(name);
    if (known != reqids_.end()) return known->second;
    const auto taken = [&](ReqId id) {
      return std::any_of(reqids_.begin(), reqids_.end(),
                         [&](const auto& one) { return one.second == id; });
    };
    // A million of them; they come round after as many changes.
    do {
      if (++last_reqid_ > dataplane::kernel::kReqIdLast) {
        last_reqid_ = dataplane::kernel::kClosedReqIdFirst;
        wrapped_ = true;
      }
    } while (wrapped_ && taken(ReqId(last_reqid_)));
    reqids_[name] = ReqId(last_reqid_);
    return ReqId(last_reqid_);
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
  std::map<std::pair<std::string, std::string>, ReqId> reqids_;
  std::uint32_t last_reqid_ = dataplane::kernel::kClosedReqIdFirst;
  bool wrapped_ = false;
  const IkeSockets* sockets_ = nullptr;
  std::unique_ptr<dataplane::Kernel> plane_;
};

}  // namespace

std::unique_ptr<PlaneHost> make_kernel_host(DaemonLogger& log, const std::string& run) {
  return std::make_unique<KernelHost>(log, run);
}

}  // namespace espalier::daemon
