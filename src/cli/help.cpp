#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "cli/verb.hpp"
#include "control/daemon_options.hpp"
#include "control/man_page.hpp"

namespace espalier::cli {
namespace {

std::string heading(const Verb& verb) {
  return verb.arguments.empty() ? std::string(verb.name)
                                : fmt::format("{} {}", verb.name, verb.arguments);
}

std::string verb_list() {
  std::string out;
  for (const Verb& verb : verb_table()) {
    out += fmt::format("  {:<20}  {}\n", heading(verb), verb.help);
  }
  return out;
}

}  // namespace

std::string help_text() {
  return "Usage: espalier [--run DIR] [--config DIR] VERB ...\n\nVerbs:\n" + verb_list() +
         "\nOptions:\n" + control::options_help(global_options()) +
         "\nNAME is a pair (bender-flexo) or its peer alone (flexo). `espalier help VERB` says "
         "more.\n";
}

std::string verb_help(const Verb& verb) {
  std::string out = fmt::format("Usage: espalier {}{}\n\n{}\n", heading(verb),
                                verb.options.empty() ? "" : " [OPTION...]", verb.help);
  if (!verb.text.empty()) out += fmt::format("{}\n", verb.text);
  if (!verb.options.empty()) out += "\nOptions:\n" + control::options_help(verb.options);
  return out;
}

std::string man_text() {
  control::ManPage page("espalier", 1, "full-mesh IPsec from one inventory file, the command");
  page.section("SYNOPSIS");
  page.synopsis("espalier", "[--run DIR] [--config DIR] VERB [ARGUMENT...] [OPTION...]");
  page.section("DESCRIPTION");
  page.paragraph(
      "espalier shows and steers the daemon espalierd(8) of this host over its control socket, "
      "and checks inventories and makes secrets without it. NAME is a pair as this host calls it "
      "(bender-flexo) or its peer alone (flexo).");
  page.section("OPTIONS");
  page.options(global_options());
  page.section("VERBS");
  for (const Verb& verb : verb_table()) {
    page.subsection(heading(verb));
    page.paragraph(verb.help);
    if (!verb.text.empty()) page.paragraph(verb.text);
    page.options(verb.options);
  }
  page.section("EXIT STATUS");
  page.rows(control::exit_statuses());
  page.section("EXAMPLES");
  page.example(
      "espalier status\n"
      "espalier status flexo --json\n"
      "espalier up flexo --timeout 10s\n"
      "espalier log flexo --follow\n"
      "espalier check /etc/espalier/mesh.yaml --self bender\n"
      "espalier simulate mesh.yaml --loss 20 --reboot bender@37s --seeds 100\n"
      "(umask 077; espalier secret new > /etc/espalier/private/mesh.secret)");
  page.section("FILES");
  page.rows(control::daemon_files());
  page.section("SEE ALSO");
  page.paragraph("espalierd(8), swanctl(8)");
  return page.text();
}

std::string bash_completion() {
  std::set<std::string_view> verbs;
  for (const Verb& verb : verb_table()) verbs.insert(verb.name.substr(0, verb.name.find(' ')));
  std::vector<std::string_view> global;
  for (const auto& option : global_options()) global.push_back(option.name);
  std::string cases;
  for (const Verb& verb : verb_table()) {
    const std::size_t blank = verb.name.find(' ');
    if (blank != std::string_view::npos || verb.options.empty()) continue;
    std::vector<std::string_view> options;
    for (const auto& option : verb.options) options.push_back(option.name);
    cases += fmt::format("    {}) words=\"{}\" ;;\n", verb.name, fmt::join(options, " "));
  }
  std::vector<std::string_view> secret;
  for (const Verb& verb : verb_table()) {
    const std::size_t blank = verb.name.find(' ');
    if (blank != std::string_view::npos) secret.push_back(verb.name.substr(blank + 1));
  }
  cases += fmt::format("    secret) words=\"{}\" ;;\n", fmt::join(secret, " "));
  return fmt::format(
      "# bash completion for espalier, written by `espalier help --completion bash`.\n"
      "_espalier() {{\n"
      "  local verb= word words=\"{} {}\"\n"
      "  for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
      "    case $word in {}) verb=$word; break ;; esac\n"
      "  done\n"
      "  case $verb in\n{}  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -o default -F _espalier espalier\n",
      fmt::join(verbs, " "), fmt::join(global, " "), fmt::join(verbs, "|"), cases);
}

int run_help(Call& call) {
  const auto& words = call.words();
  if (call.has("--man")) {
    if (words.empty() || words == std::vector<std::string>{"espalier"}) {
      call.env.out(man_text());
    } else if (words == std::vector<std::string>{"espalierd"}) {
      call.env.out(control::daemon_man());
    } else {
      return fail(call.env, make_error(ErrorCode::kInvalidArgument,
                                       "There are man pages of espalier and espalierd."));
    }
    return kDone;
  }
  if (call.has("--completion")) {
    if (call.options.get("--completion", "") != "bash") {
      return fail(call.env,
                  make_error(ErrorCode::kInvalidArgument, "There is a completion for bash only."));
    }
    call.env.out(bash_completion());
    return kDone;
  }
  if (words.empty()) {
    call.env.out(help_text());
    return kDone;
  }
  const std::string name = fmt::format("{}", fmt::join(words, " "));
  bool found = false;
  for (const Verb& verb : verb_table()) {
    if (verb.name != name && verb.name.substr(0, verb.name.find(' ')) != name) continue;
    call.env.out((found ? "\n" : "") + verb_help(verb));
    found = true;
  }
  if (found) return kDone;
  return fail(call.env,
              make_error(ErrorCode::kInvalidArgument, fmt::format("There is no verb '{}'.", name)));
}

}  // namespace espalier::cli
