#include "control/fields.hpp"

#include <charconv>

#include "control/limits.hpp"

namespace espalier::control {
namespace {

// Names are printable ASCII of at most 255 octets: two FQDNs joined can be longer, and names from
// a swanctl.conf may hold anything.
std::string clip_name(std::string_view name) {
  std::string out(name.substr(0, kMaxViciName));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

std::string clip_value(std::string_view value) {
  return std::string(value.substr(0, kMaxViciValue));
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void put(Section& section, std::string_view key, std::string_view value) {
  section.set(clip_name(key), clip_value(value));
}
void put_number(Section& section, std::string_view key, std::uint64_t value) {
  put(section, key, std::to_string(value));
}
void put_signed(Section& section, std::string_view key, std::int64_t value) {
  put(section, key, std::to_string(value));
}
void put_flag(Section& section, std::string_view key, bool value) {
  put(section, key, value ? "yes" : "no");
}
void put_list(Section& section, std::string_view key, const std::vector<std::string>& values) {
  std::vector<std::string> items;
  items.reserve(values.size());
  for (const auto& value : values) items.push_back(clip_value(value));
  section.list(clip_name(key), std::move(items));
}
void put_section(Section& section, std::string_view key, Section value) {
  section.append({clip_name(key), std::move(value)});
}

std::optional<std::string> find(const Section& section, std::string_view key) {
  const auto value = section.get(key);
  if (!value) return std::nullopt;
  return std::string(*value);
}
std::string get(const Section& section, std::string_view key) {
  return std::string(section.get(key).value_or(""));
}
std::uint64_t get_number(const Section& section, std::string_view key) {
  return parse_number<std::uint64_t>(section.get(key).value_or("")).value_or(0);
}
std::optional<std::int64_t> find_signed(const Section& section, std::string_view key) {
  return parse_number<std::int64_t>(section.get(key).value_or(""));
}
std::int64_t get_signed(const Section& section, std::string_view key) {
  return find_signed(section, key).value_or(0);
}
bool get_flag(const Section& section, std::string_view key) {
  const auto value = section.get(key).value_or("");
  return value == "yes" || value == "1";
}
std::vector<std::string> get_list(const Section& section, std::string_view key) {
  const std::vector<std::string>* items = section.get_list(key);
  return items == nullptr ? std::vector<std::string>() : *items;
}
const Section* get_section(const Section& section, std::string_view key) {
  return section.get_section(key);
}

}  // namespace espalier::control
