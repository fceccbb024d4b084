// Two hosts with a pair between them, and what tests ask of them again and again.
#pragma once

#include <string>

#include "sim/world.hpp"

namespace espalier::sim {

struct Two {
  World world;
  explicit Two(std::uint64_t seed, const std::function<void(policy::Connection&)>& change = {},
               ike::Settings settings = {});

  policy::Connection& of(const std::string& host) { return world.host(host).connections.front(); }
  std::uint64_t count(const std::string& host, ike::Counter counter) {
    return world.host(host).engine.counter(counter);
  }
  bool start();  // configures both and waits for the pair to come up
  ike::PairSnapshot pair(const std::string& host) {
    return world.host(host).engine.snapshot().front();
  }
  std::string log();
  // The engine's inside, to be tampered with: a peer that answers what it was not asked.
  ike::Core& inside(const std::string& host) {
    return const_cast<ike::Core&>(world.host(host).engine.core());
  }
  // The one IKE SA of the host that is not on its way out.
  ike::v2::IkeSa& sa(const std::string& host);
  bool heals(Duration limit) {
    return world.run_until([&] { return world.all_up() && world.fault().empty(); }, limit);
  }
};

// What of an IKE datagram can be read without keys.
bool is_request(ByteView datagram, wire::ike::ExchangeType exchange);

}  // namespace espalier::sim
