#include "config/inventory.hpp"

#include <algorithm>

#include "policy/proposal.hpp"

namespace espalier::config {
namespace {

template <class List>
auto find_named(const List& list, std::string_view name) -> decltype(list.data()) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.name == name; });
  return found == list.end() ? nullptr : &*found;
}

// The layers of one pair seen from one host, the strongest first. `other` counts only for what both
// ends have to agree on.
struct Layers {
  const SettingsLayer* pair = nullptr;
  const SettingsLayer* foreign = nullptr;
  const SettingsLayer* own = nullptr;
  const SettingsLayer* other = nullptr;
  const SettingsLayer* defaults = nullptr;

  template <class T>
  void own_choice(Maybe<T> SettingsLayer::*key, T& out) const {
    first_of({pair, foreign, own, defaults}, key, out);
  }
  // The line that says it; 0: none does.
  template <class T>
  std::uint32_t agreed(Maybe<T> SettingsLayer::*key, T& out) const {
    return first_of({pair, foreign, own, other, defaults}, key, out);
  }

 private:
  template <class T>
  static std::uint32_t first_of(std::initializer_list<const SettingsLayer*> layers,
                                Maybe<T> SettingsLayer::*key, T& out) {
    for (const SettingsLayer* layer : layers) {
      if (layer != nullptr && (layer->*key)) {
        out = (layer->*key)->value;
        return (layer->*key)->at.line;
      }
    }
    return 0;
  }
};

using Services = SharedList<policy::Service>;

void add_once(std::vector<policy::Service>& list, const Services& more, bool flip) {
  for (const policy::Service& service : more) {
    const policy::Service seen = flip ? policy::flipped(service) : service;
    if (std::find(list.begin(), list.end(), seen) == list.end()) list.push_back(seen);
  }
}

// Services as one end of a pair sees them. What one host says is about its own side; what both say,
// or `defaults` for both, holds at either end. `lower`: this host is the first name of a pair's
// key.
Services seen_from(const Layers& layers, bool lower, Maybe<Services> SettingsLayer::*key) {
  std::vector<policy::Service> list;
  const auto add = [&](const SettingsLayer* layer, bool flip) {
    if (layer == nullptr || !(layer->*key)) return false;
    add_once(list, (layer->*key)->value, flip);
    return true;
  };
  if (add(layers.pair, !lower) || add(layers.foreign, false)) return list;
  const bool own = add(layers.own, false);
  const bool other = add(layers.other, true);
  if (own || other) return list;
  add(layers.defaults, false);
  if (layers.other != nullptr) add(layers.defaults, true);
  return list;
}

}  // namespace

PairKey pair_key(const std::string& a, const std::string& b) {
  return a < b ? PairKey{a, b} : PairKey{b, a};
}

const Host* Inventory::find_host(std::string_view name) const { return find_named(hosts, name); }

const Foreign* Inventory::find_foreign(std::string_view name) const {
  return find_named(foreign, name);
}

bool Inventory::is_manual(std::string_view a, std::string_view b) const {
  return std::any_of(manual.begin(), manual.end(), [&](const Manual& one) {
    return (one.host == a && one.peer == b) || (one.host == b && one.peer == a);
  });
}

PairSettings Inventory::settings_between(std::string_view self, std::string_view peer) const {
  const Host* own = find_host(self);
  const Host* other = find_host(peer);
  const Foreign* stranger = find_foreign(peer);
  ASSERT(own != nullptr && (other != nullptr || stranger != nullptr));
  return settings_of(*own, other, stranger);
}

PairSettings Inventory::settings_between(const Host& self, const Host& peer) const {
  return settings_of(self, &peer, nullptr);
}

PairSettings Inventory::settings_between(const Host& self, const Foreign& peer) const {
  return settings_of(self, nullptr, &peer);
}

