// What `espalier check` found, as text and as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/inventory.hpp"
#include "mesh/certificate_dates.hpp"
#include "mesh/plan.hpp"

namespace espalier::cli {

struct CheckReport {
  std::string file;
  std::vector<config::Diagnostic> diagnostics;  // any: the file is wrong, and the rest is empty
  std::string mesh;
  std::size_t hosts = 0;
  std::size_t foreign = 0;
  std::optional<mesh::HostPlan> plan;  // of the host that was asked for, if it is known
  std::vector<mesh::RequiredFile> files;
  std::string no_plan;  // why there is no plan
  // Of the certificates beside the inventory, as far as they are there.
  std::vector<mesh::DateNotice> certificates;
  std::vector<std::string> faults;  // what a daemon with them would not start with
  // What only the kernel dataplane has: the faults that the file would have without it.
  std::vector<config::Diagnostic> kernel_only;
};

class Environment;
// Fills `certificates` and `faults` from the folder of the inventory; `files` is there already.
void check_certificates(Environment& env, CheckReport& report);

std::string check_text(const CheckReport& report);
std::string check_json(const CheckReport& report);

}  // namespace espalier::cli
