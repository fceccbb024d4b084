#include "sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::sim {

std::shared_ptr<const crypto::PrivateKey> Keys::find(const std::string& name) const {
  const auto found = keys.find(name);
  return found == keys.end() ? nullptr : found->second;
}

Host& World::add_host(const std::string& name, const std::string& address, ike::Settings settings) {
  auto host = std::make_unique<Host>();
  host->name = name;
  host->address = IpAddress::parse(address).value();
  host->engine = ike::Endpoint(settings);
  host->rng = crypto::SeededRng(rng_.u64());
  addresses_[host->address] = name;
  return *(hosts_[name] = std::move(host));
}

Host& World::host(const std::string& name) { return *hosts_.at(name); }

void World::connect(const std::string& a, const std::string& b,
                    const std::function<void(policy::Connection&)>& change) {
  for (const auto& [self, peer] : {std::pair(a, b), std::pair(b, a)}) {
    Host& own = host(self);
    const Host& other = host(peer);
    policy::Connection connection;
    connection.name = self + "-" + peer;
    connection.peer = peer;
    connection.local_addresses = {own.address};
    connection.remote_addresses = {other.address};
    connection.local_id = policy::parse_identity(self).value();
    connection.remote_id = policy::parse_identity(peer).value();
    connection.psk = SecretBytes(as_bytes("of " + std::min(a, b) + " and " + std::max(a, b)));
    connection.proposals = policy::default_ike_proposals();
    policy::ChildConfig child;
    child.name = "net";
    child.local_ts = {policy::from_prefix(Prefix::host(own.address))};
    child.remote_ts = {policy::from_prefix(Prefix::host(other.address))};
    child.proposals = policy::default_esp_proposals();
    connection.children = {child};
    if (change) change(connection);
    own.connections.push_back(connection);
  }
}

void World::configure_all() {
  for (auto& [name, host] : hosts_) {
    if (host->running) command(name, ike::Configure{host->connections});
  }
}

void World::command(const std::string& name, const ike::Command& command) {
  Host& target = host(name);
  // What a command answers is seen in the engine's snapshot; the caller of a wrong one finds no
  // change there.
  if (const Status status = target.engine.handle_command(now_, target.rng, command); !status) {
    target.events.push_back({ike::EventKind::kNote, LogLevel::kError, "", status.error().message});
  }
  drain(target);
}

void World::complete(const std::string& name, const ike::Completion& completion) {
  Host& target = host(name);
  target.engine.handle_completion(now_, target.rng, completion);
  drain(target);
}

std::vector<std::string> World::names() const {
  std::vector<std::string> all;
  for (const auto& [name, host] : hosts_) all.push_back(name);
  return all;
}

void World::crash(const std::string& name) {
  Host& target = host(name);
  target.running = false;
  target.engine = ike::Endpoint(target.engine.core().settings);
  target.twin = Twin();
}

void World::start(const std::string& name) {
  host(name).running = true;
  command(name, ike::Configure{host(name).connections});
}

double World::chance() { return static_cast<double>(rng_.u32()) / 4294967296.0; }

const Host* World::owner(const IpAddress& address) const {
  const auto found = addresses_.find(address);
  return found == addresses_.end() ? nullptr : hosts_.at(found->second).get();
}

void World::send(Host& from, ike::Transmit transmit) {
  if (transmit.keepalive) return;
  const Host* to = owner(transmit.path.remote.ip);
  ++messages;
  if (to == nullptr || (filter && !filter(from, *to, transmit.datagram))) return;
  if (chance() < network.loss) return;
  SocketAddress source = transmit.path.local;
  if (source.ip.is_unspecified()) source.ip = from.address;
  const ike::Path path{transmit.path.remote, source};
  const int copies = chance() < network.duplication ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const auto jitter =
        Duration(static_cast<std::int64_t>(chance() * static_cast<double>(network.jitter.count())));
    packets_.push({now_ + network.latency + jitter, order_++, to->name, path, transmit.datagram});
  }
}

void World::install(Host& host, const ike::InstallSa& install) {
  Twin& twin = host.twin;
  if (install.direction == ike::Direction::kIn) {
    if (!twin.inbound.emplace(install.sa.spi_in, install.sa).second) {
      twin.violations.push_back("inbound SPI " + to_string(install.sa.spi_in) + " installed twice");
    }
    return;
  }
  if (!twin.outbound.emplace(std::pair(install.sa.spi_out, install.sa.path.remote.ip), install.sa)
           .second) {
    twin.violations.push_back("outbound SPI " + to_string(install.sa.spi_out) + " installed twice");
  }
  twin.newest[install.sa.reqid].push_back(install.sa.spi_out);
}

void World::remove(Host& host, const ike::DeleteSa& removal) {
  Twin& twin = host.twin;
  if (removal.direction == ike::Direction::kIn) {
    if (twin.inbound.erase(removal.spi) == 0)
      twin.violations.push_back("inbound SPI deleted twice");
    return;
  }
  const auto found = twin.outbound.find({removal.spi, removal.peer});
  if (found == twin.outbound.end()) {
    twin.violations.push_back("outbound SPI deleted twice");
    return;
  }
  std::erase(twin.newest[found->second.reqid], removal.spi);
  twin.outbound.erase(found);
}

