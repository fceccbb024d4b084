// From the arguments to the verb.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/verb.hpp"
#include "control/version.hpp"

namespace espalier::cli {
namespace {

struct Chosen {
  const Verb* verb = nullptr;
  std::size_t words = 0;  // arguments that its name took
};

// "secret new" is two words on the command line.
Chosen choose(std::span<const std::string> arguments) {
  for (const Verb& verb : verb_table()) {
    const std::size_t blank = verb.name.find(' ');
    if (arguments[0] != verb.name.substr(0, blank)) continue;
    if (blank == std::string_view::npos) return {&verb, 1};
    if (arguments.size() > 1 && arguments[1] == verb.name.substr(blank + 1)) return {&verb, 2};
  }
  return {};
}

int usage(Environment& env, const std::string& message) {
  env.err(fmt::format("espalier: {}\nTry `espalier help`.\n", message));
  return kWrongUsage;
}

int unknown_verb(Environment& env, std::span<const std::string> arguments) {
  std::vector<std::string_view> known;
  for (const Verb& verb : verb_table()) {
    if (verb.name.substr(0, verb.name.find(' ')) == arguments[0]) {
      known.push_back(verb.name);
    }
  }
  if (!known.empty()) {
    return usage(
        env, fmt::format("'{}' needs a second word: {}.", arguments[0], fmt::join(known, ", ")));
  }
  for (const Verb& verb : verb_table()) known.push_back(verb.name);
  const auto near = control::nearest(arguments[0], known);
  return usage(env,
               near ? fmt::format("There is no verb '{}'; did you mean '{}'?", arguments[0], *near)
                    : fmt::format("There is no verb '{}'.", arguments[0]));
}

// Options of the program may stand after the verb as well.
std::vector<control::OptionSpec> verb_options(const Verb& verb) {
  std::vector<control::OptionSpec> table(verb.options.begin(), verb.options.end());
  table.insert(table.end(), global_options().begin(), global_options().end());
  return table;
}

int run_verb(Environment& env, const Verb& verb, std::span<const std::string> rest,
             const control::ParsedOptions& global) {
  auto parsed = control::parse_options(rest, verb_options(verb), control::StopAt::kEnd);
  if (!parsed) return usage(env, parsed.error().message);
  if (parsed->has("--help")) {
    env.out(verb_help(verb));
    return kDone;
  }
  if (parsed->words.size() < verb.min_words || parsed->words.size() > verb.max_words) {
    return usage(env, fmt::format("The usage is: espalier {}{}{}.", verb.name,
                                  verb.arguments.empty() ? "" : " ", verb.arguments));
  }
  std::string run_dir = parsed->get("--run", global.get("--run", "/run/espalier"));
  std::string config = parsed->get("--config", global.get("--config", "/etc/espalier"));
  Call call{verb, env, std::move(*parsed), std::move(run_dir), std::move(config)};
  return verb.run(call);
}

}  // namespace

int fail(Environment& env, const Error& error) {
  env.err(fmt::format("espalier: {}\n", error.message));
  return exit_status(error);
}

int run(Environment& env, std::span<const std::string> arguments) {
  auto global = control::parse_options(arguments, global_options(), control::StopAt::kFirstWord);
  if (!global) return usage(env, global.error().message);
  if (global->has("--version")) {
    env.out(fmt::format("espalier {}\n", control::kVersion));
    return kDone;
  }
  const auto rest = arguments.subspan(global->used);
  if (global->has("--help")) {
    env.out(help_text());
    return kDone;
  }
  if (rest.empty()) {
    env.err(help_text());
    return kWrongUsage;
  }
  const Chosen chosen = choose(rest);
  if (chosen.verb == nullptr && rest.size() == 2 && (rest[1] == "--help" || rest[1] == "-h")) {
    const std::string asked[] = {"help", rest[0]};  // `secret --help`: of all that begin so
    return run(env, asked);
  }
  if (chosen.verb == nullptr) return unknown_verb(env, rest);
  return run_verb(env, *chosen.verb, rest.subspan(chosen.words), *global);
}

}  // namespace espalier::cli
