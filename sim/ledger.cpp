#include "sim/ledger.hpp"

#include <algorithm>

namespace espalier::sim {

Ledger::Ledger(const World& world) : world_(world) {
  const std::size_t hosts = world.size();
  pairs_.resize(hosts * (hosts - 1) / 2);
  for (HostId b = 1; b < hosts; ++b) {
    for (HostId a = 0; a < b; ++a) {
      PairRecord& pair = pairs_[index(a, b)];
      pair.a = a;
      pair.b = b;
    }
  }
}

std::size_t Ledger::index(HostId a, HostId b) const {
  if (a > b) std::swap(a, b);
  return std::size_t{b} * (b - 1) / 2 + a;
}

const PairRecord* Ledger::find(HostId a, HostId b) const { return &pairs_[index(a, b)]; }

void Ledger::expect(HostId a, HostId b) {
  PairRecord& pair = pairs_[index(a, b)];
  if (pair.expected) return;
  pair.expected = true;
  pair.down_since = world_.now();
  ++expected_;
  if (!pair.up()) ++down_;
}

void Ledger::set(HostId host, HostId peer, bool up) {
  PairRecord& pair = pairs_[index(host, peer)];
  const bool before = pair.up();
  const std::uint8_t bit = host == pair.a ? 1 : 2;
  pair.up_ends = static_cast<std::uint8_t>(up ? pair.up_ends | bit : pair.up_ends & ~bit);
  if (before == pair.up() || !pair.expected) return;
  const Instant now = world_.now();
  if (!pair.up()) {
    ++down_;
    ++pair.downs;
    pair.down_since = now;
    return;
  }
  --down_;
  if (!pair.was_up) {
    pair.was_up = true;
    pair.first_up = now;
  } else {
    pair.down += now - pair.down_since;
    pair.longest = std::max(pair.longest, now - pair.down_since);
  }
  if (down_ > 0) return;
  last_whole_ = now;
  if (!first_whole_) first_whole_ = now;
}

void Ledger::lost(HostId host, bool for_good) {
  for (HostId other = 0; other < world_.size(); ++other) {
    if (other == host) continue;
    set(host, other, false);
    PairRecord& pair = pairs_[index(host, other)];
    if (!for_good || !pair.expected) continue;
    pair.expected = false;
    --expected_;
    if (!pair.up()) --down_;
  }
}

void Ledger::look_at(const Host& host) {
  for (const auto& [name, pair] : host.engine.core().pairs) {
    if (const Host* peer = world_.find(pair.connection->peer)) set(host.id, peer->id, pair.up);
  }
}

void Ledger::on_event(const Host& host, const ike::Event& event) {
  const bool up = event.kind == ike::EventKind::kPairUp;
  if (!up && event.kind != ike::EventKind::kPairDown) return;
  const auto& pairs = host.engine.core().pairs;
  const auto pair = pairs.find(event.pair);
  if (pair == pairs.end()) return;
  if (const Host* peer = world_.find(pair->second.connection->peer)) set(host.id, peer->id, up);
}

void Ledger::close() {
  for (PairRecord& pair : pairs_) {
    if (!pair.expected || pair.up() || !pair.was_up) continue;
    const Duration since = world_.now() - pair.down_since;
    pair.down += since;
    pair.longest = std::max(pair.longest, since);
    pair.down_since = world_.now();
  }
}

}  // namespace espalier::sim
