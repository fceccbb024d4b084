#include "daemon/daemon.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "control/version.hpp"
#include "daemon/clock.hpp"
#include "daemon/file.hpp"
#include "daemon/privileges.hpp"
#include "daemon/socket_holder.hpp"
#include "dataplane/kernel/kernel.hpp"
#include "dataplane/kernel/left.hpp"
#include "dataplane/preflight/facts.hpp"
#include "dataplane/userspace/ours.hpp"
#include "mesh/lockout.hpp"

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;

constexpr std::size_t kDatagramsPerTurn =
    64;  // of port 500: control clients and timers get their turn too
constexpr Duration kRoutesRetry = 1s;
// What the dataplane has against what the engine wants: a dump of all SAs each time.
constexpr Duration kReconcileEvery = 30s;
// When the plane says that somebody changed it: so soon, and no sooner after the last time.
constexpr Duration kReconcileAfterDrift = 10ms, kReconcilePause = 250ms;
constexpr const char* kSocketName = "/vici.sock";
// RFC 6290: outlives the daemon, so that peers believe it when it says that it lost their SAs.
constexpr const char* kQcdSecretName = "/qcd-secret";

control::DaemonInfo daemon_info() {
  control::DaemonInfo info;
  info.version = std::string(control::kVersion);
  utsname names{};
  uname(&names);
  info.sysname = names.sysname;
  info.release = names.release;
  info.machine = names.machine;
  info.since = fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(std::time(nullptr)));
  info.started = monotonic_now();
  return info;
}

}  // namespace

Daemon::~Daemon() {
  host_.reset();  // its plane uses the sockets
  if (pid_file_) unlink((options_.run + "/espalierd.pid").c_str());
}

Status Daemon::claim_run_folder() {
  TRY(ControlSocket::check_path(options_.run + kSocketName));
  TRY(make_folder(options_.run));
  const std::string path = options_.run + "/espalierd.pid";
  pid_file_ = Fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!pid_file_) return make_error(ErrorCode::kSystem, path + ": " + std::strerror(errno));
  if (flock(pid_file_.get(), LOCK_EX | LOCK_NB) != 0) {
    pid_file_.release();  // the other daemon's: not ours to remove
    return make_error(
        ErrorCode::kBusy,
        fmt::format("another espalierd runs with {}: stop it, or give this one its own --run",
                    options_.run));
  }
  const std::string pid = fmt::format("{}\n", getpid());
  if (ftruncate(pid_file_.get(), 0) != 0 ||
      pwrite(pid_file_.get(), pid.data(), pid.size(), 0) < 0) {
    return make_error(ErrorCode::kSystem, path + ": " + std::strerror(errno));
  }
  return {};
}

Status Daemon::open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT}) sigaddset(&set, signal);
  // Before any thread: all of them inherit the mask, and signals arrive here alone.
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0)
    return make_error(ErrorCode::kSystem, "cannot block signals");
  std::signal(SIGPIPE, SIG_IGN);
  signals_ = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_)
    return make_error(ErrorCode::kSystem, std::string("signalfd: ") + std::strerror(errno));
  return {};
}

void Daemon::warn_about_host() {
  for (std::string& line : host_->warnings()) {
    log_.log({LogLevel::kWarning, "daemon", "", std::move(line)});
  }
}

Status Daemon::choose_plane() {
  bool kernel = options_.dataplane == control::DataplaneChoice::kKernel;
  plane_why_ = std::string(kernel ? "kernel" : "userspace") + ": --dataplane says so";
  if (options_.dataplane == control::DataplaneChoice::kAuto) {
    std::optional<std::vector<dataplane::kernel::SuiteTrial>> suites;
    auto tried = dataplane::kernel::try_suites();
    if (tried) suites = std::move(*tried);
    const auto choice = dataplane::preflight::choose(suites, suites ? "" : tried.error().message);
    kernel = choice.kernel;
    plane_why_ = choice.why;
  }
  log_.log({LogLevel::kInfo, "daemon", "", "dataplane " + plane_why_});
  host_ = kernel ? make_kernel_host(log_, options_.run) : make_userspace_host(log_);
  return {};
}

// What a daemon with the other dataplane left closed: this one has closed it by now, and the
// other's rules would be in its way.
void Daemon::remove_other_plane() {
  const Status removed = host_->name() == "kernel" ? dataplane::userspace::teardown_host(log_)
                                                   : dataplane::teardown_kernel(log_, options_.run);
  if (removed) return;
  log_.log({LogLevel::kWarning, "daemon", "",
            "what the other dataplane left cannot be removed: " + removed.error().message});
}

