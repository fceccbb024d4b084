// A world for real engines: virtual clock, virtual network, a dataplane twin per host. Everything
// follows from the seed. Cheap enough for a thousand hosts in full mesh: a step costs the logarithm
// of what is under way.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sim/host.hpp"
#include "sim/network.hpp"
#include "sim/watch.hpp"

namespace espalier::sim {

// What became of a datagram on its way.
enum class Fate : std::uint8_t { kSent, kLost, kCutOff, kNobody };

// Sees everything that happens; changes nothing.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_send(const Host&, const Host* /*to*/, const ike::Transmit&, Fate) {}
  virtual void on_deliver(const Host&, const Packet&) {}
  virtual void on_timer(const Host&, std::string_view /*reason*/) {}
  virtual void on_effect(const Host&, const ike::Effect&) {}
  virtual void on_event(const Host&, const ike::Event&) {}
  virtual void on_fault(const std::string& /*what happened to the world*/) {}
};

class World {
 public:
  explicit World(std::uint64_t seed) : rng_(seed), seed_(seed) {}

  Host& add_host(const std::string& name, const std::string& address, ike::Settings settings = {});
  Host& add_host(const std::string& name, const std::vector<IpAddress>& addresses,
                 ike::Settings settings);
  Host& host(const std::string& name);
  Host& host(HostId id) { return *hosts_[id]; }
  const Host& host(HostId id) const { return *hosts_[id]; }
  const Host* find(std::string_view name) const;
  std::size_t size() const { return hosts_.size(); }
  // A PSK pair with one child between the hosts' addresses, on both hosts.
  void connect(const std::string& a, const std::string& b,
               const std::function<void(policy::Connection&)>& change = {});
  void configure_all();

  // Runs until the condition holds or `limit` of virtual time has passed; whether it held.
  bool run_until(const std::function<bool()>& condition, Duration limit);
  void run_for(Duration time);
  void command(const std::string& host, const ike::Command& command);
  void command(Host& host, const ike::Command& command);
  // Calls back at that time of the world; at the same instant before any datagram or timer. The
  // World must not be moved meanwhile.
  void at(Instant when, std::function<void()> what);

  // Tells an engine what its dataplane or its jobs did.
  void complete(Host& host, const ike::Completion& completion);
  Host* owner(const IpAddress& address);  // of an address; null: nobody
  const Host* owner(const IpAddress& address) const;

  // A crash: the engine and its SAs are gone; a start afterwards begins with nothing.
  void crash(const std::string& name);
  void start(const std::string& name);
  void crash(Host& host);
  // It runs again, with nothing; whoever calls configures it.
  void power_on(Host& host);
  // The daemon ends at once; the dataplane and the journal stay. Afterwards power_on(), a
  // Configure, and resume(), which gives the engine the journal's SAs and compares them with the
  // dataplane.
  void end_daemon(Host& host);
  ike::journal::Restored resume(Host& host);

  // Faults of the network and of dataplanes. A cut loses what `from` sends to `to`, from now until
  // mend() of the same two.
  void cut(HostId from, HostId to);
  void mend(HostId from, HostId to);
  // A translator before the host: the others see and reach it at that address.
  void put_behind_nat(Host& host, const IpAddress& address);
  // The translator before the host forgets its mappings: its ports look different from now on.
  void rebind(Host& host);
  // The host's addresses change, and its engine is told or has to find out. What is on its way to
  // an address that it has lost is lost, and so is what it sends from there.
  void set_addresses(Host& host, const std::vector<IpAddress>& addresses, bool told = true);
  // To addresses that nobody has had, one for each.
  void readdress(Host& host);
  // SAs go from the twin, each with probability `share`, and the engine is not told.
  std::size_t vanish(Host& host, double share);
  // SAs expire in the dataplane, each with probability `share`: hard, it stops using them; soft, it
  // asks for a rekey.
  std::size_t expire(Host& host, double share, bool hard);

  bool all_up() const;
  // Every configured pair has one IKE SA and the intended children, the same on both ends, with the
  // same keys; no SA is in a twin that no engine knows; no invariant was broken on the way. Empty
  // when whole; else the first fault found, as a sentence.
  std::string fault() const;
  // The same of one pair seen from one host; `far` is the peer. Nothing of what was on the way.
  static std::string pair_fault(const Host& near, const Host& far, const ike::PairSnapshot& pair);

  // The host's own clock: the world's, and its drift.
  Instant clock(const Host& host) const { return local(host, now_); }

  NetworkOptions network;
  // Called for each datagram on its way; false: it is lost.
  std::function<bool(const Host& from, const Host& to, ByteView datagram)> filter;
  // Answers what a dataplane would of its SAs' use; nothing: never used.
  std::function<ike::UseReport(const Host& host, const ike::QueryUse& query)> use_report;
  Keys keys;
  // Does the slow work of the engines; ike::run_job() with `keys` when empty.
  std::function<ike::JobResult(const ike::Job& job, crypto::Rng& rng)> run_job;
  // How long a job takes; nothing: it never ends. Without it all take no time.
  std::function<std::optional<Duration>(const Host& host, const ike::Job& job)> job_time;
  Observer* observer = nullptr;
  bool keep_events = true;      // in Host::events
  bool check_journals = false;  // after every step each is the whole one; a violation if not
  std::uint64_t messages = 0;
  Watch watch;  // the invariants that hold at every step
  std::uint64_t seed() const { return seed_; }
  Instant now() const { return now_; }

 private:
  struct Timer {
    Instant at;
    HostId host;
    std::uint32_t stamp;
    bool operator>(const Timer& other) const {
      return at != other.at ? at > other.at : host > other.host;
    }
  };
  bool step(Instant end);
  void deliver();
  void fire(Host& host);
  void look_at_all();
  void drain(Host& host);
  void keep_journal(Host& host);
  void arm(Host& host);
  void tell_addresses(Host& host);
  std::optional<Instant> next_timer();
  void apply(Host& host, ike::Effect effect);
  void run(Host& host, const ike::StartJob& job);
  void finish(Host& host, const ike::StartJob& job);
  void install(Host& host, ike::InstallSa install);
  void remove(Host& host, const ike::DeleteSa& removal);
  void move(Host& host, const ike::UpdateSa& update);
  void send(Host& host, ike::Transmit transmit);
  void launch(const Host& to, const ike::Path& path, Bytes datagram);
  bool refused(const Host& host);
  double chance();
  Instant local(const Host& host, Instant at) const;
  Instant global(const Host& host, Instant at) const;

  Instant now_{};
  crypto::SeededRng rng_;
  std::uint64_t seed_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::unordered_map<std::string, HostId> names_;
  std::map<IpAddress, HostId> addresses_;
  std::unordered_map<std::uint64_t, unsigned> cuts_;  // from and to: how many cuts
  PacketQueue packets_;
  std::vector<Timer> timers_;  // a heap; entries with an old stamp are void
  std::multimap<Instant, std::function<void()>> actions_;
};

}  // namespace espalier::sim
