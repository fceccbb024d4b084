// Reading an inventory from a file, and finding oneself in it, for the verbs that work offline.
#pragma once

#include "cli/verb.hpp"
#include "config/inventory.hpp"
#include "mesh/plan.hpp"

namespace espalier::cli {

// Errors: kBadInput when the file cannot be read; the faults in it are in the outcome.
// `accepts`: what the verb can honour beyond what the daemon can.
Result<config::LoadOutcome> read_inventory(Environment& env, const std::string& path,
                                           config::Features accepts = {});

// --self if it is given, else the host name and then an own address. Errors: those of
// mesh::named_self() and mesh::find_self().
Result<std::string> chosen_self(Call& call, const config::Inventory& inventory);

// What that host would do, without reading a secret or a certificate: chance stands in for them.
// files: the plan's required_files() are put there.
Result<mesh::HostPlan> plan_with_stand_ins(Call& call, const config::Inventory& inventory,
                                           std::vector<mesh::RequiredFile>* files = nullptr);

}  // namespace espalier::cli