Status Daemon::keep_logins(const mesh::HostPlan& plan, const mesh::HostPlan* running,
                           const control::ReloadRequest& request) {
  if (request.force) return {};
  constexpr std::size_t kMaxTable = 16u << 20;
  std::vector<mesh::Login> logins;
  if (const auto own = mesh::parse_ssh_connection(request.ssh_connection)) logins.push_back(*own);
  for (const char* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto table = read_file(path, kMaxTable);
    if (!table) continue;
    for (const mesh::Login& login : mesh::parse_ssh_sockets(to_text(*table))) {
      logins.push_back(login);
    }
  }
  const auto why = mesh::lockout(plan, running, logins);
  if (!why) return {};
  return make_error(ErrorCode::kBusy, *why + " (espalier reload --force)");
}

void Daemon::retry_routes() {
  const Status applied = host_->apply_routes();
  const bool waited = routes_waiting_;
  routes_waiting_ = !applied;
  routes_retry_at_ = monotonic_now() + kRoutesRetry;
  if (applied && waited) log_.log({LogLevel::kInfo, "daemon", "", "all routes are in place now"});
  if (!applied && !waited)
    log_.log({LogLevel::kWarning, "daemon", "",
              applied.error().message + " It is tried again each second."});
}

Status Daemon::start() {
  TRY(open_signals());
  TRY_ASSIGN(http_, HttpWorkers::create());
  fetcher_ = std::make_unique<RevocationFetcher>(
      RevocationFetcher::Parts{*http_, log_, rng_, options_.state + "/revocation"});
  fetcher_->load(monotonic_now(), unix_now());
  TRY(choose_plane());
  TRY_ASSIGN(Configuration configuration,
             load_configuration(options_.config, options_.self, host_->honours()));
  TRY(claim_run_folder());
  TRY(make_folder(options_.state));
  ike::Settings settings;
  TRY_ASSIGN(settings.qcd_secret, lasting_secret(options_.state + kQcdSecretName));
  settings.force_encap = host_->needs_udp();
  TRY(host_->protect(configuration.plan));
  if (!configuration.plan.self.empty()) remove_other_plane();
  // Nobody could say --force here.
  if (const Status kept = keep_logins(configuration.plan, nullptr, {}); !kept) {
    log_.log({LogLevel::kWarning, "daemon", "", kept.error().message});
  }
  TRY(open_sockets());
  open_journal();
  settings.journal = journal_.has_value();
  // Before the routes are made, so that no change is missed.
  TRY_ASSIGN(address_watch_, AddressWatch::open());
  TRY(host_->start(*sockets_));
  retry_routes();
  TRY_ASSIGN(control_, ControlSocket::open(options_.run + kSocketName));
  TRY(drop_capabilities());
  configuration_ = std::make_unique<Configuration>(std::move(configuration));
  driver_ = std::make_unique<EngineDriver>(
      DriverParts{
          host_->port(), *sockets_, log_,
          [this](const control::PairEvent& event) {
            if (server_) server_->on_pair_event(event);
          },
          [this](ike::JobId job, const auto& which) {
            fetcher_->want(job, which, monotonic_now(), unix_now());
          },
          [this](const auto& which) { fetcher_->watch(which, monotonic_now(), unix_now()); },
          journal_ ? &*journal_ : nullptr},
      configuration_->keys, std::move(settings));
  use_certificates();
  manual_ = std::make_unique<ManualKeying>(host_->port(), log_);
  view_ = std::make_unique<DaemonView>(
      *driver_, *host_, certificate_watch_, *manual_,
      [this](const control::ReloadRequest& request) { return reload(request); }, plane_why_);
  server_ = std::make_unique<control::Server>(*view_, daemon_info());
  warn_about_host();
  if (configuration_->plan.self.empty()) {
    log_.log({LogLevel::kWarning, "daemon", "",
              fmt::format("{}/mesh.yaml does not exist: nothing to do until it does and 'espalier "
                          "reload' is run",
                          options_.config)});
  } else {
    log_.log(
        {LogLevel::kInfo, "daemon", "",
         fmt::format("espalierd {} is {} in mesh {}: {} pairs, {}", control::kVersion,
                     configuration_->plan.self, configuration_->plan.mesh,
                     configuration_->plan.connections.size() + configuration_->plan.manual.size(),
                     host_->describe())});
  }
  tell_addresses();
  ++generation_;
  view_->set_plan(configuration_->plan, generation_);
  for (const std::string& warning : configuration_->plan.warnings)
    log_.log({LogLevel::kWarning, "config", "", warning});
  TRY(driver_->command(ike::Configure{configuration_->plan.connections}));
  return go_on();
}

