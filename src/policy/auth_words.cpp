#include "policy/auth_words.hpp"

namespace espalier::policy {

std::string auth_words(const Connection& connection) {
  const std::string word = connection.auth == AuthKind::kPsk ? "psk" : "cert";
  switch (connection.null_auth) {
    case NullAuth::kNone: return word;
    case NullAuth::kLocal: return "null/" + word;
    case NullAuth::kRemote: return word + "/null";
    case NullAuth::kBoth: return "null";
  }
  return word;
}

}  // namespace espalier::policy
