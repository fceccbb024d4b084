#include <dirent.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "dataplane/preflight/facts.hpp"
#include "dataplane/userspace/nft.hpp"

namespace espalier::dataplane::preflight {
namespace {

// Of a file or of a program's output: a firewall of ten thousand rules.
constexpr std::size_t kMaxOctets = 4u << 20;

std::optional<std::string> read(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::string text;
  std::array<char, 65536> buffer;
  while (file.read(buffer.data(), buffer.size()) || file.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > kMaxOctets) break;
  }
  return text;
}

std::vector<std::string> folders(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (!folder) return names;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string name = entry->d_name;
    // One without its list of modules is a rest that nothing can be loaded from.
    if (name[0] != '.' && access((path + "/" + name + "/modules.dep").c_str(), R_OK) == 0) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

// What a program prints; nothing when it is not there or fails. The words are ours, no input's.
std::optional<std::string> output_of(const char* command) {
  FILE* pipe = popen(command, "re");
  if (pipe == nullptr) return std::nullopt;
  std::string text;
  std::array<char, 65536> buffer;
  for (std::size_t got = 1; got > 0 && text.size() < kMaxOctets;) {
    got = fread(buffer.data(), 1, buffer.size(), pipe);
    text.append(buffer.data(), got);
  }
  return pclose(pipe) == 0 && !text.empty() ? std::optional(std::move(text)) : std::nullopt;
}

bool has_xfrm_interfaces(const std::string& release) {
  if (access("/sys/module/xfrm_interface", F_OK) == 0) return true;
  const std::string folder = "/lib/modules/" + release;
  for (const char* list : {"/modules.dep", "/modules.builtin"}) {
    const auto text = read(folder + list);
    if (text && text->find("xfrm_interface") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

HostFacts read_facts(const userspace::HostNetwork& network) {
  HostFacts facts;
  utsname names{};
  uname(&names);
  facts.release = names.release;
  for (const char* path :
       {"/proc/crypto", "/proc/net/xfrm_stat", "/proc/net/udp", "/proc/net/udp6",
        "/proc/sys/net/ipv4/xfrm4_gc_thresh", "/proc/sys/net/core/xfrm_larval_drop",
        "/proc/sys/net/core/xfrm_acq_expires", "/proc/sys/net/netfilter/nf_conntrack_count",
        "/proc/sys/net/netfilter/nf_conntrack_max",
        "/proc/sys/net/netfilter/nf_conntrack_generic_timeout",
        "/proc/sys/net/ipv4/neigh/default/gc_thresh3",
        "/proc/sys/net/ipv6/neigh/default/gc_thresh3"}) {
    if (auto text = read(path)) facts.files[path] = std::move(*text);
  }
  facts.module_folders = folders("/lib/modules");
  facts.has_module_file = has_xfrm_interfaces(facts.release);
  if (auto trials = kernel::try_suites()) {
    facts.suites = std::move(*trials);
  } else {
    facts.suites_error = trials.error().message;
    facts.suites_not_permitted = trials.error().code == ErrorCode::kPermission;
  }
  if (auto rules = userspace::run_nft("list ruleset\n")) facts.nft = std::move(*rules);
  // The legacy tables load their modules when they are asked: only where they are in use already.
  if (const auto used = read("/proc/net/ip_tables_names"); used && !used->empty()) {
    facts.iptables4 = output_of("iptables-legacy-save 2>/dev/null");
  }
  if (const auto used = read("/proc/net/ip6_tables_names"); used && !used->empty()) {
    facts.iptables6 = output_of("ip6tables-legacy-save 2>/dev/null");
  }
  const auto ufw = read("/etc/ufw/ufw.conf");
  facts.ufw = ufw && ufw->find("\nENABLED=yes") != std::string::npos;
  facts.userspace_warnings = userspace::preflight(network);
  return facts;
}

}  // namespace espalier::dataplane::preflight
