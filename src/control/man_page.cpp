#include "control/man_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "control/version.hpp"

namespace espalier::control {

std::string roff_escape(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

ManPage::ManPage(std::string_view name, unsigned section_number, std::string_view summary) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  text_ = fmt::format(
      ".\\\" Written by `espalier help --man`; change the tables in src, not this file.\n"
      ".TH {} {} \"\" \"espalier {}\" \"Espalier\"\n",
      upper, section_number, kVersion);
  section("NAME");
  paragraph(fmt::format("{} - {}", name, summary));
}

void ManPage::section(std::string_view title) {
  text_ += fmt::format(".SH {}\n", roff_escape(title));
}

void ManPage::subsection(std::string_view title) {
  text_ += fmt::format(".SS \"{}\"\n", roff_escape(title));
}

void ManPage::paragraph(std::string_view text) {
  text_ += fmt::format(".PP\n{}\n", roff_escape(text));
}

void ManPage::synopsis(std::string_view command, std::string_view rest) {
  text_ += fmt::format(".PP\n\\fB{}\\fR {}\n", roff_escape(command), roff_escape(rest));
}

void ManPage::term(std::string_view term, std::string_view text) {
  text_ += fmt::format(".TP\n\\fB{}\\fR\n{}\n", roff_escape(term), roff_escape(text));
}

void ManPage::example(std::string_view lines) {
  text_ += fmt::format(".PP\n.nf\n{}\n.fi\n", roff_escape(lines));
}

void ManPage::options(std::span<const OptionSpec> table) {
  for (const OptionSpec& spec : table) {
    std::string head(spec.name);
    if (spec.letter != 0) head = fmt::format("-{}, {}", spec.letter, spec.name);
    text_ += fmt::format(".TP\n\\fB{}\\fR", roff_escape(head));
    if (!spec.argument.empty()) text_ += fmt::format(" \\fI{}\\fR", roff_escape(spec.argument));
    text_ += '\n';
    std::string help(spec.help);
    if (spec.repeats) help += " May be given more than once.";
    if (!spec.fallback.empty()) help += fmt::format(" Default: {}.", spec.fallback);
    text_ += roff_escape(help) + '\n';
  }
}

void ManPage::rows(std::span<const TermRow> table) {
  for (const TermRow& row : table) term(row.term, row.text);
}

}  // namespace espalier::control
