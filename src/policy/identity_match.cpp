#include "policy/identity_match.hpp"

#include <algorithm>
#include <bit>

#include "policy/distinguished_name.hpp"

namespace espalier::policy {
namespace {

using wire::ike::IdType;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

Identity make(IdType type, std::string_view text) { return {type, to_vector(as_bytes(text))}; }

std::string canonical_email(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::string(text);
  return std::string(text.substr(0, at + 1)) + lower(text.substr(at + 1));
}

bool common_name_is(ByteView der, const std::string& host) {
  const auto attributes = parse_distinguished_name(der);
  if (!attributes) return false;
  return std::any_of(attributes.value().begin(), attributes.value().end(),
                     [&](const NameAttribute& attribute) {
                       return attribute.type == "CN" && lower(attribute.value) == lower(host);
                     });
}

}  // namespace

Identity canonical(const Identity& identity) {
  switch (identity.type) {
    case IdType::kFqdn: return make(identity.type, lower(to_text(identity.data)));
    case IdType::kRfc822: return make(identity.type, canonical_email(to_text(identity.data)));
    case IdType::kDerDn: return {identity.type, canonical_name(identity.data)};
    default: return identity;
  }
}

bool same_identity(const Identity& a, const Identity& b) {
  return a == b || (a.type == b.type && canonical(a) == canonical(b));
}

bool is_wildcard(const Identity& identity) {
  if (identity.type == kAnyIdType) return true;
  switch (identity.type) {
    case IdType::kFqdn:
    case IdType::kRfc822:
      return std::find(identity.data.begin(), identity.data.end(), '*') != identity.data.end();
    case IdType::kDerDn: return wildcard_mask(identity.data) != 0;
    default: return false;
  }
}

bool covers(const Identity& pattern, const Identity& identity) {
  if (!is_wildcard(pattern)) return same_identity(pattern, identity);
  if (is_wildcard(identity)) return false;
  const Identity wanted = canonical(pattern);
  const auto keys = lookup_keys(identity, {name_mask(pattern)});
  return std::find(keys.begin(), keys.end(), wanted) != keys.end();
}

std::vector<Identity> lookup_keys(const Identity& identity,
                                  const std::vector<std::uint32_t>& name_masks) {
  std::vector<Identity> keys{canonical(identity)};
  // RFC 7619 section 2.4: an end without an identity is for those that expect one, never `%any`.
  if (identity.type == IdType::kNull) return keys;
  const std::string text = to_text(keys.front().data);
  if (identity.type == IdType::kFqdn) {
    for (std::size_t dot = text.find('.'); dot != std::string::npos; dot = text.find('.', dot + 1))
      keys.push_back(make(IdType::kFqdn, "*" + text.substr(dot)));
  } else if (identity.type == IdType::kRfc822) {
    const std::size_t at = text.rfind('@');
    if (at != std::string::npos) keys.push_back(make(IdType::kRfc822, "*" + text.substr(at)));
  } else if (identity.type == IdType::kDerDn) {
    for (const std::uint32_t mask : name_masks) {
      Bytes name = mask == 0 ? Bytes() : masked_name(identity.data, mask);
      if (!name.empty()) keys.push_back({IdType::kDerDn, std::move(name)});
    }
  }
  keys.push_back({kAnyIdType, {}});
  return keys;
}

std::uint32_t name_mask(const Identity& pattern) {
  return pattern.type == IdType::kDerDn ? wildcard_mask(pattern.data) : 0;
}

bool more_specific_mask(std::uint32_t a, std::uint32_t b) {
  const int stars_a = std::popcount(a);
  const int stars_b = std::popcount(b);
  return stars_a != stars_b ? stars_a < stars_b : a < b;
}

bool certificate_has_identity(const crypto::CertificateInfo& certificate,
                              const Identity& identity) {
  const std::string text = to_text(identity.data);
  const auto any = [&](const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return same_identity(make(identity.type, name), identity);
    });
  };
  switch (identity.type) {
    case IdType::kFqdn:
      if (certificate.dns_names.empty()) return common_name_is(certificate.subject_dn, text);
      return any(certificate.dns_names);
    case IdType::kRfc822: return text.find('@') != std::string::npos && any(certificate.emails);
    case IdType::kIpv4:
    case IdType::kIpv6: {
      const std::size_t size = identity.type == IdType::kIpv4 ? 4 : 16;
      return identity.data.size() == size &&
             std::find(certificate.ip_addresses.begin(), certificate.ip_addresses.end(),
                       identity.data) != certificate.ip_addresses.end();
    }
    case IdType::kDerDn:
      return !identity.data.empty() &&
             canonical_name(certificate.subject_dn) == canonical_name(identity.data);
    case IdType::kKeyId: return !identity.data.empty() && certificate.key_id == identity.data;
    case IdType::kDerGn:
    case IdType::kNull: return false;
  }
  return false;
}

}  // namespace espalier::policy
