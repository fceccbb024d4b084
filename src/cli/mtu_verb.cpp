// `espalier mtu`: the sizes of a suite's packets, or of those of a pair whose path it probes.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/mtu_report.hpp"
#include "cli/text.hpp"
#include "cli/verb.hpp"
#include "policy/proposal.hpp"

namespace espalier::cli {
namespace {

constexpr std::size_t kAssumedMtu = 1500;  // octets; an Ethernet without jumbo frames
constexpr std::size_t kMaxPacket = 65535;
constexpr std::size_t kLeastPath = 68;  // RFC 791: every link carries as much
// The first probe: larger than any link's MTU, so that the kernel says what the first link has.
constexpr std::size_t kFirstProbe = 65000;
constexpr std::size_t kLeastPing = 300;

Error wrong(std::string message) {
  return make_error(ErrorCode::kInvalidArgument, std::move(message));
}

Result<std::size_t> octets_of(Call& call, std::string_view option, std::size_t least) {
  const std::string text = call.options.get(option, "");
  std::size_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = fault == std::errc() && end == text.data() + text.size();
  if (!whole || value < least || value > kMaxPacket) {
    return wrong(fmt::format("{} {}: write a number of octets from {} to {}.", option,
                             printable(text), least, kMaxPacket));
  }
  return value;
}

// The one suite that ESP words name.
Result<crypto::CipherSuite> suite_of(const std::string& words) {
  TRY_ASSIGN(const policy::EspProposal proposal, policy::parse_esp_proposal(words));
  if (proposal.encr.size() != 1 || proposal.integ.size() > 1) {
    return wrong(fmt::format("'{}' names several suites; write one.", printable(words)));
  }
  crypto::CipherSuite suite{proposal.encr.front().id, proposal.encr.front().key_bits,
                            crypto::IntegId::kNone};
  if (!proposal.integ.empty()) suite.integ = proposal.integ.front();
  return suite;
}

Result<MtuReport> of_suite(Call& call) {
  const std::string words = call.options.get("--suite", "");
  if (words.empty()) {
    return wrong(
        "Whose packets? Write a PEER, or --suite S (and --packet N). See `espalier help "
        "mtu`.");
  }
  esp::Encapsulation how;
  TRY_ASSIGN(how.suite, suite_of(words));
  const std::string mode = call.options.get("--mode", "tunnel");
  if (mode != "tunnel" && mode != "transport") {
    return wrong(fmt::format("--mode {}: it is tunnel or transport.", printable(mode)));
  }
  how.mode = mode == "tunnel" ? policy::Mode::kTunnel : policy::Mode::kTransport;
  how.outer = call.has("--ipv6") ? Family::kIpv6 : Family::kIpv4;
  how.udp_encap = call.has("--nat");
  MtuReport report;
  report.path_mtu = kAssumedMtu;
  if (call.has("--path")) {
    TRY_ASSIGN(report.path_mtu, octets_of(call, "--path", kLeastPath));
    report.path_known = true;
  }
  std::size_t packet = 0;
  if (call.has("--packet")) {
    TRY_ASSIGN(packet, octets_of(call, "--packet", how.outer == Family::kIpv4 ? 20 : 40));
  }
  TRY_ASSIGN(MtuRow row, mtu_row("", words, how, report.path_mtu, packet));
  report.rows.push_back(std::move(row));
  return report;
}

// "192.0.2.11[4500]", as the daemon writes it.
Result<SocketAddress> address_of(const std::string& text) {
  const std::size_t open = text.find('[');
  TRY_ASSIGN(const IpAddress ip, IpAddress::parse(text.substr(0, open)));
  std::uint16_t port = 0;
  if (open != std::string::npos) {
    std::from_chars(text.data() + open + 1, text.data() + text.size(), port);
  }
  return SocketAddress{ip, port};
}

class PairProbe {
 public:
  PairProbe(Call& call, MtuReport& report) : call_(call), report_(report) {}

  std::optional<PathSearch> outside(const SocketAddress& local, const SocketAddress& remote) {
    return search({ProbeTarget::Way::kOutside, local.ip, remote}, "outside the tunnel",
                  [&](PathProber& prober, const ProbeProgress& progress) {
                    return ask_path(prober, kFirstProbe, progress);
                  });
  }
  std::optional<PathSearch> through(const SocketAddress& local, const SocketAddress& remote) {
    return search({ProbeTarget::Way::kThrough, local.ip, remote}, "through the tunnel",
                  [&](PathProber& prober, const ProbeProgress& progress) {
                    return largest_answered(prober, kLeastPing, kFirstProbe, progress);
                  });
  }

