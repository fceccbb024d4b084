#include "config/yaml_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> faults(std::string_view text) {
  Diagnostics diagnostics("f");
  (void)parse_yaml(text, diagnostics);
  std::vector<std::string> list;
  for (const Diagnostic& d : diagnostics.take_sorted()) list.push_back(to_string(d));
  return list;
}

YamlNode good(std::string_view text) {
  Diagnostics diagnostics("f");
  auto node = parse_yaml(text, diagnostics);
  EXPECT_TRUE(diagnostics.empty());
  return node ? std::move(*node) : YamlNode{};
}

TEST(YamlTree, PlacesAndOrder) {
  const YamlNode root = good("# comment\nb: 1\na:\n  - x\n  - {k: \"v\", n: }\nempty:\nlast: z\n");
  ASSERT_EQ(root.entries.size(), 4u);
  EXPECT_EQ(root.at, (Position{2, 1}));
  EXPECT_EQ(root.entries[0].key, "b");
  EXPECT_EQ(root.entries[0].value.at, (Position{2, 4}));
  const YamlNode& a = root.find("a")->value;
  EXPECT_EQ(a.items[0].at, (Position{4, 5}));
  EXPECT_TRUE(a.items[1].entries[0].value.quoted);
  EXPECT_EQ(a.items[1].entries[0].value.at, (Position{5, 9}));
  EXPECT_TRUE(a.items[1].find("n")->value.is_null());
  EXPECT_TRUE(root.find("empty")->value.is_null());
  EXPECT_EQ(root.find("empty")->value.at, (Position{6, 1})) << "an empty value is at its key";
  EXPECT_EQ(root.find("none"), nullptr);
}

TEST(YamlTree, ScalarsStayText) {
  const YamlNode root = good("a: 0100\nb: 1e3\nc: yes\nd: 2001:db8::1\ne: 0x10\n");
  std::vector<std::string> texts;
  for (const YamlEntry& entry : root.entries) texts.push_back(entry.value.text);
  EXPECT_THAT(texts, ElementsAre("0100", "1e3", "yes", "2001:db8::1", "0x10"));
}

TEST(YamlTree, DuplicateKeysAtEveryLevel) {
  EXPECT_THAT(faults("a: 1\nb: {x: 1, y: 2, x: 3}\na: 2\n"),
              ElementsAre("f:2:17: the key 'x' stands here a second time; it is first at 2:5",
                          "f:3:1: the key 'a' stands here a second time; it is first at 1:1"));
  EXPECT_THAT(faults("a: 1\n\"a\": 2\n"),
              ElementsAre("f:2:1: the key 'a' stands here a second time; it is first at 1:1"));
  EXPECT_THAT(faults("l:\n- {k: 1}\n- {k: 2}\n"), IsEmpty());
}

TEST(YamlTree, SurprisesAreRefused) {
  EXPECT_THAT(faults("a: &x 1\nb: *x\n"),
              ElementsAre("f:1:4: an anchor (&name) is not supported yet; write the value out",
                          "f:2:4: an alias (*name) is not supported yet; write the value out"));
  EXPECT_THAT(faults("a: !!int 1\n"), ElementsAre(HasSubstr("f:1:4: a tag")));
  EXPECT_THAT(faults("a: !foo {b: 1}\n"), ElementsAre(HasSubstr("f:1:4: a tag")));
  EXPECT_THAT(faults("<<: {b: 1}\n"), ElementsAre(HasSubstr("f:1:1: a merge key")));
  EXPECT_THAT(faults("a: 1\n---\nb: 2\n"), ElementsAre(HasSubstr("f:3:1: a second document")));
  EXPECT_THAT(faults("? [a]\n: 1\n"), ElementsAre(HasSubstr("f:1:3: a key has to be a word")));
  EXPECT_THAT(faults("null: 1\n"), ElementsAre(HasSubstr("quote it")));
}

TEST(YamlTree, BrokenSyntax) {
  EXPECT_THAT(faults("a: [1, 2\nb: 3\n"), ElementsAre(HasSubstr("f:2:2: this is not YAML")));
  EXPECT_THAT(faults("a: b: c\n"), ElementsAre(HasSubstr("this is not YAML")));
  EXPECT_THAT(faults("a: *nothing\n"), ElementsAre(HasSubstr("this is not YAML")));
}

TEST(YamlTree, TabsThatIndent) {
  EXPECT_THAT(faults("a:\n\tb: 1\n"),
              ElementsAre("f:2:1: a tab indents this line; YAML takes spaces only"));
  EXPECT_THAT(faults("a:\n \tb: 1\n"), ElementsAre(HasSubstr("f:2:2: a tab")));
  EXPECT_THAT(faults("a:\t1 # x\n\t\n\t# y\nb: 2\n"), IsEmpty());
}

TEST(YamlTree, OctetsThatAreNoText) {
  EXPECT_THAT(faults(std::string_view("a: 1\nb\0: 2\n", 11)),
              ElementsAre(HasSubstr("f:2:2: octet 0 is no text")));
  // The parser takes octet 4 for the end of the file.
  EXPECT_THAT(faults("a: 1\n\x04\nb: 2\n"), ElementsAre(HasSubstr("f:2:1: octet 4")));
  EXPECT_THAT(faults("\xff\xfe"
                     "a"),
              ElementsAre(HasSubstr("f:1:1: octet 255")));
  EXPECT_THAT(faults("a: \"10.0.0.1\\0x\"\n"), ElementsAre(HasSubstr("f:1:4: a value has")));
}

TEST(YamlTree, Limits) {
  EXPECT_THAT(faults(std::string(17, '[') + std::string(17, ']')),
              ElementsAre(HasSubstr("f:1:17: this is nested more than 16")));
  EXPECT_THAT(faults(std::string(5000, '[')), ElementsAre(HasSubstr("nested")));
  EXPECT_THAT(faults(std::string((4u << 20) + 1, ' ')), ElementsAre(HasSubstr("octets")));
}

}  // namespace
}  // namespace espalier::config
