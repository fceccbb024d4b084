#include "config/inventory_checks.hpp"

#include <algorithm>

#include "config/limits.hpp"
#include "config/manual_loader.hpp"
#include "config/words.hpp"
#include "policy/identity.hpp"

namespace espalier::config {
namespace {

// A host or a foreign peer, as far as both have the same faults.
struct Member {
  const std::string* name;
  Position at;
  const std::vector<IpAddress>* addresses;
  const std::vector<Prefix>* subnets;
  const policy::Identity* id;
};

std::vector<Member> members(const Inventory& inventory) {
  std::vector<Member> list;
  for (const Host& h : inventory.hosts)
    list.push_back({&h.name, h.at, &h.addresses, &h.subnets, &h.id});
  for (const Foreign& f : inventory.foreign) {
    list.push_back({&f.name, f.at, &f.addresses, &f.subnets, &f.id});
  }
  static const policy::Identity kNobody;
  std::map<std::string_view, bool> seen;
  for (const Manual& m : inventory.manual) {
    if (m.between_hosts || !seen.emplace(m.peer, true).second) continue;
    list.push_back({&m.peer, m.at, &m.addresses, &m.subnets, &kNobody});
  }
  return list;
}

std::string quoted(const std::string& name) { return "'" + name + "'"; }

void check_count(const Inventory& inventory, Diagnostics& diagnostics) {
  // A fault in a host or in the whole file may be why there are too few.
  if (!diagnostics.empty()) return;
  if (inventory.hosts.empty() ||
      inventory.hosts.size() + inventory.foreign.size() + inventory.manual.size() < 2) {
    const Position at = inventory.hosts.empty() ? Position{1, 1} : inventory.hosts[0].at;
    diagnostics.bad(at,
                    "the mesh has " + std::to_string(inventory.hosts.size()) +
                        " host and no foreign peer; it needs two hosts, or one and a foreign peer");
  }
}

void check_names(const std::vector<Member>& all, Diagnostics& diagnostics) {
  std::map<std::string, const Member*> seen;
  for (const Member& member : all) {
    const auto [first, fresh] = seen.emplace(lower(*member.name), &member);
    if (fresh) continue;
    diagnostics.bad(member.at,
                    quoted(*member.name) + " is named like " + quoted(*first->second->name) +
                        " at " + to_string(first->second->at) +
                        "; names of hosts and foreign peers differ, and not only in case");
  }
}

void check_identities(const std::vector<Member>& all, Diagnostics& diagnostics) {
  std::map<policy::Identity, const Member*> seen;
  for (const Member& member : all) {
    if (*member.id == policy::Identity{}) continue;  // reported where it was read
    const auto [first, fresh] = seen.emplace(policy::canonical(*member.id), &member);
    if (fresh || lower(*first->second->name) == lower(*member.name)) continue;
    diagnostics.bad(member.at, quoted(*member.name) + " has the identity '" +
                                   policy::to_string(*member.id) + "' of " +
                                   quoted(*first->second->name) + " at " +
                                   to_string(first->second->at) + "; each needs its own");
  }
}

// An interval of addresses somebody claims: an address of its own or a network behind it.
struct Claim {
  Prefix prefix;
  const Member* member = nullptr;
  bool address = false;
  // Wider networks first among those that start together, so that whatever is inside comes after.
  friend bool operator<(const Claim& a, const Claim& b) {
    if (a.prefix.ip != b.prefix.ip) return a.prefix.ip < b.prefix.ip;
    if (a.prefix.length != b.prefix.length) return a.prefix.length < b.prefix.length;
    return a.address < b.address;
  }
  std::string text() const { return address ? prefix.ip.to_string() : prefix.to_string(); }
};

void report_clash(const Claim& a, const Claim& b, Diagnostics& diagnostics) {
  const Claim& later = a.member->at < b.member->at ? b : a;
  const Claim& earlier = a.member->at < b.member->at ? a : b;
  const std::string where = quoted(*earlier.member->name) + " at " + to_string(earlier.member->at);
  if (a.member == b.member) {
    // A gateway's own address inside its own network is no clash; two networks, one in the other,
    // are an oversight.
    if (!a.address && !b.address) {
      diagnostics.bad(a.member->at, quoted(*a.member->name) + " has the networks " + a.text() +
                                        " and " + b.text() +
                                        ", which overlap; write only the wider");
    }
  } else if (a.address && b.address) {
    diagnostics.bad(later.member->at, quoted(*later.member->name) + " has the address " +
                                          later.text() + " of " + where);
  } else if (!a.address && !b.address) {
    diagnostics.bad(later.member->at, "the network " + later.text() + " of " +
                                          quoted(*later.member->name) + " overlaps " +
                                          earlier.text() + " of " + where);
  } else {
    const Claim& address = a.address ? a : b;
    const Claim& network = a.address ? b : a;
    diagnostics.bad(later.member->at,
                    "the address " + address.text() + " of " + quoted(*address.member->name) +
                        " at " + to_string(address.member->at) + " is inside the network " +
                        network.text() + " of " + quoted(*network.member->name) + " at " +
                        to_string(network.member->at) + "; traffic to it would have two ways");
  }
}

// Prefixes are nested or disjoint, so that a walk in order with a stack of what is still open meets
// every overlap.
void check_overlaps(const std::vector<Member>& all, Diagnostics& diagnostics) {
  std::vector<Claim> claims;
  for (const Member& member : all) {
    for (const IpAddress& ip : *member.addresses)
      claims.push_back({Prefix::host(ip), &member, true});
    for (const Prefix& prefix : *member.subnets) claims.push_back({prefix, &member, false});
  }
  std::sort(claims.begin(), claims.end());
  std::vector<const Claim*> open;
  for (const Claim& claim : claims) {
    while (!open.empty() && !open.back()->prefix.contains(claim.prefix)) open.pop_back();
    for (const Claim* outer : open) {
      if (diagnostics.size() >= kMaxDiagnostics) return;
      report_clash(*outer, claim, diagnostics);
    }
    open.push_back(&claim);
  }
}

void check_local_subnets(const Inventory& inventory, Diagnostics& diagnostics) {
  for (const Foreign& peer : inventory.foreign) {
    if (!peer.local_subnets) continue;
    for (const Prefix& local : *peer.local_subnets) {
      for (const Prefix& remote : peer.subnets) {
        if (!local.contains(remote) && !remote.contains(local)) continue;
        diagnostics.bad(peer.at, "foreign peer " + quoted(peer.name) + " has " +
                                     remote.to_string() + " in 'subnets' and " + local.to_string() +
                                     " in 'local_subnets': one network cannot be on both sides");
      }
    }
  }
}

unsigned families(const std::vector<IpAddress>& addresses) {
  unsigned mask = 0;
  for (const IpAddress& ip : addresses) mask |= ip.is_v4() ? 1u : 2u;
  return mask;
}

// A pair without a common address family has no path. The first of either kind is shown.
void check_families(const Inventory& inventory, Diagnostics& diagnostics) {
  const Host* first_of[4] = {};
  for (const Host& host : inventory.hosts) {
    const unsigned mask = families(host.addresses);
    if (first_of[mask] == nullptr) first_of[mask] = &host;
  }
  const auto report = [&](Position at, const std::string& four, const std::string& six) {
    diagnostics.bad(at, quoted(four) + " has only IPv4 addresses and " + quoted(six) +
                            " only IPv6 ones; a pair needs an address family in common");
  };
  if (first_of[1] != nullptr && first_of[2] != nullptr) {
    report(std::max(first_of[1]->at, first_of[2]->at), first_of[1]->name, first_of[2]->name);
  }
  for (const Foreign& peer : inventory.foreign) {
    const unsigned mask = families(peer.addresses);
    if (mask == 1 && first_of[2] != nullptr) report(peer.at, peer.name, first_of[2]->name);
    if (mask == 2 && first_of[1] != nullptr) report(peer.at, first_of[1]->name, peer.name);
  }
}

// Both ends have to use the same value; two hosts that give different ones need a word in `pairs`
// or agreement.
template <class T>
void check_agreement(const Inventory& inventory, std::string_view key,
                     Maybe<T> SettingsLayer::*member, Diagnostics& diagnostics) {
  std::vector<const Host*> saying;
  for (const Host& host : inventory.hosts) {
    if (host.settings.*member) saying.push_back(&host);
  }
  for (std::size_t i = 0; i < saying.size(); ++i) {
    for (std::size_t j = i + 1; j < saying.size(); ++j) {
      if (diagnostics.size() >= kMaxDiagnostics) return;
      const auto& a = saying[i]->settings.*member;
      const auto& b = saying[j]->settings.*member;
      if (*a == *b) continue;
      const auto entry = inventory.pairs.find(pair_key(saying[i]->name, saying[j]->name));
      if (entry != inventory.pairs.end() && entry->second.*member) continue;
      diagnostics.bad(std::max(a->at, b->at),
                      quoted(saying[i]->name) + " and " + quoted(saying[j]->name) +
                          " have different '" + std::string(key) + "' (" + to_string(a->at) +
                          " and " + to_string(b->at) +
                          "), and both ends of a pair need the same; say which in pairs: '" +
                          saying[i]->name + "-" + saying[j]->name + "'");
    }
  }
}

policy::AuthKind auth_towards(const Inventory& inventory, const Host& host, const Foreign& peer) {
  const auto entry = inventory.pairs.find(pair_key(host.name, peer.name));
  if (entry != inventory.pairs.end() && entry->second.auth) return entry->second.auth->value;
  if (peer.settings.auth) return peer.settings.auth->value;
  if (host.settings.auth) return host.settings.auth->value;
  return inventory.defaults.auth ? inventory.defaults.auth->value : policy::AuthKind::kPsk;
}

void check_secrets(const Inventory& inventory, Diagnostics& diagnostics) {
  for (const Foreign& peer : inventory.foreign) {
    const Host* shared = nullptr;
    if (peer.null_auth == policy::NullAuth::kBoth) {
      if (peer.secret_file) {
        diagnostics.bad(peer.at, "foreign peer " + quoted(peer.name) +
                                     " has a 'secret' that 'null_auth: both' does not use; take "
                                     "one of them out");
      }
      continue;
    }
    for (const Host& host : inventory.hosts) {
      if (auth_towards(inventory, host, peer) == policy::AuthKind::kPsk) shared = &host;
    }
    if (shared != nullptr && !peer.secret_file) {
      diagnostics.bad(
          peer.at,
          "foreign peer " + quoted(peer.name) +
              " has no 'secret', which 'auth: psk' needs; write secret: \"file:" + peer.name +
              ".secret\" and put the secret into private/" + peer.name + ".secret");
    } else if (shared == nullptr && peer.secret_file && !inventory.hosts.empty()) {
      diagnostics.bad(peer.at,
                      "foreign peer " + quoted(peer.name) +
                          " has a 'secret' that 'auth: cert' does not use; take one of them out");
    }
  }
}

}  // namespace

void check_inventory(const Inventory& inventory, Diagnostics& diagnostics) {
  check_count(inventory, diagnostics);
  const std::vector<Member> all = members(inventory);
  check_names(all, diagnostics);
  check_identities(all, diagnostics);
  check_overlaps(all, diagnostics);
  check_local_subnets(inventory, diagnostics);
  check_families(inventory, diagnostics);
  check_agreement(inventory, "mode", &SettingsLayer::mode, diagnostics);
  check_agreement(inventory, "protect", &SettingsLayer::protect, diagnostics);
  check_agreement(inventory, "except", &SettingsLayer::except, diagnostics);
  check_agreement(inventory, "only", &SettingsLayer::only, diagnostics);
  check_agreement(inventory, "auth", &SettingsLayer::auth, diagnostics);
  check_agreement(inventory, "ppk", &SettingsLayer::ppk, diagnostics);
  check_agreement(inventory, "proposals", &SettingsLayer::ike_proposals, diagnostics);
  check_agreement(inventory, "proposals", &SettingsLayer::esp_proposals, diagnostics);
  check_agreement(inventory, "esn", &SettingsLayer::esn, diagnostics);
  check_secrets(inventory, diagnostics);
  check_manual(inventory, diagnostics);
}

}  // namespace espalier::config
