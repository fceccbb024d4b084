#include "config/scalars.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

#include "config/words.hpp"

namespace espalier::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string quote(std::string_view text) {
  return "'" + std::string(text.substr(0, 80)) + (text.size() > 80 ? "...'" : "'");
}

Error bad(std::string message) { return make_error(ErrorCode::kBadInput, std::move(message)); }

struct Unit {
  std::string_view word;
  std::uint64_t factor;
};

// The digits at the front of the text and the word after them.
struct Quantity {
  std::uint64_t number = 0;
  std::string_view unit;
};

Result<Quantity> split(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  if (digits == 0) return bad("is " + quote(text) + ", which does not start with a number");
  TRY_ASSIGN(const std::uint64_t number, parse_number(text.substr(0, digits)));
  return Quantity{number, text.substr(digits)};
}

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b, std::uint64_t most) {
  if (b != 0 && a > most / b) return std::nullopt;
  return a * b;
}

constexpr Unit kTimeUnits[] = {{"ms", 1'000'000},
                               {"s", 1'000'000'000},
                               {"m", 60'000'000'000},
                               {"h", 3'600'000'000'000},
                               {"d", 86'400'000'000'000}};
constexpr Unit kOctetUnits[] = {{"", 1},
                                {"kB", 1'000},
                                {"MB", 1'000'000},
                                {"GB", 1'000'000'000},
                                {"TB", 1'000'000'000'000},
                                {"KiB", 1ull << 10},
                                {"MiB", 1ull << 20},
                                {"GiB", 1ull << 30},
                                {"TiB", 1ull << 40}};

template <std::size_t N>
Result<std::uint64_t> scaled(std::string_view text, const Unit (&units)[N], std::uint64_t most,
                             std::string_view expected) {
  TRY_ASSIGN(const Quantity quantity, split(text));
  for (const Unit& unit : units) {
    if (unit.word != quantity.unit) continue;
    const auto value = multiply(quantity.number, unit.factor, most);
    if (!value) return bad("is " + quote(text) + ", which is too large");
    return *value;
  }
  return bad("is " + quote(text) + "; write " + std::string(expected));
}

Prefix net(std::string_view text) { return Prefix::parse(text).value(); }

bool overlap(const Prefix& a, const Prefix& b) { return a.contains(b) || b.contains(a); }

// Networks that no host's address and no subnet behind a host can be in, and their names.
std::optional<std::string> special(const Prefix& prefix) {
  static const std::pair<Prefix, const char*> kSpecial[] = {
      {net("0.0.0.0/8"), "the unspecified network 0.0.0.0/8 (RFC 1122)"},
      {net("127.0.0.0/8"), "loopback"},
      {net("224.0.0.0/4"), "multicast"},
      {net("240.0.0.0/4"), "the reserved network 240.0.0.0/4 with the broadcast address"},
      {net("::/128"), "the unspecified address"},
      {net("::1/128"), "loopback"},
      {net("::ffff:0:0/96"), "IPv4-mapped (write the IPv4 address)"},
      {net("fe80::/10"), "link-local, which needs an interface and is not supported"},
      {net("ff00::/8"), "multicast"},
  };
  for (const auto& [network, name] : kSpecial) {
    if (overlap(network, prefix)) return name;
  }
  return std::nullopt;
}

}  // namespace

Result<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || !is_digit(text[0]) || end != text.data() + text.size()) {
    return bad("is " + quote(text) + ", which is no whole number");
  }
  if (error != std::errc()) return bad("is " + quote(text) + ", which is too large");
  if (text.size() > 1 && text[0] == '0') {
    return bad(
        "is " + quote(text) +
        ", a number with a leading zero, which YAML readers take for octal; write it without");
  }
  return value;
}

Result<Duration> parse_duration(std::string_view text) {
  TRY_ASSIGN(
      const std::uint64_t value,
      scaled(text, kTimeUnits, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()),
             "a duration with its unit, such as 500ms, 30s, 5m, 4h or 1d"));
  return Duration(static_cast<Duration::rep>(value));
}

Result<unsigned> parse_percent(std::string_view text) {
  if (text.empty() || text.back() != '%') {
    return bad("is " + quote(text) + "; write a percentage such as 10%");
  }
  TRY_ASSIGN(const std::uint64_t value, parse_number(text.substr(0, text.size() - 1)));
  if (value > 100) return bad("is " + quote(text) + ", more than 100%");
  return static_cast<unsigned>(value);
}

Result<std::uint64_t> parse_octets(std::string_view text) {
  return scaled(text, kOctetUnits, std::numeric_limits<std::uint64_t>::max(),
                "a number of octets, such as 10000000, 64MB or 64GiB");
}

Result<bool> parse_switch(std::string_view text) {
  if (text == "on" || text == "true") return true;
  if (text == "off" || text == "false") return false;
  return bad("is " + quote(text) + "; write on or off");
}

