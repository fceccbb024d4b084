#include "config/diagnostic.hpp"

#include <algorithm>
#include <tuple>

#include "config/limits.hpp"

namespace espalier::config {

std::string to_string(const Position& at) {
  return std::to_string(at.line) + ":" + std::to_string(at.column);
}

std::string to_string(const Diagnostic& d) {
  std::string text = d.file;
  if (d.line != 0) text += ":" + to_string(Position{d.line, d.column});
  return text + ": " + d.message;
}

void Diagnostics::add(Position at, ErrorCode code, std::string message) {
  if (list_.size() == kMaxDiagnostics) return;
  list_.push_back({file_, at.line, at.column, code, std::move(message)});
}

void Diagnostics::unsupported(Position at, std::string_view what, std::string_view instead) {
  std::string message = std::string(what) + " is not supported yet";
  if (!instead.empty()) message += "; " + std::string(instead);
  add(at, ErrorCode::kUnsupported, std::move(message));
}

std::vector<Diagnostic> Diagnostics::take_sorted() {
  const auto key = [](const Diagnostic& d) { return std::tie(d.line, d.column, d.message); };
  std::stable_sort(list_.begin(), list_.end(),
                   [&](const Diagnostic& a, const Diagnostic& b) { return key(a) < key(b); });
  list_.erase(std::unique(list_.begin(), list_.end()), list_.end());
  return std::move(list_);
}

Error to_error(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics) {
    if (!text.empty()) text += '\n';
    text += to_string(d);
  }
  return make_error(ErrorCode::kBadInput, std::move(text));
}

}  // namespace espalier::config
