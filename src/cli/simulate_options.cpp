#include "cli/simulate_options.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace espalier::cli {
namespace {

constexpr std::uint64_t kMaxSeeds = 10'000'000;
constexpr double kMaxSeconds = 100 * 86'400.0;
constexpr std::uint64_t kMaxJobs = 1024;
constexpr std::uint64_t kMaxDriftPpm = 100'000;

Error wrong(std::string_view option, std::string_view value, std::string_view wanted) {
  return make_error(ErrorCode::kInvalidArgument, fmt::format("{} {}: {}.", option, value, wanted));
}

// Digits with at most one dot; no sign, no exponent.
std::optional<double> decimal(std::string_view text) {
  if (text.empty() || text.size() > 18 || text.front() == '.' || text.back() == '.') return {};
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '.') ++dots;
    if ((c < '0' || c > '9') && c != '.') return {};
  }
  if (dots > 1) return {};
  return std::strtod(std::string(text).c_str(), nullptr);
}

Result<Duration> time_of(std::string_view option, std::string_view whole, std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view unit = text.substr(digits);
  double factor = 0;
  if (unit.empty() || unit == "s") factor = 1;
  if (unit == "ms") factor = 0.001;
  if (unit == "m") factor = 60;
  if (unit == "h") factor = 3600;
  const auto number = decimal(text.substr(0, digits));
  if (!number || factor == 0 || *number * factor > kMaxSeconds) {
    return wrong(option, whole,
                 fmt::format("'{}' is no time; write 37s, 500ms, 2m or 1h, up to 100 days", text));
  }
  return Duration(static_cast<std::int64_t>(std::llround(*number * factor * 1e9)));
}

Result<double> percent_of(std::string_view option, std::string_view whole, std::string_view text) {
  if (!text.empty() && text.back() == '%') text.remove_suffix(1);
  const auto number = decimal(text);
  if (!number || *number > 100) {
    return wrong(option, whole,
                 fmt::format("'{}' is no share in per cent; write a number from 0 to 100", text));
  }
  return *number;
}

Result<std::uint64_t> count_of(std::string_view option, std::string_view text, std::uint64_t least,
                               std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    return wrong(option, text, fmt::format("write a whole number from {} to {}", least, most));
  }
  return number;
}

struct What {
  std::string what;
  std::string when;
};

// "bender@37s" to its two parts.
Result<What> split_at(std::string_view option, const std::string& text, std::string_view form) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    return wrong(option, text, fmt::format("write {}", form));
  }
  return What{text.substr(0, at), text.substr(at + 1)};
}

template <class Fault>
Status host_faults(const control::ParsedOptions& given, std::string_view option,
                   std::string_view form, std::vector<Fault>& out) {
  for (const std::string& text : given.all(option)) {
    TRY_ASSIGN(const What what, split_at(option, text, form));
    Fault fault;
    fault.host = what.what;
    TRY_ASSIGN(fault.at, time_of(option, text, what.when));
    out.push_back(std::move(fault));
  }
  return {};
}

Status expires(const control::ParsedOptions& given, std::vector<sim::Expire>& out) {
  for (const bool hard : {true, false}) {
    std::vector<sim::Expire> some;
    TRY(host_faults(given, hard ? "--expire" : "--soft-expire", "HOST@T, as bender@37s", some));
    for (sim::Expire& one : some) {
      one.percent = 100;
      one.hard = hard;
      out.push_back(one);
    }
  }
  return {};
}

Status moves(const control::ParsedOptions& given, std::vector<sim::Move>& out) {
  for (const std::string& text : given.all("--move")) {
    TRY_ASSIGN(const What what,
               split_at("--move", text, "HOST@T or HOST@T+D, as bender@37s or bender@37s+10s"));
    const std::size_t plus = what.when.find('+');
    sim::Move move;
    move.host = what.what;
    TRY_ASSIGN(move.at, time_of("--move", text, what.when.substr(0, plus)));
    if (plus != std::string::npos) {
      TRY_ASSIGN(move.length, time_of("--move", text, what.when.substr(plus + 1)));
    }
    out.push_back(std::move(move));
  }
  return {};
}

Status netsplits(const control::ParsedOptions& given, std::string_view option, bool one_way,
                 std::vector<sim::Netsplit>& out) {
  for (const std::string& text : given.all(option)) {
    const std::string_view form = "A,B@T+D, as bender,flexo@30s+2m";
    TRY_ASSIGN(const What what, split_at(option, text, form));
    const std::size_t comma = what.what.find(',');
    const std::size_t plus = what.when.find('+');
    const bool three =
        comma != std::string::npos && what.what.find(',', comma + 1) != std::string::npos;
    if (comma == std::string::npos || three || plus == std::string::npos) {
      return wrong(option, text, fmt::format("write {}", form));
    }
    sim::Netsplit split;
    split.a = what.what.substr(0, comma);
    split.b = what.what.substr(comma + 1);
    split.one_way = one_way;
    TRY_ASSIGN(split.at, time_of(option, text, what.when.substr(0, plus)));
    TRY_ASSIGN(split.length, time_of(option, text, what.when.substr(plus + 1)));
    out.push_back(std::move(split));
  }
  return {};
}

