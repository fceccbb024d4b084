// Messages to the kernel read back as the kernel would send them; no kernel is asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "dataplane/contract_tests.hpp"
#include "dataplane/kernel/exceptions.hpp"
#include "dataplane/kernel/rebuild.hpp"
#include "dataplane/kernel/same_sa.hpp"
#include "dataplane/kernel/xfrm_policy.hpp"
#include "dataplane/kernel/xfrm_sa.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane::kernel {
namespace {

using contract::host;
using ::testing::HasSubstr;

SaSpec sa_of(Direction direction, bool esn) {
  SaSpec sa = contract::sa(direction, 0xC0FFEE01);
  sa.esn = esn;
  sa.local.port = 4500;
  sa.remote.port = 1024;
  return sa;
}

const nlattr* attribute_of(const NetlinkMessage& message, std::uint16_t type, std::size_t body) {
  const auto all = attributes(*const_cast<NetlinkMessage&>(message).header(), body);
  const auto found = all.find(type);
  return found == all.end() ? nullptr : found->second;
}

TEST(XfrmSa, WhatIsPutIsRead) {
  for (const Direction direction : {Direction::kIn, Direction::kOut}) {
    for (const bool esn : {false, true}) {
      const SaSpec sa = sa_of(direction, esn);
      NetlinkMessage message(XFRM_MSG_NEWSA, 0);
      ASSERT_TRUE(put_sa(message, sa).ok());
      const auto read = parse_sa(*message.header());
      ASSERT_TRUE(read);
      const bool in = direction == Direction::kIn;
      EXPECT_EQ(read->spi, sa.spi);
      EXPECT_EQ(read->reqid, sa.reqid.value);
      EXPECT_EQ(read->destination, in ? sa.local.ip : sa.remote.ip);
      EXPECT_EQ(read->source, in ? sa.remote.ip : sa.local.ip);
      EXPECT_EQ(read->destination_port, in ? 4500 : 1024);
      EXPECT_EQ(read->source_port, in ? 1024 : 4500);
      EXPECT_EQ(read->mode, policy::Mode::kTunnel);
      EXPECT_EQ(read->replay.esn, esn);
    }
  }
}

// What an earlier daemon left is taken over only if it is the same in everything.
TEST(XfrmSa, TheSameSaIsTheSame) {
  SaSpec sa = sa_of(Direction::kIn, false);
  sa.suite = {crypto::EncrId::kAesCbc, 128, crypto::IntegId::kHmacSha2_256_128};
  sa.encr_key = SecretBytes(Bytes(16, 7));
  sa.integ_key = SecretBytes(Bytes(32, 8));
  sa.replay_window = 0;
  const auto same_as = [&](const SaSpec& other) {
    NetlinkMessage there(XFRM_MSG_NEWSA, 0);
    EXPECT_TRUE(put_sa(there, sa).ok());
    return is_same_sa(*there.header(), other);
  };
  EXPECT_TRUE(same_as(sa));
  SaSpec other = sa;
  other.pair = "another name";
  EXPECT_TRUE(same_as(other)) << "the kernel knows no names";
  const auto differs = [&](auto change) {
    SaSpec changed = sa;
    change(changed);
    return !same_as(changed);
  };
  EXPECT_TRUE(differs([](SaSpec& s) { s.encr_key = SecretBytes(Bytes(16, 9)); }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.integ_key = SecretBytes(Bytes(32, 9)); }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.suite.integ = crypto::IntegId::kHmacSha2_512_256; }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.spi = Spi(s.spi.value + 1); }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.reqid = ReqId(s.reqid.value + 1); }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.mode = policy::Mode::kTransport; }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.udp_encap = false; }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.remote.port = 4501; }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.remote.ip = s.local.ip; }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.replay_window = 64; }));
  EXPECT_TRUE(differs([](SaSpec& s) { s.outer.copy_ecn = !s.outer.copy_ecn; }));
}

