#include "ike/v2/transport.hpp"

#include <fmt/format.h>

#include "policy/selectors.hpp"

namespace espalier::ike::v2 {
namespace {

// The one address of all the selectors; nothing: they have more.
std::optional<IpAddress> single_address(const policy::SelectorList& list) {
  if (list.empty()) return std::nullopt;
  const IpAddress first = list.front().start;
  for (const policy::TrafficSelector& one : list) {
    if (one.start != first || one.end != first) return std::nullopt;
  }
  return first;
}

Error not_the_address(const policy::SelectorList& list, const IpAddress& address) {
  return make_error(
      ErrorCode::kTsUnacceptable,
      fmt::format("transport mode is between the addresses of the IKE SA alone, and {} is not {}",
                  policy::to_string(list), address.to_string()));
}

// One side's selectors with `address`, which the IKE SA has there, in place of what a NAT hid.
Result<policy::SelectorList> with_address(const policy::SelectorList& list,
                                          const IpAddress& address, bool nat) {
  const auto written = single_address(list);
  if (!written) return not_the_address(list, address);
  if (address.is_unspecified() || *written == address) return list;
  if (!nat || written->family() != address.family()) return not_the_address(list, address);
  policy::SelectorList out = list;
  for (policy::TrafficSelector& one : out) one.start = one.end = address;
  return out;
}

policy::SelectorList offered(const policy::ChildConfig& config,
                             const policy::SelectorList& configured, const IpAddress& address) {
  if (config.mode == policy::Mode::kTunnel || address.is_unspecified()) return configured;
  auto narrowed = policy::narrow({policy::from_prefix(Prefix::host(address))}, configured);
  return narrowed.empty() ? configured : narrowed;
}

}  // namespace

Result<SeenSelectors> as_we_see(const IkeSa& sa, const policy::SelectorList& local,
                                const policy::SelectorList& remote) {
  SeenSelectors seen;
  TRY_ASSIGN(seen.local, with_address(local, sa.path.local.ip, sa.nat_here));
  TRY_ASSIGN(seen.remote, with_address(remote, sa.path.remote.ip, sa.nat_there));
  if (seen.local != local || seen.remote != remote) {
    seen.original = NatOriginal{local.front().start, remote.front().start};
  }
  return seen;
}

policy::SelectorList offered_local(const IkeSa& sa, const policy::ChildConfig& config,
                                   const policy::SelectorList& configured) {
  return offered(config, configured, sa.path.local.ip);
}

policy::SelectorList offered_remote(const IkeSa& sa, const policy::ChildConfig& config,
                                    const policy::SelectorList& configured) {
  return offered(config, configured, sa.path.remote.ip);
}

}  // namespace espalier::ike::v2
