// Words of a firewall rule. Pure.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/service.hpp"

namespace espalier::dataplane::preflight {

// Blanks part words; "quoted text" and { a set } are one.
inline std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (at < line.size()) {
    if (line[at] == ' ' || line[at] == '\t') {
      ++at;
      continue;
    }
    std::size_t end = at;
    if (line[at] == '"' || line[at] == '{') {
      end = line.find(line[at] == '"' ? '"' : '}', at + 1);
      end = end == std::string_view::npos ? line.size() : end + 1;
    } else {
      end = std::min(line.find_first_of(" \t", at), line.size());
    }
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

// "{ 500, 4500 }", "500,4500" or "500": its parts.
inline std::vector<std::string> split_set(std::string_view text) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text) {
    if (c == '{' || c == '}' || c == ' ' || c == ',') {
      if (!part.empty()) parts.push_back(std::move(part));
      part.clear();
    } else {
      part += c;
    }
  }
  if (!part.empty()) parts.push_back(std::move(part));
  return parts;
}

inline std::optional<unsigned> port_number(std::string_view text) {
  if (text == "isakmp") return 500u;
  if (text == "ipsec-nat-t") return 4500u;
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > 65535) {
    return std::nullopt;
  }
  return number;
}

// Whether a port is "500", or in "500-600" or "500:600".
inline bool port_in(std::string_view part, unsigned port) {
  const std::size_t dash = part.find_first_of("-:");
  if (dash == std::string_view::npos) return port_number(part) == port;
  const auto first = port_number(part.substr(0, dash)), last = port_number(part.substr(dash + 1));
  return first && last && *first <= port && port <= *last;
}

}  // namespace espalier::dataplane::preflight
