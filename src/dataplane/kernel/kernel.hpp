// The Linux kernel's dataplane: SAs and policies by XFRM netlink. README.md says how it is
// built.
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
  // What an earlier daemon made stays until close() and adopt().
  bool keep = false;
};

// Not thread-safe: the control side's own.
class Kernel final : public Port {
 public:
  // Errors: kPermission without CAP_NET_ADMIN, kUnsupported when the kernel has no XFRM. SAs of
  // ours that an earlier daemon left are removed one by one, since nothing knows their IKE SAs any
  // more; its policies stay, so that nothing leaves in the clear meanwhile.
  static Result<std::unique_ptr<Kernel>> make(KernelOptions options);

  // With KernelOptions::keep, once, at the start: these SAs and policies of an earlier daemon are
  // this one's from now on, as far as the kernel has them. An SA that has its keys here (manual
  // keys) must be the same in everything; another one under its name is removed, to make room.
  // Other policies go; other SAs do so with the first repair(), for packets that are on their way
  // to them. Without any SA of IKE all of IKE's go at once. Before the first close() its policies
  // stay: nothing stands that would keep closed what they do.
  Status adopt(std::span<const SaSpec> sas, std::span<const PolicySpec> policies);

  // Every SA of ours, one by one; policies stay. Those with manual keys may too: they need no
  // daemon.
  enum class Which : std::uint8_t { kAll, kNegotiated };
  Status remove_sas(Which which);
  // Removes every policy of ours, exceptions included, whoever wants it. Returns how many there
  // were.
  Result<std::size_t> open();

  Status apply(std::span<const Change> changes) override;
  Result<Snapshot> query() override;
  std::vector<Event> poll_events() override;

  // What must be protected, and its exceptions: these (each `closed` or `clear`) stand from now on,
  // until another call leaves them out; what other policies of ours an earlier daemon left goes.
  // Additions come first.
  Status close(const std::vector<PolicySpec>& standing);

  // Compares what the kernel has with what was set here, and puts right what differs, one entry at
  // a time: policies that are missing or changed are set again, policies and SAs in our ranges that
  // nobody here made are removed. What became of the SAs that were made here query() says.
  struct Repaired {
    std::string pair;  // empty: nobody's
    std::string text;  // a sentence
  };
  Result<std::vector<Repaired>> repair();

  // What other programs have in this namespace: SAs and policies, without those of sockets.
  Result<std::size_t> foreign_entries();

  // Readable while poll_events() has something. For poll; do not read it.
  int notify_fd() const;

 private:
  // What the kernel does not tell of an SA, or not by our name of it.
  struct Held {
    std::string pair;
    ReqId reqid;
    IpAddress destination;  // the kernel's name of it, with the SPI
    SocketAddress local, remote;
    bool udp_encap = true;
    bool tell_first = false;  // its first packet is awaited
    std::optional<std::uint64_t> soft_packets;
    bool tampered = false;  // somebody else changed it: it counts as lost
    std::optional<policy::Mark> mark{};
    kernel::SaId id(Spi spi) const { return {destination, spi, mark}; }
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
  Result<bool> has_same(const SaSpec& sa);
  void own(std::vector<ReqId>& owners, const PolicySpec& policy);
  Status release(const kernel::PolicyKey& key, ReqId reqid);
  Status put_outside(const std::vector<kernel::KernelPolicy>& found);
  Status remove_left_policies(const std::vector<kernel::KernelPolicy>& found);
  Status import_left();
  Status put(const kernel::PolicyKey& key, const PolicySpec& policy);
  Status put_exception(const kernel::PolicyKey& key);
  Status remove_policy(const kernel::PolicyKey& key);
  // Every SA and policy of ours that the kernel has.
  Result<std::vector<kernel::KernelSa>> dump_sas();
  Result<std::vector<kernel::KernelPolicy>> dump_policies();
  Result<std::vector<PolicySpec>> compare(const std::vector<kernel::KernelPolicy>& found) const;
  bool is_known(const kernel::PolicyKey& key) const;
  kernel::KernelPolicy expected(const kernel::PolicyKey& key) const;
  Status repair_policies(std::vector<Repaired>& repaired);
  Status repair_sas(std::vector<Repaired>& repaired);

  Sas::iterator locate(const SaKey& key);
  // Our name of what the kernel calls by its destination and SPI.
  Sas::const_iterator find(const kernel::KernelSa& sa) const;
  SaState state_of(const SaKey& key, const Held& held, const kernel::KernelSa& sa) const;
  void take_event(const nlmsghdr& header, std::vector<Event>& events);
  void take_expire(const nlmsghdr& header, std::vector<Event>& events);
  void take_acquire(const nlmsghdr& header, std::vector<Event>& events);
  void take_mapping(const nlmsghdr& header, std::vector<Event>& events);
  void take_change(const nlmsghdr& header, std::vector<Event>& events);
  void drift(std::vector<Event>& events);
  // Larval SAs of a trap that is to ask again.
  void rearm(ReqId reqid);
  Status remove_larval(const kernel::KernelAcquire& larval);
  void pick_up_acquires();
  void soft_expired(Sas::const_iterator at, std::vector<Event>& events);

  KernelOptions options_;
  Netlink requests_;
  Netlink events_;
  Sas sas_;
  std::map<ReqId, PolicySpec> policies_;
  // Who wants each kernel policy; the last that was set has it.
  std::map<kernel::PolicyKey, std::vector<ReqId>> owners_;
  std::map<std::string, std::uint64_t> counters_;
  std::map<ReqId, std::vector<kernel::KernelAcquire>> larvals_;
  std::vector<kernel::KernelSa> left_larvals_;  // of the time before this daemon
  std::vector<Event> waiting_;
  bool exceptions_stand_ = false;
  // What an earlier daemon left is this one's. Until then no policy of it is touched.
  bool took_over_ = false;
};

// Removes every policy and every SA of ours from the kernel and tells the logger how many there
// were; run: the daemon's folder, with what settings were before it. Nothing of it where there is
// no XFRM. Goes on after a failure; the first one is returned.
[[nodiscard]] Status teardown_kernel(Logger& logger, const std::string& run);

}  // namespace espalier::dataplane
