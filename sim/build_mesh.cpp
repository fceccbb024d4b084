#include "sim/build_mesh.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace espalier::sim {
namespace {

// The simulation needs a key that both ends have, not the one in use.
SecretBytes stand_in(std::uint64_t seed) {
  crypto::SeededRng rng(seed);
  return SecretBytes(rng.bytes(32));
}

constexpr std::uint64_t kMeshSecretSeed = 1;
constexpr std::uint64_t kForeignSecretSeed = 2;
constexpr std::uint64_t kPpkSeed = 3;
// Foreign peers that give no address come from here (RFC 1112 section 4: reserved).
constexpr std::uint32_t kNoAddressFirst = 0xF0000001;

constexpr std::uint64_t kTokenSecretSeed = 1000;

// number: of the host. Foreign peers (none) have no daemon of ours that keeps a secret.
ike::Settings settings_of(const Options& options, std::optional<std::uint64_t> number) {
  ike::Settings settings;
  settings.election = options.election;
  settings.journal = !options.restarts.empty();
  if (options.keep_state && number) settings.qcd_secret = stand_in(kTokenSecretSeed + *number);
  return settings;
}

}  // namespace

BuiltMesh::BuiltMesh(const config::Inventory& inventory, const Options& options, World& world)
    : inventory_(inventory), world_(world) {
  use_keys_for_certificates();
  std::uint64_t number = 0;
  for (const config::Host& host : inventory_.hosts) {
    world.add_host(host.name, host.addresses, settings_of(options, number++));
  }
  std::uint32_t next = kNoAddressFirst;
  for (const config::Foreign& peer : inventory_.foreign) {
    std::vector<IpAddress> addresses = peer.addresses;
    if (addresses.empty()) addresses = {IpAddress::v4(next++)};
    world.add_host(peer.name, addresses, settings_of(options, std::nullopt));
  }
  if (!inventory_.foreign.empty()) {
    notes_.push_back(fmt::format(
        "{} foreign peer{} simulated as an engine of ours with the mirror image of each host's "
        "connection: what a box of another make does differently is not seen here.",
        inventory_.foreign.size(), inventory_.foreign.size() == 1 ? " is" : "s are"));
  }
}

// There are no certificates here, and what authenticates changes nothing about who starts when.
void BuiltMesh::use_keys_for_certificates() {
  std::size_t changed = 0;
  const auto to_psk = [&](config::SettingsLayer& layer) {
    if (!layer.auth || layer.auth->value != policy::AuthKind::kCert) return;
    layer.auth->value = policy::AuthKind::kPsk;
    ++changed;
  };
  to_psk(inventory_.defaults);
  for (config::Host& host : inventory_.hosts) to_psk(host.settings);
  for (config::Foreign& peer : inventory_.foreign) {
    to_psk(peer.settings);
    if (!peer.secret_file) peer.secret_file = peer.name;
  }
  for (auto& [key, layer] : inventory_.pairs) to_psk(layer);
  if (changed > 0) {
    notes_.push_back(
        "Pairs with auth: cert are simulated with pre-shared keys: certificates are not read.");
  }
}

mesh::Credentials BuiltMesh::credentials_for(const std::string& host) const {
  mesh::Credentials out;
  out.with_manual = false;
  out.mesh_secret = stand_in(kMeshSecretSeed);
  for (const mesh::RequiredFile& file : mesh::required_files(inventory_, host)) {
    if (file.kind == mesh::RequiredFile::Kind::kForeignSecret) {
      out.foreign_secrets[file.name] = stand_in(kForeignSecretSeed);
    }
    if (file.kind == mesh::RequiredFile::Kind::kPpk) {
      out.ppks[file.name] = stand_in(kPpkSeed);
    }
  }
  return out;
}

Result<std::vector<policy::Connection>> BuiltMesh::connections(const Host& host) const {
  const auto foreign = of_foreign_.find(host.name);
  if (foreign != of_foreign_.end()) return foreign->second;
  if (inventory_.find_host(host.name) == nullptr) return std::vector<policy::Connection>();
  TRY_ASSIGN(mesh::HostPlan plan, mesh::compile(inventory_, host.name, credentials_for(host.name)));
  return std::move(plan.connections);
}

// The far end of a connection to a foreign peer.
void BuiltMesh::mirror(const Host& host, const policy::Connection& connection) {
  const Host* peer = world_.find(connection.peer);
  ASSERT(peer != nullptr);
  policy::Connection far = connection;
  far.name = peer->name + "-" + host.name;
  far.peer = host.name;
  far.local_addresses = connection.remote_addresses;
  if (far.local_addresses.empty()) far.local_addresses = {peer->address};
  far.remote_addresses = connection.local_addresses;
  std::swap(far.local_id, far.remote_id);
  far.start = policy::Start::kNow;
  far.behind_nat = false;
  for (policy::ChildConfig& child : far.children) std::swap(child.local_ts, child.remote_ts);
  of_foreign_[peer->name].push_back(std::move(far));
}

void BuiltMesh::remember(const Host& host, const std::vector<policy::Connection>& connections) {
  for (const policy::Connection& connection : connections) {
    const Host* peer = world_.find(connection.peer);
    ASSERT(peer != nullptr);
    ends_.push_back({host.id, peer->id, connection.start});
    if (connection.start == policy::Start::kTrap) traps_.emplace_back(host.id, connection.name);
  }
}

Status BuiltMesh::configure(Host& host) {
  TRY_ASSIGN(std::vector<policy::Connection> all, connections(host));
  if (world_.now() == Instant() && host.boots == 0) {
    remember(host, all);
    for (const policy::Connection& connection : all) {
      if (connection.foreign && !of_foreign_.contains(host.name)) mirror(host, connection);
    }
  }
  world_.command(host, ike::Configure{std::move(all)});
  return {};
}

Status BuiltMesh::configure_all(Ledger& ledger) {
  for (HostId id = 0; id < world_.size(); ++id) TRY(configure(world_.host(id)));
  // A pair that neither end starts waits for an operator.
  std::unordered_map<std::uint64_t, bool> started;
  for (const End& end : ends_) {
    const auto [low, high] = std::minmax(end.host, end.peer);
    bool& starts = started[std::uint64_t{low} << 32 | high];
    starts = starts || end.start != policy::Start::kNone;
  }
  std::size_t startless = 0;
  for (const End& end : ends_) {
    const auto [low, high] = std::minmax(end.host, end.peer);
    if (started[std::uint64_t{low} << 32 | high]) {
      ledger.expect(low, high);
    } else if (end.host == low) {
      ++startless;
    }
  }
  ends_ = {};
  if (startless > 0) {
    notes_.push_back(fmt::format("{} pair{} that neither end starts (start: none) {} left out.",
                                 startless, startless == 1 ? "" : "s",
                                 startless == 1 ? "is" : "are"));
  }
  if (!traps_.empty()) {
    notes_.push_back(
        "Pairs with start: trap are started as if traffic asked for them from the first moment "
        "on.");
  }
  return {};
}

}  // namespace espalier::sim
