#include "policy/identity.hpp"

#include <algorithm>
#include <optional>

#include "policy/distinguished_name.hpp"
#include "policy/limits.hpp"

namespace espalier::policy {
namespace {

using wire::ike::IdType;

constexpr std::string_view kNoIdentity = "is no address, host name or email address";

// A peer chooses these bytes and they end in log lines: whatever is not plain ASCII is shown as
// \xNN.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c < 127 && c != '\\') {
      out += c;
    } else {
      const auto octet = static_cast<std::uint8_t>(c);
      out += "\\x" + to_hex(ByteView(&octet, 1));
    }
  }
  return out;
}

Error bad_identity(ErrorCode code, std::string_view text, std::string_view why) {
  return make_error(code, "the identity '" + printable(text.substr(0, kMaxIdentityText)) + "' " +
                              std::string(why));
}

Identity make_identity(IdType type, std::string_view text) {
  return {type, to_vector(as_bytes(text))};
}

// Values are escaped so that the text parses back to them (RFC 4514 section 2.4).
std::string name_value(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c < ' ' || c >= 127) {
      const auto octet = static_cast<std::uint8_t>(c);
      out += "\\" + to_hex(ByteView(&octet, 1));
    } else {
      if (c == ',' || c == '+' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

std::string name_text(ByteView der) {
  const auto attributes = parse_distinguished_name(der);
  if (!attributes || attributes.value().empty()) return to_hex(der);
  std::string text;
  for (const NameAttribute& attribute : attributes.value()) {
    if (!text.empty()) text += attribute.same_rdn ? "+" : ", ";
    text += attribute.type + "=" + name_value(attribute.value);
  }
  return text;
}

Result<Identity> address(std::string_view text, std::string_view value, IdType type) {
  const auto ip = IpAddress::parse(value);
  if (!ip || ip->is_v4() != (type == IdType::kIpv4)) {
    return bad_identity(ErrorCode::kInvalidArgument, text, "is no address of that kind");
  }
  return Identity{type, to_vector(ip->bytes())};
}

bool is_word(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

Result<Identity> host_name(std::string_view text, std::string_view value) {
  if (value.size() > kMaxIdentityText) {
    return bad_identity(ErrorCode::kLimit, text, "is longer than 254 characters");
  }
  if (!is_word(value) || value.find_first_of("@:/%#") != std::string_view::npos) {
    return bad_identity(ErrorCode::kInvalidArgument, text, kNoIdentity);
  }
  const std::size_t star = value.rfind('*');
  if (star != std::string_view::npos &&
      (star != 0 || value.size() < 3 || value[1] != '.' || value[2] == '.')) {
    return bad_identity(ErrorCode::kInvalidArgument, text,
                        "has a '*' elsewhere than for the first labels ('*.example.net')");
  }
  return make_identity(IdType::kFqdn, value);
}

Result<Identity> email(std::string_view text, std::string_view value) {
  const std::size_t at = value.find('@');
  const bool one = at != std::string_view::npos && at != 0 && at + 1 < value.size() &&
                   value.find('@', at + 1) == std::string_view::npos;
  if (!is_word(value) || !one) {
    return bad_identity(ErrorCode::kInvalidArgument, text, "is no email address");
  }
  if (value.size() > kMaxIdentityText) {
    return bad_identity(ErrorCode::kLimit, text, "is longer than 254 characters");
  }
  const std::size_t star = value.rfind('*');
  if (star != std::string_view::npos && (star != 0 || at != 1)) {
    return bad_identity(ErrorCode::kInvalidArgument, text,
                        "has a '*' elsewhere than for the whole local part ('*@example.net')");
  }
  return make_identity(IdType::kRfc822, value);
}

Result<Identity> name(std::string_view text, std::string_view value) {
  auto der = distinguished_name(value);
  if (der) return Identity{IdType::kDerDn, std::move(*der)};
  return bad_identity(der.error().code, text,
                      "is read as a distinguished name and " + der.error().message +
                          "; write it like 'CN=host.example.net, O=Example, C=DE'");
}

Result<Identity> in_hex(std::string_view text, std::string_view digits, IdType type) {
  const auto octets = from_hex(digits);
  if (!octets || octets->empty() || octets->size() > kMaxIdentityText) {
    return bad_identity(ErrorCode::kInvalidArgument, text,
                        "has no hex digits, two for each octet, after its '#'");
  }
  return Identity{type, *octets};
}

struct Prefixed {
  std::string_view word;
  IdType type;
  Result<Identity> (*parse)(std::string_view text, std::string_view value);
};

Result<Identity> key_id(std::string_view text, std::string_view value) {
  if (value.empty() || value.size() > kMaxIdentityText) {
    return bad_identity(ErrorCode::kInvalidArgument, text, "has 1 to 254 characters of key id");
  }
  return make_identity(IdType::kKeyId, value);
}

constexpr Prefixed kPrefixes[] = {
    {"ipv4:", IdType::kIpv4,
     [](std::string_view t, std::string_view v) { return address(t, v, IdType::kIpv4); }},
    {"ipv6:", IdType::kIpv6,
     [](std::string_view t, std::string_view v) { return address(t, v, IdType::kIpv6); }},
    {"fqdn:", IdType::kFqdn, host_name},
    {"dns:", IdType::kFqdn, host_name},
    {"email:", IdType::kRfc822, email},
    {"rfc822:", IdType::kRfc822, email},
    {"userfqdn:", IdType::kRfc822, email},
    {"asn1dn:", IdType::kDerDn, name},
    {"keyid:", IdType::kKeyId, key_id},
};

// strongSwan's other types: sets of addresses, and what only IKEv1 or no IKE has.
constexpr std::string_view kForeignPrefixes[] = {
    "ipv4net:", "ipv6net:", "ipv4range:", "ipv6range:", "asn1gn:", "xmppaddr:", "uri:"};

std::optional<Result<Identity>> with_prefix(std::string_view text) {
  for (const Prefixed& prefix : kPrefixes) {
    if (!text.starts_with(prefix.word)) continue;
    const std::string_view value = text.substr(prefix.word.size());
    if (!value.starts_with('#')) return prefix.parse(text, value);
    auto identity = in_hex(text, value.substr(1), prefix.type);
    const bool is_address = prefix.type == IdType::kIpv4 || prefix.type == IdType::kIpv6;
    if (identity && is_address && identity->data.size() != (prefix.type == IdType::kIpv4 ? 4 : 16))
      return bad_identity(ErrorCode::kInvalidArgument, text, "is no address of that kind");
    return identity;
  }
  for (const std::string_view prefix : kForeignPrefixes) {
    if (text.starts_with(prefix)) {
      return bad_identity(ErrorCode::kUnsupported, text,
                          "is of a type that is not supported; use an address, a name, an email "
                          "address, a distinguished name or a key id");
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Identity> parse_identity_pattern(std::string_view text) {
  if (text.empty()) return make_error(ErrorCode::kInvalidArgument, "an identity is empty");
  if (text.size() > kMaxNameText) {
    return bad_identity(ErrorCode::kLimit, text, "is longer than 1024 characters");
  }
  if (text == "%any" || text == "*") return Identity{kAnyIdType, {}};
  if (auto prefixed = with_prefix(text)) return std::move(*prefixed);
  if (const auto ip = IpAddress::parse(text)) {
    const IdType type = ip.value().is_v4() ? IdType::kIpv4 : IdType::kIpv6;
    return Identity{type, to_vector(ip.value().bytes())};
  }
  if (text.find('=') != std::string_view::npos) return name(text, text);
  if (text.starts_with("@#")) return in_hex(text, text.substr(2), IdType::kKeyId);
  if (text.starts_with("@@")) return email(text, text.substr(2));
  if (text.starts_with('@')) return host_name(text, text.substr(1));
  if (text.find('@') != std::string_view::npos) return email(text, text);
  return host_name(text, text);
}

Result<Identity> parse_identity(std::string_view text) {
  TRY_ASSIGN(Identity identity, parse_identity_pattern(text));
  if (!is_wildcard(identity)) return identity;
  return bad_identity(ErrorCode::kInvalidArgument, text,
                      "has a wildcard, which only the id of a foreign peer may have");
}

std::string to_string(const Identity& identity) {
  switch (identity.type) {
    case IdType::kIpv4:
    case IdType::kIpv6: {
      const auto ip = IpAddress::from_bytes(identity.data);
      return ip ? ip.value().to_string() : to_hex(identity.data);
    }
    case IdType::kFqdn:
    case IdType::kRfc822: return printable(to_text(identity.data));
    case IdType::kDerDn: return name_text(identity.data);
    case IdType::kKeyId: return "@#" + to_hex(identity.data);
    case IdType::kDerGn: return to_hex(identity.data);
    case IdType::kNull: return "%null";
  }
  if (identity.type == kAnyIdType) return "%any";
  return to_hex(identity.data);
}

}  // namespace espalier::policy
