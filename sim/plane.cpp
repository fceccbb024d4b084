// The dataplane twins: what engines install, what they remove, and what a dataplane does on its
// own.
#include <algorithm>

#include "sim/world.hpp"

namespace espalier::sim {

using ike::Direction;

bool World::refused(const Host& host) {
  const Twin& twin = host.twin;
  const bool full = host.plane.sad_limit > 0 &&
                    twin.inbound.size() + twin.outbound.size() >= host.plane.sad_limit;
  return full || (host.plane.refuse > 0 && chance() < host.plane.refuse);
}

void World::install(Host& host, ike::InstallSa install) {
  Twin& twin = host.twin;
  const ike::ChildSaSpec& sa = install.sa;
  const bool in = install.direction == Direction::kIn;
  const std::pair<Spi, IpAddress> out_key{sa.spi_out, sa.path.remote.ip};
  if (refused(host)) {
    if (in) twin.lost_inbound.insert(sa.spi_in);
    if (!in) twin.lost_outbound.insert(out_key);
    const ike::InstallFailed failed{install.direction, in ? sa.spi_in : sa.spi_out,
                                    sa.path.remote.ip, "the dataplane has no room for this SA"};
    host.engine.handle_completion(clock(host), host.rng, failed);
    return;
  }
  watch.installed(*this, host, install);
  if (in) {
    const Spi spi = sa.spi_in;
    if (!twin.inbound.emplace(spi, std::move(install.sa)).second) {
      twin.violations.push_back("inbound SPI " + to_string(spi) + " installed twice");
    }
    return;
  }
  twin.newest[sa.reqid].push_back(sa.spi_out);
  if (!twin.outbound.emplace(out_key, std::move(install.sa)).second) {
    twin.violations.push_back("outbound SPI " + to_string(out_key.first) + " installed twice");
  }
}

void World::remove(Host& host, const ike::DeleteSa& removal) {
  Twin& twin = host.twin;
  if (removal.direction == Direction::kIn) {
    const auto found = twin.inbound.find(removal.spi);
    if (found != twin.inbound.end()) {
      watch.removed(*this, host, removal.direction, found->second);
      twin.inbound.erase(found);
    } else if (twin.lost_inbound.erase(removal.spi) == 0) {
      twin.violations.push_back("inbound SPI deleted twice");
    }
    return;
  }
  const auto found = twin.outbound.find({removal.spi, removal.peer});
  if (found == twin.outbound.end()) {
    if (twin.lost_outbound.erase({removal.spi, removal.peer}) == 0) {
      twin.violations.push_back("outbound SPI deleted twice");
    }
    return;
  }
  watch.removed(*this, host, removal.direction, found->second);
  auto& newest = twin.newest[found->second.reqid];
  std::erase(newest, removal.spi);
  if (newest.empty()) twin.newest.erase(found->second.reqid);
  twin.outbound.erase(found);
}

// RFC 3948, RFC 4555: the outer addresses follow the peer.
void World::move(Host& host, const ike::UpdateSa& update) {
  Twin& twin = host.twin;
  if (update.direction == Direction::kIn) {
    const auto found = twin.inbound.find(update.spi);
    if (found != twin.inbound.end()) {
      found->second.path = update.path;
      found->second.udp_encap = update.udp_encap;
    }
    return;
  }
  auto node = twin.outbound.extract({update.spi, update.old_peer});
  if (!node) {
    if (twin.lost_outbound.erase({update.spi, update.old_peer}) > 0) {
      twin.lost_outbound.insert({update.spi, update.path.remote.ip});
    }
    return;
  }
  node.key().second = update.path.remote.ip;
  node.mapped().path = update.path;
  node.mapped().udp_encap = update.udp_encap;
  twin.outbound.insert(std::move(node));
}

void World::apply(Host& host, ike::Effect effect) {
  if (auto* wanted = std::get_if<ike::InstallSa>(&effect)) {
    install(host, std::move(*wanted));
  } else if (const auto* removal = std::get_if<ike::DeleteSa>(&effect)) {
    remove(host, *removal);
  } else if (const auto* update = std::get_if<ike::UpdateSa>(&effect)) {
    move(host, *update);
  } else if (auto* set = std::get_if<ike::SetPolicy>(&effect)) {
    const ReqId reqid = set->reqid;
    host.twin.policies[reqid] = std::move(*set);
  } else if (const auto* gone = std::get_if<ike::DeletePolicy>(&effect)) {
    host.twin.policies.erase(gone->reqid);
  } else if (const auto* job = std::get_if<ike::StartJob>(&effect)) {
    run(host, *job);
  } else if (const auto* query = std::get_if<ike::QueryUse>(&effect)) {
    host.engine.handle_completion(
        clock(host), host.rng,
        use_report ? use_report(host, *query) : ike::UseReport{query->sa, std::nullopt});
  }
}

std::size_t World::vanish(Host& host, double share) {
  Twin& twin = host.twin;
  std::size_t gone = 0;
  for (auto sa = twin.inbound.begin(); sa != twin.inbound.end();) {
    if (chance() >= share) {
      ++sa;
      continue;
    }
    twin.lost_inbound.insert(sa->first);
    watch.removed(*this, host, Direction::kIn, sa->second);
    sa = twin.inbound.erase(sa);
    ++gone;
  }
  for (auto sa = twin.outbound.begin(); sa != twin.outbound.end();) {
    if (chance() >= share) {
      ++sa;
      continue;
    }
    twin.lost_outbound.insert(sa->first);
    watch.removed(*this, host, Direction::kOut, sa->second);
    std::erase(twin.newest[sa->second.reqid], sa->first.first);
    sa = twin.outbound.erase(sa);
    ++gone;
  }
  watch.disturbed(now_);
  if (observer != nullptr) {
    observer->on_fault(std::to_string(gone) + " SAs vanish from the dataplane of " + host.name);
  }
  return gone;
}

std::size_t World::expire(Host& host, double share, bool hard) {
  std::vector<std::pair<Spi, IpAddress>> chosen;
  for (const auto& [spi, sa] : host.twin.inbound) {
    if (chance() < share) chosen.emplace_back(spi, sa.path.remote.ip);
  }
  if (observer != nullptr) {
    observer->on_fault(std::to_string(chosen.size()) + " SAs expire in the dataplane of " +
                       host.name);
  }
  for (const auto& [spi, peer] : chosen) {
    ike::Completion expired = ike::SoftExpired{Direction::kIn, spi, peer};
    if (hard) {
      // It uses the SA no more; the engine still has to take it away.
      expired = ike::HardExpired{Direction::kIn, spi, peer};
    }
    host.engine.handle_completion(clock(host), host.rng, expired);
    drain(host);
  }
  watch.disturbed(now_);
  return chosen.size();
}

}  // namespace espalier::sim
