#include "policy/distinguished_name.hpp"

#include <algorithm>

#include "policy/limits.hpp"

namespace espalier::policy {
namespace {

constexpr std::uint8_t kOid = 0x06;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kSet = 0x31;
constexpr std::uint8_t kUtf8String = 0x0c;
constexpr std::uint8_t kPrintableString = 0x13;
constexpr std::uint8_t kT61String = 0x14;
constexpr std::uint8_t kIa5String = 0x16;

struct Element {
  std::uint8_t tag = 0;
  ByteView content;
};

// One DER element with a length of at most two octets: names are short.
Result<Element> read_element(Reader& reader) {
  TRY_ASSIGN(const std::uint8_t tag, reader.u8());
  TRY_ASSIGN(const std::uint8_t first, reader.u8());
  std::size_t length = first;
  if (first == 0x81) {
    TRY_ASSIGN(const std::uint8_t octet, reader.u8());
    length = octet;
  } else if (first == 0x82) {
    TRY_ASSIGN(const std::uint16_t octets, reader.u16());
    length = octets;
  } else if (first >= 0x80) {
    return make_error(ErrorCode::kMalformed, "a length in the name is not in DER's short forms");
  }
  TRY_ASSIGN(const ByteView content, reader.take(length));
  return Element{tag, content};
}

Result<Element> read_element(Reader& reader, std::uint8_t tag) {
  TRY_ASSIGN(const Element element, read_element(reader));
  if (element.tag != tag) {
    return make_error(ErrorCode::kMalformed, "the name is not built as RFC 5280 says");
  }
  return element;
}

std::string dotted(ByteView oid) {
  std::string text;
  std::uint64_t value = 0;
  for (const std::uint8_t octet : oid) {
    value = (value << 7 | (octet & 0x7f)) & 0xffffffffffffu;
    if (octet & 0x80) continue;
    if (text.empty()) {
      const std::uint64_t root = std::min<std::uint64_t>(value / 40, 2);
      text = std::to_string(root) + "." + std::to_string(value - 40 * root);
    } else {
      text += "." + std::to_string(value);
    }
    value = 0;
  }
  return text;
}

// RFC 4514 section 3, RFC 4519, and the words that strongSwan has beside them. The first word of an
// OID is the one we print.
struct TypeWord {
  std::string_view oid;
  std::string_view word;
};
constexpr TypeWord kTypes[] = {
    {"2.5.4.3", "CN"},
    {"2.5.4.4", "S"},
    {"2.5.4.5", "serialNumber"},
    {"2.5.4.5", "SN"},
    {"2.5.4.6", "C"},
    {"2.5.4.7", "L"},
    {"2.5.4.8", "ST"},
    {"2.5.4.9", "STREET"},
    {"2.5.4.10", "O"},
    {"2.5.4.11", "OU"},
    {"2.5.4.12", "T"},
    {"2.5.4.13", "D"},
    {"2.5.4.17", "postalCode"},
    {"2.5.4.41", "N"},
    {"2.5.4.42", "G"},
    {"2.5.4.43", "I"},
    {"2.5.4.45", "ID"},
    {"2.5.4.46", "dnQualifier"},
    {"1.2.840.113549.1.9.1", "E"},
    {"1.2.840.113549.1.9.1", "emailAddress"},
    {"1.2.840.113549.1.9.1", "email"},
    {"0.9.2342.19200300.100.1.1", "UID"},
    {"0.9.2342.19200300.100.1.25", "DC"},
};
constexpr std::string_view kEmail = "1.2.840.113549.1.9.1";
constexpr std::string_view kDomainComponent = "0.9.2342.19200300.100.1.25";

std::string attribute_type(ByteView oid) {
  const std::string numbers = dotted(oid);
  for (const TypeWord& type : kTypes) {
    if (type.oid == numbers) return std::string(type.word);
  }
  return numbers;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

void put_element(Writer& out, std::uint8_t tag, ByteView content) {
  out.u8(tag);
  if (content.size() < 0x80) {
    out.u8(static_cast<std::uint8_t>(content.size()));
  } else if (content.size() < 0x100) {
    out.u8(0x81);
    out.u8(static_cast<std::uint8_t>(content.size()));
  } else {
    out.u8(0x82);
    out.u16(static_cast<std::uint16_t>(content.size()));
  }
  out.bytes(content);
}

// The inverse of parse_distinguished_name.
Bytes encode_name(const std::vector<NameAttribute>& attributes) {
  Writer name;
  for (std::size_t i = 0; i < attributes.size();) {
    Writer set;
    do {
      Writer pair;
      put_element(pair, kOid, attributes[i].oid);
      put_element(pair, attributes[i].tag, as_bytes(attributes[i].value));
      put_element(set, kSequence, pair.view());
      ++i;
    } while (i < attributes.size() && attributes[i].same_rdn);
    put_element(name, kSet, set.view());
  }
  Writer whole;
  put_element(whole, kSequence, name.view());
  return whole.take();
}

// ---- text to DER

Error bad_name(std::string_view why) {
  return make_error(ErrorCode::kInvalidArgument, std::string(why));
}

Result<Bytes> oid_of_numbers(std::string_view text) {
  std::vector<std::uint64_t> arcs;
  std::uint64_t arc = 0;
  bool digit = false;
  for (const char c : text) {
    if (c == '.' && digit) {
      arcs.push_back(arc);
      arc = 0;
      digit = false;
    } else if (c >= '0' && c <= '9' && arc < (std::uint64_t{1} << 40)) {
      arc = arc * 10 + static_cast<std::uint64_t>(c - '0');
      digit = true;
    } else {
      arcs.clear();
      break;
    }
  }
  if (digit) arcs.push_back(arc);
  if (arcs.size() < 2 || arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39)) {
    return bad_name("has an attribute type that is neither a known word nor an object identifier");
  }
  Bytes oid;
  arcs[1] += 40 * arcs[0];
  for (std::size_t i = 1; i < arcs.size(); ++i) {
    Bytes octets{static_cast<std::uint8_t>(arcs[i] & 0x7f)};
    for (std::uint64_t rest = arcs[i] >> 7; rest > 0; rest >>= 7) {
      octets.insert(octets.begin(), static_cast<std::uint8_t>(0x80 | (rest & 0x7f)));
    }
    oid.insert(oid.end(), octets.begin(), octets.end());
  }
  return oid;
}

Result<Bytes> oid_of(std::string_view word) {
  for (const TypeWord& type : kTypes) {
    if (same_word(type.word, word)) return oid_of_numbers(type.oid);
  }
  return oid_of_numbers(word);
}

bool is_printable_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
}

std::uint8_t tag_for(ByteView oid, std::string_view value) {
  const std::string numbers = dotted(oid);
  const bool ascii = std::all_of(value.begin(), value.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii && (numbers == kEmail || numbers == kDomainComponent)) return kIa5String;
  const bool printable = std::all_of(value.begin(), value.end(), is_printable_character);
  return printable ? kPrintableString : kUtf8String;
}

// One value up to a separator that is not escaped (RFC 4514 section 3); `at` ends behind it.
Result<std::string> take_value(std::string_view text, std::size_t& at, char separator) {
  std::string value;
  std::size_t kept = 0;  // up to here spaces at the end were escaped
  while (at < text.size() && text[at] == ' ') ++at;
  for (; at < text.size() && text[at] != separator; ++at) {
    if (text[at] == '+') {
      return bad_name(
          "has a '+': RDNs of several attributes are not supported, and the "
          "character itself is written \\+");
    }
    if (text[at] != '\\') {
      value += text[at];
      continue;
    }
    if (at + 1 == text.size()) return bad_name("ends with a backslash");
    const auto octet =
        at + 2 < text.size() ? from_hex(text.substr(at + 1, 2)) : Result<Bytes>(bad_name(""));
    value += octet ? static_cast<char>(octet->front()) : text[at + 1];
    at += octet ? 2 : 1;
    kept = value.size();
  }
  if (at < text.size()) ++at;
  while (value.size() > kept && value.back() == ' ') value.pop_back();
  if (value.empty()) return bad_name("has an attribute without a value");
  return value;
}

// ---- comparison

bool is_text(std::uint8_t tag) {
  return tag == kUtf8String || tag == kPrintableString || tag == kIa5String || tag == kT61String;
}

void fold(NameAttribute& attribute) {
  if (!is_text(attribute.tag)) return;
  std::string folded;
  for (const char c : trimmed(attribute.value)) {
    if (c == ' ' && !folded.empty() && folded.back() == ' ') continue;
    folded += lower(c);
  }
  attribute.value = std::move(folded);
  attribute.tag = kUtf8String;
}

}  // namespace

