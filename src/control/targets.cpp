#include "control/targets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "control/fields.hpp"

namespace espalier::control {
namespace {

bool has_child(const ConnectionConfig& connection, const std::string& child) {
  return std::any_of(connection.children.begin(), connection.children.end(),
                     [&child](const auto& candidate) { return candidate.name == child; });
}

Result<Target> by_number(CommandContext& context, std::uint64_t ike_id, std::uint64_t child_id) {
  const StatusSnapshot snapshot = context.view.status();
  context.ids.update(snapshot);
  for (const auto& pair : snapshot.pairs) {
    if (ike_id != 0 && pair.ike && context.ids.ike(*pair.ike) == ike_id) {
      return Target{pair.name, "", pair.children.size()};
    }
    for (const auto& child : pair.children) {
      if (child_id != 0 && context.ids.child(child) == child_id) {
        return Target{pair.name, child.name, pair.children.size()};
      }
    }
  }
  return make_error(ErrorCode::kNotFound,
                    fmt::format("There is no {} SA with the number {}; list-sas shows those there "
                                "are.",
                                ike_id != 0 ? "IKE" : "child", ike_id != 0 ? ike_id : child_id));
}

// A child that only its own name tells: of one connection, or the name is a pair's.
Result<Target> by_child(CommandContext& context, const std::string& child) {
  std::vector<std::string> owners;
  std::size_t count = 0;
  for (const auto& connection : context.view.connections()) {
    if (!has_child(connection, child)) continue;
    owners.push_back(connection.name);
    count = connection.children.size();
  }
  if (owners.size() == 1) return Target{owners.front(), child, count};
  if (owners.size() > 1) {
    constexpr std::size_t kShown = 5;
    const std::size_t total = owners.size();
    if (total > kShown) owners.resize(kShown);
    return make_error(
        ErrorCode::kInvalidArgument,
        fmt::format("{} pairs have a child named {} ({}{}): name the pair as well.", total, child,
                    fmt::join(owners, ", "), total > kShown ? ", ..." : ""));
  }
  TRY_ASSIGN(const std::string pair, context.view.resolve(child));
  return Target{pair, "", 0};
}

}  // namespace

Result<Target> find_target(CommandContext& context, const Section& arguments) {
  const std::string ike = get(arguments, "ike");
  const std::string child = get(arguments, "child");
  // The README writes ike_id, swanctl sends ike-id.
  const std::uint64_t ike_id =
      std::max(get_number(arguments, "ike-id"), get_number(arguments, "ike_id"));
  const std::uint64_t child_id =
      std::max(get_number(arguments, "child-id"), get_number(arguments, "child_id"));
  if (ike_id != 0 || child_id != 0) return by_number(context, ike_id, child_id);
  if (ike.empty() && child.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      "The request names no pair: give ike, child, ike-id or child-id.");
  }
  if (ike.empty()) return by_child(context, child);
  TRY_ASSIGN(const std::string pair, context.view.resolve(ike));
  Target target{pair, child, 0};
  const auto connection = context.view.connection_config(pair);
  if (!connection) return target;
  target.child_count = connection->children.size();
  if (child.empty() || has_child(*connection, child)) return target;
  std::vector<std::string> names;
  for (const auto& candidate : connection->children) names.push_back(candidate.name);
  return make_error(ErrorCode::kNotFound, fmt::format("{} has no child named {}; it has {}.", pair,
                                                      child, fmt::join(names, ", ")));
}

}  // namespace espalier::control
