// Values in and out of VICI sections, clipped to what the encoding can carry.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/vici/message.hpp"

namespace espalier::control {

using wire::vici::Section;

void put(Section& section, std::string_view key, std::string_view value);
void put_number(Section& section, std::string_view key, std::uint64_t value);
void put_signed(Section& section, std::string_view key, std::int64_t value);
void put_flag(Section& section, std::string_view key, bool value);  // "yes", "no"
void put_list(Section& section, std::string_view key, const std::vector<std::string>& values);
void put_section(Section& section, std::string_view key, Section value);

std::string get(const Section& section, std::string_view key);  // "" if absent
std::optional<std::string> find(const Section& section, std::string_view key);
std::uint64_t get_number(const Section& section, std::string_view key);  // 0 if absent or no number
std::int64_t get_signed(const Section& section, std::string_view key);
std::optional<std::int64_t> find_signed(const Section& section, std::string_view key);
bool get_flag(const Section& section, std::string_view key);  // "yes" and "1"
std::vector<std::string> get_list(const Section& section, std::string_view key);
const Section* get_section(const Section& section, std::string_view key);  // nullptr if absent

}  // namespace espalier::control
