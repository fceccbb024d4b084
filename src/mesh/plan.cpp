#include "mesh/plan.hpp"

#include <algorithm>

#include "crypto/pair_key.hpp"
#include "crypto/signature.hpp"
#include "mesh/limits.hpp"
#include "mesh/manual.hpp"
#include "mesh/own_identity.hpp"
#include "mesh/secret.hpp"
#include "mesh/tunnel_device.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::mesh {
namespace {

using config::Foreign;
using config::Host;
using config::Inventory;
using config::PairSettings;
using policy::AuthKind;
using policy::Connection;
using policy::SelectorList;

constexpr std::uint16_t kIkePort = 500;  // RFC 7296 section 2

std::string pair_name(const Host& self, const std::string& peer) { return self.name + "-" + peer; }

void add_once(SelectorList& list, const policy::TrafficSelector& selector) {
  if (std::find(list.begin(), list.end(), selector) == list.end()) list.push_back(selector);
}

SelectorList selectors(const std::vector<IpAddress>& addresses,
                       const std::vector<Prefix>& subnets) {
  SelectorList list;
  for (const IpAddress& ip : addresses) list.push_back(policy::from_prefix(Prefix::host(ip)));
  for (const Prefix& prefix : subnets) {
    const policy::TrafficSelector selector = policy::from_prefix(prefix);
    // A host's address in its own subnet (a gateway) needs no selector beside the subnet's.
    std::erase_if(list, [&](const auto& one) { return policy::contains(selector, one); });
    list.push_back(selector);
  }
  return list;
}

bool has_family(const SelectorList& list, Family family) {
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& one) { return one.start.family() == family; });
}

// Selectors of a family that only one side has select nothing, and peers differ in what they make
// of them.
void keep_common_families(SelectorList& local, SelectorList& remote) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    if (has_family(local, family) && has_family(remote, family)) continue;
    const auto other = [&](const auto& one) { return one.start.family() == family; };
    std::erase_if(local, other);
    std::erase_if(remote, other);
  }
}

// The addresses of `mine` that some address of `theirs` can be reached from.
std::vector<IpAddress> reachable(const std::vector<IpAddress>& mine,
                                 const std::vector<IpAddress>& theirs) {
  if (theirs.empty()) return mine;
  std::vector<IpAddress> list;
  for (const IpAddress& ip : mine) {
    const bool common = std::any_of(theirs.begin(), theirs.end(), [&](const IpAddress& other) {
      return other.family() == ip.family();
    });
    if (common) list.push_back(ip);
  }
  return list;
}

void apply(const PairSettings& settings, Connection& connection) {
  connection.auth = settings.auth;
  connection.proposals = settings.ike_proposals;
  connection.lifetimes = settings.lifetimes;
  connection.dpd = settings.dpd;
  connection.mobike = settings.mobike;
  connection.fragmentation = settings.fragmentation;
  connection.encap = settings.encap;
  connection.childless = settings.childless;
  connection.resumption = settings.resumption;
  connection.start = settings.start;
  connection.revocation = settings.revocation;
  connection.protect = settings.protect;
  connection.except = settings.except;
  connection.lines = settings.lines;
}

void set_places(const SharedList<std::string>& file, const Host& self, config::Position peer,
                Connection& connection) {
  connection.lines.file = file;
  connection.lines[policy::Setting::kOwn] = self.at.line;
  connection.lines[policy::Setting::kPeer] = peer.line;
}

