// `espalier check --host`: this machine, not the inventory.
#include <fmt/format.h>

#include <algorithm>

#include "cli/host_check.hpp"
#include "cli/inventory_file.hpp"
#include "cli/text.hpp"
#include "cli/verb.hpp"
#include "config/limits.hpp"
#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::cli {
namespace {

namespace preflight = dataplane::preflight;
using preflight::Severity;

void add_prefixes(const policy::SelectorList& selectors, std::vector<Prefix>& into) {
  for (const policy::TrafficSelector& selector : selectors) {
    for (const Prefix& prefix : policy::to_prefixes(selector)) into.push_back(prefix);
  }
}

// What the inventory asks of this host.
struct Wishes {
  preflight::Needs needs;
  dataplane::userspace::HostNetwork network;
};

Wishes wishes_of(const mesh::HostPlan& plan, std::size_t hosts) {
  Wishes wishes;
  wishes.needs = {false, false, false, false, hosts, {}};
  wishes.network.own_subnets = plan.own_subnets;
  const auto add = [&wishes](const policy::Connection& connection) {
    const policy::Bounds bounds = policy::bounds_of(connection);
    dataplane::userspace::ProtectedPair pair;
    pair.name = connection.name;
    add_prefixes(bounds.local, pair.local);
    add_prefixes(bounds.remote, pair.remote);
    wishes.network.pairs.push_back(std::move(pair));
    for (const IpAddress& address : connection.local_addresses) {
      (address.is_v4() ? wishes.needs.v4 : wishes.needs.v6) = true;
    }
    if (connection.start == policy::Start::kTrap) wishes.needs.trap = true;
    for (const policy::ChildConfig& child : connection.children) {
      if (child.mode == policy::Mode::kTransport) wishes.needs.transport = true;
    }
    auto& except = wishes.needs.except;
    except.insert(except.end(), connection.except.begin(), connection.except.end());
  };
  for (const policy::Connection& connection : plan.connections) add(connection);
  for (const policy::ManualTunnel& tunnel : plan.manual) add(policy::traffic_of(tunnel));
  return wishes;
}

}  // namespace

bool HostCheck::healthy() const {
  return std::all_of(findings.begin(), findings.end(),
                     [](const auto& one) { return one.severity == Severity::kNote; });
}

std::string host_check_text(const HostCheck& check) {
  std::string out =
      fmt::format("Kernel {}; --dataplane auto takes {}.\n", check.release, check.choice.why);
  out += check.inventory.empty()
             ? "No inventory was looked at: what only some meshes need is left out.\n"
             : fmt::format("For {} of {}:\n", printable(check.self), check.inventory);
  for (const auto& one : check.findings) {
    out += fmt::format("{}: {}\n", preflight::name(one.severity), printable(one.text));
    if (!one.command.empty()) out += fmt::format("    {}\n", printable(one.command));
  }
  if (check.findings.empty()) out += "Nothing to mend.\n";
  return out;
}

int run_host_check(Call& call) {
  HostCheck check;
  Wishes wishes;
  const bool named = !call.words().empty();
  const std::string path = named ? call.words().front() : call.config + "/mesh.yaml";
  const auto exists = call.env.read_file(path, config::kMaxFileOctets);
  const bool absent = !named && !exists && exists.error().code == ErrorCode::kNotFound;
  std::optional<config::LoadOutcome> outcome;
  if (!absent) {
    auto read = read_inventory(call.env, path, config::kKernelPlane);
    if (!read) return fail(call.env, read.error());
    outcome = std::move(*read);
  }
  if (outcome && !outcome->ok()) {
    call.env.err(fmt::format("espalier: {} has faults: see `espalier check {}`.\n", path, path));
    return kBadInputFile;
  }
  if (outcome) {
    const config::Inventory& inventory = *outcome->inventory;
    auto plan = plan_with_stand_ins(call, inventory);
    if (!plan) return fail(call.env, plan.error());
    wishes = wishes_of(*plan, inventory.hosts.size() + inventory.foreign.size());
    check.inventory = path;
    check.self = plan->self;
  }
  const preflight::HostFacts facts = call.env.host_facts(wishes.network);
  check.release = facts.release;
  check.choice = preflight::choose(facts.suites, facts.suites_error);
  check.findings = preflight::find_faults(facts, wishes.needs);
  call.env.out(call.has("--json") ? host_check_json(check) : host_check_text(check));
  return check.healthy() ? kDone : kFailed;
}

}  // namespace espalier::cli
