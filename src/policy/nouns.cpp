#include "policy/nouns.hpp"

namespace espalier::policy {

std::string_view name(Mode mode) {
  switch (mode) {
    case Mode::kTunnel: return "tunnel";
    case Mode::kTransport: return "transport";
  }
  return "unknown";
}

}  // namespace espalier::policy
