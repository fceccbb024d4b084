// The daemon: wiring, and one loop for everything but the packets (those are the dataplane's own
// thread).
#pragma once

#include <poll.h>

#include <memory>
#include <optional>

#include "control/daemon_options.hpp"
#include "daemon/address_watch.hpp"
#include "daemon/certificate_watch.hpp"
#include "daemon/configuration.hpp"
#include "daemon/control_socket.hpp"
#include "daemon/daemon_view.hpp"
#include "daemon/logger.hpp"
#include "daemon/manual_keying.hpp"
#include "daemon/plane_host.hpp"
#include "daemon/revocation_fetch.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::daemon {

class Daemon {
 public:
  Daemon(control::DaemonOptions options, DaemonLogger& log)
      : options_(std::move(options)), log_(log) {}
  ~Daemon();

  // Everything up to the loop, closed first: the rules stand before anything else. Errors: as the
  // parts give them.
  Status start();
  // Until SIGTERM or SIGINT. Protection, device, routes and rules stay as they are.
  void run();

 private:
  Status claim_run_folder();
  Status open_signals();
  Status choose_plane();
  Result<control::ReloadReport> reload(const control::ReloadRequest& request);
  // Errors: kBusy, when the new plan would cut somebody off who is logged in.
  // running: the plan in force; nullptr: none.
  static Status keep_logins(const mesh::HostPlan& plan, const mesh::HostPlan* running,
                            const control::ReloadRequest& request);
  void remove_other_plane();
  Status open_sockets();
  void open_journal();
  Status go_on();
  void retry_routes();
  void reconcile(Instant now);
  void tell_addresses();
  void warn_about_host();
  int wait_ms() const;
  void poll_once();
  void handle_signal();
  void handle_plane();
  void handle_control(const ::pollfd& entry);
  void forward_log();
  void use_certificates();
  void handle_fetches();
  void keep_statuses_fresh();

  control::DaemonOptions options_;
  DaemonLogger& log_;
  std::unique_ptr<Configuration> configuration_;
  std::uint64_t generation_ = 0;
  bool routes_waiting_ = false;
  Instant routes_retry_at_{};
  Instant reconcile_at_{}, reconciled_{};
  CertificateWatch certificate_watch_;
  crypto::SystemRng rng_;
  std::unique_ptr<HttpWorkers> http_;
  std::unique_ptr<RevocationFetcher> fetcher_;
  bool stopping_ = false;
  dataplane::userspace::Fd signals_, pid_file_;
  std::optional<IkeSockets> sockets_;
  AddressWatch address_watch_;
  std::unique_ptr<PlaneHost> host_;
  std::string plane_why_;
  std::optional<JournalFile> journal_;
  std::unique_ptr<EngineDriver> driver_;
  std::unique_ptr<ManualKeying> manual_;
  std::unique_ptr<DaemonView> view_;
  std::unique_ptr<control::Server> server_;
  std::optional<ControlSocket> control_;
};

}  // namespace espalier::daemon