// include/uapi/linux/xfrm.h: names of 64 octets, lengths in bits, the key behind.
TEST(XfrmSa, AnAeadIsOneAttribute) {
  NetlinkMessage message(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(put_sa(message, sa_of(Direction::kIn, true)).ok());
  const nlattr* aead = attribute_of(message, XFRMA_ALG_AEAD, sizeof(xfrm_usersa_info));
  ASSERT_NE(aead, nullptr);
  ASSERT_EQ(mnl_attr_get_payload_len(aead), sizeof(xfrm_algo_aead) + 36);
  xfrm_algo_aead head;
  std::memcpy(&head, mnl_attr_get_payload(aead), sizeof head);
  EXPECT_STREQ(head.alg_name, "rfc4106(gcm(aes))");
  EXPECT_EQ(head.alg_key_len, 36u * 8);
  EXPECT_EQ(head.alg_icv_len, 128u);
  EXPECT_EQ(static_cast<const std::uint8_t*>(mnl_attr_get_payload(aead))[sizeof head], 0x01);
  EXPECT_EQ(attribute_of(message, XFRMA_ALG_AUTH_TRUNC, sizeof(xfrm_usersa_info)), nullptr);
}

TEST(XfrmSa, ACipherAndItsHmacAreTwo) {
  SaSpec sa = sa_of(Direction::kOut, false);
  sa.suite = {crypto::EncrId::kAesCbc, 256, crypto::IntegId::kHmacSha2_256_128};
  sa.encr_key = SecretBytes(Bytes(32, 1));
  sa.integ_key = SecretBytes(Bytes(32, 2));
  NetlinkMessage message(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(put_sa(message, sa).ok());
  const nlattr* auth = attribute_of(message, XFRMA_ALG_AUTH_TRUNC, sizeof(xfrm_usersa_info));
  ASSERT_NE(auth, nullptr);
  xfrm_algo_auth head;
  std::memcpy(&head, mnl_attr_get_payload(auth), sizeof head);
  EXPECT_STREQ(head.alg_name, "hmac(sha256)");
  EXPECT_EQ(head.alg_trunc_len, 128u);
  // Nothing to replay and no high half: no window.
  EXPECT_EQ(attribute_of(message, XFRMA_REPLAY_ESN_VAL, sizeof(xfrm_usersa_info)), nullptr);
}

TEST(XfrmSa, TheWindowIsTheKernelsAtMost) {
  SaSpec sa = sa_of(Direction::kIn, true);
  sa.replay_window = 4096;
  NetlinkMessage message(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(put_sa(message, sa).ok());
  EXPECT_EQ(parse_sa(*message.header())->replay.bitmap.size(), 128u);
  sa.replay_window = 8192;
  NetlinkMessage larger(XFRM_MSG_NEWSA, 0);
  const Status refused = put_sa(larger, sa);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("replay_window"));
}

// What was sent between the reading and the replacing must not be sent under the same numbers.
TEST(XfrmSa, AMovedSaCountsOnFurtherAhead) {
  for (const bool esn : {false, true}) {
    SaSpec sa = sa_of(Direction::kOut, esn);
    ReplayState sent;
    sent.esn = esn;
    sent.sent = esn ? 0x1'FFFF'FFF0 : 1000;
    NetlinkMessage before(XFRM_MSG_NEWSA, 0);
    ASSERT_TRUE(put_sa(before, sa, &sent).ok());
    NetlinkMessage after(XFRM_MSG_NEWSA, 0);
    const SocketAddress local{IpAddress::parse("2001:db8::1").value(), 4500};
    const SocketAddress remote{IpAddress::parse("2001:db8::2").value(), 4501};
    ASSERT_TRUE(
        put_moved_sa(after, *before.header(), {Direction::kOut, local, remote, 0x100}).ok());
    const auto read = parse_sa(*after.header());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->replay.sent, sent.sent + 0x100);
    EXPECT_EQ(read->destination, remote.ip);
    EXPECT_EQ(read->destination_port, 4501);
    EXPECT_TRUE(read->udp_encap);
    EXPECT_NE(attribute_of(after, XFRMA_LTIME_VAL, sizeof(xfrm_usersa_info)), nullptr);
    NetlinkMessage bare(XFRM_MSG_NEWSA, 0);
    ASSERT_TRUE(
        put_moved_sa(bare, *before.header(), {Direction::kOut, local, remote, 0x100, false}).ok());
    EXPECT_FALSE(parse_sa(*bare.header())->udp_encap);
    EXPECT_NE(attribute_of(after, XFRMA_ALG_AEAD, sizeof(xfrm_usersa_info)), nullptr);
  }
  ReplayState nearly;
  nearly.sent = 0xFFFFFFF0;
  NetlinkMessage before(XFRM_MSG_NEWSA, 0);
  const SaSpec sa = sa_of(Direction::kOut, false);
  ASSERT_TRUE(put_sa(before, sa, &nearly).ok());
  NetlinkMessage after(XFRM_MSG_NEWSA, 0);
  EXPECT_EQ(put_moved_sa(after, *before.header(), {Direction::kOut, sa.local, sa.remote, 0x100})
                .error()
                .code,
            ErrorCode::kLimit);
}

PolicySpec spec(policy::SelectorList local, policy::SelectorList remote) {
  PolicySpec out = contract::policy(7);
  out.local_ts = std::move(local);
  out.remote_ts = std::move(remote);
  return out;
}

TEST(XfrmPolicy, EachPairOfPrefixesInEachDirection) {
  const auto tunnel = expand(spec({host("192.0.2.1"), host("2001:db8::1")},
                                  {host("192.0.2.2"), host("198.51.100.1"), host("2001:db8::2")}));
  ASSERT_TRUE(tunnel.ok());
  EXPECT_EQ(tunnel->size(), 3u * 3);  // two IPv4 pairs, one IPv6 pair; out, in, fwd
  PolicySpec transport = spec({host("192.0.2.1")}, {host("192.0.2.2")});
  transport.mode = policy::Mode::kTransport;
  EXPECT_EQ(expand(transport)->size(), 2u);
}

TEST(XfrmPolicy, WhatIsPutIsRead) {
  policy::TrafficSelector ssh = host("192.0.2.2");
  ssh.protocol = 6;
  ssh.start_port = ssh.end_port = 22;
  const PolicySpec policy = spec({host("192.0.2.1")}, {ssh});
  const auto keys = expand(policy);
  ASSERT_TRUE(keys.ok());
  for (const PolicyKey& key : *keys) {
    NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0);
    put_policy(message, key, policy);
    const auto read = parse_policy(*message.header());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->key, key) << key.text();
    EXPECT_EQ(read->reqid, policy.reqid.value);
    EXPECT_GE(read->priority, kPriorityFirst);
    EXPECT_LE(read->priority, kPriorityLast);
    const bool out = key.direction == PolicyDirection::kOut;
    EXPECT_EQ(out ? key.destination_port : key.source_port, 22);
    EXPECT_EQ(read->source, out ? policy.local : policy.remote);
  }
}

