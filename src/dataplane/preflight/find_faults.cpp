#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "dataplane/preflight/facts.hpp"
#include "dataplane/preflight/firewall.hpp"
#include "dataplane/userspace/ours.hpp"

namespace espalier::dataplane::preflight {
namespace {

std::optional<long> number(const HostFacts& facts, const std::string& path) {
  const auto file = facts.files.find(path);
  if (file == facts.files.end()) return std::nullopt;
  long value = 0;
  const std::string& text = file->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

class Finder {
 public:
  Finder(const HostFacts& facts, const Needs& needs) : facts_(facts), needs_(needs) {}

  std::vector<Finding> find() {
    modules();
    esp();
    statistics();
    interfaces();
    sysctls();
    conntrack();
    neighbours();
    for (const userspace::Warning& warning : facts_.userspace_warnings) {
      add("host-setting", Severity::kWarning, warning.text, warning.command);
    }
    firewall();
    old_vpns();
    std::stable_sort(found_.begin(), found_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
    return std::move(found_);
  }

 private:
  void add(std::string code, Severity severity, std::string text, std::string command = "") {
    found_.push_back({std::move(code), severity, std::move(text), std::move(command)});
  }

  bool modules_are_gone() const {
    return !facts_.module_folders.empty() &&
           std::find(facts_.module_folders.begin(), facts_.module_folders.end(), facts_.release) ==
               facts_.module_folders.end();
  }

  void modules() {
    if (!modules_are_gone()) return;
    add("modules-gone", Severity::kFault,
        fmt::format(
            "The kernel that runs is {}, and on disk are modules of {} only: it was upgraded "
            "under this system, and no module of the running one can be loaded any more.",
            facts_.release, fmt::join(facts_.module_folders, ", ")),
        "reboot");
  }

  void esp() {
    if (!facts_.suites) {
      if (facts_.suites_not_permitted) {
        add("not-root", Severity::kNote,
            "Whether this kernel has ESP was not tried: that needs root.",
            "sudo espalier check --host");
      } else {
        add("no-xfrm", Severity::kWarning,
            facts_.suites_error + " The userspace dataplane works without it.",
            "modprobe xfrm_user");
      }
      return;
    }
    std::vector<std::string> missing;
    for (const kernel::SuiteTrial& trial : *facts_.suites) {
      if (!trial.error.empty()) missing.push_back(trial.suite);
    }
    if (missing.empty()) return;
    const bool all = missing.size() == facts_.suites->size();
    const std::string why =
        std::find_if(facts_.suites->begin(), facts_.suites->end(), [](const auto& one) {
          return !one.error.empty();
        })->error;
    if (all) {
      add("no-esp", needs_.transport ? Severity::kFault : Severity::kWarning,
          fmt::format(
              "This kernel takes no ESP SA ({}). The userspace dataplane works without it{}.", why,
              needs_.transport ? ", but not in transport mode" : ""),
          modules_are_gone() ? "reboot" : "modprobe -a esp4 esp6 gcm ccm authenc");
      return;
    }
    for (const std::string& suite : missing) {
      add("no-cipher", Severity::kWarning,
          fmt::format("This kernel does not have {} for ESP{}. Name proposals without it, or pairs "
                      "with the kernel dataplane may choose it and fail.",
                      suite, in_proc_crypto(suite) ? ", although /proc/crypto lists it" : ""),
          module_of(suite));
    }
  }

  static std::string crypto_name(const std::string& suite) {
    if (suite.find("gcm") != std::string::npos) return "gcm(aes)";
    if (suite.find("chacha") != std::string::npos) return "rfc7539(chacha20,poly1305)";
    return "cbc(aes)";
  }
  bool in_proc_crypto(const std::string& suite) const {
    const auto file = facts_.files.find("/proc/crypto");
    return file != facts_.files.end() &&
           file->second.find(": " + crypto_name(suite) + "\n") != std::string::npos;
  }
  static std::string module_of(const std::string& suite) {
    if (suite.find("gcm") != std::string::npos) return "modprobe gcm";
    if (suite.find("chacha") != std::string::npos) return "modprobe chacha20poly1305";
    return "modprobe authenc";
  }

  void statistics() {
    if (facts_.files.contains("/proc/net/xfrm_stat")) return;
    add("no-xfrm-statistics", Severity::kNote,
        "This kernel has no XFRM statistics (CONFIG_XFRM_STATISTICS): packets that IPsec drops are "
        "counted nowhere.");
  }

  void interfaces() {
    if (facts_.has_module_file) return;
    add("no-xfrm-interface", Severity::kNote,
        "This kernel has no XFRM interfaces (CONFIG_XFRM_INTERFACE), which routing protocols over "
        "IPsec want; nothing else needs them.");
  }

  void sysctls() {
    int major = 0, minor = 0;
    const bool parsed = std::sscanf(facts_.release.c_str(), "%d.%d", &major, &minor) == 2;
    const auto thresh = number(facts_, "/proc/sys/net/ipv4/xfrm4_gc_thresh");
    const bool small = parsed && major == 3 && minor >= 6 && minor < 13;
    if (small && thresh && *thresh <= 1024) {
      add("gc-thresh", Severity::kFault,
          fmt::format("net.ipv4.xfrm4_gc_thresh is {}, and kernels 3.6 to 3.12 refuse new "
                      "connections at twice that: too few for a mesh.",
                      *thresh),
          "sysctl -w net.ipv4.xfrm4_gc_thresh=32768");
    }
    const auto larval = number(facts_, "/proc/sys/net/core/xfrm_larval_drop");
    if (needs_.trap && larval && *larval == 1) {
      add("larval-drop", Severity::kWarning,
          "net.core.xfrm_larval_drop is 1: with `start: trap` the first packet to a peer is lost "
          "while its SA is made.",
          "sysctl -w net.core.xfrm_larval_drop=0");
    }
    const auto expires = number(facts_, "/proc/sys/net/core/xfrm_acq_expires");
    if (expires && *expires > 60) {
      add("acq-expires", Severity::kWarning,
          fmt::format("net.core.xfrm_acq_expires is {} s: so long after a failed attempt traffic "
                      "does not ask for an SA again.",
                      *expires),
          "sysctl -w net.core.xfrm_acq_expires=30");
    }
  }

  void conntrack() {
    const auto count = number(facts_, "/proc/sys/net/netfilter/nf_conntrack_count");
    const auto most = number(facts_, "/proc/sys/net/netfilter/nf_conntrack_max");
    if (count && most && *most > 0 && *count * 10 >= *most * 9) {
      add("conntrack-full", Severity::kFault,
          fmt::format(
              "The connection table holds {} of {} entries: when it is full, IKE and ESP of "
              "new peers are dropped with everything else.",
              *count, *most),
          fmt::format("sysctl -w net.netfilter.nf_conntrack_max={}", *most * 4));
    }
    const auto generic = number(facts_, "/proc/sys/net/netfilter/nf_conntrack_generic_timeout");
    if (generic && *generic < 60) {
      add("conntrack-esp", Severity::kWarning,
          fmt::format("net.netfilter.nf_conntrack_generic_timeout is {} s: a firewall that goes by "
                      "connections forgets a peer's ESP after so much silence.",
                      *generic),
          "sysctl -w net.netfilter.nf_conntrack_generic_timeout=600");
    }
  }

  void neighbours() {
    for (const char* family : {"ipv4", "ipv6"}) {
      const auto most =
          number(facts_, fmt::format("/proc/sys/net/{}/neigh/default/gc_thresh3", family));
      if (!most || static_cast<long>(needs_.hosts) < *most) continue;
      add("neighbour-table", Severity::kWarning,
          fmt::format("The mesh has {} hosts, and this kernel keeps {} {} neighbours at most: on "
                      "one link they push one another out.",
                      needs_.hosts, *most, family),
          fmt::format("sysctl -w net.{}.neigh.default.gc_thresh3={}", family, needs_.hosts * 4));
    }
  }

  struct Wanted {
    const char* what;
    Probe probe;
    const char* nft;
    const char* iptables;
    const char* ufw;
  };

  void judge(const Wanted& wanted, const Judgement& judgement, bool nft) {
    if (judgement.fate == Fate::kPasses) return;
    const bool sure = judgement.fate == Fate::kDropped;
    std::string command = facts_.ufw ? wanted.ufw : wanted.iptables;
    // "policy of chain input of table inet filter": where the rule belongs.
    const std::size_t chain = judgement.where.rfind("chain ");
    const std::size_t table = judgement.where.rfind(" of table ");
    if (nft && !facts_.ufw && chain != std::string::npos && table != std::string::npos) {
      const std::string name = judgement.where.substr(chain + 6, table - chain - 6);
      command = fmt::format("nft insert rule {} {} {} accept", judgement.where.substr(table + 10),
                            name, wanted.nft);
    } else if (wanted.probe.v6 && !facts_.ufw) {
      command = "ip6" + command.substr(2);
    }
    add(sure ? "firewall-drops" : "firewall-unclear", sure ? Severity::kFault : Severity::kNote,
        fmt::format("{} over {} {} by {}.", wanted.what, wanted.probe.v6 ? "IPv6" : "IPv4",
                    sure ? "is dropped" : "may be let in by a rule above, or else is dropped",
                    judgement.where),
        std::move(command));
  }

  void firewall() {
    using userspace::kIkePort;
    using userspace::kNatTPort;
    constexpr std::uint8_t kUdp = policy::kProtocolUdp, kEsp = 50;
    for (const bool v6 : {false, true}) {
      if (v6 ? !needs_.v6 : !needs_.v4) continue;
      const Wanted wanted[] = {{"IKE (udp/500)",
                                {kUdp, kIkePort, v6},
                                "udp dport 500",
                                "iptables -I INPUT -p udp --dport 500 -j ACCEPT",
                                "ufw allow 500/udp"},
                               {"IKE and ESP behind NAT (udp/4500)",
                                {kUdp, kNatTPort, v6},
                                "udp dport 4500",
                                "iptables -I INPUT -p udp --dport 4500 -j ACCEPT",
                                "ufw allow 4500/udp"},
                               {"ESP",
                                {kEsp, 0, v6},
                                "meta l4proto esp",
                                "iptables -I INPUT -p esp -j ACCEPT",
                                "ufw allow proto esp from any"}};
      for (const Wanted& one : wanted) {
        if (facts_.nft) judge(one, judge_nft(*facts_.nft, one.probe), true);
        const auto& legacy = v6 ? facts_.iptables6 : facts_.iptables4;
        if (legacy) judge(one, judge_iptables(*legacy, one.probe), false);
      }
    }
  }

  // Whether a UDP socket is bound to the port: "  12: 00000000:CA6C ...".
  bool has_udp_port(std::uint16_t port) const {
    for (const char* path : {"/proc/net/udp", "/proc/net/udp6"}) {
      const auto file = facts_.files.find(path);
      if (file == facts_.files.end()) continue;
      if (file->second.find(fmt::format(":{:04X} 0", port)) != std::string::npos) return true;
    }
    return false;
  }

  void old_vpns() {
    for (const policy::ServiceWord& word : policy::service_words()) {
      if (!word.vpn || word.word == "ipsec") continue;
      const auto runs = [&](const policy::Service& one) {
        return one.protocol == policy::kProtocolUdp && has_udp_port(one.first_port);
      };
      const bool excepted =
          std::all_of(word.services.begin(), word.services.end(), [&](const policy::Service& one) {
            return std::find(needs_.except.begin(), needs_.except.end(), one) !=
                   needs_.except.end();
          });
      if (excepted || !std::any_of(word.services.begin(), word.services.end(), runs)) continue;
      add("old-vpn", Severity::kWarning,
          fmt::format("{} seems to run on this host ({}): to a peer of the mesh its own packets "
                      "would go inside IPsec, protected twice, and each would wait for the other. "
                      "Add `{}` to `except` while both run.",
                      word.word, word.what, word.word));
    }
  }

  const HostFacts& facts_;
  const Needs& needs_;
  std::vector<Finding> found_;
};

}  // namespace

std::string_view name(Severity severity) {
  switch (severity) {
    case Severity::kFault: return "fault";
    case Severity::kWarning: return "warning";
    case Severity::kNote: return "note";
  }
  return "";
}

std::vector<Finding> find_faults(const HostFacts& facts, const Needs& needs) {
  return Finder(facts, needs).find();
}

Choice choose(const std::optional<std::vector<kernel::SuiteTrial>>& suites,
              const std::string& suites_error) {
  if (!suites) return {false, "userspace: " + suites_error};
  std::vector<std::string> missing;
  for (const kernel::SuiteTrial& trial : *suites) {
    if (!trial.error.empty()) missing.push_back(trial.suite);
  }
  if (missing.empty()) {
    return {true, fmt::format("kernel: it has ESP with every suite of the default proposals ({})",
                              suites->size())};
  }
  if (missing.size() == suites->size()) {
    return {false, fmt::format("userspace: this kernel has no ESP ({})", suites->front().error)};
  }
  return {false, fmt::format("userspace: this kernel's ESP lacks {}", fmt::join(missing, ", "))};
}

}  // namespace espalier::dataplane::preflight