// RFC 8784. The two ends of a pair have the same id and secret.
Status add_ppk(const PairSettings& settings, const Credentials& credentials,
               Connection& connection) {
  if (!settings.ppk) return {};
  const config::PpkSetting& ppk = *settings.ppk;
  const std::string path = "private/" + ppk.secret_file;
  const auto secret = credentials.ppks.find(ppk.secret_file);
  if (secret == credentials.ppks.end()) {
    return make_error(ErrorCode::kNotFound, connection.name + " needs the post-quantum key '" +
                                                ppk.id + "': put it into " + path);
  }
  if (secret->second.size() < kMinPpkOctets) {
    return make_error(ErrorCode::kBadInput, "the post-quantum key '" + ppk.id + "' in " + path +
                                                " has " + std::to_string(secret->second.size()) +
                                                " octets, and it needs " +
                                                std::to_string(kMinPpkOctets) +
                                                " of chance: make one with 'espalier secret new'");
  }
  connection.ppk = policy::Ppk{to_vector(as_bytes(ppk.id)), secret->second, ppk.required};
  return {};
}

Connection base_connection(const Host& self, const std::string& peer,
                           const std::vector<IpAddress>& peer_addresses,
                           const policy::Identity& peer_id, const PairSettings& settings) {
  Connection c;
  c.name = pair_name(self, peer);
  c.peer = peer;
  c.local_addresses = reachable(self.addresses, peer_addresses);
  c.remote_addresses = reachable(peer_addresses, self.addresses);
  c.remote_port = kIkePort;
  c.local_id = self.id;
  c.remote_id = peer_id;
  apply(settings, c);
  return c;
}

void add_child(const PairSettings& settings, const char* name, policy::Mode mode,
               SelectorList local, SelectorList remote, Connection& connection) {
  policy::ChildConfig child;
  child.name = name;
  child.mode = mode;
  child.local_ts = std::move(local);
  child.remote_ts = std::move(remote);
  child.proposals = settings.esp_proposals;
  child.replay_window = settings.replay_window;
  if (settings.outer != policy::OuterHeader()) child.outer = settings.outer;
  if (settings.binding != policy::Binding()) child.binding = settings.binding;
  connection.children.push_back(std::move(child));
}

Status check_level(const Connection& connection) {
  if (connection.protect != policy::Protect::kUse || connection.start != policy::Start::kTrap) {
    return {};
  }
  return make_error(ErrorCode::kBadInput,
                    connection.name +
                        " has 'start: trap' with 'protect: use', under which traffic passes in the "
                        "clear and asks for no SA: write start: now, or protect: require");
}

// `only`: each child once for each service, and between the addresses of all nothing else passes.
Status keep_only(const SharedList<policy::Service>& services, Connection& connection) {
  if (services.empty()) return {};
  if (connection.protect == policy::Protect::kUse) {
    return make_error(ErrorCode::kBadInput,
                      connection.name +
                          " has 'only' with 'protect: use', which would let everything pass in the "
                          "clear while there is no SA: take one of them out");
  }
  connection.bounds = policy::bounds_of(connection);
  std::vector<policy::ChildConfig> narrow;
  for (const policy::ChildConfig& child : connection.children) {
    std::size_t number = 0;
    for (const policy::Service& service : services) {
      for (const bool at_local : {true, false}) {
        policy::Service one = service;
        if (!service.any_port() && service.side == policy::Side::kEither) {
          one.side = at_local ? policy::Side::kLocal : policy::Side::kRemote;
        } else if (!at_local) {
          continue;
        }
        policy::ChildConfig part = child;
        part.name += "-" + std::to_string(++number);
        part.local_ts.clear();
        part.remote_ts.clear();
        for (const policy::TrafficSelector& local : child.local_ts) {
          for (const policy::TrafficSelector& remote : child.remote_ts) {
            for (const policy::SelectorPair& pair : policy::between(one, local, remote)) {
              add_once(part.local_ts, pair.local);
              add_once(part.remote_ts, pair.remote);
            }
          }
        }
        if (!part.local_ts.empty()) narrow.push_back(std::move(part));
      }
    }
  }
  if (narrow.empty()) {
    return make_error(ErrorCode::kBadInput, connection.name +
                                                " has nothing left to protect: its 'only' fits "
                                                "none of the addresses of the two");
  }
  connection.children = std::move(narrow);
  return {};
}

