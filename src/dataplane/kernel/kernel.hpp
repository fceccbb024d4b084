// The Linux kernel's dataplane: SAs and policies by XFRM netlink. dataplane/README.md says how it
// is built.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/log.hpp"
#include "dataplane/kernel/xfrm_policy.hpp"
#include "dataplane/kernel/xfrm_sa.hpp"
#include "dataplane/port.hpp"

namespace espalier::dataplane {

struct KernelOptions {
  std::function<Instant()> clock;          // monotonic
  std::function<std::int64_t()> unix_now;  // seconds since 1970, as the kernel counts use
  Logger* log = nullptr;                   // may be null
};

// Not thread-safe: the control side's own.
class Kernel final : public Port {
 public:
  // Errors: kPermission without CAP_NET_ADMIN, kUnsupported when the kernel has no XFRM. SAs of
  // ours that an earlier daemon left are removed one by one, since nothing knows their IKE SAs any
  // more; its policies stay, so that nothing leaves in the clear meanwhile.
  static Result<std::unique_ptr<Kernel>> make(KernelOptions options);

  // Every SA of ours, one by one; policies stay.
  Status remove_all_sas();
  // Removes every policy of ours, exceptions included, whoever wants it. Returns how many there
  // were.
  Result<std::size_t> open();

  Status apply(std::span<const Change> changes) override;
  Result<Snapshot> query() override;
  std::vector<Event> poll_events() override;

  // What must be protected: these (all of them `closed`) stand from now on, until another call
  // leaves them out; what other policies of ours an earlier daemon left goes. Additions come first.
  Status close(const std::vector<PolicySpec>& closed);

  // Readable while poll_events() has something. For poll; do not read it.
  int notify_fd() const;

 private:
  // What the kernel does not tell of an SA, or not by our name of it.
  struct Held {
    std::string pair;
    ReqId reqid;
    IpAddress destination;  // the kernel's name of it, with the SPI
    SocketAddress local, remote;
  };
  using Sas = std::map<SaKey, Held>;

  explicit Kernel(KernelOptions options, Netlink requests, Netlink events)
      : options_(std::move(options)), requests_(std::move(requests)), events_(std::move(events)) {}

  Status apply(const AddSa& change);
  Status apply(const DeleteSa& change);
  Status apply(const MoveSa& change);
  Status apply(const SetPolicy& change);
  Status apply(const DeletePolicy& change);

  Status install(const SaSpec& sa, const kernel::ReplayState* resume);
  Status remove(const kernel::SaId& id);
  void own(std::vector<ReqId>& owners, const PolicySpec& policy);
  Status release(const kernel::PolicyKey& key, ReqId reqid);
  Status remove_left_policies();
  Status put(const kernel::PolicyKey& key, const PolicySpec& policy);
  Status remove_policy(const kernel::PolicyKey& key);
  // Every SA and policy of ours that the kernel has.
  Result<std::vector<kernel::KernelSa>> dump_sas();
  Result<std::vector<kernel::KernelPolicy>> dump_policies();
  Result<std::vector<PolicySpec>> compare(const std::vector<kernel::KernelPolicy>& found) const;

  Sas::iterator locate(const SaKey& key);
  // Our name of what the kernel calls by its destination and SPI.
  Sas::const_iterator find(const kernel::KernelSa& sa) const;
  SaState state_of(const SaKey& key, const Held& held, const kernel::KernelSa& sa) const;
  void take_event(const nlmsghdr& header, std::vector<Event>& events);

  KernelOptions options_;
  Netlink requests_;
  Netlink events_;
  Sas sas_;
  std::map<ReqId, PolicySpec> policies_;
  // Who wants each kernel policy; the last that was set has it.
  std::map<kernel::PolicyKey, std::vector<ReqId>> owners_;
  std::map<std::string, std::uint64_t> counters_;
};

// Removes every policy and every SA of ours from the kernel and tells the logger how many there
// were. Nothing of it where there is no XFRM. Goes on after a failure; the first one is returned.
[[nodiscard]] Status teardown_kernel(Logger& logger);

}  // namespace espalier::dataplane