Status kills(const control::ParsedOptions& given, std::vector<sim::Kill>& out) {
  for (const std::string& text : given.all("--kill")) {
    TRY_ASSIGN(const What what, split_at("--kill", text, "P@T, as 10@30s"));
    sim::Kill kill;
    TRY_ASSIGN(kill.percent, percent_of("--kill", text, what.what));
    TRY_ASSIGN(kill.at, time_of("--kill", text, what.when));
    out.push_back(kill);
  }
  return {};
}

Status chance(const control::ParsedOptions& given, std::string_view option, double& out) {
  if (!given.has(option)) return {};
  const std::string text = given.get(option, "");
  TRY_ASSIGN(const double percent, percent_of(option, text, text));
  out = percent / 100;
  return {};
}

Status time(const control::ParsedOptions& given, std::string_view option, Duration& out) {
  if (!given.has(option)) return {};
  const std::string text = given.get(option, "");
  TRY_ASSIGN(out, time_of(option, text, text));
  return {};
}

Status crypto(const control::ParsedOptions& given, sim::Options& options) {
  const std::string word = given.get("--crypto", "auto");
  if (word == "real") {
    options.crypto = sim::Crypto::kReal;
  } else if (word == "simulated") {
    options.crypto = sim::Crypto::kSimulated;
  } else if (word != "auto") {
    return wrong("--crypto", word, "write auto, real or simulated");
  }
  return {};
}

Status numbers(const control::ParsedOptions& given, SimulateArguments& out) {
  const auto number = [&](std::string_view option, std::uint64_t least, std::uint64_t most,
                          std::uint64_t& into) -> Status {
    if (!given.has(option)) return {};
    TRY_ASSIGN(into, count_of(option, given.get(option, ""), least, most));
    return {};
  };
  std::uint64_t limit = 0, drift = 0;
  TRY(number("--seed", 0, ~std::uint64_t{0} - kMaxSeeds, out.seed));
  TRY(number("--seeds", 1, kMaxSeeds, out.seeds));
  TRY(number("--jobs", 1, kMaxJobs, out.jobs));
  TRY(number("--sad-limit", 1, 1u << 30, limit));
  TRY(number("--drift", 0, kMaxDriftPpm, drift));
  out.options.sad_limit = limit;
  out.options.drift_ppm = static_cast<std::int64_t>(drift);
  return {};
}

// What has to be repeated to repeat the run.
std::string as_text(const control::ParsedOptions& given) {
  constexpr std::string_view kNot[] = {"--seed",  "--seeds", "--jobs", "--json",
                                       "--trace", "--only",  "--run",  "--config"};
  std::string out;
  for (const auto& [name, value] : given.values) {
    if (std::find(std::begin(kNot), std::end(kNot), name) != std::end(kNot)) continue;
    out += value.empty() ? fmt::format(" {}", name) : fmt::format(" {} {}", name, value);
  }
  for (const auto& [name, values] : given.lists) {
    for (const std::string& value : values) out += fmt::format(" {} {}", name, value);
  }
  return out;
}

}  // namespace

Result<SimulateArguments> parse_simulate(const control::ParsedOptions& given) {
  SimulateArguments out;
  sim::Options& options = out.options;
  TRY(chance(given, "--loss", options.network.loss));
  TRY(chance(given, "--duplicate", options.network.duplication));
  TRY(chance(given, "--reorder", options.network.held_back));
  TRY(chance(given, "--refuse", options.refuse));
  TRY(time(given, "--latency", options.network.latency));
  TRY(time(given, "--jitter", options.network.jitter));
  TRY(time(given, "--downtime", options.downtime));
  TRY(time(given, "--for", options.run_for));
  TRY(host_faults(given, "--reboot", "HOST@T, as bender@37s", options.reboots));
  TRY(host_faults(given, "--restart", "HOST@T, as bender@37s", options.restarts));
  TRY(host_faults(given, "--rebind", "HOST@T, as bender@37s", options.rebinds));
  TRY(moves(given, options.moves));
  TRY(expires(given, options.expires));
  TRY(host_faults(given, "--vanish", "HOST@T, as bender@37s", options.vanishes));
  TRY(netsplits(given, "--netsplit", false, options.netsplits));
  TRY(netsplits(given, "--oneway", true, options.netsplits));
  TRY(kills(given, options.kills));
  TRY(crypto(given, options));
  TRY(numbers(given, out));
  options.election = given.has("--election");
  options.keep_state = !given.has("--lose-state");
  out.json = given.has("--json");
  out.trace = given.has("--trace");
  out.text = as_text(given);
  if (given.has("--only")) {
    const std::string text = given.get("--only", "");
    const std::size_t comma = text.find(',');
    if (!out.trace || comma == std::string::npos ||
        text.find(',', comma + 1) != std::string::npos) {
      return wrong("--only", text, "write A,B, two hosts, beside --trace");
    }
    out.only = {text.substr(0, comma), text.substr(comma + 1)};
  }
  if (out.trace && (out.json || out.seeds > 1)) {
    return make_error(ErrorCode::kInvalidArgument,
                      "--trace shows one seed as text: give it without --json and --seeds.");
  }
  return out;
}

}  // namespace espalier::cli
