#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/check_report.hpp"
#include "policy/auth_words.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::cli {
namespace {

using Json = nlohmann::ordered_json;

template <class List, class Function>
Json array(const List& list, Function function) {
  Json out = Json::array();
  for (const auto& item : list) out.push_back(function(item));
  return out;
}

Json addresses(const std::vector<IpAddress>& list) {
  return array(list, [](const IpAddress& address) { return address.to_string(); });
}

template <class Proposal>
Json proposals(const SharedList<Proposal>& list) {
  return array(list, [](const Proposal& proposal) { return policy::words(proposal); });
}

Json selectors(const policy::SelectorList& list) {
  return array(list, [](const policy::TrafficSelector& ts) { return policy::to_string(ts); });
}

std::string_view start_word(policy::Start start) {
  switch (start) {
    case policy::Start::kNow: return "now";
    case policy::Start::kTrap: return "trap";
    case policy::Start::kNone: return "none";
  }
  return "";
}

Json child_json(const policy::ChildConfig& child) {
  return Json{{"name", child.name},
              {"mode", std::string(policy::name(child.mode))},
              {"local_ts", selectors(child.local_ts)},
              {"remote_ts", selectors(child.remote_ts)},
              {"proposals", proposals(child.proposals)}};
}

Json pair_json(const policy::Connection& pair) {
  return Json{{"name", pair.name},
              {"peer", pair.peer},
              {"local_addresses", addresses(pair.local_addresses)},
              {"remote_addresses", addresses(pair.remote_addresses)},
              {"local_id", policy::to_string(pair.local_id)},
              {"remote_id", policy::to_string(pair.remote_id)},
              {"auth", policy::auth_words(pair)},
              {"start", std::string(start_word(pair.start))},
              {"proposals", proposals(pair.proposals)},
              {"children", array(pair.children, child_json)}};
}

Json manual_json(const policy::ManualTunnel& tunnel) {
  return Json{{"name", tunnel.name},
              {"peer", tunnel.peer},
              {"suite", policy::suite_words(tunnel.suite)},
              {"mode", std::string(policy::name(tunnel.mode))},
              {"udp_encap", tunnel.udp_encap},
              {"local", tunnel.local.to_string()},
              {"remote", tunnel.remote.to_string()},
              {"local_ts", selectors(tunnel.local_ts)},
              {"remote_ts", selectors(tunnel.remote_ts)},
              {"spis", array(tunnel.keys, [](const policy::ManualKeys& keys) {
                 return Json{{"in", keys.spi_in.value},
                             {"in_hex", fmt::format("0x{:x}", keys.spi_in.value)},
                             {"out", keys.spi_out.value},
                             {"out_hex", fmt::format("0x{:x}", keys.spi_out.value)}};
               })}};
}

Json diagnostic_json(const config::Diagnostic& diagnostic) {
  return Json{{"file", diagnostic.file},
              {"line", diagnostic.line},
              {"column", diagnostic.column},
              {"code", std::string(name(diagnostic.code))},
              {"message", diagnostic.message}};
}

Json notice_json(const mesh::DateNotice& notice) {
  return Json{{"kind", std::string(mesh::name(notice.what.kind))},
              {"where", notice.what.where},
              {"subject", notice.what.subject},
              {"state", std::string(mesh::name(notice.state))},
              {"from", notice.what.from},
              {"until", notice.what.until},
              {"text", notice.text}};
}

}  // namespace

std::string check_json(const CheckReport& report) {
  Json out{{"file", report.file},
           {"ok", report.diagnostics.empty() && report.faults.empty()},
           {"diagnostics", array(report.diagnostics, diagnostic_json)},
           {"mesh", nullptr},
           {"hosts", report.hosts},
           {"foreign", report.foreign},
           {"dataplane", report.kernel_only.empty() ? "any" : "kernel"},
           {"self", nullptr},
           {"warnings", Json::array()},
           {"pairs", Json::array()},
           {"manual", Json::array()},
           {"files", Json::array()},
           {"faults", report.faults},
           {"certificates", array(report.certificates, notice_json)}};
  if (report.diagnostics.empty()) out["mesh"] = report.mesh;
  if (report.plan) {
    out["self"] = report.plan->self;
    out["warnings"] = report.plan->warnings;
    out["pairs"] = array(report.plan->connections, pair_json);
    out["manual"] = array(report.plan->manual, manual_json);
    out["files"] = array(report.files, [](const mesh::RequiredFile& file) {
      return Json{{"path", file.path}, {"why", file.why}};
    });
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace espalier::cli
