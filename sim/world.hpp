// A world for real engines: virtual clock, virtual network, a dataplane twin per host. Everything
// follows from the seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "ike/core/endpoint.hpp"

namespace espalier::sim {

struct NetworkOptions {
  double loss = 0;         // probability that a datagram is lost
  double duplication = 0;  // probability that it arrives twice
  Duration latency = 5ms;
  Duration jitter = 0ms;  // uniform, added to the latency: reorders
};

// What the dataplane of one host was told.
struct Twin {
  std::map<Spi, ike::ChildSaSpec> inbound;                         // by our SPI
  std::map<std::pair<Spi, IpAddress>, ike::ChildSaSpec> outbound;  // by the peer's SPI and address
  std::map<ReqId, ike::SetPolicy> policies;
  std::map<ReqId, std::vector<Spi>> newest;  // outbound SPIs in order of installation
  std::vector<std::string> violations;       // double installs, deletes of what is not there
};

struct Host {
  std::string name;
  IpAddress address;
  std::vector<IpAddress> other_addresses;
  ike::Endpoint engine;
  crypto::SeededRng rng{0};
  Twin twin;
  std::vector<policy::Connection> connections;
  std::vector<ike::Event> events;
  bool running = true;
};

class Keys final : public ike::KeyStore {
 public:
  std::map<std::string, std::shared_ptr<const crypto::PrivateKey>> keys;
  std::shared_ptr<const crypto::RevocationLists> lists;
  std::shared_ptr<const crypto::PrivateKey> find(const std::string& name) const override;
  const crypto::RevocationLists* revocations() const override { return lists.get(); }
};

class World {
 public:
  explicit World(std::uint64_t seed) : rng_(seed), seed_(seed) {}

  Host& add_host(const std::string& name, const std::string& address, ike::Settings settings = {});
  Host& host(const std::string& name);
  // A PSK pair with one child between the hosts' addresses, on both hosts.
  void connect(const std::string& a, const std::string& b,
               const std::function<void(policy::Connection&)>& change = {});
  void configure_all();

  // Runs until the condition holds or `limit` of virtual time has passed; whether it held.
  bool run_until(const std::function<bool()>& condition, Duration limit);
  void run_for(Duration time);
  void command(const std::string& host, const ike::Command& command);

  // A crash: the engine and its SAs are gone; a start afterwards begins with nothing.
  void crash(const std::string& name);
  void start(const std::string& name);

  bool all_up() const;
  // Every configured pair has one IKE SA and one child pair, the same on both ends, with the same
  // keys; no SA is in a twin that no engine knows. Empty when whole; else the first fault found, as
  // a sentence.
  std::string fault() const;

  NetworkOptions network;
  // Called for each datagram on its way; false: it is lost.
  std::function<bool(const Host& from, const Host& to, ByteView datagram)> filter;
  Keys keys;
  std::uint64_t messages = 0;
  std::uint64_t seed() const { return seed_; }
  Instant now() const { return now_; }

 private:
  struct Packet {
    Instant at;
    std::uint64_t order;
    std::string to;
    ike::Path path;  // as the receiver sees it
    Bytes datagram;
    bool operator>(const Packet& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  bool step(Instant end);
  void drain(Host& host);
  void apply(Host& host, const ike::Effect& effect);
  void install(Host& host, const ike::InstallSa& install);
  void remove(Host& host, const ike::DeleteSa& removal);
  void send(Host& host, ike::Transmit transmit);
  std::string pair_fault(const Host& a, const ike::PairSnapshot& pair) const;
  const Host* owner(const IpAddress& address) const;
  double chance();

  Instant now_{};
  crypto::SeededRng rng_;
  std::uint64_t seed_;
  std::uint64_t order_ = 0;
  std::map<std::string, std::unique_ptr<Host>> hosts_;
  std::map<IpAddress, std::string> addresses_;
  std::priority_queue<Packet, std::vector<Packet>, std::greater<>> packets_;
};

}  // namespace espalier::sim
