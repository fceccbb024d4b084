// A message's elements to a Section and back.
#include "wire/vici/message.hpp"

#include <fmt/format.h>

#include "wire/vici/codec.hpp"
#include "wire/vici/limits.hpp"

namespace espalier::wire::vici {
namespace {

enum class Element : std::uint8_t {
  kSectionStart = 1,  // name
  kSectionEnd = 2,
  kKeyValue = 3,   // name, value
  kListStart = 4,  // name
  kListItem = 5,   // value
  kListEnd = 6,
};

class Parser {
 public:
  explicit Parser(ByteView bytes) : reader_(bytes) {}

  // Entries up to the end of the section, or for the message itself (depth 0) of the bytes.
  Result<Section> section(std::size_t depth) {
    Section section;
    while (true) {
      const std::size_t offset = reader_.offset();
      if (depth == 0 && reader_.empty()) return section;
      TRY_ASSIGN(const Element element, next());
      switch (element) {
        case Element::kSectionStart: {
          TRY_ASSIGN(std::string name, parse_name(reader_, "a section's name"));
          if (depth == kMaxDepth) {
            return fault(ErrorCode::kLimit, offset,
                         fmt::format("sections nest deeper than {}", kMaxDepth));
          }
          TRY_ASSIGN(Section inner, this->section(depth + 1));
          section.append({std::move(name), std::move(inner)});
          break;
        }
        case Element::kSectionEnd:
          if (depth == 0) return misplaced(offset, "a section's end outside of any");
          return section;
        case Element::kKeyValue: {
          TRY_ASSIGN(std::string name, parse_name(reader_, "a key"));
          TRY_ASSIGN(std::string value, parse_value());
          section.append({std::move(name), std::move(value)});
          break;
        }
        case Element::kListStart: {
          TRY_ASSIGN(std::string name, parse_name(reader_, "a list's name"));
          TRY_ASSIGN(std::vector<std::string> items, list());
          section.append({std::move(name), std::move(items)});
          break;
        }
        case Element::kListItem: return misplaced(offset, "a list item outside of a list");
        case Element::kListEnd: return misplaced(offset, "a list's end outside of any");
        default: return unknown(offset, element);
      }
    }
  }

 private:
  Result<Element> next() {
    const std::size_t offset = reader_.offset();
    if (reader_.empty()) {
      return fault(ErrorCode::kTruncated, offset, "the message ends within a section or a list");
    }
    if (elements_ == kMaxElements) {
      return fault(ErrorCode::kLimit, offset, fmt::format("more than {} elements", kMaxElements));
    }
    ++elements_;
    TRY_ASSIGN(const std::uint8_t type, reader_.u8());
    return static_cast<Element>(type);
  }

  Result<std::vector<std::string>> list() {
    std::vector<std::string> items;
    while (true) {
      const std::size_t offset = reader_.offset();
      TRY_ASSIGN(const Element element, next());
      if (element == Element::kListEnd) return items;
      if (element != Element::kListItem) {
        return misplaced(offset, "something other than an item within a list");
      }
      TRY_ASSIGN(std::string item, parse_value());
      items.push_back(std::move(item));
    }
  }

  Result<std::string> parse_value() {
    const std::size_t offset = reader_.offset();
    const std::size_t have = reader_.remaining();
    if (have < 2) return fault(ErrorCode::kTruncated, offset, "a value's length is cut off");
    TRY_ASSIGN(const std::uint16_t size, reader_.u16());
    if (reader_.remaining() < size) {
      return fault(ErrorCode::kTruncated, offset,
                   fmt::format("a value of {} octets, and {} remain", size, reader_.remaining()));
    }
    TRY_ASSIGN(const ByteView value, reader_.take(size));
    return to_text(value);
  }

  static Error misplaced(std::size_t offset, std::string_view what) {
    return fault(ErrorCode::kMalformed, offset, what);
  }
  static Error unknown(std::size_t offset, Element element) {
    return fault(ErrorCode::kMalformed, offset,
                 fmt::format("there is no element of type {}", static_cast<unsigned>(element)));
  }

  Reader reader_;
  std::size_t elements_ = 0;
};

class Encoder {
 public:
  Status section(const Section& section, std::size_t depth) {
    for (const Entry& entry : section.entries()) {
      if (const auto* text = std::get_if<std::string>(&entry.value)) {
        TRY(head(Element::kKeyValue, entry.name));
        TRY(value(entry.name, *text));
      } else if (const auto* items = std::get_if<std::vector<std::string>>(&entry.value)) {
        TRY(head(Element::kListStart, entry.name));
        for (const std::string& item : *items) {
          TRY(mark(Element::kListItem));
          TRY(value(entry.name, item));
        }
        TRY(mark(Element::kListEnd));
      } else {
        if (depth == kMaxDepth) {
          return make_error(ErrorCode::kLimit, fmt::format("VICI section '{}' nests deeper than {}",
                                                           entry.name, kMaxDepth));
        }
        TRY(head(Element::kSectionStart, entry.name));
        TRY(this->section(std::get<Section>(entry.value), depth + 1));
        TRY(mark(Element::kSectionEnd));
      }
    }
    return {};
  }
  Bytes take() { return writer_.take(); }

 private:
  Status mark(Element element) {
    if (elements_ == kMaxElements) {
      return make_error(ErrorCode::kLimit,
                        fmt::format("a VICI message of more than {} elements", kMaxElements));
    }
    ++elements_;
    writer_.u8(static_cast<std::uint8_t>(element));
    return {};
  }
  Status head(Element element, const std::string& name) {
    TRY(mark(element));
    return write_name(writer_, name);
  }
  Status value(const std::string& name, const std::string& text) {
    if (text.size() > kMaxValueOctets) {
      return make_error(ErrorCode::kLimit,
                        fmt::format("VICI value '{}' has {} octets, and at most {} can be sent",
                                    name, text.size(), kMaxValueOctets));
    }
    writer_.u16(static_cast<std::uint16_t>(text.size()));
    writer_.bytes(as_bytes(text));
    return {};
  }

  Writer writer_;
  std::size_t elements_ = 0;
};

}  // namespace

Result<Section> parse_message(ByteView bytes) { return Parser(bytes).section(0); }

Result<Bytes> encode_message(const Section& message) {
  Encoder encoder;
  TRY(encoder.section(message, 0));
  return encoder.take();
}

}  // namespace espalier::wire::vici
