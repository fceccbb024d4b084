// Two ends whose configurations differ each see one half of why: what the peer answered to us, and
// why we refused the peer. Status shows both.
#include "ike/core/core.hpp"
#include "ike/core/limits.hpp"

namespace espalier::ike {

void refused_peer(Context& ctx, const std::string& pair, const std::string& why) {
  const auto found = ctx.core.pairs.find(pair);
  if (found == ctx.core.pairs.end() || found->second.up) return;
  found->second.refused = why.substr(0, kDiagnosisOctetsMax);
}

void refused_address(Context& ctx, const IpAddress& from, const std::string& why) {
  const auto names = ctx.core.pairs_at.find(from);
  if (names == ctx.core.pairs_at.end()) return;
  std::size_t told = 0;
  for (const std::string& name : names->second) {
    if (++told > kPairsAtAddressMax) return;
    refused_peer(ctx, name, why);
  }
}

std::string explain(const Pair& pair) {
  if (!pair.refused) return pair.last_error;
  const std::string theirs = "the peer's own attempt fails here: " + *pair.refused;
  return pair.last_error.empty() ? theirs : pair.last_error + "; and " + theirs;
}

}  // namespace espalier::ike