 private:
  template <class Search>
  std::optional<PathSearch> search(const ProbeTarget& target, std::string_view where,
                                   Search search) {
    auto prober = call_.env.open_prober(target);
    if (!prober) return no(where, prober.error());
    const bool tell = call_.env.err_is_terminal();
    const ProbeProgress progress = [&](std::size_t octets, const PathProber::Outcome& outcome) {
      if (!tell) return;
      constexpr std::string_view kWords[] = {"answered", "no answer", "too big"};
      call_.env.err(fmt::format("{}: {} octets: {}\n", where, octets,
                                kWords[static_cast<std::size_t>(outcome.answer)]));
    };
    auto found = search(**prober, progress);
    if (!found) return no(where, found.error());
    return *found;
  }
  std::optional<PathSearch> no(std::string_view where, const Error& error) {
    report_.notes.push_back(fmt::format("The path {} was not probed: {}", where, error.message));
    return std::nullopt;
  }

  Call& call_;
  MtuReport& report_;
};

bool covers(const std::vector<std::string>& selectors, const IpAddress& ip) {
  return std::any_of(selectors.begin(), selectors.end(), [&](const std::string& text) {
    const auto prefix = Prefix::parse(text);
    return prefix && prefix->contains(ip);
  });
}

void conclude(MtuReport& report) {
  if (!report.through) return;
  const PathSearch& through = *report.through;
  if (!through.passed) {
    report.notes.push_back(
        "No ping through the tunnel was answered: the peer may not answer pings, or nothing "
        "passes (`espalier status` shows whether packets come in).");
    return;
  }
  for (const MtuRow& row : report.rows) {
    if (*through.passed >= row.largest) continue;
    report.notes.push_back(fmt::format(
        "Only packets of up to {} octets pass, and {} fit the path MTU of {}: a smaller MTU on the "
        "way back, a device of a smaller MTU, or a hop that drops what is too large without saying "
        "so. TCP is safe with an MSS of {} over IPv4, {} over IPv6.",
        *through.passed, row.largest, report.path_mtu, esp::tcp_mss(Family::kIpv4, *through.passed),
        esp::tcp_mss(Family::kIpv6, *through.passed)));
    return;
  }
}

Result<MtuReport> of_pair(Call& call, const control::PairStatus& pair) {
  if (pair.state != "up" || pair.children.empty()) {
    return make_error(ErrorCode::kNotFound,
                      fmt::format("{} is {}: a path is probed through a pair that is up; for the "
                                  "sizes alone write --suite and --packet.",
                                  pair.name, pair.state));
  }
  for (const std::string_view option : {"--suite", "--mode", "--nat", "--ipv6"}) {
    if (call.has(option)) {
      return wrong(fmt::format("{} is what the pair itself says; leave it out.", option));
    }
  }
  if (!pair.ike) return wrong(pair.name + " has no IKE SA, so its addresses are not known.");
  MtuReport report;
  report.pair = pair.name;
  report.path_mtu = kAssumedMtu;
  TRY_ASSIGN(const SocketAddress local, address_of(pair.ike->local));
  TRY_ASSIGN(const SocketAddress remote, address_of(pair.ike->remote));
  PairProbe probe(call, report);
  if (call.has("--path")) {
    TRY_ASSIGN(report.path_mtu, octets_of(call, "--path", kLeastPath));
    report.path_known = true;
  } else {
    report.outside = probe.outside(local, remote);
    if (report.outside && report.outside->told_mtu) {
      report.path_mtu = *report.outside->told_mtu;
      report.path_known = true;
    }
  }
  std::size_t packet = 0;
  if (call.has("--packet")) {
    TRY_ASSIGN(packet, octets_of(call, "--packet", 40));
  }
  bool inside = false;
  for (const control::ChildStatus& child : pair.children) {
    if (child.state == "rekeyed" || child.state == "deleting") continue;
    esp::Encapsulation how;
    TRY_ASSIGN(how.suite, suite_of(child.suite));
    how.mode = child.mode == "transport" ? policy::Mode::kTransport : policy::Mode::kTunnel;
    how.outer = remote.ip.family();
    how.udp_encap = child.udp_encap;
    TRY_ASSIGN(MtuRow row, mtu_row(child.name, child.suite, how, report.path_mtu, packet));
    report.rows.push_back(std::move(row));
    inside = inside || (covers(child.local_ts, local.ip) && covers(child.remote_ts, remote.ip));
  }
  if (inside) {
    report.through = probe.through(local, remote);
  } else {
    report.notes.push_back(
        "The pair's own addresses are not in its selectors, so no ping goes through the tunnel.");
  }
  conclude(report);
  return report;
}

int print(Call& call, const Result<MtuReport>& report) {
  if (!report) return fail(call.env, report.error());
  call.env.out(call.has("--json") ? mtu_json(*report) : mtu_text(*report));
  return kDone;
}

}  // namespace

int run_mtu(Call& call) {
  if (call.words().empty()) return print(call, of_suite(call));
  return with_daemon(call, [&call](Connection& daemon) {
    const auto snapshot = fetch_status(daemon);
    if (!snapshot) return broken(call, snapshot.error());
    const auto pair = find_pair(*snapshot, call.words().front());
    if (!pair) return fail(call.env, pair.error());
    return print(call, of_pair(call, *pair));
  });
}

}  // namespace espalier::cli