void World::apply(Host& host, const ike::Effect& effect) {
  if (const auto* install_sa = std::get_if<ike::InstallSa>(&effect)) install(host, *install_sa);
  if (const auto* removal = std::get_if<ike::DeleteSa>(&effect)) remove(host, *removal);
  if (const auto* set = std::get_if<ike::SetPolicy>(&effect)) host.twin.policies[set->reqid] = *set;
  if (const auto* gone = std::get_if<ike::DeletePolicy>(&effect))
    host.twin.policies.erase(gone->reqid);
  if (const auto* job = std::get_if<ike::StartJob>(&effect)) {
    ike::JobDone done{job->id, ike::run_job(job->job, host.rng, keys, 1'800'000'000)};
    host.engine.handle_completion(now_, host.rng, done);
  }
  if (const auto* query = std::get_if<ike::QueryUse>(&effect)) {
    host.engine.handle_completion(
        now_, host.rng,
        use_report ? use_report(host, *query) : ike::UseReport{query->sa, std::nullopt});
  }
}

void World::drain(Host& host) {
  for (;;) {
    if (auto effect = host.engine.poll_effect()) {
      apply(host, *effect);
    } else if (auto transmit = host.engine.poll_transmit()) {
      send(host, std::move(*transmit));
    } else if (auto event = host.engine.poll_event()) {
      host.events.push_back(std::move(*event));
    } else {
      return;
    }
  }
}

bool World::step(Instant end) {
  Host* timer = nullptr;
  Instant at = end;
  for (auto& [name, host] : hosts_) {
    if (!host->running) continue;
    const auto wakeup = host->engine.poll_timeout();
    if (wakeup && wakeup->at < at) {
      at = wakeup->at;
      timer = host.get();
    }
  }
  if (!packets_.empty() && packets_.top().at <= at) {
    const Packet packet = packets_.top();
    if (packet.at > end) return false;
    packets_.pop();
    now_ = std::max(now_, packet.at);
    Host& to = host(packet.to);
    if (!to.running) return true;
    to.engine.handle_datagram(now_, to.rng, packet.path, packet.datagram);
    drain(to);
    return true;
  }
  if (timer == nullptr) return false;
  now_ = std::max(now_, at);
  timer->engine.handle_timeout(now_, timer->rng);
  drain(*timer);
  return true;
}

bool World::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now_ + limit;
  while (!condition()) {
    if (!step(end)) {
      now_ = end;
      return condition();
    }
  }
  return true;
}

void World::run_for(Duration time) {
  const Instant end = now_ + time;
  while (step(end)) {
  }
  now_ = end;
}

bool World::all_up() const {
  for (const auto& [name, host] : hosts_) {
    if (!host->running) continue;
    for (const auto& [pair_name, pair] : host->engine.core().pairs) {
      if (!pair.up) return false;
    }
  }
  return true;
}

std::string World::pair_fault(const Host& a, const ike::PairSnapshot& pair) const {
  const std::string who = a.name + ": " + pair.name + " ";
  if (pair.state != "up") return who + "is " + std::string(pair.state) + ": " + pair.last_error;
  if (pair.ike_sas != 1) return who + fmt::format("has {} IKE SAs", pair.ike_sas);
  if (pair.children.size() != 1) return who + fmt::format("has {} children", pair.children.size());
  const Host& b = *hosts_.at(pair.peer);
  const ike::ChildSaSpec& child = pair.children.front().spec;
  const auto in = a.twin.inbound.find(child.spi_in);
  const auto out = a.twin.outbound.find({child.spi_out, child.path.remote.ip});
  if (in == a.twin.inbound.end()) return who + "has no inbound SA in its dataplane";
  if (out == a.twin.outbound.end()) return who + "has no outbound SA in its dataplane";
  const auto peer_in = b.twin.inbound.find(child.spi_out);
  if (peer_in == b.twin.inbound.end()) return who + "sends into an SA that the peer does not have";
  const ike::ChildSaSpec& far = peer_in->second;
  if (!(far.encr_in == out->second.encr_out) || !(far.integ_in == out->second.integ_out)) {
    return who + "has other keys than its peer";
  }
  if (far.local_ts != child.remote_ts || far.remote_ts != child.local_ts)
    return who + "has other selectors than its peer";
  if (!(far.suite == child.suite)) return who + "has another suite than its peer";
  if (!a.twin.policies.contains(child.reqid)) return who + "has no policy";
  return "";
}

std::string World::fault() const {
  for (const auto& [name, host] : hosts_) {
    if (!host->running) continue;
    if (!host->twin.violations.empty()) return name + ": " + host->twin.violations.front();
    std::size_t children = 0;
    for (const ike::PairSnapshot& pair : host->engine.snapshot()) {
      if (std::string fault = pair_fault(*host, pair); !fault.empty()) return fault;
      children += pair.children.size();
    }
    if (host->twin.inbound.size() != children || host->twin.outbound.size() != children) {
      return fmt::format("{}: {} inbound and {} outbound SAs for {} children", name,
                         host->twin.inbound.size(), host->twin.outbound.size(), children);
    }
    if (host->twin.policies.size() != children) return name + ": a policy too many";
  }
  return "";
}

}  // namespace espalier::sim
