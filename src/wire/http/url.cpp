#include "wire/http/url.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "wire/http/limits.hpp"

namespace espalier::wire::http {
namespace {

Error malformed(std::string_view why) {
  return make_error(ErrorCode::kMalformed, "the address is refused: " + std::string(why));
}

bool is_printable(char c) { return c > 0x20 && c < 0x7f; }

bool is_host_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

Result<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty()) return std::uint16_t{80};
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > 65535) {
    return malformed("its port is no number from 1 to 65535");
  }
  return static_cast<std::uint16_t>(value);
}

Status parse_authority(std::string_view text, Url& url) {
  if (text.find('@') != std::string_view::npos) return malformed("it holds a user name");
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return malformed("its IPv6 address has no end");
    url.host = std::string(text.substr(1, end - 1));
    url.is_ipv6 = true;
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return malformed("something follows its address");
    port = rest.empty() ? rest : rest.substr(1);
    const bool plain = std::all_of(url.host.begin(), url.host.end(), [](char c) {
      return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
    });
    if (!plain || url.host.find(':') == std::string::npos) return malformed("no IPv6 address");
  } else {
    const std::size_t colon = text.find(':');
    url.host = std::string(text.substr(0, colon));
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
    if (!std::all_of(url.host.begin(), url.host.end(), is_host_character)) {
      return malformed("its host holds characters that names cannot have");
    }
  }
  // RFC 1035 section 2.3.4: a name has at most 255 octets.
  if (url.host.empty() || url.host.size() > 253) return malformed("its host is empty or too long");
  TRY_ASSIGN(url.port, parse_port(port));
  return {};
}

}  // namespace

std::string Url::authority() const {
  const std::string name = is_ipv6 ? "[" + host + "]" : host;
  return port == 80 ? name : name + ":" + std::to_string(port);
}

Result<Url> parse_url(std::string_view text) {
  if (text.size() > kMaxUrlOctets) {
    return make_error(ErrorCode::kLimit, "the address is refused: it is longer than " +
                                             std::to_string(kMaxUrlOctets) + " octets");
  }
  if (!std::all_of(text.begin(), text.end(), is_printable)) {
    return malformed("it holds spaces or control characters");
  }
  const std::size_t colon = text.find("://");
  std::string scheme(text.substr(0, colon == std::string_view::npos ? 0 : colon));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (scheme != "http") {
    return make_error(ErrorCode::kUnsupported,
                      "the address '" + std::string(text) + "' is not of the scheme http");
  }
  text.remove_prefix(colon + 3);
  text = text.substr(0, text.find('#'));
  const std::size_t slash = text.find_first_of("/?");
  Url url;
  TRY(parse_authority(text.substr(0, slash), url));
  if (slash != std::string_view::npos) {
    url.target = std::string(text.substr(slash));
    if (url.target.front() == '?') url.target = "/" + url.target;
  }
  return url;
}

Result<Url> resolve(const Url& base, std::string_view location) {
  if (location.starts_with("//")) return parse_url("http:" + std::string(location));
  if (location.starts_with('/')) {
    return parse_url("http://" + base.authority() + std::string(location));
  }
  if (location.find("://") != std::string_view::npos) return parse_url(location);
  const std::size_t query = base.target.find('?');
  const std::string path = base.target.substr(0, query);
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  return parse_url("http://" + base.authority() + folder + std::string(location));
}

std::string to_string(const Url& url) { return "http://" + url.authority() + url.target; }

}  // namespace espalier::wire::http