// The sockets of the daemon before, if it left them with a holder; else new ones.
Status Daemon::open_sockets() {
  if (host_->outlives_daemon()) {
    sockets_ = take_held(options_.run);
    if (sockets_) {
      sockets_->mark(host_->socket_use().fwmark);
      return {};
    }
  } else {
    dataplane::end_socket_holder(options_.run);
  }
  auto sockets = IkeSockets::open(host_->socket_use());
  if (!sockets) return sockets.error();
  sockets_ = std::move(*sockets);
  if (!host_->outlives_daemon()) return {};
  const Status held = start_holder(options_.run, *sockets_);
  if (!held) {
    log_.log({LogLevel::kWarning, "daemon", "",
              "ESP in UDP will not pass while this daemon is away: " + held.error().message});
  }
  return {};
}

void Daemon::open_journal() {
  if (!host_->outlives_daemon()) return dataplane::remove_journal(options_.run);
  auto journal = JournalFile::open(options_.run);
  if (journal) {
    if (!journal->why_void().empty()) {
      log_.log({LogLevel::kInfo, "daemon", "", "no journal to go on with: " + journal->why_void()});
    }
    journal_ = std::move(*journal);
    return;
  }
  log_.log({LogLevel::kWarning, "daemon", "",
            fmt::format("no journal is kept, so that a restart negotiates every pair anew: {}. "
                        "Give --run a folder on a tmpfs",
                        journal.error().message)});
}

// With the IKE SAs of the daemon before, if it left a journal, and what the dataplane has for them.
Status Daemon::go_on() {
  if (journal_) {
    const ike::journal::Restored restored = driver_->restore();
    if (restored.kept + restored.changed + restored.unreadable > 0) {
      log_.log({LogLevel::kInfo, "daemon", "",
                fmt::format("{} IKE SAs of the daemon before go on; {} are closed, since their "
                            "pairs are configured otherwise now; {} could not be read",
                            restored.kept, restored.changed, restored.unreadable)});
    }
  }
  EngineDriver::Standing standing = driver_->standing();
  ManualKeying::Wanted manual = manual_->begin(configuration_->plan.manual, unix_now());
  for (auto& sa : manual.sas) standing.sas.push_back(std::move(sa));
  for (auto& policy : manual.policies) standing.policies.push_back(std::move(policy));
  TRY(host_->adopt(standing.sas, standing.policies));
  if (!manual_->empty()) {
    TRY_ASSIGN(const dataplane::Snapshot snapshot, host_->port().query());
    manual_->take_over(snapshot, monotonic_now(), unix_now());
  }
  driver_->reconcile();
  reconcile_at_ = monotonic_now() + kReconcileEvery;
  driver_->handle_timeout();
  return {};
}

// MOBIKE: SAs follow. An empty list would say that the host has none: it is only between two.
void Daemon::tell_addresses() {
  std::vector<IpAddress> own = host_addresses(dataplane::userspace::kTunName);
  if (own.empty()) return;
  if (const Status told = driver_->command(ike::OwnAddresses{std::move(own)}); !told) {
    log_.log({LogLevel::kWarning, "daemon", "", told.error().message});
  }
}

Result<control::ReloadReport> Daemon::reload(const control::ReloadRequest& request) {
  auto loaded = load_configuration(options_.config, options_.self, host_->honours());
  if (!loaded) {
    log_.log({LogLevel::kError, "config", "",
              "not reloaded, nothing changed: " + loaded.error().message});
    return loaded.error();
  }
  if (loaded->plan.self.empty() && !configuration_->plan.self.empty()) {
    // A file that is being replaced, or lost: that must not open what it protected.
    const Error gone = make_error(
        ErrorCode::kBadInput,
        fmt::format("{}/mesh.yaml is gone; nothing changed. To take the mesh down, stop the daemon "
                    "and run 'espalier teardown'",
                    options_.config));
    log_.log({LogLevel::kError, "config", "", "not reloaded: " + gone.message});
    return gone;
  }
  if (const Status kept = keep_logins(loaded->plan, &configuration_->plan, request); !kept) {
    log_.log(
        {LogLevel::kError, "config", "", "not reloaded, nothing changed: " + kept.error().message});
    return kept.error();
  }
  const mesh::PlanDiff diff = mesh::plan_diff(configuration_->plan, loaded->plan);
  // Closed before anything opens: the rules of the new plan first.
  if (const Status set = host_->protect(loaded->plan); !set) {
    log_.log({LogLevel::kError, "daemon", "", "not reloaded: " + set.error().message});
    return set.error();
  }
  auto next = std::make_unique<Configuration>(std::move(*loaded));
  driver_->use_keys(next->keys);
  configuration_ = std::move(next);
  use_certificates();
  retry_routes();
  view_->set_plan(configuration_->plan, ++generation_);
  for (const std::string& warning : configuration_->plan.warnings)
    log_.log({LogLevel::kWarning, "config", "", warning});
  // Before IKE lets go of a pair that has manual keys now.
  manual_->set(configuration_->plan.manual, monotonic_now(), unix_now());
  TRY(driver_->command(ike::Configure{configuration_->plan.connections}));
  if (auto lists = configuration_->keys.shared_revocations()) {
    TRY(driver_->command(ike::CheckRevocation{std::move(lists)}));
  }
  control::ReloadReport report{diff.added, diff.removed, diff.changed, diff.unchanged, generation_};
  log_.log(
      {LogLevel::kInfo, "config", "",
       fmt::format("reloaded: {} pairs added, {} removed, {} changed, {} untouched",
                   diff.added.size(), diff.removed.size(), diff.changed.size(), diff.unchanged)});
  return report;
}