TEST(XfrmPolicy, TheMoreSpecificComesFirst) {
  const auto priority = [](std::string_view prefix) {
    const PolicySpec policy =
        spec({host("192.0.2.1")}, {policy::from_prefix(Prefix::parse(prefix).value())});
    NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0);
    put_policy(message, *expand(policy)->begin(), policy);
    return parse_policy(*message.header())->priority;
  };
  EXPECT_LT(priority("10.0.0.0/16"), priority("10.0.0.0/8"));
  EXPECT_LT(priority("10.0.0.1/32"), priority("10.0.0.0/31"));
}

TEST(XfrmPolicy, ARangeOfPortsIsSeveral) {
  policy::TrafficSelector some = host("192.0.2.2");
  some.protocol = 17;
  some.start_port = 1000;
  some.end_port = 2000;
  const auto keys = expand(spec({host("192.0.2.1")}, {some}));
  ASSERT_TRUE(keys.ok());
  std::set<unsigned> covered;
  for (const PolicyKey& key : *keys) {
    if (key.direction != PolicyDirection::kOut) continue;
    for (unsigned port = 0; port < 65536; ++port) {
      if ((port & key.destination_mask) == key.destination_port) {
        EXPECT_TRUE(covered.insert(port).second) << port;
      }
    }
  }
  EXPECT_EQ(covered.size(), 1001u);
  EXPECT_EQ(*covered.begin(), 1000u);
  EXPECT_EQ(*covered.rbegin(), 2000u);
  EXPECT_EQ(port_blocks(0, 65535), std::vector<PortBlock>{PortBlock{}});
  EXPECT_EQ(port_blocks(22, 22), (std::vector<PortBlock>{{22, 0xFFFF}}));
  EXPECT_EQ(port_blocks(1, 65535).size(), 16u);
  EXPECT_EQ(port_blocks(1, 65534).size(), 30u);
}

TEST(XfrmPolicy, WhatIsNoPortIsRefusedByName) {
  policy::TrafficSelector some = host("192.0.2.2");
  some.protocol = 1;
  some.start_port = 0x0800;
  some.end_port = 0x08FF;
  const auto refused = expand(spec({host("192.0.2.1")}, {some}));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("192.0.2.2/32"));
}

