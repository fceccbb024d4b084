#include "dataplane/userspace/mailbox.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/limits.hpp"
#include "dataplane/userspace/limits.hpp"

namespace espalier::dataplane::userspace {
namespace {

Result<Fd> make_eventfd() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) {
    return make_error(
        ErrorCode::kSystem,
        fmt::format("The userspace dataplane cannot make an eventfd: {}.", std::strerror(errno)));
  }
  return fd;
}

// An eventfd only fails to count when it is full, and then it is readable already.
void signal(int fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof(one));
}
void clear(int fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd, &count, sizeof(count));
}

}  // namespace

Result<std::unique_ptr<Outbox>> Outbox::make() {
  TRY_ASSIGN(Fd fd, make_eventfd());
  return std::unique_ptr<Outbox>(new Outbox(std::move(fd)));
}

Outbox::Dropped Outbox::put(std::vector<IkeDatagram>& ike, std::vector<Event>& events) {
  Dropped dropped;
  if (ike.empty() && events.empty()) return dropped;
  {
    const std::lock_guard lock(mutex_);
    for (IkeDatagram& datagram : ike) {
      ike_octets_ += datagram.bytes.size();
      ike_.push_back(std::move(datagram));
    }
    while (ike_.size() > kIkeDatagrams || ike_octets_ > kIkeOctets) {
      ike_octets_ -= ike_.front().bytes.size();
      ike_.pop_front();
      ++dropped.ike;
    }
    const std::size_t fits = std::min(events.size(), kMaxEvents - events_.size());
    std::move(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(fits),
              std::back_inserter(events_));
    dropped.events = events.size() - fits;
  }
  ike.clear();
  events.clear();
  signal(notify_.get());
  return dropped;
}

void Outbox::clear_if_empty() {
  if (ike_.empty() && events_.empty()) clear(notify_.get());
}

std::vector<IkeDatagram> Outbox::take_ike() {
  const std::lock_guard lock(mutex_);
  std::vector<IkeDatagram> out(std::make_move_iterator(ike_.begin()),
                               std::make_move_iterator(ike_.end()));
  ike_.clear();
  ike_octets_ = 0;
  clear_if_empty();
  return out;
}

std::vector<Event> Outbox::take_events() {
  const std::lock_guard lock(mutex_);
  std::vector<Event> out = std::exchange(events_, {});
  clear_if_empty();
  return out;
}

Result<std::unique_ptr<Inbox>> Inbox::make() {
  TRY_ASSIGN(Fd fd, make_eventfd());
  return std::unique_ptr<Inbox>(new Inbox(std::move(fd)));
}

bool Inbox::run(const std::function<void()>& command) {
  Command mine{&command};
  std::unique_lock lock(mutex_);
  if (closed_) return false;
  waiting_.push_back(&mine);
  signal(wake_.get());
  finished_.wait(lock, [&] { return mine.done || mine.refused; });
  return mine.done;
}

void Inbox::serve() {
  clear(wake_.get());
  std::vector<Command*> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(waiting_);
  }
  if (batch.empty()) return;
  for (Command* command : batch) (*command->function)();
  const std::lock_guard lock(mutex_);
  for (Command* command : batch) command->done = true;
  finished_.notify_all();
}

void Inbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (Command* command : waiting_) command->refused = true;
  waiting_.clear();
  finished_.notify_all();
  signal(wake_.get());
}

bool Inbox::closed() {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace espalier::dataplane::userspace