Result<std::vector<NameAttribute>> parse_distinguished_name(ByteView der) {
  Reader whole(der);
  TRY_ASSIGN(const Element name, read_element(whole, kSequence));
  if (!whole.empty()) return make_error(ErrorCode::kMalformed, "octets follow the name");
  std::vector<NameAttribute> attributes;
  Reader sets(name.content);
  while (!sets.empty()) {
    TRY_ASSIGN(const Element set, read_element(sets, kSet));
    Reader pairs(set.content);
    bool same_rdn = false;
    while (!pairs.empty()) {
      TRY_ASSIGN(const Element pair, read_element(pairs, kSequence));
      Reader fields(pair.content);
      TRY_ASSIGN(const Element oid, read_element(fields, kOid));
      TRY_ASSIGN(const Element value, read_element(fields));
      if (attributes.size() == kMaxNameAttributes) {
        return make_error(ErrorCode::kLimit, "the name has too many attributes");
      }
      attributes.push_back({attribute_type(oid.content), to_text(value.content),
                            to_vector(oid.content), value.tag, same_rdn});
      same_rdn = true;
    }
  }
  return attributes;
}

Result<Bytes> distinguished_name(std::string_view text) {
  text = trimmed(text);
  if (text.size() > kMaxNameText) {
    return bad_name("is longer than " + std::to_string(kMaxNameText) + " characters");
  }
  const char separator = text.starts_with('/') ? '/' : ',';
  if (separator == '/') text.remove_prefix(1);
  std::vector<NameAttribute> attributes;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t equals = text.find('=', at);
    if (equals == std::string_view::npos) return bad_name("has an attribute without '='");
    NameAttribute attribute;
    TRY_ASSIGN(attribute.oid, oid_of(trimmed(text.substr(at, equals - at))));
    at = equals + 1;
    TRY_ASSIGN(attribute.value, take_value(text, at, separator));
    attribute.tag = tag_for(attribute.oid, attribute.value);
    if (attributes.size() == kMaxNameAttributes) return bad_name("has too many attributes");
    attributes.push_back(std::move(attribute));
  }
  if (attributes.empty()) return bad_name("has no attribute");
  return encode_name(attributes);
}

Bytes canonical_name(ByteView der) { return masked_name(der, 0); }

std::uint32_t wildcard_mask(ByteView der) {
  const auto attributes = parse_distinguished_name(der);
  if (!attributes) return 0;
  std::uint32_t mask = 0;
  for (std::size_t i = 0; i < attributes->size(); ++i) {
    if ((*attributes)[i].value == "*") mask |= std::uint32_t{1} << i;
  }
  return mask;
}

Bytes masked_name(ByteView der, std::uint32_t mask) {
  auto attributes = parse_distinguished_name(der);
  if (!attributes) return mask == 0 ? to_vector(der) : Bytes();
  static_assert(kMaxNameAttributes <= 32);  // the bits of a mask
  for (std::size_t i = 0; i < 32; ++i) {
    if ((mask >> i & 1) == 0) continue;
    if (i >= attributes->size()) return {};
    (*attributes)[i].value = "*";
    (*attributes)[i].tag = kUtf8String;
  }
  for (NameAttribute& attribute : *attributes) fold(attribute);
  return encode_name(*attributes);
}

}  // namespace espalier::policy
