#include "policy/lines.hpp"

namespace espalier::policy {
namespace {

std::string_view key(Setting setting) {
  switch (setting) {
    case Setting::kPeer: return "the peer";
    case Setting::kOwn: return "this host";
    case Setting::kIkeProposals: return "'proposals.ike'";
    case Setting::kEspProposals: return "'proposals.esp'";
    case Setting::kMode: return "'mode'";
    case Setting::kAuth: return "'auth'";
    case Setting::kPpk: return "'ppk'";
    case Setting::kCount: break;
  }
  return "";
}

}  // namespace

std::string where(const Lines& lines, Setting setting) {
  if (lines.file.empty()) return "";
  const std::string& file = lines.file.front();
  const std::string name(key(setting));
  if (lines[setting] != 0)
    return " (" + name + ": " + file + ":" + std::to_string(lines[setting]) + ")";
  return " (" + name + " is a default here: set it in 'defaults' of " + file + ", or at " + file +
         ":" + std::to_string(lines[Setting::kPeer]) + ")";
}

}  // namespace espalier::policy
