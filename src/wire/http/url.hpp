// Addresses of the scheme http (RFC 3986; RFC 9110 section 4.2.1), as certificates name them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace espalier::wire::http {

struct Url {
  std::string host;  // a name, an IPv4 address, or an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string target = "/";  // path and query
  bool is_ipv6 = false;      // the host is an IPv6 address
  // For the field Host.
  std::string authority() const;
  friend bool operator==(const Url&, const Url&) = default;
};

// Errors: kUnsupported for another scheme (https among them: RFC 5280 section 8 says why it goes in
// circles), kLimit, kMalformed. Never holds a character that could end a line.
Result<Url> parse_url(std::string_view text);
// What a redirect's Location means, seen from `base` (RFC 9110 section 10.2.2).
Result<Url> resolve(const Url& base, std::string_view location);
std::string to_string(const Url& url);

}  // namespace espalier::wire::http
