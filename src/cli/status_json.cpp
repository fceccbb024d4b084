// Apart from status_text.cpp because nlohmann-json alone takes most of the compile time.
#include <nlohmann/json.hpp>

#include "cli/log_text.hpp"
#include "cli/status_text.hpp"

namespace espalier::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ike_json(const control::IkeStatus& ike) {
  Json out{{"state", ike.state},           {"role", ike.role},
           {"local", ike.local},           {"remote", ike.remote},
           {"local_id", ike.local_id},     {"remote_id", ike.remote_id},
           {"spi_local", ike.spi_local},   {"spi_remote", ike.spi_remote},
           {"suite", ike.suite},           {"established_s", ike.established_s},
           {"rekey_in_s", ike.rekey_in_s}, {"nat", ike.nat}};
  out["certificate"] = nullptr;
  if (!ike.certificate.empty()) {
    out["certificate"] = Json{{"subject", ike.certificate}, {"until", ike.certificate_until}};
  }
  return out;
}

Json certificate_json(const control::CertificateStatus& certificate) {
  return Json{{"kind", certificate.kind},       {"where", certificate.where},
              {"subject", certificate.subject}, {"state", certificate.state},
              {"from", certificate.from},       {"until", certificate.until},
              {"text", certificate.text}};
}

Json child_json(const control::ChildStatus& child) {
  return Json{{"name", child.name},
              {"mode", child.mode},
              {"state", child.state},
              {"suite", child.suite},
              {"spi_in", child.spi_in},
              {"spi_out", child.spi_out},
              {"reqid", child.reqid},
              {"bytes_in", child.bytes_in},
              {"bytes_out", child.bytes_out},
              {"packets_in", child.packets_in},
              {"packets_out", child.packets_out},
              {"installed_s", child.installed_s},
              {"rekey_in_s", child.rekey_in_s},
              {"local_ts", child.local_ts},
              {"remote_ts", child.remote_ts},
              {"udp_encap", child.udp_encap},
              {"manual", child.manual}};
}

Json pair_json(const control::PairStatus& pair) {
  Json out{{"name", pair.name}, {"peer", pair.peer},         {"state", pair.state},
           {"reason", nullptr}, {"attempts", pair.attempts}, {"next_retry_s", nullptr},
           {"ike", nullptr},    {"children", Json::array()}};
  if (pair.idle) out["idle"] = true;
  if (pair.reason) out["reason"] = *pair.reason;
  if (pair.next_retry_s) out["next_retry_s"] = *pair.next_retry_s;
  if (pair.ike) out["ike"] = ike_json(*pair.ike);
  for (const auto& child : pair.children) out["children"].push_back(child_json(child));
  return out;
}

// Octets that are no UTF-8 (a peer's text) are replaced: JSON must stay valid and nothing may
// throw.
std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace

std::string status_json(const control::StatusSnapshot& snapshot) {
  Json out{{"mesh", snapshot.mesh},
           {"self", snapshot.self},
           {"version", snapshot.version},
           {"dataplane", snapshot.dataplane},
           {"dataplane_why", snapshot.dataplane_why},
           {"generation", snapshot.generation},
           {"certificates", Json::array()},
           {"repairs", Json::object()},
           {"notes", snapshot.notes},
           {"pairs", Json::array()}};
  for (const auto& certificate : snapshot.certificates) {
    out["certificates"].push_back(certificate_json(certificate));
  }
  for (const auto& [name, count] : snapshot.repairs) out["repairs"][name] = count;
  for (const auto& pair : snapshot.pairs) out["pairs"].push_back(pair_json(pair));
  return dump(out, 2);
}

std::string reload_json(const control::ReloadReport& report) {
  return dump(Json{{"added", report.added},
                   {"removed", report.removed},
                   {"changed", report.changed},
                   {"unchanged", report.unchanged},
                   {"generation", report.generation}},
              2);
}

std::string log_json(const control::LogRecord& record) {
  return dump(Json{{"unix_ms", record.unix_ms},
                   {"level", std::string(name(record.level))},
                   {"room", record.room},
                   {"pair", record.pair},
                   {"text", record.text}},
              -1);
}

}  // namespace espalier::cli