// Whatever its selectors: smaller is first.
TEST(XfrmPolicy, AnExceptionComesBeforeAllProtection) {
  policy::TrafficSelector ssh = host("192.0.2.2");
  ssh.protocol = 6;
  ssh.start_port = ssh.end_port = 22;
  PolicySpec exact = spec({host("192.0.2.1")}, {ssh});
  PolicySpec wide = spec({policy::from_prefix(Prefix::parse("10.0.0.0/8").value())},
                         {policy::from_prefix(Prefix::parse("0.0.0.0/0").value())});
  wide.clear = true;
  NetlinkMessage protection(XFRM_MSG_UPDPOLICY, 0), exception(XFRM_MSG_UPDPOLICY, 0);
  put_policy(protection, *expand(exact)->begin(), exact);
  put_policy(exception, *expand(wide)->begin(), wide);
  const auto first = parse_policy(*exception.header()), then = parse_policy(*protection.header());
  EXPECT_LT(first->priority, then->priority);
  EXPECT_TRUE(first->allow);
  EXPECT_EQ(first->reqid, 0u);
  NetlinkMessage always(XFRM_MSG_UPDPOLICY, 0);
  put_exception(always, always_outside().front());
  EXPECT_TRUE(is_our_priority(parse_policy(*always.header())->priority));
}

// The kernel refuses an optional template on the way out.
TEST(XfrmPolicy, OptionalIsOfWhatArrives) {
  PolicySpec policy = spec({host("192.0.2.1")}, {host("192.0.2.2")});
  policy.optional = true;
  const auto keys = expand(policy);
  ASSERT_EQ(keys->size(), 3u);
  for (const PolicyKey& key : *keys) {
    NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0);
    put_policy(message, key, policy);
    const nlattr* attribute =
        attributes(*message.header(), sizeof(xfrm_userpolicy_info)).at(XFRMA_TMPL);
    xfrm_user_tmpl tmpl;
    std::memcpy(&tmpl, mnl_attr_get_payload(attribute), sizeof tmpl);
    EXPECT_EQ(tmpl.optional, key.direction == PolicyDirection::kOut ? 0 : 1) << key.text();
  }
}

policy::Binding bound() { return {7, 8, policy::Mark{0x42, 0xff}, policy::Mark{0x43, 0xff}}; }

template <class T>
T value_of(const nlattr* attribute) {
  T value{};
  EXPECT_NE(attribute, nullptr);
  if (attribute == nullptr) return value;
  EXPECT_EQ(mnl_attr_get_payload_len(attribute), sizeof value);
  std::memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
  return value;
}

