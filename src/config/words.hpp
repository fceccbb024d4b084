// Words of an inventory: names that may be given, and the nearest of a list to a misspelt one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace espalier::config {

// The fewest insertions, deletions, replacements and swaps of neighbours that make a of b. Both are
// cut at 64 characters.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The word nearest to `wrong`; empty when none is near enough to be what was meant.
std::string_view nearest(std::string_view wrong, const std::vector<std::string_view>& words);

// "; did you mean 'x'?" or "; known here are: a, b".
std::string suggestion(std::string_view wrong, const std::vector<std::string_view>& words);

// A host's name: a DNS label or a FQDN (RFC 1123 section 2.1), not made of digits only. The error
// says what is wrong.
Status check_host_name(std::string_view name);
// The mesh's name: 1 to 63 letters, digits, '.', '-', '_', starting with a letter or digit. It
// enters every derived key.
Status check_mesh_name(std::string_view name);
// A file below the private folder: no absolute path, no "..", no hidden part.
Status check_file_name(std::string_view name);

std::string lower(std::string_view text);  // ASCII

}  // namespace espalier::config