// Between the hosts' own addresses and the networks behind them. In transport mode the networks
// have a tunnel child of their own, and the hosts' child is for the addresses that IKE itself uses:
// transport mode has no others (RFC 4301 section 4.1). Both ends have to choose the same family,
// whatever the order in which each lists its addresses.
void add_children(const PairSettings& settings, Family family, const SelectorList& local_hosts,
                  const SelectorList& remote_hosts, SelectorList local, SelectorList remote,
                  Connection& connection) {
  keep_common_families(local, remote);
  if (settings.mode == policy::Mode::kTunnel || local_hosts.empty() || remote_hosts.empty()) {
    return add_child(settings, "net", policy::Mode::kTunnel, std::move(local), std::move(remote),
                     connection);
  }
  const auto same = [&](const auto& one) { return one.start.family() == family; };
  const auto local_host = std::find_if(local_hosts.begin(), local_hosts.end(), same);
  const auto remote_host = std::find_if(remote_hosts.begin(), remote_hosts.end(), same);
  add_child(settings, "host", policy::Mode::kTransport, {*local_host}, {*remote_host}, connection);
  connection.local_addresses = {local_host->start};
  connection.remote_addresses = {remote_host->start};
  const bool networks = local.size() + remote.size() > 2;
  if (networks) {
    add_child(settings, "net", policy::Mode::kTunnel, std::move(local), std::move(remote),
              connection);
  }
}

Result<Connection> towards_host(const Inventory& inventory, const Host& self, const Host& peer,
                                const Credentials& credentials, const OwnIdentity& own) {
  const PairSettings settings = inventory.settings_between(self, peer);
  Connection c = base_connection(self, peer.name, peer.addresses, peer.id, settings);
  TRY(authenticate(credentials, own, self, c));
  TRY(add_ppk(settings, credentials, c));
  if (c.auth == AuthKind::kPsk) {
    if (credentials.mesh_secret.empty()) {
      return make_error(ErrorCode::kNotFound,
                        c.name +
                            " authenticates by the mesh secret, and there is none: make one "
                            "with 'espalier secret new' and put it into private/mesh.secret");
    }
    c.psk = crypto::derive_pair_key(credentials.mesh_secret.reveal(), inventory.mesh,
                                    to_text(self.id.data), to_text(peer.id.data));
  }
  const Family family =
      (self.name < peer.name ? c.local_addresses : c.remote_addresses).front().family();
  add_children(settings, family, selectors(c.local_addresses, {}),
               selectors(c.remote_addresses, {}), selectors(self.addresses, self.subnets),
               selectors(peer.addresses, peer.subnets), c);
  TRY(check_level(c));
  TRY(keep_only(settings.only, c));
  TRY(lead_by_device(settings, c));
  return c;
}

