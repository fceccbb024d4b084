// `espalier check FILE`: an inventory without a daemon, and without the secrets it names.
#include "cli/check_report.hpp"
#include "cli/inventory_file.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {
namespace {

// The plan does not depend on what the credentials hold, only on their being there; check is about
// the inventory. Chance stands in for them, so that no key of the check could ever be one in use.
Result<mesh::Credentials> stand_ins(Environment& env,
                                    const std::vector<mesh::RequiredFile>& files) {
  mesh::Credentials out;
  out.stand_ins = true;
  TRY_ASSIGN(out.mesh_secret, env.random(32));
  for (const auto& file : files) {
    using Kind = mesh::RequiredFile::Kind;
    if (file.kind == Kind::kForeignSecret) {
      TRY_ASSIGN(out.foreign_secrets[file.name], env.random(32));
    }
    if (file.kind == Kind::kCertificate) out.certificates = {{file.path, "", {Bytes{0}}}};
    if (file.kind == Kind::kPpk) {
      TRY_ASSIGN(out.ppks[file.name], env.random(32));
    }
    if (file.kind == Kind::kAnchors) out.anchors = {Bytes{0}};
  }
  return out;
}

Status plan_host(Call& call, const config::Inventory& inventory, CheckReport& report) {
  auto self = chosen_self(call, inventory);
  if (!self) {
    // A file may well be checked on a machine that is none of its hosts.
    if (call.has("--self")) return self.error();
    report.no_plan = "No host's pairs are shown: " + self.error().message;
    return {};
  }
  report.files = mesh::required_files(inventory, *self);
  TRY_ASSIGN(const mesh::Credentials credentials, stand_ins(call.env, report.files));
  TRY_ASSIGN(report.plan, mesh::compile(inventory, *self, credentials));
  return {};
}

}  // namespace

int run_check(Call& call) {
  CheckReport report;
  report.file = call.words().front();
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
  return outcome->ok() && report.faults.empty() ? kDone : kBadInputFile;
}

}  // namespace espalier::cli
