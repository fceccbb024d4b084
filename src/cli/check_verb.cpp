// `espalier check FILE`: an inventory without a daemon, and without the secrets it names.
#include <algorithm>

#include "cli/check_report.hpp"
#include "cli/inventory_file.hpp"
#include "cli/verb.hpp"
#include "mesh/lockout.hpp"

namespace espalier::cli {
namespace {

Status plan_host(Call& call, const config::Inventory& inventory, CheckReport& report) {
  auto self = chosen_self(call, inventory);
  if (!self) {
    // A file may well be checked on a machine that is none of its hosts.
    if (call.has("--self")) return self.error();
    report.no_plan = "No host's pairs are shown: " + self.error().message;
    return {};
  }
  TRY_ASSIGN(report.plan, plan_with_stand_ins(call, inventory, &report.files));
  return {};
}

// Pairs that are up carry what goes between their hosts already, logins too.
std::vector<std::string> pairs_that_are_up(Call& call) {
  std::vector<std::string> names;
  auto daemon = call.env.connect(call.socket());
  if (!daemon) return names;
  const auto status = fetch_status(**daemon);
  if (!status) return names;
  for (const control::PairStatus& pair : status->pairs) {
    if (pair.state == "up") names.push_back(pair.name);
  }
  return names;
}

// Whether the plan would cut the operator off.
std::optional<std::string> cuts_off(Call& call, const mesh::HostPlan& plan) {
  const std::vector<mesh::Login> logins = call.env.logins();
  if (!mesh::lockout(plan, nullptr, logins)) return std::nullopt;
  mesh::HostPlan rest = plan;
  const std::vector<std::string> up = pairs_that_are_up(call);
  const auto is_up = [&](const auto& one) {
    return std::find(up.begin(), up.end(), one.name) != up.end();
  };
  std::erase_if(rest.connections, is_up);
  std::erase_if(rest.manual, is_up);
  return mesh::lockout(rest, nullptr, logins);
}

}  // namespace

int run_check(Call& call) {
  if (call.has("--host")) return run_host_check(call);
  CheckReport report;
  report.file = call.words().empty() ? call.config + "/mesh.yaml" : call.words().front();
  auto outcome = read_inventory(call.env, report.file);
  if (!outcome) return fail(call.env, outcome.error());
  if (!outcome->ok()) {
    auto by_kernel = read_inventory(call.env, report.file, config::kKernelPlane);
    if (by_kernel && by_kernel->ok()) {
      report.kernel_only = std::move(outcome->diagnostics);
      outcome = std::move(by_kernel);
    }
  }
  report.diagnostics = outcome->diagnostics;
  if (outcome->ok()) {
    const config::Inventory& inventory = *outcome->inventory;
    report.mesh = inventory.mesh;
    report.hosts = inventory.hosts.size();
    report.foreign = inventory.foreign.size();
    if (const Status planned = plan_host(call, inventory, report); !planned) {
      return fail(call.env, planned.error());
    }
    check_certificates(call.env, report);
  }
  if (call.has("--json")) {
    call.env.out(check_json(report));
  } else if (outcome->ok()) {
    call.env.out(check_text(report));
  } else {
    call.env.err(check_text(report));
  }
  if (!outcome->ok() || !report.faults.empty()) return kBadInputFile;
  if (report.plan && !call.has("--force")) {
    if (const auto why = cuts_off(call, *report.plan)) {
      call.env.err("espalier: On this host, " + *why + " (--force).\n");
      return kFailed;
    }
  }
  return kDone;
}

}  // namespace espalier::cli
