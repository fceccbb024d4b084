// What the network does to datagrams.
#include <algorithm>

#include "sim/world.hpp"

namespace espalier::sim {
namespace {

std::uint64_t link(HostId from, HostId to) { return std::uint64_t{from} << 32 | to; }

IpAddress source_address(const Host& from, const ike::Path& path) {
  if (!path.local.ip.is_unspecified()) return path.local.ip;
  const Family family = path.remote.ip.family();
  if (from.address.family() == family) return from.address;
  for (const IpAddress& other : from.other_addresses) {
    if (other.family() == family) return other;
  }
  return from.address;
}

}  // namespace

Host* World::owner(const IpAddress& address) {
  const auto found = addresses_.find(address);
  return found == addresses_.end() ? nullptr : hosts_[found->second].get();
}

const Host* World::owner(const IpAddress& address) const {
  const auto found = addresses_.find(address);
  return found == addresses_.end() ? nullptr : hosts_[found->second].get();
}

void World::send(Host& from, ike::Transmit transmit) {
  const Host* to = owner(transmit.path.remote.ip);
  if (transmit.keepalive) return;
  ++messages;
  ++from.sent;
  watch.sent(from, now_, transmit.datagram);
  Fate fate = Fate::kSent;
  const bool own =
      transmit.path.local.ip.is_unspecified() || owner(transmit.path.local.ip) == &from;
  if (to == nullptr || !own) {
    fate = Fate::kNobody;
  } else if ((filter && !filter(from, *to, transmit.datagram)) ||
             (!cuts_.empty() && cuts_.contains(link(from.id, to->id)))) {
    fate = Fate::kCutOff;
  } else if (network.loss > 0 && chance() < network.loss) {
    fate = Fate::kLost;
  }
  if (observer != nullptr) observer->on_send(from, to, transmit, fate);
  if (fate != Fate::kSent) return;
  ike::Path path{transmit.path.remote,
                 {source_address(from, transmit.path), transmit.path.local.port}};
  if (from.nat.address) path.remote.ip = *from.nat.address;
  if (to->nat.address && path.local.ip == *to->nat.address) path.local.ip = to->address;
  if (const auto mapped = from.nat.outside.find(path.remote.port);
      mapped != from.nat.outside.end()) {
    path.remote.port = mapped->second;
  }
  for (const auto& [inside, outside] : to->nat.outside) {
    if (outside == path.local.port) path.local.port = inside;
  }
  const ike::Settings& listening = to->engine.core().settings;
  if (path.local.port != listening.port && path.local.port != listening.nat_port) {
    return;  // a port that a translator has forgotten
  }
  if (network.duplication > 0 && chance() < network.duplication) {
    launch(*to, path, transmit.datagram);
  }
  launch(*to, path, std::move(transmit.datagram));
}

void World::launch(const Host& to, const ike::Path& path, Bytes datagram) {
  Duration travel = network.latency;
  if (network.jitter.count() > 0) {
    travel +=
        Duration(static_cast<std::int64_t>(chance() * static_cast<double>(network.jitter.count())));
  }
  if (network.held_back > 0 && chance() < network.held_back) travel *= kHeldBack;
  packets_.push(now_ + travel, {to.id, path, std::move(datagram)});
}

void World::cut(HostId from, HostId to) {
  ++cuts_[link(from, to)];
  watch.disturbed(now_);
  if (observer != nullptr) {
    observer->on_fault("nothing of " + hosts_[from]->name + " reaches " + hosts_[to]->name);
  }
}

void World::mend(HostId from, HostId to) {
  const auto found = cuts_.find(link(from, to));
  if (found == cuts_.end()) return;
  watch.disturbed(now_);
  if (--found->second > 0) return;
  cuts_.erase(found);
  if (observer != nullptr) {
    observer->on_fault(hosts_[from]->name + " reaches " + hosts_[to]->name + " again");
  }
}

void World::put_behind_nat(Host& host, const IpAddress& address) {
  ASSERT(!addresses_.contains(address));
  host.nat.address = address;
  addresses_[address] = host.id;
}

void World::rebind(Host& host) {
  const auto& settings = host.engine.core().settings;
  for (const std::uint16_t own : {settings.port, settings.nat_port}) {
    // RFC 4787: any port above the well-known ones; never our own two.
    const auto port = static_cast<std::uint16_t>(10000 + rng_.u32() % 50000);
    host.nat.outside[own] = port;
  }
  watch.disturbed(now_);
  if (observer != nullptr) observer->on_fault(host.name + " comes from other ports");
}

void World::tell_addresses(Host& host) {
  std::vector<IpAddress> all{host.address};
  all.insert(all.end(), host.other_addresses.begin(), host.other_addresses.end());
  command(host, ike::OwnAddresses{std::move(all)});
}

void World::set_addresses(Host& host, const std::vector<IpAddress>& addresses, bool told) {
  ASSERT(!addresses.empty());
  std::erase_if(addresses_, [&](const auto& entry) { return entry.second == host.id; });
  for (const IpAddress& address : addresses) addresses_[address] = host.id;
  host.address = addresses.front();
  host.other_addresses.assign(addresses.begin() + 1, addresses.end());
  ++host.moves;
  watch.disturbed(now_);
  if (observer != nullptr) {
    observer->on_fault(host.name + " moves to " + host.address.to_string());
  }
  if (told && host.running) tell_addresses(host);
}

void World::readdress(Host& host) {
  // RFC 2544 and RFC 5180: for tests of networks, in no inventory.
  const auto fresh = [&](const IpAddress& old) {
    const std::uint32_t number = (host.moves + 1) * 4096 + host.id;
    if (old.is_v4()) {
      const Bytes octets{198, static_cast<std::uint8_t>(18 + (number >> 16 & 1)),
                         static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
      return IpAddress::from_bytes(octets).value();
    }
    Bytes octets(16, 0);
    octets[0] = 0x20, octets[1] = 0x01, octets[3] = 0x02;
    for (std::size_t i = 0; i < 4; ++i) {
      octets[12 + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
    }
    return IpAddress::from_bytes(octets).value();
  };
  std::vector<IpAddress> addresses{fresh(host.address)};
  for (const IpAddress& other : host.other_addresses) {
    if (other.family() != host.address.family() && addresses.size() == 1) {
      addresses.push_back(fresh(other));
    }
  }
  set_addresses(host, addresses);
}

}  // namespace espalier::sim
