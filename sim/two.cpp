#include "sim/two.hpp"

#include <fmt/format.h>

namespace espalier::sim {

Two::Two(std::uint64_t seed, const std::function<void(policy::Connection&)>& change,
         ike::Settings settings)
    : world(seed) {
  world.add_host("bender", "10.0.0.1", settings);
  world.add_host("flexo", "10.0.0.2", settings);
  world.connect("bender", "flexo", change);
}

bool Two::start() {
  world.configure_all();
  return world.run_until([&] { return world.all_up(); }, 20s);
}

std::string Two::log() {
  std::string text = fmt::format("seed {} at {} s: {}\n", world.seed(),
                                 seconds(world.now() - Instant()), world.fault());
  for (const char* name : {"bender", "flexo"}) {
    for (const ike::Event& event : world.host(name).events) {
      text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
    }
  }
  return text;
}

ike::v2::IkeSa& Two::sa(const std::string& host) {
  for (auto& [spi, sa] : inside(host).sas) {
    if (sa.is_up()) return sa;
  }
  return inside(host).sas.begin()->second;
}

bool is_request(ByteView datagram, wire::ike::ExchangeType exchange) {
  const auto header = wire::ike::parse_header(datagram);
  return header && header->exchange == exchange && !header->is_response();
}

}  // namespace espalier::sim
