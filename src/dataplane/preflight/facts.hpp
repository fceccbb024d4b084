// What a host is like, as far as a mesh depends on it; and what of it is wrong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/kernel/trial.hpp"
#include "dataplane/userspace/host_setup.hpp"

namespace espalier::dataplane::preflight {

struct HostFacts {
  std::string release;  // uname -r
  // Files of /proc by their path; what is not there was not readable.
  std::map<std::string, std::string> files;
  std::vector<std::string> module_folders;  // of /lib/modules
  bool has_module_file = false;             // xfrm_interface.ko for the running kernel, or built in
  std::optional<std::vector<kernel::SuiteTrial>> suites;
  std::string suites_error;  // why there are none
  bool suites_not_permitted = false;
  std::optional<std::string> nft;                      // the ruleset
  std::optional<std::string> iptables4, iptables6;     // the legacy ones, where there are any
  std::vector<userspace::Warning> userspace_warnings;  // userspace::preflight()
  bool ufw = false;                                    // installed and enabled
};

enum class Severity : std::uint8_t {
  kFault,    // a mesh does not work, or not with the kernel dataplane
  kWarning,  // it hurts
  kNote,     // worth knowing
};
std::string_view name(Severity severity);

struct Finding {
  std::string code;  // "no-esp"; stable
  Severity severity = Severity::kWarning;
  std::string text;     // whole sentences
  std::string command;  // what mends it; empty: nothing does
  friend bool operator==(const Finding&, const Finding&) = default;
};

// What the inventory makes of it; nothing of this where there is none.
struct Needs {
  bool v4 = true, v6 = false;
  bool trap = false;
  bool transport = false;
  std::size_t hosts = 0;
  std::vector<policy::Service> except;  // of any pair
};

// Pure; the gravest first.
std::vector<Finding> find_faults(const HostFacts& facts, const Needs& needs);

// Which dataplane --dataplane auto takes, and why. Pure.
struct Choice {
  bool kernel = false;
  std::string why;  // a sentence
};
Choice choose(const std::optional<std::vector<kernel::SuiteTrial>>& suites,
              const std::string& suites_error);

// Reads them. Changes nothing but for try_suites(). Without root much is left out, and said.
HostFacts read_facts(const userspace::HostNetwork& network);

}  // namespace espalier::dataplane::preflight