void Daemon::reconcile(Instant now) {
  handle_plane();  // what it has to say first
  host_->repair();
  driver_->reconcile();
  reconciled_ = now;
  reconcile_at_ = now + kReconcileEvery;
  if (manual_->empty()) return;
  if (const auto snapshot = host_->port().query()) manual_->reconcile(*snapshot, now, unix_now());
}

// A configuration was loaded: its lists, with what was fetched; and of our own certificates the
// OCSP responses are to be had, for peers that ask.
void Daemon::use_certificates() {
  std::map<std::string, std::vector<crypto::PathCertificate>> own;
  for (const policy::Connection& connection : configuration_->plan.connections) {
    for (const policy::OwnCertificate& one : connection.certificates) {
      if (own.contains(one.private_key)) continue;
      auto path = crypto::validate_path(one.chain, configuration_->anchors, unix_now());
      own[one.private_key] = path ? std::move(*path) : std::vector<crypto::PathCertificate>();
    }
  }
  fetcher_->use(configuration_->keys.shared_revocations(), own, monotonic_now());
  configuration_->keys.set_revocations(fetcher_->lists());
  configuration_->keys.set_own_status(
      [this](const std::string& key) { return fetcher_->own_status(key, unix_now()); });
  certificate_watch_.use(*configuration_, own);
}

void Daemon::handle_fetches() {
  const auto before = fetcher_->lists();
  const RevocationFetcher::Outcome outcome = fetcher_->handle(monotonic_now(), unix_now());
  if (outcome.changed) {
    configuration_->keys.set_revocations(fetcher_->lists());
    certificate_watch_.use(fetcher_->lists());
    if (!before->revokes_the_same(*fetcher_->lists())) {
      // Never fails.
      static_cast<void>(driver_->command(ike::CheckRevocation{fetcher_->lists()}));
    }
  }
  for (const ike::JobId job : outcome.done) driver_->finish(job);
}

void Daemon::keep_statuses_fresh() {
  std::set<crypto::CertificateId> used;
  for (const auto& [spi, sa] : driver_->engine().core().sas) {
    if (!sa.is_up() || !sa.peer_certificates) continue;
    used.insert(sa.peer_certificates->path.begin(), sa.peer_certificates->path.end());
  }
  fetcher_->keep(used, monotonic_now());
}

int Daemon::wait_ms() const {
  const Instant now = monotonic_now();
  std::optional<Instant> at;
  const auto consider = [&](std::optional<Instant> candidate) {
    if (candidate && (!at || *candidate < *at)) at = candidate;
  };
  if (const auto wakeup = driver_->next_wakeup()) consider(wakeup->at);
  consider(reconcile_at_);
  consider(certificate_watch_.next());
  if (const auto change = manual_->next_change()) {
    consider(now + std::chrono::seconds(std::clamp<std::int64_t>(*change - unix_now(), 0, 60)));
  }
  consider(fetcher_->next());
  consider(server_->poll_timeout());
  if (routes_waiting_) consider(routes_retry_at_);
  if (!at) return -1;
  if (*at <= now) return 0;
  return static_cast<int>(std::min<std::int64_t>((*at - now) / 1ms + 1, 60'000));
}

void Daemon::handle_signal() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      // What became of it is in the log; there is nobody to answer to.
      if (const auto report = reload({}); !report) continue;
    } else {
      stopping_ = true;
    }
  }
}

