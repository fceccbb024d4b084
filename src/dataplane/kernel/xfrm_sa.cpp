#include "dataplane/kernel/xfrm_sa.hpp"

#include <fmt/format.h>
#include <linux/udp.h>
#include <netinet/in.h>

#include <algorithm>

#include "dataplane/check.hpp"
#include "dataplane/kernel/algorithms.hpp"
#include "dataplane/limits.hpp"

namespace espalier::dataplane::kernel {
namespace {

std::uint16_t family_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

// The kernel's structure in an attribute; some end in an array without a length, so no optional.
template <class T>
bool read_struct(const Attributes& all, std::uint16_t type, T& value) {
  const auto found = all.find(type);
  if (found == all.end() || mnl_attr_get_payload_len(found->second) < sizeof(T)) return false;
  std::memcpy(&value, mnl_attr_get_payload(found->second), sizeof(T));
  return true;
}

template <std::size_t N>
void put_name(char (&into)[N], std::string_view name) {
  ASSERT(name.size() < N);
  std::copy(name.begin(), name.end(), into);
}

template <class Algorithm>
void put_algorithm(NetlinkMessage& message, std::uint16_t attribute, Algorithm algorithm,
                   std::string_view name, const SecretBytes& key) {
  put_name(algorithm.alg_name, name);
  algorithm.alg_key_len = static_cast<unsigned>(key.size() * 8);
  message.put_struct(attribute, algorithm, key.reveal());
}

void put_algorithms(NetlinkMessage& message, const SaSpec& sa, const KernelAlgorithms& names) {
  if (!names.aead.empty()) {
    xfrm_algo_aead aead{};
    aead.alg_icv_len = names.icv_bits;
    return put_algorithm(message, XFRMA_ALG_AEAD, aead, names.aead, sa.encr_key);
  }
  put_algorithm(message, XFRMA_ALG_CRYPT, xfrm_algo{}, names.crypt, sa.encr_key);
  xfrm_algo_auth auth{};
  auth.alg_trunc_len = names.icv_bits;
  put_algorithm(message, XFRMA_ALG_AUTH_TRUNC, auth, names.auth, sa.integ_key);
}

// The replay window of an inbound SA; an outbound one needs the structure for its 64-bit numbers or
// to go on where another ended.
void put_replay(NetlinkMessage& message, const SaSpec& sa, const ReplayState* resume) {
  const bool in = sa.direction == Direction::kIn;
  if (sa.replay_window == 0) return;  // the kernel then looks at no number
  if (!in && !sa.esn && resume == nullptr) return;
  // The kernel wants some window with ESN, in either direction.
  const std::uint32_t window = in ? std::max<std::uint32_t>(sa.replay_window, 32) : 32;
  xfrm_replay_state_esn state{};
  state.replay_window = window;
  state.bmp_len = (window + 31) / 32;
  std::vector<std::uint32_t> bits(state.bmp_len, 0);
  if (resume != nullptr) {
    state.oseq = static_cast<std::uint32_t>(resume->sent);
    state.seq = static_cast<std::uint32_t>(resume->received);
    if (sa.esn) {
      state.oseq_hi = static_cast<std::uint32_t>(resume->sent >> 32);
      state.seq_hi = static_cast<std::uint32_t>(resume->received >> 32);
    }
    if (resume->bitmap.size() == bits.size()) bits = resume->bitmap;
  }
  message.put_struct(XFRMA_REPLAY_ESN_VAL, state,
                     ByteView(reinterpret_cast<const std::uint8_t*>(bits.data()),
                              bits.size() * sizeof(std::uint32_t)));
}

void put_encapsulation(NetlinkMessage& message, const SaSpec& sa) {
  if (!sa.udp_encap) return;
  const bool in = sa.direction == Direction::kIn;
  xfrm_encap_tmpl encap{};
  encap.encap_type = UDP_ENCAP_ESPINUDP;
  encap.encap_sport = htons((in ? sa.remote : sa.local).port);
  encap.encap_dport = htons((in ? sa.local : sa.remote).port);
  // The kernel does not verify the checksums of what came by UDP in transport mode, which is right
  // behind ESP (RFC 3948 section 3.1.2), and keeps the address for whoever asks.
  const auto& original = in ? sa.original_remote : sa.original_local;
  if (original && original->family() == sa.local.ip.family()) {
    encap.encap_oa = to_kernel(*original);
  }
  message.put_struct(XFRMA_ENCAP, encap);
}

// include/uapi/linux/xfrm.h: flags of the SA, those of a tunnel among them.
void put_outer(NetlinkMessage& message, xfrm_usersa_info& info, const SaSpec& sa) {
  using policy::CopyDscp;
  const bool in = sa.direction == Direction::kIn;
  const policy::OuterHeader& outer = sa.outer;
  if (outer.set_mark && !in) {
    message.put_u32(XFRMA_SET_MARK, outer.set_mark->value);
    message.put_u32(XFRMA_SET_MARK_MASK, outer.set_mark->mask);
  }
  // Without anti-replay numbers start again behind the last, where the kernel else stops.
  const std::uint32_t wrap = sa.replay_window == 0 ? XFRM_SA_XFLAG_OSEQ_MAY_WRAP : 0;
  const auto put_extra = [&](std::uint32_t flags) {
    if (flags != 0) message.put_u32(XFRMA_SA_EXTRA_FLAGS, flags);
  };
  if (sa.mode != policy::Mode::kTunnel) return put_extra(wrap);
  if (!outer.copy_df) info.flags |= XFRM_STATE_NOPMTUDISC;
  if (!outer.copy_ecn) info.flags |= XFRM_STATE_NOECN;
  const bool dscp_in = outer.copy_dscp == CopyDscp::kIn || outer.copy_dscp == CopyDscp::kBoth;
  const bool dscp_out = outer.copy_dscp == CopyDscp::kOut || outer.copy_dscp == CopyDscp::kBoth;
  if (in && dscp_in) info.flags |= XFRM_STATE_DECAP_DSCP;
  put_extra(wrap | (!in && !dscp_out ? XFRM_SA_XFLAG_DONT_ENCAP_DSCP : 0));
}

ReplayState replay_of(const xfrm_usersa_info& info, const Attributes& all) {
  ReplayState state;
  state.esn = (info.flags & XFRM_STATE_ESN) != 0;
  xfrm_replay_state_esn esn{};
  xfrm_replay_state old{};
  if (read_struct(all, XFRMA_REPLAY_ESN_VAL, esn)) {
    state.sent = esn.oseq;
    state.received = esn.seq;
    if (state.esn) {
      state.sent |= std::uint64_t(esn.oseq_hi) << 32;
      state.received |= std::uint64_t(esn.seq_hi) << 32;
    }
    const nlattr* whole = all.at(XFRMA_REPLAY_ESN_VAL);
    const std::size_t words =
        std::min<std::size_t>(esn.bmp_len, (mnl_attr_get_payload_len(whole) - sizeof esn) / 4);
    state.bitmap.resize(words);
    if (words > 0) {
      std::memcpy(state.bitmap.data(),
                  static_cast<const char*>(mnl_attr_get_payload(whole)) + sizeof esn, words * 4);
    }
  } else if (read_struct(all, XFRMA_REPLAY_VAL, old)) {
    state.sent = old.oseq;
    state.received = old.seq;
    state.bitmap = {old.bitmap};
  }
  return state;
}

std::optional<KernelSa> read_sa(const xfrm_usersa_info& info, const Attributes& all) {
  if (info.id.proto != IPPROTO_ESP || (info.family != AF_INET && info.family != AF_INET6)) {
    return std::nullopt;
  }
  KernelSa sa;
  sa.spi = Spi(ntohl(info.id.spi));
  sa.source = from_kernel(info.saddr, info.family);
  sa.destination = from_kernel(info.id.daddr, info.family);
  sa.reqid = info.reqid;
  sa.mode = info.mode == XFRM_MODE_TRANSPORT ? policy::Mode::kTransport : policy::Mode::kTunnel;
  xfrm_encap_tmpl encap{};
  if (read_struct(all, XFRMA_ENCAP, encap)) {
    sa.udp_encap = true;
    sa.source_port = ntohs(encap.encap_sport);
    sa.destination_port = ntohs(encap.encap_dport);
  }
  sa.bytes = info.curlft.bytes;
  sa.packets = info.curlft.packets;
  // Newer than the first use, which is all that curlft has.
  sa.last_used = info.curlft.use_time;
  (void)read_struct(all, XFRMA_LASTUSED, sa.last_used);
  sa.replay = replay_of(info, all);
  sa.seq = info.seq;
  sa.if_id = read_if_id(all);
  sa.mark = read_mark(all);
  if (sa.larval() && (info.sel.family == AF_INET || info.sel.family == AF_INET6)) {
    sa.flow_source = from_kernel(info.sel.saddr, info.sel.family);
    sa.flow_destination = from_kernel(info.sel.daddr, info.sel.family);
  }
  return sa;
}

void fill_identity(xfrm_usersa_info& info, const SaSpec& sa) {
  const bool in = sa.direction == Direction::kIn;
  info.id.daddr = to_kernel((in ? sa.local : sa.remote).ip);
  info.saddr = to_kernel((in ? sa.remote : sa.local).ip);
  info.id.spi = htonl(sa.spi.value);
  info.id.proto = IPPROTO_ESP;
  info.reqid = sa.reqid.value;
  info.family = family_of(sa.local.ip);
  info.mode = sa.mode == policy::Mode::kTransport ? XFRM_MODE_TRANSPORT : XFRM_MODE_TUNNEL;
  // A tunnel may carry the other family.
  if (sa.mode == policy::Mode::kTunnel) info.flags |= XFRM_STATE_AF_UNSPEC;
  if (sa.esn) info.flags |= XFRM_STATE_ESN;
}

}  // namespace

xfrm_address_t to_kernel(const IpAddress& address) {
  xfrm_address_t out{};
  std::memcpy(&out, address.bytes().data(), address.bytes().size());
  return out;
}

IpAddress from_kernel(const xfrm_address_t& address, std::uint16_t family) {
  const auto* octets = reinterpret_cast<const std::uint8_t*>(&address);
  return IpAddress::from_bytes({octets, family == AF_INET ? 4u : 16u}).value();
}

void put_mark(NetlinkMessage& message, const std::optional<policy::Mark>& mark) {
  if (mark) message.put_struct(XFRMA_MARK, xfrm_mark{mark->value, mark->mask});
}

std::optional<policy::Mark> read_mark(const Attributes& all) {
  xfrm_mark mark{};
  if (!read_struct(all, XFRMA_MARK, mark) || mark.m == 0) return std::nullopt;
  return policy::Mark{mark.v, mark.m};
}

std::uint32_t read_if_id(const Attributes& all) {
  std::uint32_t if_id = 0;
  (void)read_struct(all, XFRMA_IF_ID, if_id);
  return if_id;
}

// A mark on an inbound SA would be looked for on packets before they are decrypted, where nothing
// puts it: their policies have it.
std::optional<policy::Mark> mark_of(const SaSpec& sa) {
  return sa.direction == Direction::kIn ? std::nullopt : sa.binding.mark_out;
}

std::uint32_t if_id_of(const SaSpec& sa) {
  return sa.direction == Direction::kIn ? sa.binding.if_id_in : sa.binding.if_id_out;
}

Status put_sa(NetlinkMessage& message, const SaSpec& sa, const ReplayState* resume) {
  const auto names = algorithms_of(sa.suite);
  if (!names) {
    return make_error(ErrorCode::kUnsupported,
                      fmt::format("Pair {}: the kernel has no ESP with the suite of {}.", sa.pair,
                                  describe(sa.key())));
  }
  if (sa.replay_window > kReplayWindowMax) {
    return make_error(
        ErrorCode::kUnsupported,
        fmt::format("Pair {}: a replay window of {} packets; the kernel has at most {}: "
                    "set 'replay_window' to {} or less.",
                    sa.pair, sa.replay_window, kReplayWindowMax, kReplayWindowMax));
  }
  auto& info = message.body<xfrm_usersa_info>();
  fill_identity(info, sa);
  info.lft.soft_byte_limit = sa.soft_bytes.value_or(XFRM_INF);
  info.lft.hard_byte_limit = sa.hard_bytes.value_or(XFRM_INF);
  info.lft.soft_packet_limit = sa.soft_packets.value_or(XFRM_INF);
  info.lft.hard_packet_limit = sa.hard_packets.value_or(XFRM_INF);
  // The kernel has no event for a first packet but this one; put_soft_packets() sets the real ones
  // then.
  if (sa.tell_first) info.lft.soft_packet_limit = 1;
  put_algorithms(message, sa, *names);
  put_encapsulation(message, sa);
  put_replay(message, sa, resume);
  put_outer(message, info, sa);
  if (const std::uint32_t if_id = if_id_of(sa); if_id != 0) message.put_u32(XFRMA_IF_ID, if_id);
  put_mark(message, mark_of(sa));
  return {};
}

namespace {

// The sequence number of an outbound SA, `skip` further.
Status skip_ahead(xfrm_replay_state_esn& state, bool esn, std::uint32_t skip) {
  std::uint64_t sent = state.oseq | (esn ? std::uint64_t(state.oseq_hi) << 32 : 0);
  sent += skip;
  if (!esn && sent > 0xFFFFFFFF) {
    return make_error(ErrorCode::kLimit, "its sequence numbers are nearly used up");
  }
  state.oseq = static_cast<std::uint32_t>(sent);
  if (esn) state.oseq_hi = static_cast<std::uint32_t>(sent >> 32);
  return {};
}

Status put_moved_replay(NetlinkMessage& message, const nlattr& from, bool esn, std::uint32_t skip) {
  const auto* octets = static_cast<const std::uint8_t*>(mnl_attr_get_payload(&from));
  const std::size_t size = mnl_attr_get_payload_len(&from);
  if (mnl_attr_get_type(&from) == XFRMA_REPLAY_VAL) {
    xfrm_replay_state old{};
    std::memcpy(&old, octets, std::min(size, sizeof old));
    if (old.oseq > 0xFFFFFFFF - skip) {
      return make_error(ErrorCode::kLimit, "its sequence numbers are nearly used up");
    }
    old.oseq += skip;
    message.put_struct(XFRMA_REPLAY_VAL, old);
    return {};
  }
  xfrm_replay_state_esn state{};
  if (size < sizeof state)
    return make_error(ErrorCode::kSystem, "the kernel's answer is too short");
  std::memcpy(&state, octets, sizeof state);
  TRY(skip_ahead(state, esn, skip));
  message.put_struct(XFRMA_REPLAY_ESN_VAL, state,
                     ByteView(octets + sizeof state, size - sizeof state));
  return {};
}

bool is_of_the_past(std::uint16_t type) {
  return type == XFRMA_ENCAP || type == XFRMA_LASTUSED || type == XFRMA_PAD ||
         type == XFRMA_COADDR || type == XFRMA_LTIME_VAL;
}

}  // namespace

Status put_moved_sa(NetlinkMessage& message, const nlmsghdr& from, const Moved& moved) {
  if (mnl_nlmsg_get_payload_len(&from) < sizeof(xfrm_usersa_info)) {
    return make_error(ErrorCode::kSystem, "the kernel's answer is too short");
  }
  auto& info = message.body<xfrm_usersa_info>();
  std::memcpy(&info, mnl_nlmsg_get_payload(&from), sizeof info);
  const bool in = moved.direction == Direction::kIn;
  const bool esn = (info.flags & XFRM_STATE_ESN) != 0;
  info.id.daddr = to_kernel((in ? moved.local : moved.remote).ip);
  info.saddr = to_kernel((in ? moved.remote : moved.local).ip);
  info.family = family_of(moved.local.ip);
  for (const auto& [type, attribute] : attributes(from, sizeof info)) {
    if (type == XFRMA_REPLAY_VAL || type == XFRMA_REPLAY_ESN_VAL) {
      TRY(put_moved_replay(message, *attribute, esn, in ? 0 : moved.skip));
    } else if (!is_of_the_past(type)) {
      message.put_octets(type, {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                                mnl_attr_get_payload_len(attribute)});
    }
  }
  // Limits in bytes and packets go on where they were.
  message.put_struct(XFRMA_LTIME_VAL, info.curlft);
  SaSpec ports;
  ports.direction = moved.direction;
  ports.local = moved.local;
  ports.remote = moved.remote;
  ports.udp_encap = moved.udp_encap;
  put_encapsulation(message, ports);
  return {};
}

Status put_soft_packets(NetlinkMessage& message, const nlmsghdr& from,
                        std::optional<std::uint64_t> soft_packets) {
  if (mnl_nlmsg_get_payload_len(&from) < sizeof(xfrm_usersa_info)) {
    return make_error(ErrorCode::kSystem, "the kernel's answer is too short");
  }
  auto& info = message.body<xfrm_usersa_info>();
  std::memcpy(&info, mnl_nlmsg_get_payload(&from), sizeof info);
  info.lft.soft_packet_limit = soft_packets.value_or(XFRM_INF);
  for (const auto& [type, attribute] : attributes(from, sizeof info)) {
    if (type == XFRMA_LASTUSED || type == XFRMA_PAD) continue;
    message.put_octets(type, {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
                              mnl_attr_get_payload_len(attribute)});
  }
  return {};
}

void put_sa_id(NetlinkMessage& message, const SaId& id) {
  auto& body = message.body<xfrm_usersa_id>();
  body.daddr = to_kernel(id.destination);
  body.spi = htonl(id.spi.value);
  body.family = family_of(id.destination);
  body.proto = IPPROTO_ESP;
  put_mark(message, id.mark);
}

std::optional<KernelSa> parse_sa(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(xfrm_usersa_info)) return std::nullopt;
  xfrm_usersa_info info;
  std::memcpy(&info, mnl_nlmsg_get_payload(&header), sizeof info);
  return read_sa(info, attributes(header, sizeof info));
}

