#include "cli/mtu_report.hpp"

#include <fmt/format.h>

#include "cli/text.hpp"

namespace espalier::cli {
namespace {

std::string_view family_name(Family family) { return family == Family::kIpv4 ? "IPv4" : "IPv6"; }

std::string title(const MtuRow& row) {
  const esp::Encapsulation& how = row.encapsulation;
  return fmt::format("{}{}, {} mode, over {}{}",
                     row.child.empty() ? "" : "child " + printable(row.child) + ": ",
                     printable(row.suite), policy::name(how.mode), family_name(how.outer),
                     how.udp_encap ? ", ESP in UDP" : "");
}

std::string probed(const PathSearch& search) {
  std::string text = fmt::format("{} probes", search.probes);
  if (search.told_mtu) text += fmt::format(", told that {} octets fit", *search.told_mtu);
  if (search.passed) text += fmt::format(", the largest that was answered had {}", *search.passed);
  if (!search.told_mtu && !search.passed) text += ", no word";
  return text;
}

}  // namespace

Result<MtuRow> mtu_row(const std::string& child, const std::string& suite,
                       const esp::Encapsulation& encapsulation, std::size_t path_mtu,
                       std::size_t packet) {
  MtuRow row{child, suite, encapsulation, packet, {}, 0};
  TRY_ASSIGN(row.largest, esp::largest_inner(encapsulation, path_mtu));
  if (row.packet == 0) row.packet = row.largest;
  TRY_ASSIGN(row.sum, esp::packet_sum(encapsulation, row.packet));
  return row;
}

std::vector<MtuTerm> mtu_terms(const MtuRow& row) {
  const bool tunnel = row.encapsulation.mode == policy::Mode::kTunnel;
  const std::string ip(family_name(row.encapsulation.outer));
  std::vector<MtuTerm> terms;
  terms.push_back({(tunnel ? "outer " : "") + ip + " header", row.sum.ip,
                   tunnel ? "without options" : "the packet's own"});
  if (row.encapsulation.udp_encap) terms.push_back({"UDP header", row.sum.udp, "RFC 3948"});
  terms.push_back({"ESP header", row.sum.esp, "SPI and sequence number"});
  terms.push_back({"IV", row.sum.iv, ""});
  terms.push_back({tunnel ? "inner packet" : "payload", row.sum.payload,
                   tunnel ? "whole" : "what is behind the IP header"});
  terms.push_back({"padding", row.sum.padding, "to the cipher's block"});
  terms.push_back({"trailer", row.sum.trailer, "pad length and next header"});
  terms.push_back({"ICV", row.sum.icv, ""});
  return terms;
}

std::string mtu_text(const MtuReport& report) {
  std::string out;
  if (!report.pair.empty()) out += printable(report.pair) + "\n";
  for (const MtuRow& row : report.rows) {
    out += title(row) + "\n";
    out += fmt::format("A packet of {} octets has {} on the wire:\n", row.packet, row.sum.total());
    std::vector<std::vector<Cell>> cells;
    for (const MtuTerm& term : mtu_terms(row)) {
      cells.push_back({Cell("  " + term.name),
                       Cell(std::to_string(term.octets), Color::kNone, true), Cell(term.note)});
    }
    out += render_table(cells, false);
    out += fmt::format(
        "In a path MTU of {} octets{} fits a packet of {}: TCP MSS {} over IPv4, {} over IPv6.\n",
        report.path_mtu, report.path_known ? "" : " (assumed)", row.largest,
        esp::tcp_mss(Family::kIpv4, row.largest), esp::tcp_mss(Family::kIpv6, row.largest));
  }
  if (report.outside) out += "Outside the tunnel: " + probed(*report.outside) + ".\n";
  if (report.through) out += "Through the tunnel: " + probed(*report.through) + ".\n";
  for (const std::string& note : report.notes) out += printable(note) + "\n";
  return out;
}

}  // namespace espalier::cli
