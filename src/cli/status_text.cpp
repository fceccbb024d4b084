#include "cli/status_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "cli/text.hpp"
#include "crypto/x509_text.hpp"
#include "policy/manual.hpp"

namespace espalier::cli {
namespace {

Color state_color(const std::string& state) {
  if (state == "up") return Color::kGreen;
  if (state == "connecting" || state == "waiting") return Color::kYellow;
  if (state == "disabled") return Color::kDim;
  return Color::kRed;
}

std::optional<std::int64_t> next_rekey(const control::PairStatus& pair) {
  std::optional<std::int64_t> soonest;
  const auto take = [&soonest](std::int64_t in_s) {
    if (in_s > 0 && (!soonest || in_s < *soonest)) soonest = in_s;
  };
  if (pair.ike) take(pair.ike->rekey_in_s);
  for (const auto& child : pair.children) take(child.rekey_in_s);
  return soonest;
}

std::string child_suites(const control::PairStatus& pair) {
  std::vector<std::string> suites;
  for (const auto& child : pair.children) {
    const std::string suite = printable(child.suite);
    if (std::find(suites.begin(), suites.end(), suite) == suites.end()) suites.push_back(suite);
  }
  return suites.empty() ? "-" : fmt::format("{}", fmt::join(suites, ","));
}

// Why a pair is not up and what the daemon does about it, or why one with manual keys, which is
// always up, is probably of no use; empty when there is nothing to say.
std::string trouble(const control::PairStatus& pair) {
  const bool manual = !pair.children.empty() && pair.children.front().manual;
  if (pair.state == "up" && !manual) return "";
  std::vector<std::string> parts;
  if (pair.attempts > 0) {
    parts.push_back(fmt::format("{} attempt{}", pair.attempts, pair.attempts == 1 ? "" : "s"));
  }
  if (pair.next_retry_s) parts.push_back("next in " + human_seconds(*pair.next_retry_s));
  std::string text = fmt::format("{}", fmt::join(parts, ", "));
  if (pair.reason) text += (text.empty() ? "" : ": ") + printable(*pair.reason);
  return text;
}

// "00001000" to "4096 (0x1000)": devices write the one or the other.
std::string both_ways(const std::string& digits) {
  std::uint32_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return policy::spi_words(Spi(value));
}

std::string repairs_text(const control::StatusSnapshot& snapshot) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : snapshot.repairs) {
    parts.push_back(fmt::format("{} {}", printable(name), count));
  }
  return fmt::format("somebody else changed the dataplane, and it was put right: {}",
                     fmt::join(parts, ", "));
}

void append_children(std::vector<std::vector<Cell>>& rows, const control::PairStatus& pair) {
  const auto row = [&rows](std::string label, std::string value) {
    rows.push_back({Cell("    " + std::move(label)), Cell(std::move(value))});
  };
  for (const auto& child : pair.children) {
    rows.push_back({Cell("  child " + printable(child.name), Color::kBold)});
    row("state", fmt::format("{}, {} mode, reqid 0x{:08x}", child.state, child.mode, child.reqid));
    row("suite", printable(child.suite));
    row("spi", child.manual
                   ? fmt::format("in {}, out {}", both_ways(child.spi_in), both_ways(child.spi_out))
                   : fmt::format("in {}, out {}", child.spi_in, child.spi_out));
    row("in", fmt::format("{} in {} packets", human_bytes(child.bytes_in), child.packets_in));
    row("out", fmt::format("{} in {} packets", human_bytes(child.bytes_out), child.packets_out));
    row("age", child.manual
                   ? fmt::format("manual keys, installed {} ago, never renewed by themselves",
                                 human_seconds(child.installed_s))
                   : fmt::format("installed {} ago, rekey in {}", human_seconds(child.installed_s),
                                 human_seconds(child.rekey_in_s)));
    row("local", printable(fmt::format("{}", fmt::join(child.local_ts, " "))));
    row("remote", printable(fmt::format("{}", fmt::join(child.remote_ts, " "))));
  }
}

}  // namespace

