// A dataplane and what the host around it must look like.
#pragma once

#include <memory>

#include "config/diagnostic.hpp"
#include "daemon/ike_sockets.hpp"
#include "daemon/logger.hpp"
#include "dataplane/port.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

class PlaneHost {
 public:
  virtual ~PlaneHost() = default;

  // What must be protected is closed before anything else runs, and stays so when the daemon ends.
  // After an error everything is as it was.
  virtual Status protect(const mesh::HostPlan& plan) = 0;
  // The dataplane itself; the sockets outlive it. Once, after protect().
  virtual Status start(const IkeSockets& sockets) = 0;
  // Routes that the plan needs. kBusy: some wait for an address; to be tried again in a second.
  virtual Status apply_routes() = 0;
  // Settings of this host that hurt, as lines with the command that mends each.
  virtual std::vector<std::string> warnings() = 0;

  // Puts right, entry by entry, what somebody else changed in the plane (kernel/kernel.hpp), and
  // says each by name. Before EngineDriver::reconcile(), which is about the engine's wishes.
  virtual void repair() {}
  // What a person should know of how it was set up; for `status`.
  virtual std::vector<std::string> notes() const { return {}; }

  virtual dataplane::Port& port() = 0;  // after start()
  // Readable while the plane has events or datagrams. For poll; -1 is none.
  virtual std::vector<int> poll_fds() const = 0;
  // IKE that came in on sockets that the plane reads.
  virtual std::vector<ReceivedDatagram> take_ike_datagrams() = 0;

  // Whether SAs stay when the daemon ends. Then a journal is kept, the sockets outlive the daemon,
  // and protect() leaves what an earlier one made for adopt(): once, after start(), with what the
  // engine took from the journal (nothing, perhaps).
  virtual bool outlives_daemon() const { return false; }
  virtual Status adopt(std::span<const dataplane::SaSpec>, std::span<const dataplane::PolicySpec>) {
    return {};
  }

  // The peers have been told that their SAs are gone; what is protected stays closed.
  virtual Status stop() = 0;

  virtual std::string_view name() const = 0;  // "userspace", "kernel"
  virtual std::string describe() const = 0;   // "userspace dataplane on espalier0"
  // How IKE is to encapsulate: only the userspace plane needs UDP always.
  virtual bool needs_udp() const = 0;
  virtual SocketUse socket_use() const = 0;
  // What of an inventory it can honour beyond what each plane can.
  virtual config::Features honours() const { return {}; }
};

// crypto::SystemRng and clocks are the daemon's own.
std::unique_ptr<PlaneHost> make_userspace_host(DaemonLogger& log);
// run: its folder for what must outlive it until the next boot.
std::unique_ptr<PlaneHost> make_kernel_host(DaemonLogger& log, const std::string& run);

}  // namespace espalier::daemon