Result<IpAddress> parse_host_address(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) {
    if (text.find('/') != std::string_view::npos) {
      return bad("is " + quote(text) + ", a network; write the host's own address, without '/'");
    }
    if (check_host_name(text)) {
      return make_error(ErrorCode::kUnsupported,
                        "is " + quote(text) +
                            "; a DNS name as address is not supported yet, write the IP address");
    }
    return bad("is " + quote(text) + ", which is no IPv4 or IPv6 address");
  }
  if (const auto name = special(Prefix::host(address.value()))) {
    return bad("is " + quote(text) + ", which is " + *name + "; no peer can reach a host there");
  }
  return address.value();
}

Result<Prefix> parse_subnet(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos && text.size() > slash + 2 && text[slash + 1] == '0') {
    return bad("is " + quote(text) + ", with a leading zero in its prefix length");
  }
  const auto prefix = Prefix::parse(text);
  if (!prefix) return bad("is wrong: " + prefix.error().message);
  if (prefix.value().length == 0) {
    return make_error(ErrorCode::kUnsupported,
                      "is " + quote(text) +
                          "; everything behind one host is not supported yet, list its networks");
  }
  if (const auto name = special(prefix.value())) {
    return bad("is " + quote(text) + ", which covers " + *name);
  }
  return prefix.value();
}

Result<std::int64_t> parse_utc_time(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:ddZ";
  bool good = text.size() == kForm.size();
  for (std::size_t i = 0; good && i < text.size(); ++i) {
    good = kForm[i] == 'd' ? is_digit(text[i]) : text[i] == kForm[i];
  }
  const auto number = [&](std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const auto wrong = [&] {
    return bad("is " + quote(text) + "; write a time in UTC as 2026-12-01T00:00:00Z");
  };
  if (!good) return wrong();
  const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!day.ok() || hour > 23 || minute > 59 || second > 59) return wrong();
  const std::chrono::sys_days days{day};
  return std::int64_t{days.time_since_epoch().count()} * 86400 + hour * 3600 + minute * 60 + second;
}

std::string utc_text(std::int64_t unix_time) {
  const std::int64_t days = unix_time >= 0 ? unix_time / 86400 : (unix_time - 86399) / 86400;
  const std::chrono::year_month_day day{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(days)}}};
  const std::int64_t rest = unix_time - days * 86400;
  const auto padded = [](std::int64_t value, std::size_t width) {
    std::string digits = std::to_string(value);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    return digits;
  };
  return padded(int{day.year()}, 4) + "-" + padded(unsigned{day.month()}, 2) + "-" +
         padded(unsigned{day.day()}, 2) + "T" + padded(rest / 3600, 2) + ":" +
         padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2) + "Z";
}

std::string to_text(Duration duration) {
  const auto value = static_cast<std::uint64_t>(duration.count());
  for (std::size_t i = std::size(kTimeUnits); i-- > 0;) {
    if (value % kTimeUnits[i].factor == 0 && (value != 0 || kTimeUnits[i].word == "s")) {
      return std::to_string(value / kTimeUnits[i].factor) + std::string(kTimeUnits[i].word);
    }
  }
  return std::to_string(value) + "ns";
}

namespace {

std::optional<std::uint32_t> mark_number(std::string_view text) {
  const bool hex = text.size() > 2 && text.substr(0, 2) == "0x";
  if (hex) text.remove_prefix(2);
  std::uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Result<policy::Mark> parse_mark(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto value = mark_number(text.substr(0, slash));
  const auto mask = slash == std::string_view::npos ? std::optional<std::uint32_t>(0xFFFFFFFF)
                                                    : mark_number(text.substr(slash + 1));
  if (!value || !mask || (*value & ~*mask) != 0) {
    return make_error(
        ErrorCode::kBadInput,
        "is '" + std::string(text.substr(0, 40)) +
            "'; write a mark, or mark/mask with no bit beside the mask, such as 66 or "
            "0x42/0xff");
  }
  return policy::Mark{*value, *mask};
}

Result<std::uint32_t> parse_if_id(std::string_view text) {
  if (!text.empty() && text[0] == '%') {
    return make_error(ErrorCode::kUnsupported,
                      "is '" + std::string(text) +
                          "'; a number for each SA is not supported: write the interface's own");
  }
  TRY_ASSIGN(const std::uint64_t value, parse_number(text));
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    return make_error(ErrorCode::kBadInput,
                      "is '" + std::string(text) + "'; it can be 1 to 4294967295, or 0 for none");
  }
  return static_cast<std::uint32_t>(value);
}

// A mask of 0 fits everything: none.
Result<std::optional<policy::Mark>> parse_packet_mark(std::string_view text) {
  if (!text.empty() && text[0] == '%') {
    return make_error(ErrorCode::kUnsupported,
                      "is '" + std::string(text) +
                          "'; a mark for each SA is not supported: write one, or mark/mask");
  }
  TRY_ASSIGN(const policy::Mark mark, parse_mark(text));
  return mark.mask == 0 ? std::optional<policy::Mark>() : std::optional(mark);
}

}  // namespace espalier::config
