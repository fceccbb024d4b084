#include "sim/traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace espalier::sim {

Traffic::Traffic(World& world) : world_(world), rng_(world.seed() + 77) {
  world_.use_report = [this](const Host& host, const ike::QueryUse& query) {
    return report(host, query);
  };
}

Traffic::~Traffic() { world_.use_report = nullptr; }

void Traffic::run_for(Duration time, Duration interval) {
  const Instant end = world_.now() + time;
  Instant next_round = world_.now();
  while (world_.now() < end) {
    Instant until = std::min(end, next_round);
    if (!flying_.empty()) until = std::min(until, flying_.top().at);
    if (until > world_.now()) world_.run_for(until - world_.now());
    while (!flying_.empty() && flying_.top().at <= world_.now()) {
      const Flying packet = flying_.top();
      flying_.pop();
      arrive(packet);
    }
    if (world_.now() < next_round) continue;
    next_round = world_.now() + interval;
    for (HostId id = 0; id < world_.size(); ++id) {
      Host& host = world_.host(id);
      const bool sends =
          senders.empty() || std::find(senders.begin(), senders.end(), host.name) != senders.end();
      if (sends && host.running) send_from(host);
    }
  }
}

void Traffic::send_from(Host& host) {
  for (const auto& [reqid, policy] : host.twin.policies) {
    const auto newest = host.twin.newest.find(reqid);
    if (newest == host.twin.newest.end() || newest->second.empty()) {
      ++blocked_;
      continue;
    }
    const Spi spi = newest->second.back();
    const auto sa =
        std::find_if(host.twin.outbound.begin(), host.twin.outbound.end(), [&](const auto& entry) {
          return entry.first.first == spi && entry.second.reqid == policy.reqid;
        });
    const Host* to = sa == host.twin.outbound.end() ? nullptr : world_.owner(sa->first.second);
    if (to == nullptr) {
      ++blocked_;
      continue;
    }
    ++sent_;
    used_out_[{host.name, spi}] = world_.now();
    const auto jitter = static_cast<std::uint64_t>(world_.network.jitter.count()) + 1;
    const Duration flight =
        world_.network.latency + Duration(static_cast<std::int64_t>(rng_.u64() % jitter));
    flying_.push({world_.now() + flight, order_++, host.name, to->name, sa->second});
  }
}

void Traffic::arrive(const Flying& packet) {
  Host& to = world_.host(packet.to);
  if (!to.running) return;
  const auto sa = to.twin.inbound.find(packet.sa.spi_out);
  if (sa != to.twin.inbound.end() && sa->second.encr_in == packet.sa.encr_out) {
    ++arrived_;
    used_in_[{to.name, sa->first}] = world_.now();
    if (std::exchange(sa->second.tell_first, false)) {
      world_.complete(to, ike::FirstInbound{packet.sa.spi_out});
    }
    return;
  }
  ++strays_;
  if (faults_.size() < kFaultsMax) {
    faults_.push_back(fmt::format("at {} s {} sent to {} with SPI {}, which {} does not have",
                                  seconds(world_.now() - Instant()), packet.from, packet.to,
                                  to_string(packet.sa.spi_out), packet.to));
  }
  world_.complete(to, ike::UnknownSpi{packet.sa.spi_out, {world_.host(packet.from).address, 4500}});
}

ike::UseReport Traffic::report(const Host& host, const ike::QueryUse& query) const {
  const auto latest = [&](const auto& used, const std::vector<Spi>& spis) {
    std::optional<Instant> last;
    for (const Spi spi : spis) {
      const auto found = used.find({host.name, spi});
      if (found != used.end() && (!last || found->second > *last)) last = found->second;
    }
    return last;
  };
  return {query.sa, latest(used_in_, query.inbound), latest(used_out_, query.outbound)};
}

}  // namespace espalier::sim
