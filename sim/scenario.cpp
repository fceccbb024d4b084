#include "sim/scenario.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "crypto/rng.hpp"

namespace espalier::sim {
namespace {

constexpr std::array kIkeProposals = {"aes256gcm16-prfsha384-x25519",
                                      "aes128gcm16-prfsha256-ecp256", "aes256-sha256-modp2048",
                                      "chacha20poly1305-prfsha256-x25519", "aes128-sha256-ecp384"};
constexpr std::array kEspProposals = {"aes256gcm16",        "aes128gcm16-x25519",
                                      "chacha20poly1305",   "aes256-sha256-ecp256",
                                      "aes128gcm16-noesn",  "aes256gcm16-x25519-ecp256",
                                      "aes256gcm16-ecp384", "aes128-sha256-esn-noesn"};

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : rng_(seed ^ 0x5ce7a210) { out_.seed = seed; }

  Scenario make() {
    inventory();
    network();
    faults();
    dataplane();
    return std::move(out_);
  }

 private:
  // In [low, high].
  std::int64_t number(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng_.u64() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(int percent) { return number(1, 100) <= percent; }
  template <class List>
  auto one_of(const List& list) {
    return list[static_cast<std::size_t>(number(0, std::ssize(list) - 1))];
  }
  Duration millis(std::int64_t low, std::int64_t high) {
    return std::chrono::milliseconds(number(low, high));
  }
  // Small ones more often: half of the range is one in eight.
  double share(double most) {
    const double x = static_cast<double>(number(1, 1000)) / 1000;
    return std::max(1.0, std::round(x * x * x * most * 1e4)) / 1e4;
  }

  void inventory();
  std::string settings(bool whole_mesh);
  std::string lifetimes();
  std::string proposals();
  std::string addresses(int host);
  void pairs();
  void foreign();
  void network();
  void faults();
  void dataplane();
  std::string some_host() { return one_of(all_); }
  Duration moment() { return millis(0, chance(50) ? 3'000 : 90'000); }

  crypto::SeededRng rng_;
  Scenario out_;
  std::vector<std::string> hosts_, all_;
  std::string text_;
  bool v4_ = true;
  bool opens_ = false;  // what has no SA passes, so that nothing would wait for a trap  // the
                        // family that every host has
};

template <class List>
std::string some_of(const List& list, std::vector<std::size_t> chosen) {
  std::vector<std::string> words;
  for (const std::size_t index : chosen) words.emplace_back(list[index]);
  return fmt::format("[{}]", fmt::join(words, ", "));
}

std::string Maker::proposals() {
  const auto pick = [&](std::size_t size) {
    std::vector<std::size_t> all(size);
    for (std::size_t i = 0; i < size; ++i) all[i] = i;
    for (std::size_t i = size; i > 1; --i) {
      std::swap(all[i - 1], all[static_cast<std::size_t>(number(0, static_cast<int>(i) - 1))]);
    }
    all.resize(static_cast<std::size_t>(number(1, 3)));
    return all;
  };
  std::string text = "proposals: {";
  const int which = static_cast<int>(number(0, 2));
  if (which != 0) text += "ike: " + some_of(kIkeProposals, pick(kIkeProposals.size()));
  if (which == 2) text += ", ";
  if (which != 1) text += "esp: " + some_of(kEspProposals, pick(kEspProposals.size()));
  return text + "}";
}

// Short enough that rekeys fall into the faults, and collide.
std::string Maker::lifetimes() {
  const std::string reauth = chance(25) ? fmt::format("reauth: {}s, ", number(60, 400)) : "";
  return fmt::format("lifetimes: {{ike: {}s, child: {}s, {}jitter: {}%}}", number(30, 400),
                     number(15, 200), reauth, number(0, 40));
}

// Of a host or of the whole mesh. What two hosts must agree on is said for the whole mesh.
std::string Maker::settings(bool whole_mesh) {
  std::vector<std::string> out;
  const auto add = [&](int percent, const std::string& what) {
    if (chance(percent)) out.push_back(what);
  };
  add(30, lifetimes());
  add(40, fmt::format("dpd: {}s", number(2, 60)));
  add(15, "fragmentation: off");
  add(15, fmt::format("replay_window: {}", number(32, 4096)));
  add(10, "encap: always");
  if (!whole_mesh) {
    add(25, chance(50) && !opens_ ? "start: trap" : "start: none");
    return fmt::format("{}", fmt::join(out, ", "));
  }
  opens_ = chance(8);
  if (opens_) out.push_back("protect: use");
  add(8, "protect: require");
  if (!opens_) add(10, "start: trap");
  add(15, "esn: off");
  add(20, "mode: transport");
  add(10, "auth: cert");
  add(15, fmt::format("ppk: {{id: late, secret: \"file:late\", required: {}}}",
                      chance(50) ? "on" : "off"));
  add(40, proposals());
  return fmt::format("{}", fmt::join(out, ", "));
}

std::string Maker::addresses(int host) {
  std::vector<std::string> list{v4_ ? fmt::format("192.0.2.{}", host)
                                    : fmt::format("\"2001:db8::{:x}\"", host)};
  if (chance(35)) {
    list.push_back(v4_ ? fmt::format("\"2001:db8::{:x}\"", host) : fmt::format("192.0.2.{}", host));
  }
  if (chance(15)) {
    list.push_back(v4_ ? fmt::format("203.0.113.{}", host)
                       : fmt::format("\"2001:db8:1::{:x}\"", host));
  }
  if (chance(50)) std::reverse(list.begin(), list.end());
  return fmt::format("[{}]", fmt::join(list, ", "));
}

void Maker::foreign() {
  const auto count = number(1, 2);
  text_ += "foreign:\n";
  for (int i = 1; i <= count; ++i) {
    const std::string name = fmt::format("box{}", i);
    const bool nat = chance(40);
    std::vector<std::string> keys{fmt::format("id: {}.example.net, auth: psk", name),
                                  fmt::format("secret: \"file:{}\"", name)};
    const std::string address =
        v4_ ? fmt::format("198.51.100.{}", i) : fmt::format("\"2001:db8:f::{:x}\"", i);
    const std::string subnet =
        v4_ ? fmt::format("10.{}.0.0/16", 200 + i) : fmt::format("\"2001:db8:f{:x}::/48\"", i);
    if (!nat || chance(50)) keys.push_back("address: " + address);
    if (nat) keys.push_back("nat: on");
    if (nat || chance(50)) keys.push_back(fmt::format("subnets: [{}]", subnet));
    text_ += fmt::format("  {}: {{{}}}\n", name, fmt::join(keys, ", "));
    all_.push_back(name);
  }
}

// Some pairs are their own affair: the spokes of a hub have none between them.
void Maker::pairs() {
  std::vector<std::string> lines;
  const bool hub = hosts_.size() > 2 && chance(15);
  for (std::size_t a = 0; a < hosts_.size(); ++a) {
    for (std::size_t b = a + 1; b < hosts_.size(); ++b) {
      std::string what;
      if (hub && a > 0) {
        what = "protect: off";
      } else if (chance(12)) {
        switch (number(0, 4)) {
          case 0: what = "mode: transport"; break;
          case 1: what = proposals(); break;
          case 2: what = lifetimes(); break;
          case 3: what = chance(50) ? "protect: off" : "start: none"; break;
          default: what = "esn: off"; break;
        }
      }
      if (!what.empty()) {
        lines.push_back(fmt::format("  {}-{}: {{{}}}\n", hosts_[a], hosts_[b], what));
      }
    }
  }
  if (lines.empty()) return;
  text_ += "pairs:\n";
  for (const std::string& line : lines) text_ += line;
}

void Maker::inventory() {
  v4_ = chance(75);
  text_ = "mesh: random\n";
  if (const std::string defaults = settings(true); !defaults.empty()) {
    text_ += fmt::format("defaults: {{{}}}\n", defaults);
  }
  const bool groups = chance(25);
  if (groups) {
    std::string shared = settings(false);
    if (shared.empty()) shared = "dpd: 10s";
    text_ += fmt::format("groups:\n  some: {{{}}}\n", shared);
  }
  const auto count = number(2, chance(70) ? 4 : 8);
  text_ += "hosts:\n";
  for (int i = 1; i <= count; ++i) {
    const std::string name = fmt::format("h{}", i);
    std::string keys = "address: " + addresses(i);
    if (chance(25)) {
      keys += v4_ ? fmt::format(", subnets: [10.{}.0.0/16]", i)
                  : fmt::format(", subnets: [\"2001:db8:{:x}::/48\", 10.{}.0.0/16]", 0x100 + i, i);
    }
    if (groups && chance(50)) keys += ", groups: some";
    if (chance(25)) {
      if (const std::string own = settings(false); !own.empty()) keys += ", " + own;
    }
    text_ += fmt::format("  {}: {{{}}}\n", name, keys);
    hosts_.push_back(name);
  }
  all_ = hosts_;
  if (chance(20)) foreign();
  pairs();
  out_.inventory = std::move(text_);
}

void Maker::network() {
  NetworkOptions& network = out_.options.network;
  if (chance(70)) network.loss = share(0.4);
  if (chance(40)) network.duplication = share(0.5);
  if (chance(40)) network.held_back = share(0.2);
  network.latency = millis(0, chance(80) ? 20 : 400);
  if (chance(50)) network.jitter = millis(1, chance(80) ? 50 : 1000);
  out_.options.election = chance(35);
  if (chance(40)) out_.options.run_for = millis(1000, chance(70) ? 120'000 : 900'000);
  if (chance(25)) out_.options.drift_ppm = number(1, 2000);
}

void Maker::faults() {
  Options& options = out_.options;
  const auto times = [&](int percent, int most, const auto& what) {
    if (!chance(percent)) return;
    for (std::int64_t i = number(1, most); i > 0; --i) what();
  };
  options.downtime = millis(1, chance(50) ? 2'000 : 100'000);
  times(40, 4, [&] { options.reboots.push_back({some_host(), moment()}); });
  times(30, 4, [&] { options.restarts.push_back({some_host(), moment()}); });
  options.keep_state = chance(60);
  times(40, 4, [&] {
    Netsplit split{some_host(), some_host(), moment(), {}, chance(50)};
    split.length = millis(1, chance(50) ? 20'000 : 200'000);
    if (split.a != split.b) options.netsplits.push_back(split);
  });
  times(15, 2, [&] { options.kills.push_back({static_cast<double>(number(1, 40)), moment()}); });
  times(25, 3, [&] { options.rebinds.push_back({some_host(), moment()}); });
  times(25, 3, [&] { options.expires.push_back({some_host(), 100, moment(), chance(60)}); });
  times(20, 3, [&] { options.vanishes.push_back({some_host(), moment()}); });
  // Home again in the end: without it a pair that lost its IKE SA could not find the host.
  times(20, 3, [&] {
    options.moves.push_back({one_of(hosts_), moment(), millis(1, chance(50) ? 5'000 : 100'000)});
  });
  // As a command line has them: one kind after the other.
  std::stable_partition(options.netsplits.begin(), options.netsplits.end(),
                        [](const Netsplit& one) { return !one.one_way; });
  std::stable_partition(options.expires.begin(), options.expires.end(),
                        [](const Expire& one) { return one.hard; });
}

void Maker::dataplane() {
  if (chance(15)) out_.options.refuse = share(0.5);
  if (chance(10)) out_.options.sad_limit = static_cast<std::size_t>(number(1, 12));
}

void add_time(std::string& out, std::string_view option, Duration time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  out += fmt::format(" {} {}ms", option, ms);
}

void add_share(std::string& out, std::string_view option, double share) {
  if (share > 0) out += fmt::format(" {} {}", option, std::round(share * 1e4) / 1e2);
}

std::string at(Duration time) {
  return fmt::format("@{}ms", std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

}  // namespace

Scenario random_scenario(std::uint64_t seed) { return Maker(seed).make(); }

std::string arguments(const Options& options) {
  const Options plain;
  std::string out;
  add_share(out, "--loss", options.network.loss);
  add_share(out, "--duplicate", options.network.duplication);
  add_share(out, "--reorder", options.network.held_back);
  if (options.network.latency != plain.network.latency) {
    add_time(out, "--latency", options.network.latency);
  }
  if (options.network.jitter.count() > 0) add_time(out, "--jitter", options.network.jitter);
  for (const Reboot& one : options.reboots) out += " --reboot " + one.host + at(one.at);
  for (const Restart& one : options.restarts) out += " --restart " + one.host + at(one.at);
  const bool away = !options.reboots.empty() || !options.restarts.empty();
  if (away && options.downtime != plain.downtime) {
    add_time(out, "--downtime", options.downtime);
  }
  if (!options.keep_state) out += " --lose-state";
  for (const Netsplit& one : options.netsplits) {
    const auto length = std::chrono::duration_cast<std::chrono::milliseconds>(one.length).count();
    out += fmt::format(" {} {},{}{}+{}ms", one.one_way ? "--oneway" : "--netsplit", one.a, one.b,
                       at(one.at), length);
  }
  for (const Kill& one : options.kills) out += fmt::format(" --kill {}{}", one.percent, at(one.at));
  for (const Rebind& one : options.rebinds) out += " --rebind " + one.host + at(one.at);
  for (const Move& one : options.moves) {
    out += fmt::format(" --move {}{}+{}ms", one.host, at(one.at),
                       std::chrono::duration_cast<std::chrono::milliseconds>(one.length).count());
  }
  for (const Expire& one : options.expires) {
    out += fmt::format(" {} {}{}", one.hard ? "--expire" : "--soft-expire", one.host, at(one.at));
  }
  for (const Vanish& one : options.vanishes) out += " --vanish " + one.host + at(one.at);
  add_share(out, "--refuse", options.refuse);
  if (options.sad_limit > 0) out += fmt::format(" --sad-limit {}", options.sad_limit);
  if (options.drift_ppm > 0) out += fmt::format(" --drift {}", options.drift_ppm);
  if (options.election) out += " --election";
  if (options.crypto == Crypto::kReal) out += " --crypto real";
  if (options.crypto == Crypto::kSimulated) out += " --crypto simulated";
  if (options.run_for.count() > 0) add_time(out, "--for", options.run_for);
  return out;
}

}  // namespace espalier::sim
