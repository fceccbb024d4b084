#include "dataplane/kernel/trial.hpp"

#include <fmt/format.h>

#include "dataplane/kernel/xfrm_sa.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane::kernel {
namespace {

constexpr std::uint32_t kTrialSpi = 0xE5E5E500;
constexpr const char* kHere = "127.0.0.1";
constexpr const char* kThere = "127.229.229.229";

// Keys that protect nothing; ascending, because the kernel refuses none of that kind.
SecretBytes some_key(std::size_t octets) {
  Bytes key(octets);
  for (std::size_t i = 0; i < octets; ++i) key[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return SecretBytes(std::move(key));
}

Result<SaSpec> trial_sa(const crypto::CipherSuite& suite, std::uint32_t number) {
  TRY_ASSIGN(const crypto::SuiteSizes sizes, crypto::sizes(suite));
  SaSpec sa;
  sa.direction = Direction::kIn;
  sa.spi = Spi(kTrialSpi + number);
  sa.reqid = ReqId(kReqIdLast);
  sa.local = {IpAddress::parse(kHere).value(), 0};
  sa.remote = {IpAddress::parse(kThere).value(), 0};
  sa.udp_encap = false;
  sa.suite = suite;
  sa.encr_key = some_key(sizes.encr_key);
  sa.integ_key = some_key(sizes.integ_key);
  sa.esn = true;
  sa.local_ts = {policy::from_prefix(Prefix::host(sa.local.ip))};
  sa.remote_ts = {policy::from_prefix(Prefix::host(sa.remote.ip))};
  return sa;
}

Status try_one(Netlink& netlink, const SaSpec& sa) {
  NetlinkMessage add(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
  TRY(put_sa(add, sa));
  const Status added = netlink.request(add);
  // There already: somebody else tries at this moment, or was killed while it did.
  if (!added && added.error().code != ErrorCode::kAlreadyExists) return added;
  NetlinkMessage remove(XFRM_MSG_DELSA, 0);
  put_sa_id(remove, {sa.local.ip, sa.spi});
  const Status removed = netlink.request(remove);
  if (!removed && removed.error().code != ErrorCode::kNotFound) return removed;
  return {};
}

}  // namespace

Result<std::vector<SuiteTrial>> try_suites() {
  auto netlink = Netlink::open(NETLINK_XFRM);
  if (!netlink) {
    return make_error(
        ErrorCode::kUnsupported,
        fmt::format("This kernel has no XFRM, which is Linux' IPsec: {}", netlink.error().message));
  }
  std::vector<SuiteTrial> trials;
  for (const policy::EspProposal& proposal : policy::default_esp_proposals()) {
    for (const policy::EncrTransform& encr : proposal.encr) {
      crypto::CipherSuite suite{encr.id, encr.key_bits, crypto::IntegId::kNone};
      if (!proposal.integ.empty()) suite.integ = proposal.integ.front();
      policy::EspProposal alone;
      alone.encr = {encr};
      if (!proposal.integ.empty()) alone.integ = {suite.integ};
      alone.esn = false;
      SuiteTrial trial{policy::words(alone), ""};
      TRY_ASSIGN(const SaSpec sa, trial_sa(suite, static_cast<std::uint32_t>(trials.size())));
      const Status taken = try_one(*netlink, sa);
      if (!taken && taken.error().code == ErrorCode::kPermission) return taken.error();
      if (!taken) trial.error = taken.error().message;
      trials.push_back(std::move(trial));
    }
  }
  return trials;
}

}  // namespace espalier::dataplane::kernel
