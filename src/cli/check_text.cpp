#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/check_report.hpp"
#include "cli/text.hpp"
#include "config/scalars.hpp"
#include "policy/auth_words.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::cli {
namespace {

std::string addresses(const std::vector<IpAddress>& list) {
  if (list.empty()) return "any";
  std::vector<std::string> words;
  for (const auto& address : list) words.push_back(address.to_string());
  return fmt::format("{}", fmt::join(words, " "));
}

template <class Proposal>
std::string proposals(const SharedList<Proposal>& list) {
  std::vector<std::string> words;
  for (const auto& proposal : list) words.push_back(policy::words(proposal));
  return fmt::format("{}", fmt::join(words, " "));
}

std::string_view start_text(policy::Start start) {
  switch (start) {
    case policy::Start::kNow: return "at once";
    case policy::Start::kTrap: return "when traffic asks for it";
    case policy::Start::kNone: return "when the peer or `espalier up` starts it";
  }
  return "";
}

void append_connection(std::vector<std::vector<Cell>>& rows, const policy::Connection& pair) {
  const auto row = [&rows](std::string label, std::string value) {
    rows.push_back({Cell("    " + std::move(label)), Cell(printable(value))});
  };
  rows.push_back({Cell("  " + printable(pair.name))});
  row("local",
      fmt::format("{} as {}", addresses(pair.local_addresses), policy::to_string(pair.local_id)));
  row("remote",
      fmt::format("{} as {}", addresses(pair.remote_addresses), policy::to_string(pair.remote_id)));
  row("auth", policy::auth_words(pair));
  row("start", std::string(start_text(pair.start)));
  row("ike", proposals(pair.proposals));
  for (const auto& child : pair.children) {
    row("child", fmt::format("{}, {} mode", child.name, policy::name(child.mode)));
    row("  local", policy::to_string(child.local_ts));
    row("  remote", policy::to_string(child.remote_ts));
    row("  esp", proposals(child.proposals));
  }
}

void append_manual(std::vector<std::vector<Cell>>& rows, const policy::ManualTunnel& tunnel) {
  const auto row = [&rows](std::string label, std::string value) {
    rows.push_back({Cell("    " + std::move(label)), Cell(printable(value))});
  };
  rows.push_back({Cell("  " + printable(tunnel.name))});
  row("keys", fmt::format("manual, {}, {} mode{}", policy::suite_words(tunnel.suite),
                          policy::name(tunnel.mode), tunnel.udp_encap ? ", ESP in UDP" : ""));
  row("outside", fmt::format("{} to {}", tunnel.local.to_string(), tunnel.remote.to_string()));
  row("local", policy::to_string(tunnel.local_ts));
  row("remote", policy::to_string(tunnel.remote_ts));
  for (const auto& keys : tunnel.keys) {
    row("spi", fmt::format("in {}, out {}{}", policy::spi_words(keys.spi_in),
                           policy::spi_words(keys.spi_out),
                           keys.from ? ", from " + config::utc_text(*keys.from) : ""));
  }
}

}  // namespace

std::string check_text(const CheckReport& report) {
  std::string out;
  if (!report.diagnostics.empty()) {
    for (const auto& diagnostic : report.diagnostics) {
      out += printable(config::to_string(diagnostic)) + "\n";
    }
    return out;
  }
  const bool good = report.faults.empty();
  out = fmt::format("{}: mesh {}, {} host{}, {} foreign peer{}: {}.\n", report.file,
                    printable(report.mesh), report.hosts, report.hosts == 1 ? "" : "s",
                    report.foreign, report.foreign == 1 ? "" : "s",
                    good ? "no faults" : "no faults in it, but beside it");
  for (const auto& fault : report.faults) out += fmt::format("fault: {}\n", printable(fault));
  for (const auto& notice : report.certificates) {
    out += fmt::format("warning: {}\n", printable(notice.text));
  }
  if (!report.kernel_only.empty()) {
    out += "It needs the kernel dataplane (espalierd --dataplane kernel); without that it has:\n";
    for (const auto& diagnostic : report.kernel_only) {
      out += "  " + printable(config::to_string(diagnostic)) + "\n";
    }
  }
  if (!report.plan) return out + report.no_plan + "\n";
  const mesh::HostPlan& plan = *report.plan;
  for (const auto& warning : plan.warnings) {
    out += fmt::format("warning: {}\n", printable(warning));
  }
  out += fmt::format("{} would have {} pair{}:\n", printable(plan.self),
                     plan.connections.size() + plan.manual.size(),
                     plan.connections.size() + plan.manual.size() == 1 ? "" : "s");
  std::vector<std::vector<Cell>> rows;
  for (const auto& pair : plan.connections) append_connection(rows, pair);
  for (const auto& tunnel : plan.manual) append_manual(rows, tunnel);
  out += render_table(rows, false);
  if (!report.files.empty()) out += "It needs, in the configuration folder:\n";
  for (const auto& file : report.files) {
    out += fmt::format("  {}: {}\n", printable(file.path), printable(file.why));
  }
  return out;
}

}  // namespace espalier::cli