Result<Connection> towards_foreign(const Inventory& inventory, const Host& self,
                                   const Foreign& peer, const Credentials& credentials,
                                   const OwnIdentity& own, std::vector<std::string>& warnings) {
  const PairSettings settings = inventory.settings_between(self, peer);
  Connection c = base_connection(self, peer.name, peer.addresses, peer.id, settings);
  c.foreign = true;
  if (peer.local_id) c.local_id = *peer.local_id;
  c.behind_nat = peer.nat;
  c.null_auth = peer.null_auth;
  const policy::Identity nobody{wire::ike::IdType::kNull, {}};
  if (policy::we_are_anonymous(c.null_auth)) c.local_id = nobody;
  if (policy::peer_is_anonymous(c.null_auth)) c.remote_id = nobody;
  if (peer.redirect) c.redirect = *peer.redirect;
  // Whom we send elsewhere we do not call.
  if (c.redirect && c.redirect->to) c.start = policy::Start::kNone;
  // Without an address there is nobody to call: only the peer initiates.
  if (peer.addresses.empty()) c.start = policy::Start::kNone;
  TRY(authenticate(credentials, own, self, c));
  TRY(add_ppk(settings, credentials, c));
  if (c.auth == AuthKind::kPsk && c.null_auth != policy::NullAuth::kBoth) {
    const std::string file = peer.secret_file.value_or("");
    const auto secret = credentials.foreign_secrets.find(file);
    if (secret == credentials.foreign_secrets.end() || secret->second.empty()) {
      return make_error(ErrorCode::kNotFound, c.name + " needs the secret shared with " +
                                                  peer.name + ": put it into private/" + file);
    }
    c.psk = secret->second;
    const std::string weak = foreign_secret_warning(c.psk);
    if (!weak.empty()) {
      warnings.push_back("the secret of " + c.name + " in private/" + file + " " + weak +
                         "; change it on both sides to one that 'espalier secret new' makes");
    }
  }
  SelectorList local = peer.local_subnets ? selectors({}, *peer.local_subnets)
                                          : selectors(self.addresses, self.subnets);
  // Behind NAT the address is the translator's, and another machine's for whoever sits beside it.
  SelectorList remote =
      selectors(peer.nat ? std::vector<IpAddress>{} : peer.addresses, peer.subnets);
  const SelectorList remote_hosts = peer.nat ? SelectorList{} : selectors(c.remote_addresses, {});
  const Family family =
      c.remote_addresses.empty() ? Family::kIpv4 : c.remote_addresses.front().family();
  add_children(settings, family, selectors(c.local_addresses, {}), remote_hosts, std::move(local),
               std::move(remote), c);
  const policy::ChildConfig& child = c.children.back();
  if (child.local_ts.empty() || child.remote_ts.empty()) {
    return make_error(ErrorCode::kBadInput,
                      c.name + " has nothing to protect: what " + self.name + " offers and what " +
                          peer.name +
                          " has share no address family; check subnets and local_subnets");
  }
  TRY(check_level(c));
  TRY(keep_only(settings.only, c));
  TRY(lead_by_device(settings, c));
  return c;
}

void warn_of_no_encryption(const Connection& connection, HostPlan& plan) {
  for (const policy::EspProposal& proposal : connection.children.front().proposals) {
    if (!policy::may_not_encrypt(proposal)) continue;
    plan.warnings.push_back(connection.name +
                            " may use ESP that authenticates and does not encrypt: '" +
                            policy::words(proposal) + "'");
  }
}

}  // namespace

std::vector<RequiredFile> required_files(const Inventory& inventory, std::string_view self_name) {
  using Kind = RequiredFile::Kind;
  const Host* self = inventory.find_host(self_name);
  ASSERT(self != nullptr);
  std::map<std::pair<Kind, std::string>, RequiredFile> files;
  const auto need = [&](Kind kind, const std::string& path, const std::string& name,
                        const std::string& why) {
    files.emplace(std::make_pair(kind, path), RequiredFile{kind, path, name, why});
  };
  const auto need_certificates = [&](const std::string& pair, policy::NullAuth null_auth) {
    const std::string why = pair + " authenticates by certificate";
    if (!policy::we_are_anonymous(null_auth)) {
      need(Kind::kPrivateKey, "private/" + self->name + ".pem", "", why);
      need(Kind::kCertificate, "x509/" + self->name + ".pem", "", why);
    }
    if (!policy::peer_is_anonymous(null_auth)) need(Kind::kAnchors, "x509ca", "", why);
  };
  const auto need_ppk = [&](const PairSettings& settings, const std::string& pair) {
    if (!settings.ppk) return;
    need(Kind::kPpk, "private/" + settings.ppk->secret_file, settings.ppk->secret_file,
         pair + " has the post-quantum key '" + settings.ppk->id + "'");
  };
  for (const Host& peer : inventory.hosts) {
    if (&peer == self || inventory.is_manual(self->name, peer.name)) continue;
    const PairSettings settings = inventory.settings_between(*self, peer);
    const std::string pair = pair_name(*self, peer.name);
    need_ppk(settings, pair);
    if (settings.auth == AuthKind::kCert) {
      need_certificates(pair, policy::NullAuth::kNone);
    } else {
      need(Kind::kMeshSecret, "private/mesh.secret", "",
           pair + " authenticates by the mesh secret");
    }
  }
  for (const Foreign& peer : inventory.foreign) {
    const PairSettings settings = inventory.settings_between(*self, peer);
    const std::string pair = pair_name(*self, peer.name);
    need_ppk(settings, pair);
    if (settings.auth == AuthKind::kCert) {
      need_certificates(pair, peer.null_auth);
    } else if (peer.null_auth != policy::NullAuth::kBoth) {
      const std::string file = peer.secret_file.value_or("");
      need(Kind::kForeignSecret, "private/" + file, file, pair + " authenticates by it");
    }
  }
  for (const config::Manual& tunnel : inventory.manual) {
    if (tunnel.host != self->name && tunnel.peer != self->name) continue;
    for (const config::ManualPeriod& period : tunnel.keys) {
      need(Kind::kManualKeys, "private/" + period.secret_file, period.secret_file,
           tunnel.name + " has these manual keys");
    }
  }
  std::vector<RequiredFile> list;
  for (auto& [key, file] : files) list.push_back(std::move(file));
  return list;
}

