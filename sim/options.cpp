#include "sim/options.hpp"

#include <algorithm>

#include "config/words.hpp"

namespace espalier::sim {
namespace {

Status known(const config::Inventory& inventory, const std::string& name, std::string_view option) {
  if (inventory.find_host(name) != nullptr || inventory.find_foreign(name) != nullptr) return {};
  std::vector<std::string_view> names;
  for (const config::Host& host : inventory.hosts) names.push_back(host.name);
  for (const config::Foreign& peer : inventory.foreign) names.push_back(peer.name);
  return make_error(ErrorCode::kInvalidArgument, std::string(option) + ": " + inventory.file +
                                                     " has no host '" + name + "'" +
                                                     config::suggestion(name, names) + ".");
}

}  // namespace

Status check(const Options& options, const config::Inventory& inventory) {
  for (const Reboot& one : options.reboots) TRY(known(inventory, one.host, "--reboot"));
  for (const Restart& one : options.restarts) TRY(known(inventory, one.host, "--restart"));
  for (const Rebind& one : options.rebinds) TRY(known(inventory, one.host, "--rebind"));
  for (const Move& one : options.moves) TRY(known(inventory, one.host, "--move"));
  for (const Expire& one : options.expires) {
    TRY(known(inventory, one.host, one.hard ? "--expire" : "--soft-expire"));
  }
  for (const Vanish& one : options.vanishes) TRY(known(inventory, one.host, "--vanish"));
  for (const Netsplit& one : options.netsplits) {
    const std::string_view option = one.one_way ? "--oneway" : "--netsplit";
    TRY(known(inventory, one.a, option));
    TRY(known(inventory, one.b, option));
    if (one.a == one.b) {
      return make_error(ErrorCode::kInvalidArgument, std::string(option) + ": '" + one.a +
                                                         "' cannot be split from itself; name two "
                                                         "hosts.");
    }
  }
  return {};
}

Status check_names(const std::vector<std::string>& names, const config::Inventory& inventory,
                   std::string_view option) {
  for (const std::string& name : names) TRY(known(inventory, name, option));
  return {};
}

Duration last_fault(const Options& options) {
  Duration last{};
  for (const Reboot& one : options.reboots) last = std::max(last, one.at + options.downtime);
  for (const Restart& one : options.restarts) last = std::max(last, one.at + options.downtime);
  for (const Netsplit& one : options.netsplits) last = std::max(last, one.at + one.length);
  for (const Kill& one : options.kills) last = std::max(last, one.at);
  for (const Rebind& one : options.rebinds) last = std::max(last, one.at);
  for (const Move& one : options.moves) last = std::max(last, one.at + one.length);
  for (const Expire& one : options.expires) last = std::max(last, one.at);
  for (const Vanish& one : options.vanishes) last = std::max(last, one.at + kRepairEvery);
  return last;
}

}  // namespace espalier::sim
