#include "cli/inventory_file.hpp"

#include "config/limits.hpp"
#include "mesh/plan.hpp"

namespace espalier::cli {

Result<config::LoadOutcome> read_inventory(Environment& env, const std::string& path,
                                           config::Features accepts) {
  auto text = env.read_file(path, config::kMaxFileOctets);
  if (!text) return make_error(ErrorCode::kBadInput, text.error().message);
  return config::load_inventory(*text, path, accepts);
}

Result<std::string> chosen_self(Call& call, const config::Inventory& inventory) {
  if (call.has("--self")) return mesh::named_self(inventory, call.options.get("--self", ""));
  return mesh::find_self(inventory, call.env.host_name(), call.env.own_addresses());
}

}  // namespace espalier::cli
