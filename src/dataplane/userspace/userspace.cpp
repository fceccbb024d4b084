#include "dataplane/userspace/userspace.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

#include "dataplane/userspace/egress.hpp"
#include "dataplane/userspace/ingress.hpp"

namespace espalier::dataplane {

using namespace userspace;

namespace {

Shared make_shared_state(const UserspaceOptions& options) {
  Shared out;
  out.tun_fd = options.tun_fd;
  out.udp4_fd = options.udp4_fd;
  out.udp6_fd = options.udp6_fd;
  out.now = options.clock();
  return out;
}

}  // namespace

class Userspace::Worker {
 public:
  Worker(UserspaceOptions options, Fd epoll, std::unique_ptr<Outbox> outbox,
         std::unique_ptr<Inbox> inbox)
      : options_(std::move(options)),
        epoll_(std::move(epoll)),
        outbox_(std::move(outbox)),
        inbox_(std::move(inbox)),
        shared_(make_shared_state(options_)),
        egress_(shared_, *options_.rng),
        ingress_(shared_) {}
  ~Worker() {
    inbox_->close();
    if (thread_.joinable()) thread_.join();
  }

  Status watch(int fd);
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  bool command(const std::function<void()>& function);
  Shared& shared() { return shared_; }
  Outbox& outbox() { return *outbox_; }
  Status watch_all();

 private:
  void run();
  void serve(int fd);
  void end_turn();

  UserspaceOptions options_;
  Fd epoll_;
  std::unique_ptr<Outbox> outbox_;
  std::unique_ptr<Inbox> inbox_;
  Shared shared_;
  Egress egress_;
  Ingress ingress_;
  // Held by whoever works on the plane's state: the worker, except while it waits for packets.
  std::mutex turn_;
  std::thread thread_;
};

Status Userspace::Worker::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return make_error(ErrorCode::kSystem,
                    fmt::format("The userspace dataplane cannot wait for descriptor {}: {}.", fd,
                                std::strerror(errno)));
}

Status Userspace::Worker::watch_all() {
  TRY(watch(inbox_->wake_fd()));
  TRY(watch(options_.tun_fd));
  if (options_.udp4_fd >= 0) TRY(watch(options_.udp4_fd));
  if (options_.udp6_fd >= 0) TRY(watch(options_.udp6_fd));
  return {};
}

void Userspace::Worker::serve(int fd) {
  if (fd == inbox_->wake_fd()) {
    end_turn();  // who queries or applies then finds every event that happened before
    inbox_->serve();
  } else if (fd != options_.tun_fd) {
    ingress_.turn(fd);
  } else if (!egress_.turn()) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    if (options_.log != nullptr) {
      options_.log->log(
          {LogLevel::kError,
           "dataplane",
           {},
           "The TUN device is gone: nothing can be sent any more. Somebody deleted it; "
           "restart espalierd to make it again."});
    }
  }
}

void Userspace::Worker::end_turn() {
  const Outbox::Dropped dropped = outbox_->put(ingress_.ike(), shared_.events);
  if (dropped.ike > 0) shared_.counters.add(Counter::kInIkeDropped, dropped.ike);
  if (dropped.events > 0) shared_.counters.add(Counter::kEventsDropped, dropped.events);
  shared_.table.sweep();
}

// To wake the worker and be woken by it costs two changes of core, ten times what most commands do.
// While it waits for packets its state is ours for the taking; only a busy worker gets a message.
bool Userspace::Worker::command(const std::function<void()>& function) {
  if (const std::unique_lock lock(turn_, std::try_to_lock); lock.owns_lock()) {
    if (inbox_->closed()) return false;
    shared_.now = options_.clock();
    end_turn();  // who queries or applies then finds every event that happened before
    function();
    return true;
  }
  return inbox_->run(function);
}

void Userspace::Worker::run() {
  std::array<epoll_event, 4> ready{};
  while (!inbox_->closed()) {
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    const std::scoped_lock lock(turn_);
    shared_.now = options_.clock();
    for (int i = 0; i < count; ++i) serve(ready[static_cast<std::size_t>(i)].data.fd);
    end_turn();
  }
}

Userspace::Userspace(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}
Userspace::~Userspace() = default;

Result<std::unique_ptr<Userspace>> Userspace::make(UserspaceOptions options) {
  if (!options.clock || options.rng == nullptr || options.tun_fd < 0) {
    return make_error(ErrorCode::kInvalidArgument,
                      "The userspace dataplane needs a TUN device, a clock and a random source.");
  }
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) {
    return make_error(
        ErrorCode::kSystem,
        fmt::format("The userspace dataplane cannot make an epoll set: {}.", std::strerror(errno)));
  }
  TRY_ASSIGN(auto outbox, Outbox::make());
  TRY_ASSIGN(auto inbox, Inbox::make());
  auto worker = std::make_unique<Worker>(std::move(options), std::move(epoll), std::move(outbox),
                                         std::move(inbox));
  TRY(worker->watch_all());
  worker->start();
  return std::unique_ptr<Userspace>(new Userspace(std::move(worker)));
}

Status Userspace::apply(std::span<const Change> changes) {
  Status result;
  const bool ran = worker_->command([&] {
    for (const Change& change : changes) {
      result = worker_->shared().table.apply(change);
      if (!result) return;
    }
  });
  if (!ran) return make_error(ErrorCode::kInternal, "The userspace dataplane has stopped.");
  return result;
}

Result<Snapshot> Userspace::query() {
  Snapshot out;
  const bool ran = worker_->command([&] {
    out.sas = worker_->shared().table.states();
    out.policies = worker_->shared().table.policies();
    out.counters = worker_->shared().counters.list();
  });
  if (!ran) return make_error(ErrorCode::kInternal, "The userspace dataplane has stopped.");
  return out;
}

std::vector<Event> Userspace::poll_events() { return worker_->outbox().take_events(); }
std::vector<IkeDatagram> Userspace::take_ike_datagrams() { return worker_->outbox().take_ike(); }
int Userspace::notify_fd() const { return worker_->outbox().notify_fd(); }

}  // namespace espalier::dataplane
