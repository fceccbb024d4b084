#include "policy/identity.hpp"

#include <algorithm>

#include "policy/distinguished_name.hpp"
#include "policy/limits.hpp"

namespace espalier::policy {
namespace {

using wire::ike::IdType;

constexpr std::string_view kNoIdentity = "is no address, host name or email address";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// DNS names compare without regard to case (RFC 4343), and only ASCII letters have one.
bool same_dns_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 5280 section 7.5: the local part is compared as it is, the domain without case.
bool same_email(std::string_view a, std::string_view b) {
  const std::size_t at_a = a.rfind('@');
  const std::size_t at_b = b.rfind('@');
  if (at_a == std::string_view::npos || at_b == std::string_view::npos) return false;
  return a.substr(0, at_a) == b.substr(0, at_b) &&
         same_dns_name(a.substr(at_a + 1), b.substr(at_b + 1));
}

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

std::string name_text(ByteView der) {
  const auto attributes = parse_distinguished_name(der);
  if (!attributes || attributes.value().empty()) return to_hex(der);
  std::string text;
  for (const NameAttribute& attribute : attributes.value()) {
    if (!text.empty()) text += ", ";
    text += attribute.type + "=" + printable(attribute.value);
  }
  return text;
}

bool common_name_is(ByteView der, std::string_view host) {
  const auto attributes = parse_distinguished_name(der);
  if (!attributes) return false;
  return std::any_of(attributes.value().begin(), attributes.value().end(),
                     [&](const NameAttribute& attribute) {
                       return attribute.type == "CN" && same_dns_name(attribute.value, host);
                     });
}

}  // namespace

Result<Identity> parse_identity(std::string_view text) {
  if (text.empty()) return make_error(ErrorCode::kInvalidArgument, "an identity is empty");
  if (text.size() > kMaxIdentityText) {
    return bad_identity(ErrorCode::kLimit, text, "is longer than 254 characters");
  }
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
  if (!plain && text.find('=') == std::string_view::npos) {
    return bad_identity(ErrorCode::kInvalidArgument, text, kNoIdentity);
  }
  if (const auto ip = IpAddress::parse(text)) {
    const IdType type = ip.value().is_v4() ? IdType::kIpv4 : IdType::kIpv6;
    return Identity{type, to_vector(ip.value().bytes())};
  }
  if (text.find('=') != std::string_view::npos) {
    return bad_identity(ErrorCode::kUnsupported, text,
                        "looks like a distinguished name, which is not supported yet; use a name "
                        "from the certificate's subjectAltName");
  }
  if (text.find_first_of("*%#") != std::string_view::npos) {
    return bad_identity(ErrorCode::kUnsupported, text,
                        "has a wildcard or a key id ('*', '%', '#'), which is not supported yet");
  }
  if (text.find_first_of(":/") != std::string_view::npos) {
    return bad_identity(ErrorCode::kInvalidArgument, text, kNoIdentity);
  }
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return make_identity(IdType::kFqdn, text);
  if (at == 0) {
    text.remove_prefix(1);
    if (text.empty() || text.find('@') != std::string_view::npos) {
      return bad_identity(ErrorCode::kInvalidArgument, text, "has no single name after its '@'");
    }
    return make_identity(IdType::kFqdn, text);
  }
  if (at + 1 == text.size() || text.find('@', at + 1) != std::string_view::npos) {
    return bad_identity(ErrorCode::kInvalidArgument, text, "is no email address");
  }
  return make_identity(IdType::kRfc822, text);
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
    case IdType::kDerGn:
    case IdType::kKeyId: return to_hex(identity.data);
  }
  return to_hex(identity.data);
}

bool certificate_has_identity(const crypto::CertificateInfo& certificate,
                              const Identity& identity) {
  const std::string text = to_text(identity.data);
  switch (identity.type) {
    case IdType::kFqdn:
      if (certificate.dns_names.empty()) return common_name_is(certificate.subject_dn, text);
      return std::any_of(certificate.dns_names.begin(), certificate.dns_names.end(),
                         [&](const std::string& name) { return same_dns_name(name, text); });
    case IdType::kRfc822:
      return std::any_of(certificate.emails.begin(), certificate.emails.end(),
                         [&](const std::string& email) { return same_email(email, text); });
    case IdType::kIpv4:
    case IdType::kIpv6: {
      const std::size_t size = identity.type == IdType::kIpv4 ? 4 : 16;
      return identity.data.size() == size &&
             std::find(certificate.ip_addresses.begin(), certificate.ip_addresses.end(),
                       identity.data) != certificate.ip_addresses.end();
    }
    case IdType::kDerDn: return !identity.data.empty() && certificate.subject_dn == identity.data;
    case IdType::kDerGn:
    case IdType::kKeyId: return false;
  }
  return false;
}

}  // namespace espalier::policy
