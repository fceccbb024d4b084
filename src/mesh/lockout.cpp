#include "mesh/lockout.hpp"

#include <algorithm>
#include <charconv>

#include "policy/selectors.hpp"
#include "policy/service_selectors.hpp"

namespace espalier::mesh {
namespace {

constexpr std::uint16_t kSshPort = 22;
constexpr std::size_t kMaxLogins = 1024;
constexpr std::string_view kEstablished = "01";  // TCP_ESTABLISHED (net/tcp_states.h)

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

std::optional<std::uint32_t> parse(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint16_t> parse_port(std::string_view text, int base) {
  const auto port = parse(text, base);
  if (!port || *port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*port);
}

IpAddress without_mapping(const IpAddress& address) {
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const ByteView octets = address.bytes();
  if (address.is_v4() || !std::equal(kMapped.begin(), kMapped.end(), octets.begin())) {
    return address;
  }
  return IpAddress::from_bytes(octets.subspan(12)).value();
}

// "0100007F:0016": words of four octets, each in this machine's order (Linux on little endian).
std::optional<SocketAddress> parse_socket(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon != 8 && colon != 32) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1), 16);
  if (!port) return std::nullopt;
  Bytes octets;
  for (std::size_t at = 0; at < colon; at += 8) {
    const auto word = parse(text.substr(at, 8), 16);
    if (!word) return std::nullopt;
    std::array<std::uint8_t, 4> bytes{};
    static_assert(sizeof *word == sizeof bytes);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&*word), bytes.size(), bytes.begin());
    octets.insert(octets.end(), bytes.begin(), bytes.end());
  }
  return SocketAddress{without_mapping(IpAddress::from_bytes(octets).value()), *port};
}

bool within(const policy::SelectorList& list, const IpAddress& address) {
  return std::any_of(list.begin(), list.end(), [&](const policy::TrafficSelector& one) {
    return one.start.family() == address.family() && one.start <= address && address <= one.end;
  });
}

bool matches(const policy::TrafficSelector& selector, const SocketAddress& end) {
  return within({selector}, end.ip) &&
         (selector.protocol == 0 || selector.protocol == policy::kProtocolTcp) &&
         selector.start_port <= end.port && end.port <= selector.end_port;
}

// Whether without an SA this connection's packets are dropped.
bool closes(const policy::Connection& connection, const Login& login) {
  if (connection.protect != policy::Protect::kRequire) return false;
  const policy::Bounds bounds = policy::bounds_of(connection);
  if (!within(bounds.local, login.local.ip) || !within(bounds.remote, login.remote.ip))
    return false;
  const auto exceptions = policy::exceptions_of(connection);
  return std::none_of(exceptions.begin(), exceptions.end(), [&](const policy::SelectorPair& one) {
    return matches(one.local, login.local) && matches(one.remote, login.remote);
  });
}

// The pair that does; empty: none.
std::string closing(const HostPlan& plan, const Login& login) {
  for (const policy::Connection& one : plan.connections) {
    if (closes(one, login)) return one.name;
  }
  for (const policy::ManualTunnel& one : plan.manual) {
    if (closes(policy::traffic_of(one), login)) return one.name;
  }
  return "";
}

}  // namespace

std::optional<Login> parse_ssh_connection(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() != 4) return std::nullopt;
  const auto client = IpAddress::parse(words[0]), server = IpAddress::parse(words[2]);
  const auto client_port = parse_port(words[1], 10), server_port = parse_port(words[3], 10);
  if (!client || !server || !client_port || !server_port) return std::nullopt;
  return Login{{without_mapping(*server), *server_port}, {without_mapping(*client), *client_port}};
}

std::vector<Login> parse_ssh_sockets(std::string_view table) {
  std::vector<Login> list;
  while (!table.empty() && list.size() < kMaxLogins) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    const auto words = words_of(table.substr(0, end));
    table.remove_prefix(std::min(end + 1, table.size()));
    // "0: local remote state ..."
    if (words.size() < 4 || words[3] != kEstablished) continue;
    const auto local = parse_socket(words[1]), remote = parse_socket(words[2]);
    if (local && remote && local->port == kSshPort) list.push_back({*local, *remote});
  }
  return list;
}

std::optional<std::string> lockout(const HostPlan& plan, const HostPlan* running,
                                   const std::vector<Login>& logins) {
  for (const Login& login : logins) {
    const std::string pair = closing(plan, login);
    if (pair.empty() || (running != nullptr && !closing(*running, login).empty())) continue;
    const std::string what = login.local.port == kSshPort
                                 ? "ssh"
                                 : "{proto: tcp, port: " + std::to_string(login.local.port) + "}";
    return "somebody is logged in from " + login.remote.ip.to_string() + " (to port " +
           std::to_string(login.local.port) + " of " + login.local.ip.to_string() +
           "), which the pair " + pair +
           " would close until its SA is up, and for good if it never is: add " + what +
           " to its 'except' (defaults: {except: [" + what + "]}) on all hosts, or force it";
  }
  return std::nullopt;
}

}  // namespace espalier::mesh
