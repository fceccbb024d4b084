// Section: building a message, and looking things up in one.
#include "wire/vici/message.hpp"

namespace espalier::wire::vici {

bool operator==(const Section& a, const Section& b) { return a.entries_ == b.entries_; }

Entry* Section::find_name(std::string_view name) {
  for (Entry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

void Section::append(Entry entry) { entries_.push_back(std::move(entry)); }

Section& Section::set(std::string_view name, std::string value) {
  if (Entry* found = find_name(name)) {
    found->value = std::move(value);
  } else {
    append({std::string(name), std::move(value)});
  }
  return *this;
}

Section& Section::list(std::string_view name, std::vector<std::string> items) {
  if (Entry* found = find_name(name)) {
    found->value = std::move(items);
  } else {
    append({std::string(name), std::move(items)});
  }
  return *this;
}

Section& Section::section(std::string_view name) {
  Entry* found = find_name(name);
  if (found == nullptr) {
    append({std::string(name), Section()});
    found = &entries_.back();
  }
  if (!std::holds_alternative<Section>(found->value)) found->value = Section();
  return std::get<Section>(found->value);
}

template <class T>
const T* Section::find(std::string_view path) const {
  for (const Entry& entry : entries_) {
    if (entry.name != path) continue;
    if (const T* found = std::get_if<T>(&entry.value)) return found;
  }
  for (const Entry& entry : entries_) {
    const std::size_t size = entry.name.size();
    if (path.size() <= size || path[size] != '.' || !path.starts_with(entry.name)) continue;
    const Section* inner = std::get_if<Section>(&entry.value);
    if (inner == nullptr) continue;
    if (const T* found = inner->find<T>(path.substr(size + 1))) return found;
  }
  return nullptr;
}

std::optional<std::string_view> Section::get(std::string_view path) const {
  const std::string* found = find<std::string>(path);
  if (found == nullptr) return std::nullopt;
  return *found;
}

const std::vector<std::string>* Section::get_list(std::string_view path) const {
  return find<std::vector<std::string>>(path);
}

const Section* Section::get_section(std::string_view path) const { return find<Section>(path); }

}  // namespace espalier::wire::vici
