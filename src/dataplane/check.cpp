#include "dataplane/check.hpp"

#include <fmt/format.h>

#include "dataplane/limits.hpp"

namespace espalier::dataplane {
namespace {

Status check(const policy::SelectorList& selectors, std::string_view what) {
  if (selectors.empty()) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("{} has no traffic selectors.", what));
  }
  if (selectors.size() > kMaxSelectors) {
    return make_error(ErrorCode::kLimit,
                      fmt::format("{} has {} traffic selectors; at most {} are taken.", what,
                                  selectors.size(), kMaxSelectors));
  }
  for (const auto& selector : selectors) {
    if (selector.start.family() != selector.end.family() || selector.end < selector.start) {
      return make_error(ErrorCode::kInvalidArgument,
                        fmt::format("{} has a traffic selector from {} to {}, which is no range.",
                                    what, selector.start.to_string(), selector.end.to_string()));
    }
  }
  return {};
}

}  // namespace

std::string describe(const SaKey& key) {
  return key.direction == Direction::kIn
             ? fmt::format("inbound SA {} from {}", to_string(key.spi), key.peer.to_string())
             : fmt::format("outbound SA {} to {}", to_string(key.spi), key.peer.to_string());
}

Status check(const SaSpec& sa) {
  const std::string what = fmt::format("Pair {}: {}", sa.pair, describe(sa.key()));
  if (sa.spi.value < kMinSpi) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("{}: SPIs below {} are reserved.", what, kMinSpi));
  }
  if (sa.local.ip.family() != sa.remote.ip.family()) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("{}: its outer addresses {} and {} are of two families.", what,
                                  sa.local.ip.to_string(), sa.remote.ip.to_string()));
  }
  if (sa.remote.ip.is_unspecified() || (sa.udp_encap && sa.remote.port == 0)) {
    return make_error(ErrorCode::kInvalidArgument,
                      fmt::format("{}: {} is no place to send to.", what, sa.remote.to_string()));
  }
  TRY(check(sa.local_ts, what + " (local)"));
  return check(sa.remote_ts, what + " (remote)");
}

Status check(const PolicySpec& policy) {
  const std::string what =
      fmt::format("Pair {}: the policy with reqid {}", policy.pair, policy.reqid.value);
  TRY(check(policy.local_ts, what + " (local)"));
  return check(policy.remote_ts, what + " (remote)");
}

}  // namespace espalier::dataplane