Result<HostPlan> compile(const Inventory& inventory, std::string_view self_name,
                         const Credentials& credentials) {
  const Host* self = inventory.find_host(self_name);
  ASSERT(self != nullptr);
  HostPlan plan;
  plan.mesh = inventory.mesh;
  plan.self = self->name;
  plan.own_addresses = self->addresses;
  plan.own_subnets = self->subnets;
  if (!credentials.mesh_secret.empty()) TRY(check_mesh_secret(credentials.mesh_secret));
  TRY_ASSIGN(const OwnIdentity own, own_identity(credentials));
  const SharedList<std::string> file{inventory.file};
  for (const Host& peer : inventory.hosts) {
    if (&peer == self || inventory.is_manual(self->name, peer.name)) continue;
    TRY_ASSIGN(Connection connection, towards_host(inventory, *self, peer, credentials, own));
    set_places(file, *self, peer.at, connection);
    if (connection.protect == policy::Protect::kOff) continue;
    plan.connections.push_back(std::move(connection));
  }
  for (const Foreign& peer : inventory.foreign) {
    TRY_ASSIGN(Connection connection,
               towards_foreign(inventory, *self, peer, credentials, own, plan.warnings));
    set_places(file, *self, peer.at, connection);
    if (connection.protect == policy::Protect::kOff) continue;
    plan.connections.push_back(std::move(connection));
  }
  TRY(check_devices(plan.connections));
  if (credentials.with_manual) {
    TRY_ASSIGN(plan.manual, compile_manual(inventory, self_name, credentials));
  }
  for (const Connection& connection : plan.connections) warn_of_no_encryption(connection, plan);
  std::sort(plan.connections.begin(), plan.connections.end(),
            [](const Connection& a, const Connection& b) { return a.name < b.name; });
  return plan;
}

namespace {

template <class Item>
void add_diff(const std::vector<Item>& before, const std::vector<Item>& after, PlanDiff& diff) {
  std::map<std::string_view, const Item*> old;
  for (const Item& item : before) old.emplace(item.name, &item);
  for (const Item& item : after) {
    const auto found = old.find(item.name);
    if (found == old.end()) {
      diff.added.push_back(item.name);
      continue;
    }
    if (*found->second == item) {
      ++diff.unchanged;
    } else {
      diff.changed.push_back(item.name);
    }
    old.erase(found);
  }
  for (const auto& [name, item] : old) diff.removed.emplace_back(name);
}

}  // namespace

PlanDiff plan_diff(const HostPlan& before, const HostPlan& after) {
  PlanDiff diff;
  diff.own_changed = before.mesh != after.mesh || before.self != after.self ||
                     before.own_addresses != after.own_addresses ||
                     before.own_subnets != after.own_subnets;
  add_diff(before.connections, after.connections, diff);
  add_diff(before.manual, after.manual, diff);
  return diff;
}

}  // namespace espalier::mesh
