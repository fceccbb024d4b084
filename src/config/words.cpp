#include "config/words.hpp"

#include <algorithm>

namespace espalier::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Error wrong(std::string message) { return make_error(ErrorCode::kBadInput, std::move(message)); }

Status check_label(std::string_view name, std::string_view label) {
  const std::string quoted = "the name '" + std::string(name.substr(0, 80)) + "' ";
  if (label.empty())
    return wrong(quoted + "has an empty label; a name is like 'bender' or 'bender.example.net'");
  if (label.size() > 63) return wrong(quoted + "has a label of more than 63 characters");
  for (const char c : label) {
    if (!is_letter(c) && !is_digit(c) && c != '-') {
      return wrong(quoted + "may have only letters, digits, '-' and '.'");
    }
  }
  if (label.front() == '-' || label.back() == '-') {
    return wrong(quoted + "has a label that starts or ends with '-'");
  }
  return {};
}

}  // namespace

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  a = a.substr(0, 64);
  b = b.substr(0, 64);
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

std::string_view nearest(std::string_view wrong_word, const std::vector<std::string_view>& words) {
  const std::string word = lower(wrong_word);
  std::string_view best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : words) {
    const std::size_t distance = edit_distance(word, lower(candidate));
    if (distance < least && distance < candidate.size()) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string suggestion(std::string_view wrong_word, const std::vector<std::string_view>& words) {
  const std::string_view near = nearest(wrong_word, words);
  if (!near.empty()) return "; did you mean '" + std::string(near) + "'?";
  std::string text;
  for (const std::string_view word : words) {
    if (text.size() > 200) {
      text += ", ...";
      break;
    }
    text += (text.empty() ? "; known here are: " : ", ") + std::string(word);
  }
  return text;
}

Status check_host_name(std::string_view name) {
  if (name.empty()) return wrong("a host's name is empty");
  if (name.size() > 253) {
    return wrong("the name '" + std::string(name.substr(0, 80)) +
                 "...' has more than 253 characters, the most a DNS name may have");
  }
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t dot = std::min(name.find('.', start), name.size());
    TRY(check_label(name, name.substr(start, dot - start)));
    start = dot + 1;
  }
  // Other readers of YAML take 0100 for a number, and 10.1 for another.
  const bool number =
      std::all_of(name.begin(), name.end(), [](char c) { return is_digit(c) || c == '.'; });
  if (number) {
    return wrong("the name '" + std::string(name) +
                 "' is made of digits only; a host's name needs a letter");
  }
  return {};
}

Status check_mesh_name(std::string_view name) {
  const auto plain = [](char c) { return is_letter(c) || is_digit(c); };
  const bool good = !name.empty() && name.size() <= 63 && plain(name.front()) &&
                    std::all_of(name.begin(), name.end(), [&](char c) {
                      return plain(c) || c == '.' || c == '-' || c == '_';
                    });
  if (good) return {};
  return wrong(
      "'" + std::string(name.substr(0, 80)) +
      "' is no name for a mesh: 1 to 63 letters, digits, '.', '-' or '_', a letter or digit first");
}

Status check_file_name(std::string_view name) {
  const std::string quoted = "'" + std::string(name.substr(0, 80)) + "'";
  if (name.empty()) return wrong("the file's name is missing after 'file:'");
  if (name.front() == '/') {
    return wrong(quoted + " is an absolute path; secret files are named relative to private/");
  }
  if (name.size() > 200) return wrong(quoted + "... is longer than 200 characters");
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t slash = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, slash - start);
    if (part.empty() || part.front() == '.') {
      return wrong(quoted +
                   " has an empty or hidden part; write a plain path below private/, without '..'");
    }
    for (const char c : part) {
      if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_' && c != '.') {
        return wrong(quoted + " may have only letters, digits, '-', '_', '.' and '/'");
      }
    }
    start = slash + 1;
  }
  return {};
}

}  // namespace espalier::config
