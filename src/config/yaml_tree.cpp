#include "config/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "config/limits.hpp"

namespace espalier::config {
namespace {

Position position(const YAML::Mark& mark) {
  if (mark.is_null()) return {1, 1};
  return {static_cast<unsigned>(mark.line) + 1, static_cast<unsigned>(mark.column) + 1};
}

// Leaves the parser when going on makes no sense. It never leaves this file.
struct Stop {};

// Builds the tree from the parser's events. The events are used instead of YAML::Node because that
// keeps neither both of two equal keys nor the place of every part.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add({YamlNode::Kind::kNull, position(mark), {}, false, {}, {}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    diagnostics_.unsupported(position(mark), "an alias (*name)", "write the value out");
    add({YamlNode::Kind::kNull, position(mark), {}, false, {}, {}});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    // Escapes in double quotes can make what check_octets() refuses in the text itself.
    const bool control = std::any_of(value.begin(), value.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (control) {
      diagnostics_.bad(position(mark), "a value has a line break or another control character");
      throw Stop{};
    }
    add({YamlNode::Kind::kScalar, position(mark), value, tag == "!", {}, {}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

  std::optional<YamlNode> take() { return std::move(root_); }

 private:
  struct Frame {
    YamlNode node;
    bool has_key = false;
    bool drop = false;  // the value that comes belongs to a refused key
    YamlEntry pending;
    std::map<std::string, Position> seen;
  };

  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor) return;
    diagnostics_.unsupported(position(mark), "an anchor (&name)", "write the value out");
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    diagnostics_.unsupported(position(mark), "a tag ('" + tag.substr(0, 80) + "')", "leave it out");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YamlNode::Kind kind) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (stack_.size() == kMaxDepth) {
      diagnostics_.add(position(mark), ErrorCode::kLimit,
                       "this is nested more than " + std::to_string(kMaxDepth) + " levels deep");
      throw Stop{};
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.at = position(mark);
    stack_.push_back(std::move(frame));
  }

  void close() {
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (++nodes_ > kMaxNodes) {
      diagnostics_.add(node.at, ErrorCode::kLimit,
                       "the file has more than " + std::to_string(kMaxNodes) + " values");
      throw Stop{};
    }
    if (stack_.empty()) {
      root_ = std::move(node);
    } else if (stack_.back().node.is_list()) {
      stack_.back().node.items.push_back(std::move(node));
    } else if (stack_.back().has_key) {
      add_value(stack_.back(), std::move(node));
    } else {
      add_key(stack_.back(), node);
    }
  }

  void add_key(Frame& frame, const YamlNode& node) {
    frame.has_key = true;
    frame.drop = true;
    frame.pending = {node.text, node.at, {}};
    if (!node.is_scalar()) {
      diagnostics_.bad(node.at, "a key has to be a word; this is " + describe(node) +
                                    (node.is_null() ? " (quote it if it is meant as a name)" : ""));
      return;
    }
    if (node.text == "<<") {
      diagnostics_.unsupported(node.at, "a merge key (<<)", "write the keys out");
      return;
    }
    const auto [first, fresh] = frame.seen.emplace(node.text, node.at);
    if (!fresh) {
      diagnostics_.bad(node.at, "the key '" + node.text +
                                    "' stands here a second time; it is first at " +
                                    to_string(first->second));
      return;
    }
    frame.drop = false;
  }

  static void add_value(Frame& frame, YamlNode node) {
    frame.has_key = false;
    if (frame.drop) return;
    // The parser reports a missing value where the next thing starts; the key is where a person
    // looks.
    if (node.is_null()) node.at = frame.pending.at;
    frame.pending.value = std::move(node);
    frame.node.entries.push_back(std::move(frame.pending));
  }

  Diagnostics& diagnostics_;
  std::vector<Frame> stack_;
  std::optional<YamlNode> root_;
  std::size_t nodes_ = 0;
};

// yaml-cpp takes octet 4 for the end of the file and would silently read half of it; other control
// characters and UTF-16 have no place in an inventory either.
bool check_octets(std::string_view text, Diagnostics& diagnostics) {
  Position at{1, 1};
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool control = (octet < 0x20 && c != '\n' && c != '\r' && c != '\t') || octet == 0x7f;
    if (control || octet >= 0xfe) {
      diagnostics.bad(
          at, "octet " + std::to_string(octet) + " is no text; an inventory is a UTF-8 text file");
      return false;
    }
    ++at.column;
    if (c == '\n') at = {at.line + 1, 1};
  }
  return true;
}

// yaml-cpp stumbles over a tab in the indentation only later, and with other words. In an inventory
// no text goes over several lines, so a tab there is never meant as content.
bool check_indentation(std::string_view text, Diagnostics& diagnostics) {
  Position at{1, 1};
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t indent = line.find_first_not_of(' ');
    const std::size_t content = line.find_first_not_of(" \t\r");
    if (indent != content && content != line.npos && line[content] != '#') {
      at.column = static_cast<unsigned>(indent) + 1;
      diagnostics.bad(at, "a tab indents this line; YAML takes spaces only");
      return false;
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++at.line;
  }
  return true;
}

}  // namespace

const YamlEntry* YamlNode::find(std::string_view key) const {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const YamlEntry& entry) { return entry.key == key; });
  return found == entries.end() ? nullptr : &*found;
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull: return "nothing";
    case YamlNode::Kind::kScalar:
      return "'" + (node.text.size() > 80 ? node.text.substr(0, 80) + "..." : node.text) + "'";
    case YamlNode::Kind::kList: return "a list";
    case YamlNode::Kind::kMap: return "a map";
  }
  return "nothing";
}

std::optional<YamlNode> parse_yaml(std::string_view text, Diagnostics& diagnostics) {
  if (text.size() > kMaxFileOctets) {
    diagnostics.add({1, 1}, ErrorCode::kLimit,
                    "the file has " + std::to_string(text.size()) + " octets; at most " +
                        std::to_string(kMaxFileOctets) + " are read");
    return std::nullopt;
  }
  if (!check_octets(text, diagnostics) || !check_indentation(text, diagnostics))
    return std::nullopt;
  Builder builder(diagnostics);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    if (!parser.HandleNextDocument(builder)) return YamlNode{};
    std::optional<YamlNode> root = builder.take();
    Diagnostics unheard{""};
    Builder second(unheard);
    if (parser.HandleNextDocument(second)) {
      const std::optional<YamlNode> other = second.take();
      diagnostics.unsupported(other ? other->at : Position{1, 1}, "a second document",
                              "an inventory is one document");
    }
    return root;
  } catch (const YAML::Exception& error) {
    diagnostics.bad(position(error.mark), "this is not YAML: " + error.msg);
  } catch (const Stop&) {
    if (diagnostics.empty()) diagnostics.bad({1, 1}, "a second document follows, and is too large");
  }
  return std::nullopt;
}

}  // namespace espalier::config
