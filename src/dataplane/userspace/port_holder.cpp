#include "dataplane/userspace/port_holder.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

namespace espalier::dataplane::userspace {
namespace {

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

// Lines of /proc/net/udp: "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
// ...", the local address as HEXADDR:HEXPORT.
void collect_inodes(const char* path, std::uint16_t port, std::set<std::string>& inodes) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // the heading
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
        timeout >> inode;
    const auto colon = local.rfind(':');
    if (inode.empty() || colon == std::string::npos) continue;
    if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) inodes.insert(inode);
  }
}

std::string name_of(const std::string& pid) {
  std::ifstream comm("/proc/" + pid + "/comm");
  std::string name;
  std::getline(comm, name);
  return name;
}

bool holds_one_of(const std::string& pid, const std::set<std::string>& inodes) {
  const std::string folder = "/proc/" + pid + "/fd";
  Directory directory(opendir(folder.c_str()), closedir);
  if (!directory) return false;
  while (const dirent* entry = readdir(directory.get())) {
    char target[64];
    const auto length =
        readlink((folder + "/" + entry->d_name).c_str(), target, sizeof(target) - 1);
    if (length <= 0) continue;
    const std::string_view link(target, static_cast<std::size_t>(length));
    constexpr std::string_view kStart = "socket:[";
    if (link.substr(0, kStart.size()) != kStart || link.back() != ']') continue;
    const auto inode = link.substr(kStart.size(), link.size() - kStart.size() - 1);
    if (inodes.count(std::string(inode)) != 0) return true;
  }
  return false;
}

// The descriptors of a process with more rights than ours cannot be read (ptrace(2), "Ptrace access
// mode checking"), but its name can: an IKE daemon is then the likely holder of an IKE port.
std::optional<PortHolder> likely_holder() {
  Directory processes(opendir("/proc"), closedir);
  if (!processes) return std::nullopt;
  while (const dirent* entry = readdir(processes.get())) {
    const std::string pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (std::atoi(pid.c_str()) == getpid()) continue;
    const std::string name = name_of(pid);
    for (const char* daemon : {"charon", "pluto", "iked", "racoon", "espalierd"}) {
      if (name.rfind(daemon, 0) == 0) return PortHolder{name, std::atoi(pid.c_str())};
    }
  }
  return std::nullopt;
}

std::string what_to_stop(const std::string& process) {
  if (process.rfind("charon", 0) == 0) return "stop it (systemctl stop strongswan)";
  if (process == "pluto") return "stop it (systemctl stop ipsec)";
  if (process == "iked") return "stop it (systemctl stop openiked)";
  if (process == "racoon") return "stop it (systemctl stop racoon)";
  if (process == "espalierd")
    return "this host runs espalierd already; stop it (systemctl stop espalierd)";
  return "stop it";
}

}  // namespace

std::optional<PortHolder> find_udp_port_holder(std::uint16_t port) {
  std::set<std::string> inodes;
  collect_inodes("/proc/thread-self/net/udp", port, inodes);
  collect_inodes("/proc/thread-self/net/udp6", port, inodes);
  if (inodes.empty()) return std::nullopt;
  Directory processes(opendir("/proc"), closedir);
  if (!processes) return std::nullopt;
  while (const dirent* entry = readdir(processes.get())) {
    const std::string pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (!holds_one_of(pid, inodes)) continue;
    return PortHolder{name_of(pid), std::atoi(pid.c_str())};
  }
  return std::nullopt;
}

std::string describe_port_conflict(std::uint16_t port) {
  if (const auto holder = find_udp_port_holder(port)) {
    return fmt::format("UDP port {} is held by {} (pid {}): {} and start again.", port,
                       holder->process, holder->pid, what_to_stop(holder->process));
  }
  const std::string look = fmt::format("`ss -lunp sport = :{}` as root shows it", port);
  if (const auto likely = likely_holder()) {
    return fmt::format(
        "UDP port {} is held by another process, most likely {} (pid {}); {}. If it is, {} "
        "and start again.",
        port, likely->process, likely->pid, look, what_to_stop(likely->process));
  }
  return fmt::format(
      "UDP port {} is held by another process that cannot be named from here; {}. Stop it and "
      "start again.",
      port, look);
}

}  // namespace espalier::dataplane::userspace
