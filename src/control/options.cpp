#include "control/options.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace espalier::control {
namespace {

constexpr std::size_t kHelpColumn = 24;  // where the help of an option begins
constexpr std::size_t kHelpWidth = 96;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

const OptionSpec* find_option(std::span<const OptionSpec> table, std::string_view name) {
  for (const OptionSpec& spec : table) {
    if (spec.name == name) return &spec;
    if (spec.letter != 0 && name.size() == 2 && name[0] == '-' && name[1] == spec.letter) {
      return &spec;
    }
  }
  return nullptr;
}

Error unknown_option(std::span<const OptionSpec> table, std::string_view name) {
  std::vector<std::string_view> known;
  for (const OptionSpec& spec : table) known.push_back(spec.name);
  const auto near = nearest(name, known);
  return make_error(ErrorCode::kInvalidArgument,
                    near ? fmt::format("There is no option {}; did you mean {}?", name, *near)
                         : fmt::format("There is no option {}.", name));
}

// Breaks text at blanks so that it fits beside the column of names.
void append_wrapped(std::string& out, std::string_view text) {
  const std::size_t width = kHelpWidth - kHelpColumn;
  while (text.size() > width) {
    std::size_t cut = text.rfind(' ', width);
    if (cut == std::string_view::npos || cut == 0) cut = text.find(' ', width);
    if (cut == std::string_view::npos) break;
    out += text.substr(0, cut);
    out += '\n';
    out.append(kHelpColumn, ' ');
    text.remove_prefix(cut + 1);
  }
  out += text;
  out += '\n';
}

}  // namespace

std::optional<std::string> nearest(std::string_view typed,
                                   std::span<const std::string_view> known) {
  std::optional<std::string> best;
  std::size_t best_distance = 3;  // more than two slips is another word
  if (typed.size() > 64) return std::nullopt;
  for (std::string_view word : known) {
    const std::size_t distance = edit_distance(typed, word);
    if (distance >= best_distance || distance >= word.size()) continue;
    best_distance = distance;
    best = std::string(word);
  }
  return best;
}

Result<ParsedOptions> parse_options(std::span<const std::string> arguments,
                                    std::span<const OptionSpec> table, StopAt stop) {
  ParsedOptions parsed;
  bool only_words = false;
  while (parsed.used < arguments.size()) {
    const std::string& argument = arguments[parsed.used];
    if (only_words || argument.size() < 2 || argument[0] != '-') {
      if (stop == StopAt::kFirstWord) return parsed;
      parsed.words.push_back(argument);
      ++parsed.used;
      continue;
    }
    ++parsed.used;
    if (argument == "--") {
      only_words = true;
      continue;
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const OptionSpec* spec = find_option(table, name);
    if (spec == nullptr) return unknown_option(table, name);
    std::string value;
    if (equals != std::string::npos) {
      if (spec->argument.empty()) {
        return make_error(ErrorCode::kInvalidArgument,
                          fmt::format("{} takes no value.", spec->name));
      }
      value = argument.substr(equals + 1);
    } else if (!spec->argument.empty()) {
      if (parsed.used == arguments.size()) {
        return make_error(
            ErrorCode::kInvalidArgument,
            fmt::format("{} needs a value: {} {}.", spec->name, spec->name, spec->argument));
      }
      value = arguments[parsed.used++];
    }
    if (!spec->argument.empty() && value.empty()) {
      return make_error(ErrorCode::kInvalidArgument,
                        fmt::format("The value of {} is empty.", spec->name));
    }
    if (spec->repeats) {
      parsed.lists[std::string(spec->name)].push_back(std::move(value));
    } else if (!parsed.values.emplace(std::string(spec->name), std::move(value)).second) {
      return make_error(ErrorCode::kInvalidArgument, fmt::format("{} is given twice.", spec->name));
    }
  }
  return parsed;
}

std::string options_help(std::span<const OptionSpec> table) {
  std::string out;
  for (const OptionSpec& spec : table) {
    std::string left = "  ";
    if (spec.letter != 0) left += fmt::format("-{}, ", spec.letter);
    left += spec.name;
    if (!spec.argument.empty()) left += fmt::format(" {}", spec.argument);
    out += left;
    if (left.size() + 2 > kHelpColumn) {
      out += '\n';
      out.append(kHelpColumn, ' ');
    } else {
      out.append(kHelpColumn - left.size(), ' ');
    }
    std::string text(spec.help);
    if (spec.repeats) text += " May be given more than once.";
    if (!spec.fallback.empty()) text += fmt::format(" (default: {})", spec.fallback);
    append_wrapped(out, text);
  }
  return out;
}

}  // namespace espalier::control