PairSettings Inventory::settings_of(const Host& own, const Host* other,
                                    const Foreign* stranger) const {
  Layers layers;
  const std::string peer = other != nullptr      ? other->name
                           : stranger != nullptr ? stranger->name
                                                 : std::string();
  if (!pairs.empty()) {
    const auto entry = pairs.find(pair_key(own.name, peer));
    if (entry != pairs.end()) layers.pair = &entry->second;
  }
  if (stranger != nullptr) layers.foreign = &stranger->settings;
  layers.own = &own.settings;
  if (other != nullptr) layers.other = &other->settings;
  layers.defaults = &defaults;

  PairSettings result;
  result.ike_proposals = policy::default_ike_proposals();
  result.esp_proposals = policy::default_esp_proposals();
  if (stranger != nullptr) {
    // Many a foreign peer rekeys children without a DH exchange unless told otherwise: our defaults
    // prefer one and take none too. Proposals that the file names are taken as they stand.
    std::vector<policy::EspProposal> list = result.esp_proposals;
    for (policy::EspProposal& proposal : list) proposal.dh.push_back(crypto::DhId::kNone);
    result.esp_proposals = std::move(list);
  }
  bool esn = true;
  result.lines[policy::Setting::kMode] = layers.agreed(&SettingsLayer::mode, result.mode);
  layers.agreed(&SettingsLayer::protect, result.protect);
  result.lines[policy::Setting::kAuth] = layers.agreed(&SettingsLayer::auth, result.auth);
  result.lines[policy::Setting::kPpk] = layers.agreed(&SettingsLayer::ppk, result.ppk);
  result.lines[policy::Setting::kIkeProposals] =
      layers.agreed(&SettingsLayer::ike_proposals, result.ike_proposals);
  result.lines[policy::Setting::kEspProposals] =
      layers.agreed(&SettingsLayer::esp_proposals, result.esp_proposals);
  layers.agreed(&SettingsLayer::esn, esn);
  layers.own_choice(&SettingsLayer::start, result.start);
  layers.own_choice(&SettingsLayer::ike_lifetime, result.lifetimes.ike);
  layers.own_choice(&SettingsLayer::child_lifetime, result.lifetimes.child);
  layers.own_choice(&SettingsLayer::reauth, result.lifetimes.reauth);
  layers.own_choice(&SettingsLayer::child_bytes, result.lifetimes.child_bytes);
  layers.own_choice(&SettingsLayer::child_packets, result.lifetimes.child_packets);
  layers.own_choice(&SettingsLayer::jitter_percent, result.lifetimes.jitter_percent);
  layers.own_choice(&SettingsLayer::dpd, result.dpd);
  layers.own_choice(&SettingsLayer::mobike, result.mobike);
  layers.own_choice(&SettingsLayer::fragmentation, result.fragmentation);
  layers.own_choice(&SettingsLayer::revocation, result.revocation);
  layers.own_choice(&SettingsLayer::replay_window, result.replay_window);
  layers.own_choice(&SettingsLayer::copy_df, result.outer.copy_df);
  layers.own_choice(&SettingsLayer::copy_ecn, result.outer.copy_ecn);
  layers.own_choice(&SettingsLayer::copy_dscp, result.outer.copy_dscp);
  layers.own_choice(&SettingsLayer::set_mark_out, result.outer.set_mark);
  layers.own_choice(&SettingsLayer::if_id_in, result.binding.if_id_in);
  layers.own_choice(&SettingsLayer::if_id_out, result.binding.if_id_out);
  layers.own_choice(&SettingsLayer::mark_in, result.binding.mark_in);
  layers.own_choice(&SettingsLayer::mark_out, result.binding.mark_out);
  layers.own_choice(&SettingsLayer::interface, result.interface);
  layers.own_choice(&SettingsLayer::encap, result.encap);
  layers.own_choice(&SettingsLayer::childless, result.childless);
  layers.own_choice(&SettingsLayer::resumption, result.resumption);
  const bool lower = own.name < peer;
  result.except = seen_from(layers, lower, &SettingsLayer::except);
  result.only = seen_from(layers, lower, &SettingsLayer::only);
  if (!esn) {
    std::vector<policy::EspProposal> list = result.esp_proposals;
    for (policy::EspProposal& proposal : list) {
      if (proposal.no_esn) proposal.esn = false;
    }
    result.esp_proposals = std::move(list);
  }
  return result;
}

}  // namespace espalier::config
