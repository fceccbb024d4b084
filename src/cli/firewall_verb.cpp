// `espalier firewall`: rules for the firewall that is there already.
#include "cli/firewall_rules.hpp"
#include "cli/inventory_file.hpp"
#include "cli/verb.hpp"

namespace espalier::cli {

int run_firewall(Call& call) {
  const int styles = (call.has("--nftables") ? 1 : 0) + (call.has("--iptables") ? 1 : 0) +
                     (call.has("--ufw") ? 1 : 0);
  if (styles > 1) {
    call.env.err("espalier: Give one of --nftables, --iptables and --ufw.\n");
    return kWrongUsage;
  }
  const std::string path = call.words().empty() ? call.config + "/mesh.yaml" : call.words().front();
  auto outcome = read_inventory(call.env, path, config::kKernelPlane);
  if (!outcome) return fail(call.env, outcome.error());
  if (!outcome->ok()) {
    call.env.err("espalier: " + path + " has faults: see `espalier check " + path + "`.\n");
    return kBadInputFile;
  }
  const auto plan = plan_with_stand_ins(call, *outcome->inventory);
  if (!plan) return fail(call.env, plan.error());
  if (call.has("--iptables")) {
    call.env.out(iptables_rules(*plan));
  } else if (call.has("--ufw")) {
    call.env.out(ufw_rules(*plan));
  } else {
    call.env.out(nftables_rules(*plan));
  }
  return kDone;
}

}  // namespace espalier::cli
