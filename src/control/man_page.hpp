// Writes a man page in the man(7) macros from the tables of a program. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "control/options.hpp"

namespace espalier::control {

// A row of a two-column list: a signal, a file, an exit status.
struct TermRow {
  std::string_view term;
  std::string_view text;
};

class ManPage {
 public:
  // "espalier", 1, "one line that says what it is".
  ManPage(std::string_view name, unsigned section, std::string_view summary);

  void section(std::string_view title);     // .SH
  void subsection(std::string_view title);  // .SS
  void paragraph(std::string_view text);
  void synopsis(std::string_view command, std::string_view rest);
  void term(std::string_view term, std::string_view text);  // .TP, the term in bold
  void example(std::string_view lines);                     // as typed
  void options(std::span<const OptionSpec> table);
  void rows(std::span<const TermRow> table);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Text as roff prints it unchanged: backslashes, hyphens and leading dots and quotes escaped.
std::string roff_escape(std::string_view text);

}  // namespace espalier::control