std::optional<KernelExpire> parse_expire(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(xfrm_user_expire)) return std::nullopt;
  xfrm_user_expire expire;
  std::memcpy(&expire, mnl_nlmsg_get_payload(&header), sizeof expire);
  auto sa = read_sa(expire.state, attributes(header, sizeof expire));
  if (!sa) return std::nullopt;
  return KernelExpire{std::move(*sa), expire.hard != 0};
}

std::optional<KernelAcquire> parse_acquire(const nlmsghdr& header) {
  xfrm_user_acquire acquire;
  if (mnl_nlmsg_get_payload_len(&header) < sizeof acquire) return std::nullopt;
  std::memcpy(&acquire, mnl_nlmsg_get_payload(&header), sizeof acquire);
  xfrm_user_tmpl tmpl{};
  const Attributes all = attributes(header, sizeof acquire);
  if (!read_struct(all, XFRMA_TMPL, tmpl)) return std::nullopt;
  if (tmpl.family != AF_INET && tmpl.family != AF_INET6) return std::nullopt;
  return KernelAcquire{tmpl.reqid, from_kernel(acquire.id.daddr, tmpl.family), acquire.seq,
                       read_mark(all), read_if_id(all)};
}

void put_larval_spi(NetlinkMessage& message, const KernelAcquire& larval) {
  auto& request = message.body<xfrm_userspi_info>();
  request.info.id.daddr = to_kernel(larval.destination);
  request.info.id.proto = IPPROTO_ESP;
  request.info.family = family_of(larval.destination);
  request.info.seq = larval.seq;
  request.info.reqid = larval.reqid;
  request.min = kMinSpi;
  request.max = 0xFFFFFFFF;
  put_mark(message, larval.mark);
  if (larval.if_id != 0) message.put_u32(XFRMA_IF_ID, larval.if_id);
}

std::optional<KernelSa> parse_sa_change(const nlmsghdr& header) {
  if (header.nlmsg_type != XFRM_MSG_DELSA) return parse_sa(header);
  xfrm_usersa_info info;
  const Attributes all = attributes(header, sizeof(xfrm_usersa_id));
  if (!read_struct(all, XFRMA_SA, info)) return std::nullopt;
  return read_sa(info, all);
}

std::optional<KernelMapping> parse_mapping(const nlmsghdr& header) {
  xfrm_user_mapping mapping;
  if (mnl_nlmsg_get_payload_len(&header) < sizeof mapping) return std::nullopt;
  std::memcpy(&mapping, mnl_nlmsg_get_payload(&header), sizeof mapping);
  if (mapping.id.family != AF_INET && mapping.id.family != AF_INET6) return std::nullopt;
  return KernelMapping{
      Spi(ntohl(mapping.id.spi)),
      from_kernel(mapping.id.daddr, mapping.id.family),
      {from_kernel(mapping.new_saddr, mapping.id.family), ntohs(mapping.new_sport)}};
}

}  // namespace espalier::dataplane::kernel
