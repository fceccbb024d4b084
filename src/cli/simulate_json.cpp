#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/simulate_report.hpp"
#include "control/version.hpp"

namespace espalier::cli {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json spread(const std::vector<double>& values) {
  std::optional<double> most;
  if (!values.empty()) most = *std::max_element(values.begin(), values.end());
  return Json{{"median", number_or_null(median(values))}, {"max", number_or_null(most)}};
}

Json down_json(const SimulateReport::Down& down) {
  const sim::PairOutcome& pair = down.worst;
  return Json{{"pair", pair.a + "-" + pair.b},
              {"hosts", Json::array({pair.a, pair.b})},
              {"up_after_seconds", number_or_null(pair.up_after)},
              {"down_seconds", pair.down},
              {"longest_seconds", pair.longest},
              {"times", pair.downs},
              {"broken", !pair.broken.empty()},
              {"reason", pair.broken.empty() ? Json(nullptr) : Json(pair.broken)},
              {"seed", down.seed},
              {"seeds", down.seeds}};
}

}  // namespace

std::string simulate_json(const SimulateReport& report) {
  Json down = Json::array();
  for (const auto* one : worst_first(report)) down.push_back(down_json(*one));
  Json repeat = Json::array();
  for (const std::uint64_t seed : report.failed_seeds) repeat.push_back(repeat_line(report, seed));
  const Json out{
      {"version", std::string(control::kVersion)},
      {"file", report.file},
      {"mesh", report.mesh},
      {"arguments", report.arguments},
      {"hosts", report.hosts},
      {"pairs", report.pairs},
      {"seed", report.first_seed},
      {"seeds", report.seeds},
      {"real_crypto_seeds", report.real_seeds},
      {"broken_pairs", report.broken_pairs},
      {"violations", report.violations},
      {"violation_count", report.violation_count},
      {"messages", report.messages},
      {"ike_sas", report.ike_sas},
      {"child_sas", report.child_sas},
      {"virtual_seconds_to_whole", spread(report.whole)},
      {"virtual_seconds_to_heal", spread(report.healed)},
      {"whole_seeds", report.whole.size()},
      {"virtual_seconds", report.virtual_seconds},
      {"wall_seconds", report.wall_seconds},
      {"bytes_per_pair", report.bytes_per_pair ? Json(*report.bytes_per_pair) : Json(nullptr)},
      {"down", std::move(down)},
      {"killed", report.killed},
      {"notes", report.notes},
      {"failed_seeds", report.failed_seeds},
      {"repeat", std::move(repeat)}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace espalier::cli