TEST(XfrmSa, AnInterfaceAndAMarkArePartOfIt) {
  SaSpec sa = sa_of(Direction::kOut, true);
  sa.binding = bound();
  NetlinkMessage out(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(put_sa(out, sa).ok());
  const std::size_t body = sizeof(xfrm_usersa_info);
  EXPECT_EQ(value_of<std::uint32_t>(attribute_of(out, XFRMA_IF_ID, body)), 8u);
  const auto mark = value_of<xfrm_mark>(attribute_of(out, XFRMA_MARK, body));
  EXPECT_EQ(mark.v, 0x43u);
  EXPECT_EQ(mark.m, 0xffu);
  const auto read = parse_sa(*out.header());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->if_id, 8u);
  EXPECT_EQ(read->mark, (policy::Mark{0x43, 0xff}));
  // One that moves keeps both.
  NetlinkMessage moved(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(
      put_moved_sa(moved, *out.header(), {Direction::kOut, sa.local, sa.remote, 0x100}).ok());
  EXPECT_EQ(parse_sa(*moved.header())->if_id, 8u);
  EXPECT_EQ(parse_sa(*moved.header())->mark, read->mark);
  // The kernel looks for it by its mark as well.
  NetlinkMessage removal(XFRM_MSG_DELSA, 0);
  put_sa_id(removal, read->id());
  EXPECT_EQ(value_of<xfrm_mark>(attribute_of(removal, XFRMA_MARK, sizeof(xfrm_usersa_id))).v,
            0x43u);

  sa.direction = Direction::kIn;
  NetlinkMessage in(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(put_sa(in, sa).ok());
  EXPECT_EQ(value_of<std::uint32_t>(attribute_of(in, XFRMA_IF_ID, body)), 7u);
  EXPECT_EQ(attribute_of(in, XFRMA_MARK, body), nullptr);

  sa.binding = {};
  NetlinkMessage plain(XFRM_MSG_NEWSA, 0);
  ASSERT_TRUE(put_sa(plain, sa).ok());
  EXPECT_EQ(attribute_of(plain, XFRMA_IF_ID, body), nullptr);
}

TEST(XfrmSa, ALarvalOneIsFoundByItsMark) {
  KernelAcquire larval{0xE5000001, IpAddress::parse("192.0.2.2").value(), 5,
                       policy::Mark{0x43, 0xff}, 8};
  NetlinkMessage message(XFRM_MSG_ALLOCSPI, 0);
  put_larval_spi(message, larval);
  const std::size_t body = sizeof(xfrm_userspi_info);
  EXPECT_EQ(value_of<xfrm_mark>(attribute_of(message, XFRMA_MARK, body)).m, 0xffu);
  EXPECT_EQ(value_of<std::uint32_t>(attribute_of(message, XFRMA_IF_ID, body)), 8u);

  NetlinkMessage event(XFRM_MSG_ACQUIRE, 0);
  auto& acquire = event.body<xfrm_user_acquire>();
  acquire.id.daddr = to_kernel(larval.destination);
  acquire.seq = larval.seq;
  xfrm_user_tmpl tmpl{};
  tmpl.reqid = larval.reqid;
  tmpl.family = AF_INET;
  event.put_struct(XFRMA_TMPL, tmpl);
  put_mark(event, larval.mark);
  event.put_u32(XFRMA_IF_ID, larval.if_id);
  const auto read = parse_acquire(*event.header());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->mark, larval.mark);
  EXPECT_EQ(read->if_id, 8u);
}

TEST(XfrmPolicy, AnInterfaceAndAMarkArePartOfItsName) {
  PolicySpec policy = spec({host("192.0.2.1")}, {host("192.0.2.2")});
  const auto plain = expand(policy);
  policy.binding = bound();
  const auto keys = expand(policy);
  ASSERT_EQ(keys->size(), 3u);
  std::map<PolicyKey, KernelPolicy> entries;
  for (const PolicyKey& key : *keys) {
    EXPECT_FALSE(plain->contains(key)) << key.text();
    NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0), removal(XFRM_MSG_DELPOLICY, 0);
    put_policy(message, key, policy);
    put_policy_id(removal, key);
    const bool out = key.direction == PolicyDirection::kOut;
    for (const auto& [one, body] : {std::pair{&message, sizeof(xfrm_userpolicy_info)},
                                    std::pair{&removal, sizeof(xfrm_userpolicy_id)}}) {
      EXPECT_EQ(value_of<std::uint32_t>(attribute_of(*one, XFRMA_IF_ID, body)), out ? 8u : 7u);
      const auto mark = value_of<xfrm_mark>(attribute_of(*one, XFRMA_MARK, body));
      EXPECT_EQ(mark.v, out ? 0x43u : 0x42u);
      EXPECT_EQ(mark.m, 0xffu);
    }
    const auto read = parse_policy(*message.header());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->key, key);
    EXPECT_EQ(*read, expected_policy(key, &policy));
    EXPECT_THAT(key.text(), HasSubstr(out ? ", if_id 8, mark 0x43/0xff" : ", if_id 7, mark 0x42"));
    entries[key] = *read;
  }
  // And what a daemon finds of another is what that one set.
  const PolicySpec rebuilt = rebuild(policy.reqid, entries);
  EXPECT_EQ(rebuilt.binding, policy.binding);
  EXPECT_EQ(*expand(rebuilt), *keys);
}

// A marked packet fits the closed policy without a mark as well.
TEST(XfrmPolicy, AMarkComesBeforeNone) {
  PolicySpec closed = spec({host("2001:db8::1")}, {host("2001:db8::2")});
  closed.closed = true;
  PolicySpec marked = spec({host("2001:db8::1")}, {host("2001:db8::2")});
  marked.binding.mark_in = marked.binding.mark_out = policy::Mark{1};
  const auto priority = [](const PolicySpec& policy) {
    return expected_policy(*expand(policy)->begin(), &policy).priority;
  };
  EXPECT_LT(priority(marked), priority(closed));
  EXPECT_GT(priority(marked), kPriorityException);
}

TEST(XfrmPolicy, ClosedForWhatArrives) {
  PolicySpec closed = spec({host("192.0.2.1")}, {host("192.0.2.2")});
  closed.closed = closed.inbound_only = true;
  const auto keys = expand(closed);
  EXPECT_EQ(keys->size(), 2u);
  for (const PolicyKey& key : *keys) EXPECT_NE(key.direction, PolicyDirection::kOut);
}

}  // namespace
}  // namespace espalier::dataplane::kernel
