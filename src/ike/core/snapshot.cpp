// What status shows, read from the engine.
#include <algorithm>

#include "ike/core/endpoint.hpp"

namespace espalier::ike {
namespace {

using v2::IkeSa;
using v2::IkeState;

bool is_live(const IkeSa& sa) {
  return sa.state != IkeState::kDead && sa.state != IkeState::kFailed &&
         sa.state != IkeState::kReplaced;
}

// Whether a NAT is really on the way: the peer's source hash may be wrong on purpose (encapsulation
// is forced), so the far side counts only when its address or port is not the configured one.
bool nat_on_path(const IkeSa& sa, const Settings& settings) {
  if (sa.nat_here) return true;
  if (!sa.nat_there || !sa.connection) return false;
  const auto& addresses = sa.connection->remote_addresses;
  const bool address_known =
      std::find(addresses.begin(), addresses.end(), sa.path.remote.ip) != addresses.end();
  const std::uint16_t port = sa.path.remote.port;
  return !address_known || (port != settings.port && port != settings.nat_port);
}

IkeSnapshot describe(const IkeSa& sa, const Settings& settings) {
  IkeSnapshot out;
  const bool rekeying = sa.active && sa.active->task.kind == v2::TaskKind::kRekeyIke;
  out.state = rekeying ? "rekeying" : v2::name(sa.state);
  out.role = sa.role;
  out.path = sa.path;
  out.spi_local = sa.local_spi();
  out.spi_remote = sa.remote_spi();
  out.suite = sa.suite;
  out.established = sa.is_up();
  out.established_at = sa.established_at;
  out.rekey_at = sa.rekey_at;
  out.nat = nat_on_path(sa, settings);
  out.ppk = sa.ppk;
  if (sa.peer_certificates) out.certificates = sa.peer_certificates->validity;
  return out;
}

void add_children(const IkeSa& sa, std::vector<ChildSnapshot>& out) {
  for (const v2::ChildSa& child : sa.children) {
    ChildSnapshot snapshot{child.spec, v2::name(child.state), child.installed_at, child.rekey_at};
    snapshot.spec.encr_in = snapshot.spec.integ_in = SecretBytes();
    snapshot.spec.encr_out = snapshot.spec.integ_out = SecretBytes();
    out.push_back(std::move(snapshot));
  }
}

std::string_view state_of(const Pair& pair, const PairSnapshot& snapshot) {
  if (pair.up) return "up";
  if (pair.disabled) return "disabled";
  if (snapshot.ike && !snapshot.ike->established) return "connecting";
  if (pair.retry_at)
    return pair.attempts == 0 && pair.last_error.empty() ? "connecting" : "waiting";
  if (snapshot.idle) return "waiting";
  if (snapshot.ike) return "connecting";
  return "down";
}

}  // namespace

PairSnapshot Endpoint::describe_pair(const std::string& name, const Pair& pair) const {
  PairSnapshot snapshot;
  snapshot.name = name;
  snapshot.peer = pair.connection->peer;
  snapshot.connection = pair.connection;
  snapshot.peer_id = pair.connection->remote_id;
  snapshot.last_error = explain(pair);
  snapshot.attempts = pair.attempts;
  snapshot.retry_at = pair.retry_at;
  const IkeSa* best = nullptr;
  for (const IkeSpi spi : pair.sas) {
    const auto found = core_.sas.find(spi);
    if (found == core_.sas.end() || !is_live(found->second)) continue;
    const IkeSa& sa = found->second;
    ++snapshot.ike_sas;
    add_children(sa, snapshot.children);
    const bool better = best == nullptr || (sa.is_up() && !best->is_up()) ||
                        (sa.is_up() == best->is_up() && sa.begun > best->begun);
    if (better) best = &sa;
  }
  if (best != nullptr) snapshot.ike = describe(*best, core_.settings);
  if (best != nullptr && best->is_up() && pair.holder) snapshot.peer_id = *pair.holder;
  snapshot.idle = pair.connection->start == policy::Start::kTrap && !pair.up && !pair.disabled &&
                  !pair.retry_at && (!snapshot.ike || snapshot.ike->established);
  snapshot.state = state_of(pair, snapshot);
  return snapshot;
}

std::vector<PairSnapshot> Endpoint::snapshot() const {
  std::vector<PairSnapshot> out;
  out.reserve(core_.pairs.size());
  for (const auto& [name, pair] : core_.pairs) out.push_back(describe_pair(name, pair));
  return out;
}

std::optional<PairSnapshot> Endpoint::snapshot(const std::string& name) const {
  const auto found = core_.pairs.find(name);
  if (found == core_.pairs.end()) return std::nullopt;
  return describe_pair(name, found->second);
}

}  // namespace espalier::ike
