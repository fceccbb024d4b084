#include "config/service_reader.hpp"

#include <algorithm>

#include "config/limits.hpp"
#include "config/scalars.hpp"
#include "config/schema.hpp"
#include "config/settings_reader.hpp"
#include "config/words.hpp"

namespace espalier::config {
namespace {

using policy::Service;
using policy::Side;

std::string quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

constexpr std::string_view kForms =
    "; write one of their words (ssh, icmp, ...) or "
    "{proto, port, side, net}";

void read_word(const YamlNode& item, std::string_view key, std::vector<Service>& into,
               Diagnostics& diagnostics) {
  if (const policy::ServiceWord* word = policy::find_service_word(item.text)) {
    into.insert(into.end(), word->services.begin(), word->services.end());
    return;
  }
  std::vector<std::string_view> known;
  for (const policy::ServiceWord& word : policy::service_words()) known.push_back(word.word);
  diagnostics.bad(item.at, quoted(key) + " has " + describe(item) + ", which is unknown" +
                               suggestion(item.text, known) +
                               ", or write {proto, port, side, net}");
}

void read_protocol(const YamlEntry& part, Service& service, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(part, diagnostics);
  if (node == nullptr) return;
  if (const auto number = policy::parse_protocol(node->text)) {
    service.protocol = *number;
    return;
  }
  diagnostics.bad(node->at,
                  "'proto' is " + describe(*node) +
                      "; it can be a protocol's name such as tcp, udp or icmp, its number "
                      "from 1 to 255, or any");
}

void read_ports(const YamlEntry& part, Service& service, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(part, diagnostics);
  if (node == nullptr) return;
  const std::string_view text = node->text;
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1));
  const bool good = first && last && *first >= 1 && *last <= 65535 && *first <= *last;
  if (!good) {
    diagnostics.bad(node->at, "'port' is " + describe(*node) +
                                  "; it can be 1 to 65535, or a range such as 8000-8099");
    return;
  }
  service.first_port = static_cast<std::uint16_t>(*first);
  service.last_port = static_cast<std::uint16_t>(*last);
}

void read_side(const YamlEntry& part, Service& service, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(part, diagnostics);
  if (node == nullptr) return;
  if (node->text == "local") {
    service.side = Side::kLocal;
  } else if (node->text == "remote") {
    service.side = Side::kRemote;
  } else if (node->text != "either") {
    diagnostics.bad(node->at, "'side' is " + describe(*node) + ", which is no value of it" +
                                  suggestion(node->text, {"local", "remote", "either"}));
  }
}

void read_net(const YamlEntry& part, Service& service, Diagnostics& diagnostics) {
  const YamlNode* node = scalar_of(part, diagnostics);
  if (node == nullptr) return;
  const auto prefix = parse_subnet(node->text);
  if (prefix) {
    service.net = *prefix;
  } else {
    diagnostics.add(node->at, prefix.error().code, "'net' " + prefix.error().message);
  }
}

void read_map(const YamlNode& item, std::string_view key, std::vector<Service>& into,
              Diagnostics& diagnostics) {
  check_keys(item, {Scope::kService}, diagnostics);
  Service service;
  if (const YamlEntry* part = item.find("proto")) read_protocol(*part, service, diagnostics);
  if (const YamlEntry* part = item.find("port")) {
    read_ports(*part, service, diagnostics);
    if (!policy::has_ports(service.protocol)) {
      diagnostics.bad(part->at,
                      "'port' needs a 'proto' that has ports (tcp, udp, sctp, dccp, "
                      "udplite)");
    }
  }
  if (const YamlEntry* part = item.find("side")) {
    read_side(*part, service, diagnostics);
    if (item.find("port") == nullptr) {
      diagnostics.bad(part->at, "'side' says whose port it is, and there is no 'port'");
    }
  }
  if (const YamlEntry* part = item.find("net")) read_net(*part, service, diagnostics);
  if (item.find("proto") == nullptr && item.find("net") == nullptr) {
    diagnostics.bad(item.at, "an entry of " + quoted(key) +
                                 " says neither 'proto' nor 'net': it would be all traffic; for a "
                                 "pair without IPsec write protect: off");
  }
  into.push_back(service);
}

}  // namespace

SharedList<Service> read_services(const YamlEntry& entry, Diagnostics& diagnostics) {
  std::vector<Service> list;
  const auto read = [&](const YamlNode& item) {
    if (item.is_scalar()) return read_word(item, entry.key, list, diagnostics);
    if (item.is_map()) return read_map(item, entry.key, list, diagnostics);
    diagnostics.bad(item.at, "an entry of " + quoted(entry.key) + " is " + describe(item) +
                                 std::string(kForms));
  };
  if (entry.value.is_list()) {
    for (const YamlNode& item : entry.value.items) read(item);
  } else {
    read(entry.value);
  }
  if (list.size() > kMaxServices) {
    diagnostics.add(entry.value.at, ErrorCode::kLimit,
                    quoted(entry.key) + " comes to " + std::to_string(list.size()) +
                        " entries; at most " + std::to_string(kMaxServices) + " are allowed");
    list.clear();
  }
  std::vector<Service> once;
  for (const Service& service : list) {
    if (std::find(once.begin(), once.end(), service) == once.end()) once.push_back(service);
  }
  return once;
}

}  // namespace espalier::config