std::string status_table(const control::StatusSnapshot& snapshot, bool color) {
  const std::string who =
      snapshot.self.empty()
          ? "no inventory"
          : fmt::format("{} in mesh {}", printable(snapshot.self), printable(snapshot.mesh));
  std::string out = fmt::format("{}: espalierd {}, {} dataplane, configuration {}\n", who,
                                snapshot.version, snapshot.dataplane, snapshot.generation);
  for (const std::string& note : snapshot.notes) out += printable(note) + "\n";
  if (!snapshot.repairs.empty()) out += repairs_text(snapshot) + "\n";
  for (const auto& certificate : snapshot.certificates) {
    const bool over = certificate.state == "expired" || certificate.state == "revoked";
    out += paint("warning: " + printable(certificate.text), over ? Color::kRed : Color::kYellow,
                 color) +
           '\n';
  }
  std::vector<std::vector<Cell>> rows;
  rows.push_back({Cell("PAIR", Color::kBold), Cell("STATE", Color::kBold),
                  Cell("SINCE", Color::kBold, true), Cell("SUITE", Color::kBold),
                  Cell("IN", Color::kBold, true), Cell("OUT", Color::kBold, true),
                  Cell("REKEY IN", Color::kBold, true)});
  std::size_t up = 0;
  for (const auto& pair : snapshot.pairs) {
    if (pair.state == "up") ++up;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    for (const auto& child : pair.children) {
      bytes_in += child.bytes_in;
      bytes_out += child.bytes_out;
    }
    const bool carries = !pair.children.empty();
    const auto rekey = next_rekey(pair);
    const bool since = pair.state == "up" && pair.ike.has_value();
    rows.push_back({Cell(printable(pair.name)), Cell(pair.state, state_color(pair.state)),
                    Cell(since ? human_seconds(pair.ike->established_s) : "-", Color::kNone, true),
                    Cell(child_suites(pair)),
                    Cell(carries ? human_bytes(bytes_in) : "-", Color::kNone, true),
                    Cell(carries ? human_bytes(bytes_out) : "-", Color::kNone, true),
                    Cell(rekey ? human_seconds(*rekey) : "-", Color::kNone, true)});
    if (const std::string why = trouble(pair); !why.empty()) {
      rows.push_back({Cell("  " + why, Color::kDim)});
    }
  }
  if (!snapshot.pairs.empty()) out += render_table(rows, color);
  out += paint(fmt::format("{} of {} pair{} up", up, snapshot.pairs.size(),
                           snapshot.pairs.size() == 1 ? "" : "s"),
               up == snapshot.pairs.size() ? Color::kGreen : Color::kYellow, color);
  return out + '\n';
}

std::string status_detail(const control::PairStatus& pair, bool color) {
  std::vector<std::vector<Cell>> rows;
  const auto row = [&rows](std::string label, std::string value, Color c = Color::kNone) {
    rows.push_back({Cell("    " + std::move(label)), Cell(std::move(value), c)});
  };
  rows.push_back({Cell(printable(pair.name), Color::kBold)});
  row("peer", printable(pair.peer));
  row("state", pair.state, state_color(pair.state));
  if (pair.attempts > 0) row("attempts", std::to_string(pair.attempts));
  if (pair.next_retry_s) row("next try", "in " + human_seconds(*pair.next_retry_s));
  if (pair.reason) row("reason", printable(*pair.reason));
  if (pair.ike) {
    const auto& ike = *pair.ike;
    rows.push_back({Cell("  IKE SA", Color::kBold)});
    row("state", fmt::format("{}, {}", ike.state, ike.role));
    row("local", printable(fmt::format("{} as {}", ike.local, ike.local_id)));
    row("remote", printable(fmt::format("{} as {}", ike.remote, ike.remote_id)));
    row("spi", fmt::format("local {}, remote {}", ike.spi_local, ike.spi_remote));
    if (ike.state != "connecting") {  // before that there is none of these
      row("suite", printable(ike.suite));
      row("age", fmt::format("established {} ago, rekey in {}", human_seconds(ike.established_s),
                             human_seconds(ike.rekey_in_s)));
      row("nat", ike.nat ? "yes" : "no");
      if (!ike.certificate.empty()) {
        row("certificate", fmt::format("{} until {}", printable(ike.certificate),
                                       crypto::utc_text(ike.certificate_until)));
      }
    }
  }
  append_children(rows, pair);
  return render_table(rows, color);
}

std::string reload_text(const control::ReloadReport& report) {
  std::string out =
      fmt::format("Reloaded: {} added, {} removed, {} changed, {} unchanged; configuration {}.\n",
                  report.added.size(), report.removed.size(), report.changed.size(),
                  report.unchanged, report.generation);
  const auto list = [&out](std::string_view what, const std::vector<std::string>& names) {
    for (const auto& name : names) out += fmt::format("  {:<8}  {}\n", what, printable(name));
  };
  list("added", report.added);
  list("removed", report.removed);
  list("changed", report.changed);
  return out;
}

}  // namespace espalier::cli