void Daemon::handle_plane() {
  for (const ReceivedDatagram& datagram : host_->take_ike_datagrams()) {
    driver_->receive(datagram.path, datagram.bytes);
  }
  driver_->handle_plane_events();
}

void Daemon::forward_log() {
  for (const StampedLine& stamped : log_.take()) server_->on_log(stamped.line, stamped.unix_ms);
}

void Daemon::handle_control(const pollfd& entry) {
  if (entry.fd == control_->listener()) return control_->accept(*server_, log_);
  if ((entry.revents & POLLOUT) != 0) control_->writable(*server_, entry.fd);
  if ((entry.revents & (POLLIN | POLLHUP | POLLERR)) != 0)
    control_->readable(*server_, monotonic_now(), entry.fd);
}

void Daemon::poll_once() {
  std::vector<pollfd> wait{{signals_.get(), POLLIN, 0},      {log_.notify_fd(), POLLIN, 0},
                           {sockets_->ike4(), POLLIN, 0},    {sockets_->ike6(), POLLIN, 0},
                           {address_watch_.fd(), POLLIN, 0}, {http_->fd(), POLLIN, 0}};
  const std::size_t plane = wait.size();
  for (const int fd : host_->poll_fds()) wait.push_back({fd, POLLIN, 0});
  const std::size_t clients = wait.size();
  wait.push_back({control_->listener(), POLLIN, 0});
  for (const auto& [fd, full] : control_->clients()) {
    wait.push_back({fd, static_cast<short>(POLLIN | (full ? POLLOUT : 0)), 0});
  }
  if (poll(wait.data(), wait.size(), wait_ms()) < 0 && errno != EINTR) {
    log_.log({LogLevel::kError, "daemon", "", std::string("poll: ") + std::strerror(errno)});
    usleep(100'000);
    return;
  }
  if (wait[0].revents != 0) handle_signal();
  const auto is_ready = [](const pollfd& entry) { return entry.revents != 0; };
  if (std::any_of(wait.begin() + plane, wait.begin() + clients, is_ready)) handle_plane();
  if (is_ready(wait[2]) || is_ready(wait[3])) {
    for (const ReceivedDatagram& datagram : sockets_->receive(kDatagramsPerTurn)) {
      driver_->receive(datagram.path, datagram.bytes);
    }
  }
  const Instant now = monotonic_now();
  if (const auto wakeup = driver_->next_wakeup(); wakeup && wakeup->at <= now)
    driver_->handle_timeout();
  if (driver_->take_drift()) {
    reconcile_at_ = std::min(reconcile_at_,
                             std::max(now + kReconcileAfterDrift, reconciled_ + kReconcilePause));
  }
  if (now >= reconcile_at_) {
    reconcile(now);
  }
  if (const auto change = manual_->next_change(); change && *change <= unix_now()) {
    manual_->update(now, unix_now());
  }
  if (const auto due = fetcher_->next(); is_ready(wait[5]) || (due && *due <= now)) {
    handle_fetches();
  }
  if (now >= certificate_watch_.next()) {
    certificate_watch_.look(now, unix_now(), driver_->engine(), log_);
    keep_statuses_fresh();
  }
  const bool addresses_changed = is_ready(wait[4]) && address_watch_.take_changes();
  if (addresses_changed) tell_addresses();
  if (addresses_changed || (routes_waiting_ && now >= routes_retry_at_)) retry_routes();
  for (std::size_t i = clients; i < wait.size(); ++i) {
    if (wait[i].revents != 0) handle_control(wait[i]);
  }
  server_->handle_timeout(now);
  forward_log();
  control_->flush(*server_);
}

void Daemon::run() {
  while (!stopping_) poll_once();
  if (driver_->keeps_journal()) {
    log_.log({LogLevel::kInfo, "daemon", "",
              "stopping; the kernel goes on with the SAs it has, and the next daemon with their "
              "IKE SAs ('espalier teardown' takes all of it down)"});
    return;
  }
  log_.log({LogLevel::kInfo, "daemon", "",
            "stopping; what must be protected stays closed ('espalier teardown' opens it)"});
  // Peers are told, so that they do not send into SAs that nobody has. A lost message is found by
  // their liveness check.
  if (const Status told = driver_->command(ike::Shutdown{}); !told) {
    log_.log({LogLevel::kWarning, "daemon", "", told.error().message});
  }
  if (const Status stopped = host_->stop(); !stopped) {
    log_.log({LogLevel::kWarning, "daemon", "", stopped.error().message});
  }
}

}  // namespace espalier::daemon
