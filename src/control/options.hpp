// Command-line options as a table: one table is the parser, the help text, the man page and the
// shell completion of a program. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace espalier::control {

struct OptionSpec {
  std::string_view name;      // "--run"
  std::string_view argument;  // "DIR"; empty: a flag
  std::string_view fallback;  // what holds when it is not given, for people; may be empty
  std::string_view help;      // a sentence
  char letter = 0;            // 'h' for -h; 0: none
  bool repeats = false;       // may be given more than once: ParsedOptions::all()
};

struct ParsedOptions {
  std::map<std::string, std::string, std::less<>> values;  // by name; a flag's value is ""
  std::map<std::string, std::vector<std::string>, std::less<>> lists;  // of those that repeat
  std::vector<std::string> words;  // what is no option, in order
  std::size_t used = 0;            // arguments looked at

  bool has(std::string_view name) const { return values.find(name) != values.end(); }
  std::string get(std::string_view name, std::string_view otherwise) const {
    const auto found = values.find(name);
    return std::string(found == values.end() ? otherwise : std::string_view(found->second));
  }
  // Every value of an option that repeats, in the order given.
  std::vector<std::string> all(std::string_view name) const {
    const auto found = lists.find(name);
    return found == lists.end() ? std::vector<std::string>() : found->second;
  }
};

enum class StopAt : std::uint8_t { kEnd, kFirstWord };

// Reads "--name value", "--name=value", "-x" and words; "--" ends the options. With kFirstWord it
// stops before the first word, and `used` says where. Errors (kInvalidArgument): an option that the
// table has not (with the nearest one it has), one given twice that does not repeat, a value
// missing or not wanted.
Result<ParsedOptions> parse_options(std::span<const std::string> arguments,
                                    std::span<const OptionSpec> table, StopAt stop);

// The known word nearest to one that was typed, if it is near enough to be a slip.
std::optional<std::string> nearest(std::string_view typed, std::span<const std::string_view> known);

// "  --run DIR       where the socket is (default /run/espalier)\n" for every row, aligned.
std::string options_help(std::span<const OptionSpec> table);

}  // namespace espalier::control
