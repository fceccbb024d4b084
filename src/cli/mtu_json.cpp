// Apart from mtu_report.cpp because nlohmann-json alone takes most of the compile time.
#include <nlohmann/json.hpp>

#include "cli/mtu_report.hpp"

namespace espalier::cli {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<std::size_t>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json search_json(const std::optional<PathSearch>& search) {
  if (!search) return nullptr;
  return Json{{"probes", search->probes},
              {"told_mtu", number_or_null(search->told_mtu)},
              {"passed", number_or_null(search->passed)}};
}

Json row_json(const MtuRow& row) {
  const esp::Encapsulation& how = row.encapsulation;
  Json terms = Json::array();
  for (const MtuTerm& term : mtu_terms(row)) {
    terms.push_back(Json{{"name", term.name}, {"octets", term.octets}});
  }
  return Json{{"child", row.child.empty() ? Json(nullptr) : Json(row.child)},
              {"suite", row.suite},
              {"mode", std::string(policy::name(how.mode))},
              {"outer", how.outer == Family::kIpv4 ? "ipv4" : "ipv6"},
              {"udp_encap", how.udp_encap},
              {"packet", row.packet},
              {"wire", row.sum.total()},
              {"terms", std::move(terms)},
              {"largest_inner", row.largest},
              {"mss_ipv4", esp::tcp_mss(Family::kIpv4, row.largest)},
              {"mss_ipv6", esp::tcp_mss(Family::kIpv6, row.largest)}};
}

}  // namespace

std::string mtu_json(const MtuReport& report) {
  Json rows = Json::array();
  for (const MtuRow& row : report.rows) rows.push_back(row_json(row));
  const Json out{{"pair", report.pair.empty() ? Json(nullptr) : Json(report.pair)},
                 {"path_mtu", report.path_mtu},
                 {"path_known", report.path_known},
                 {"packets", std::move(rows)},
                 {"outside", search_json(report.outside)},
                 {"through", search_json(report.through)},
                 {"notes", report.notes}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace espalier::cli
