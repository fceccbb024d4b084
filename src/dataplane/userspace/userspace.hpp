// The userspace dataplane: ESP in UDP (RFC 3948, tunnel mode) between a TUN device and UDP sockets,
// by one worker thread. dataplane/README.md says how it is built.
#pragma once

#include <functional>
#include <memory>

#include "base/log.hpp"
#include "dataplane/port.hpp"
#include "dataplane/userspace/mailbox.hpp"
#include "esp/outbound_sa.hpp"

namespace espalier::dataplane {

using userspace::IkeDatagram;

struct UserspaceOptions {
  // Borrowed: they must stay open while the plane lives. tun_fd as from userspace::open_tun(); the
  // sockets as from userspace::open_udp(), -1 where a family is not wanted. The control side may
  // send on the sockets too.
  int tun_fd = -1;
  int udp4_fd = -1;
  int udp6_fd = -1;
  std::function<Instant()> clock;  // monotonic; called from the worker
  crypto::Rng* rng = nullptr;      // used by the worker alone
  Logger* log = nullptr;           // called from the worker; may be null
};

class Userspace final : public Port {
 public:
  // Starts the worker. Errors: kSystem, kInvalidArgument (no clock, no rng, no device).
  static Result<std::unique_ptr<Userspace>> make(UserspaceOptions options);
  ~Userspace() override;  // stops the worker; SAs end with it, and are never resumed

  // Port. Both wait until the worker has run them between two batches. Any thread but the worker.
  Status apply(std::span<const Change> changes) override;
  Result<Snapshot> query() override;
  std::vector<Event> poll_events() override;

  // IKE that came in on the plane's sockets, oldest first. At most userspace::kIkeDatagrams wait;
  // the oldest are dropped and counted (in-ike-dropped).
  std::vector<IkeDatagram> take_ike_datagrams();
  // Readable while poll_events() or take_ike_datagrams() has something. For epoll; do not read it.
  int notify_fd() const;

 private:
  class Worker;
  explicit Userspace(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace espalier::dataplane
