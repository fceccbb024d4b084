#include "policy/distinguished_name.hpp"

#include <algorithm>

#include "policy/limits.hpp"

namespace espalier::policy {
namespace {

constexpr std::uint8_t kOid = 0x06;
constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kSet = 0x31;

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

std::string attribute_type(ByteView oid) {
  const std::string numbers = dotted(oid);
  // RFC 4514 section 3, RFC 4519.
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"2.5.4.3", "CN"},
      {"2.5.4.5", "serialNumber"},
      {"2.5.4.6", "C"},
      {"2.5.4.7", "L"},
      {"2.5.4.8", "ST"},
      {"2.5.4.10", "O"},
      {"2.5.4.11", "OU"},
      {"1.2.840.113549.1.9.1", "E"},
      {"0.9.2342.19200300.100.1.25", "DC"},
  };
  for (const auto& [number, name] : kNames) {
    if (number == numbers) return std::string(name);
  }
  return numbers;
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
    while (!pairs.empty()) {
      TRY_ASSIGN(const Element pair, read_element(pairs, kSequence));
      Reader fields(pair.content);
      TRY_ASSIGN(const Element oid, read_element(fields, kOid));
      TRY_ASSIGN(const Element value, read_element(fields));
      if (attributes.size() == kMaxNameAttributes) {
        return make_error(ErrorCode::kLimit, "the name has too many attributes");
      }
      attributes.push_back({attribute_type(oid.content), to_text(value.content)});
    }
  }
  return attributes;
}

}  // namespace espalier::policy
