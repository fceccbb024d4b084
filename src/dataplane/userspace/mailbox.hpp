// Between the worker and the control side: IKE datagrams and events out, commands in. The only
// locks of the plane; the worker takes one at most once a turn and direction.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "dataplane/port.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::dataplane::userspace {

// An IKE datagram that came in on port 4500; the non-ESP marker (RFC 3948 section 2.2) is removed.
struct IkeDatagram {
  SocketAddress local;  // the address it was sent to
  SocketAddress remote;
  Bytes bytes;
};

// Worker to control side. notify_fd() is readable while anything waits.
class Outbox {
 public:
  static Result<std::unique_ptr<Outbox>> make();

  // Moves all in; returns how many did not fit (IKE: the oldest go; events: the newest).
  struct Dropped {
    std::size_t ike = 0;
    std::size_t events = 0;
  };
  Dropped put(std::vector<IkeDatagram>& ike, std::vector<Event>& events);

  std::vector<IkeDatagram> take_ike();
  std::vector<Event> take_events();
  int notify_fd() const { return notify_.get(); }

 private:
  explicit Outbox(Fd notify) : notify_(std::move(notify)) {}
  void clear_if_empty();

  Fd notify_;
  std::mutex mutex_;
  std::deque<IkeDatagram> ike_;
  std::size_t ike_octets_ = 0;
  std::vector<Event> events_;
};

// Control side to worker: functions that the worker runs between two batches while the caller
// waits.
class Inbox {
 public:
  static Result<std::unique_ptr<Inbox>> make();

  // Runs the function on the worker and returns when it is done; false: the worker has stopped, and
  // it did not run.
  bool run(const std::function<void()>& command);
  int wake_fd() const { return wake_.get(); }
  // The worker's side.
  void serve();
  void close();  // from any thread: run() refuses from now on, the worker is woken
  bool closed();

 private:
  struct Command {
    const std::function<void()>* function = nullptr;
    bool done = false;
    bool refused = false;
  };
  explicit Inbox(Fd wake) : wake_(std::move(wake)) {}

  Fd wake_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<Command*> waiting_;
  bool closed_ = false;
};

}  // namespace espalier::dataplane::userspace
