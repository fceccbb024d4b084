// An inventory as a value: what mesh.yaml says, checked, before it is compiled to one host's
// connections (mesh/).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.hpp"
#include "config/diagnostic.hpp"
#include "policy/manual.hpp"
#include "policy/nouns.hpp"

namespace espalier::config {

// A value that the file gives, and where. Places do not take part in comparisons.
template <class T>
struct Given {
  T value{};
  Position at;
  friend bool operator==(const Given& a, const Given& b) { return a.value == b.value; }
};
template <class T>
using Maybe = std::optional<Given<T>>;

// `ppk`: a post-quantum preshared key (RFC 8784).
struct PpkSetting {
  std::string id;
  std::string secret_file;  // relative to private/
  bool required = true;
  friend bool operator==(const PpkSetting&, const PpkSetting&) = default;
};

// The settings of one layer: of `defaults`, a host, a foreign peer or a pair.
struct SettingsLayer {
  Maybe<policy::Mode> mode;
  Maybe<policy::Protect> protect;
  Maybe<policy::Start> start;
  Maybe<policy::AuthKind> auth;
  Maybe<std::optional<PpkSetting>> ppk;  // nothing inside: off
  Maybe<SharedList<policy::IkeProposal>> ike_proposals;
  Maybe<SharedList<policy::EspProposal>> esp_proposals;
  Maybe<Duration> ike_lifetime;
  Maybe<Duration> child_lifetime;
  Maybe<std::optional<Duration>> reauth;
  Maybe<std::optional<std::uint64_t>> child_bytes;
  Maybe<std::optional<std::uint64_t>> child_packets;
  Maybe<unsigned> jitter_percent;
  Maybe<Duration> dpd;
  Maybe<bool> mobike;
  Maybe<bool> fragmentation;
  Maybe<crypto::RevocationPolicy> revocation;
  Maybe<bool> esn;
  Maybe<std::uint32_t> replay_window;
  Maybe<bool> copy_df, copy_ecn;
  Maybe<policy::CopyDscp> copy_dscp;
  Maybe<std::optional<policy::Mark>> set_mark_out;
  Maybe<std::uint32_t> if_id_in, if_id_out;  // 0: none
  Maybe<std::optional<policy::Mark>> mark_in, mark_out;
  Maybe<std::optional<policy::TunnelDevice>> interface;  // nothing inside: none
  Maybe<policy::Encap> encap;
  Maybe<policy::Childless> childless;
  Maybe<bool> resumption;
  // A side is of whoever says it: `local` in a pair's entry is the lower name's end.
  Maybe<SharedList<policy::Service>> except;
  Maybe<SharedList<policy::Service>> only;
  friend bool operator==(const SettingsLayer&, const SettingsLayer&) = default;
};

// What holds for one host towards one peer, after all layers.
struct PairSettings {
  policy::Mode mode = policy::Mode::kTunnel;
  policy::Protect protect = policy::Protect::kRequire;
  policy::Start start = policy::Start::kNow;
  policy::AuthKind auth = policy::AuthKind::kPsk;
  std::optional<PpkSetting> ppk;
  SharedList<policy::IkeProposal> ike_proposals;
  SharedList<policy::EspProposal> esp_proposals;  // with `esn` applied
  policy::Lifetimes lifetimes;
  Duration dpd = 30s;
  bool mobike = true;
  bool fragmentation = true;
  crypto::RevocationPolicy revocation = crypto::RevocationPolicy::kRelaxed;
  std::uint32_t replay_window = 1024;  // packets
  policy::OuterHeader outer;
  policy::Binding binding;
  std::optional<policy::TunnelDevice> interface;
  policy::Encap encap = policy::Encap::kAuto;
  policy::Childless childless = policy::Childless::kAllow;
  bool resumption = false;
  SharedList<policy::Service> except;  // as this host sees it
  SharedList<policy::Service> only;
  policy::Lines lines;  // of what both ends have to agree on
  friend bool operator==(const PairSettings&, const PairSettings&) = default;
};

struct Host {
  std::string name;
  Position at;
  std::vector<IpAddress> addresses;  // at least one
  std::vector<Prefix> subnets;
  policy::Identity id;
  SettingsLayer settings;
};

struct Foreign {
  std::string name;
  Position at;
  std::vector<IpAddress> addresses;  // may be empty when nat
  std::vector<Prefix> subnets;
  policy::Identity id;
  std::optional<policy::Identity> local_id;  // ours towards this peer, instead of the host's
  std::optional<std::string> secret_file;    // relative to private/
  std::optional<std::vector<Prefix>> local_subnets;
  bool nat = false;
  policy::NullAuth null_auth = policy::NullAuth::kNone;
  std::optional<policy::Redirect> redirect;
  SettingsLayer settings;
};

// Keys of `manual`, of one period. in and out as `Manual::host` has them.
struct ManualPeriod {
  Position at;
  Spi spi_in, spi_out;
  std::optional<std::int64_t> from;  // seconds since 1970
  std::string secret_file;           // relative to private/
};
// A tunnel with manual keys. Between two hosts they have no IKE with each other.
struct Manual {
  std::string name;  // as the file has it, "host-peer"
  Position at;
  std::string host;
  std::string peer;
  bool between_hosts = false;
  std::vector<IpAddress> addresses;  // the peer's, one, unless it is a host
  std::vector<Prefix> subnets;       // behind it
  std::optional<std::vector<Prefix>> local_subnets;
  crypto::CipherSuite suite{crypto::EncrId::kAesCbc, 256, crypto::IntegId::kHmacSha2_256_128};
  policy::Mode mode = policy::Mode::kTunnel;
  bool udp_encap = false;
  std::uint32_t replay_window = 0;  // 0: off
  Duration overlap = 1h;
  std::vector<ManualPeriod> keys;  // by `from`
};

using PairKey = std::pair<std::string, std::string>;  // the lower name first, bytewise
PairKey pair_key(const std::string& a, const std::string& b);

struct Inventory {
  std::string file;
  std::string mesh;
  SettingsLayer defaults;
  std::vector<Host> hosts;       // in the file's order
  std::vector<Foreign> foreign;  // in the file's order
  std::map<PairKey, SettingsLayer> pairs;
  std::vector<Manual> manual;  // in the file's order

  const Host* find_host(std::string_view name) const;
  const Foreign* find_foreign(std::string_view name) const;
  // The two hosts' pair has manual keys, and no IKE.
  bool is_manual(std::string_view a, std::string_view b) const;
  // self: a host; peer: another host or a foreign peer. Both exist.
  PairSettings settings_between(std::string_view self, std::string_view peer) const;
  // The same, of those that were found already.
  PairSettings settings_between(const Host& self, const Host& peer) const;
  PairSettings settings_between(const Host& self, const Foreign& peer) const;
  // Towards somebody of whom the file says nothing else.
  PairSettings settings_of(const Host& self) const { return settings_of(self, nullptr, nullptr); }

 private:
  PairSettings settings_of(const Host& own, const Host* other, const Foreign* stranger) const;
};

struct LoadOutcome {
  std::optional<Inventory> inventory;   // only without any fault
  std::vector<Diagnostic> diagnostics;  // sorted by place
  bool ok() const { return inventory.has_value(); }
};

// Reads and checks a whole mesh.yaml; all faults are found at once. `file` is only for messages.
// What `accepts` does not have is refused by name.
LoadOutcome load_inventory(std::string_view text, std::string file, Features accepts = {});

}  // namespace espalier::config
