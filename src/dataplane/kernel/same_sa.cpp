#include "dataplane/kernel/same_sa.hpp"

#include <linux/xfrm.h>

#include "dataplane/kernel/xfrm_sa.hpp"

namespace espalier::dataplane::kernel {
namespace {

ByteView payload(const Attributes& all, std::uint16_t type) {
  const auto at = all.find(type);
  if (at == all.end()) return {};
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(at->second)),
          mnl_attr_get_payload_len(at->second)};
}

// In keys, too, so in constant time.
bool same_octets(const Attributes& a, const Attributes& b, std::uint16_t type) {
  return constant_time_equal(payload(a, type), payload(b, type));
}

std::uint32_t extra_flags(const Attributes& all) {
  const auto at = all.find(XFRMA_SA_EXTRA_FLAGS);
  return at == all.end() ? 0 : mnl_attr_get_u32(at->second);
}

std::uint32_t window(const xfrm_usersa_info& info, const Attributes& all) {
  const ByteView state = payload(all, XFRMA_REPLAY_ESN_VAL);
  xfrm_replay_state_esn esn{};
  if (state.size() < sizeof esn) return info.replay_window;
  std::memcpy(&esn, state.data(), sizeof esn);
  return esn.replay_window;
}

}  // namespace

bool is_same_sa(const nlmsghdr& there, const SaSpec& sa) {
  NetlinkMessage wanted(XFRM_MSG_NEWSA, 0);
  if (!put_sa(wanted, sa) || mnl_nlmsg_get_payload_len(&there) < sizeof(xfrm_usersa_info)) {
    return false;
  }
  xfrm_usersa_info a, b;
  std::memcpy(&a, mnl_nlmsg_get_payload(&there), sizeof a);
  std::memcpy(&b, mnl_nlmsg_get_payload(wanted.header()), sizeof b);
  const bool same_head = a.family == b.family && a.id.spi == b.id.spi && a.id.proto == b.id.proto &&
                         a.reqid == b.reqid && a.mode == b.mode && a.flags == b.flags &&
                         from_kernel(a.saddr, a.family) == from_kernel(b.saddr, b.family) &&
                         from_kernel(a.id.daddr, a.family) == from_kernel(b.id.daddr, b.family);
  if (!same_head) return false;
  const Attributes has = attributes(there, sizeof a);
  const Attributes wants = attributes(*wanted.header(), sizeof b);
  return same_octets(has, wants, XFRMA_ALG_AEAD) && same_octets(has, wants, XFRMA_ALG_CRYPT) &&
         same_octets(has, wants, XFRMA_ALG_AUTH_TRUNC) && same_octets(has, wants, XFRMA_ENCAP) &&
         extra_flags(has) == extra_flags(wants) && window(a, has) == window(b, wants);
}

}  // namespace espalier::dataplane::kernel
