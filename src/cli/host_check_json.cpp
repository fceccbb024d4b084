#include <nlohmann/json.hpp>

#include "cli/host_check.hpp"

namespace espalier::cli {

std::string host_check_json(const HostCheck& check) {
  using Json = nlohmann::ordered_json;
  Json findings = Json::array();
  for (const auto& one : check.findings) {
    findings.push_back({{"code", one.code},
                        {"severity", std::string(dataplane::preflight::name(one.severity))},
                        {"text", one.text},
                        {"command", one.command.empty() ? Json() : Json(one.command)}});
  }
  const Json out{{"ok", check.healthy()},
                 {"inventory", check.inventory.empty() ? Json() : Json(check.inventory)},
                 {"self", check.self.empty() ? Json() : Json(check.self)},
                 {"kernel", check.release},
                 {"dataplane", check.choice.kernel ? "kernel" : "userspace"},
                 {"dataplane_why", check.choice.why},
                 {"findings", findings}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace espalier::cli
