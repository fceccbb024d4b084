#include "daemon/manual_keying.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/memory/memory.hpp"
#include "policy/selectors.hpp"

namespace espalier::daemon {
namespace {

using dataplane::Direction;
using dataplane::Memory;
using dataplane::SaKey;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Lines final : Logger {
  void log(const LogLine& line) override { text += line.pair + ": " + line.text + "\n"; }
  std::string text;
};

SecretBytes key(std::uint8_t seed, std::size_t size) {
  Bytes octets(size);
  std::uint32_t state = seed;
  for (std::uint8_t& octet : octets) {
    state = state * 1664525 + 1013904223;
    octet = static_cast<std::uint8_t>(state >> 24);
  }
  return SecretBytes(std::move(octets));
}

policy::ManualKeys keys(std::uint32_t spi_in, std::uint32_t spi_out,
                        std::optional<std::int64_t> from = {}) {
  const auto seed = static_cast<std::uint8_t>(spi_in);
  policy::ManualKeys out;
  out.spi_in = Spi(spi_in);
  out.spi_out = Spi(spi_out);
  out.encr_in = key(seed, 32);
  out.integ_in = key(seed + 1, 32);
  out.encr_out = key(seed + 2, 32);
  out.integ_out = key(seed + 3, 32);
  out.from = from;
  return out;
}

policy::SelectorList net(const char* prefix) {
  return {policy::from_prefix(Prefix::parse(prefix).value())};
}

policy::ManualTunnel tunnel(const std::string& peer, std::uint32_t spi) {
  policy::ManualTunnel out;
  out.name = "a-" + peer;
  out.peer = peer;
  out.local = IpAddress::parse("192.0.2.1").value();
  out.remote = IpAddress::parse("192.0.2.2").value();
  out.local_ts = net("10.1.0.0/16");
  out.remote_ts = net("10.2.0.0/16");
  out.suite = {crypto::EncrId::kAesCbc, 256, crypto::IntegId::kHmacSha2_256_128};
  out.keys = {keys(spi, spi + 1)};
  return out;
}

constexpr std::int64_t kNow = 1'000'000;

class ManualKeyingTest : public ::testing::Test {
 protected:
  std::vector<std::string> spis() const {
    std::vector<std::string> out;
    for (const auto& [name, sa] : plane.sas()) {
      out.push_back((name.direction == Direction::kIn ? "in " : "out ") +
                    std::to_string(name.spi.value));
    }
    return out;
  }
  Instant at(int seconds) const { return Instant{} + std::chrono::seconds(seconds); }
  dataplane::Snapshot now() { return plane.query().value(); }

  Memory plane;
  Lines log;
  ManualKeying keying{plane, log};
};

TEST_F(ManualKeyingTest, what_is_wanted_stands_and_goes) {
  keying.set({tunnel("b", 300)}, at(0), kNow);
  EXPECT_THAT(spis(), ElementsAre("in 300", "out 301"));
  ASSERT_EQ(plane.policies().size(), 1u);
  const auto& policy = plane.policies().begin()->second;
  EXPECT_TRUE(dataplane::kernel::is_manual(policy.reqid.value));
  EXPECT_NE(plane.newest_outbound(policy.reqid), nullptr);
  const auto status = keying.status(now(), at(5), kNow + 5);
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].state, "up");
  EXPECT_EQ(status[0].children.at(0).installed_s, 5);
  EXPECT_FALSE(status[0].reason);
  // Only traffic shows that the other end has other keys.
  plane.account({Direction::kOut, Spi(301), tunnel("b", 300).remote}, 10, 700, at(1));
  EXPECT_THAT(keying.status(now(), at(5), kNow)[0].reason.value_or(""),
              HasSubstr("10 packets sent and none received"));
  EXPECT_EQ(keying.status(now(), at(5), kNow)[0].state, "up");
  plane.account({Direction::kIn, Spi(300), tunnel("b", 300).remote}, 1, 70, at(1));
  EXPECT_FALSE(keying.status(now(), at(5), kNow)[0].reason);
  keying.set({}, at(6), kNow);
  EXPECT_THAT(spis(), IsEmpty());
  EXPECT_TRUE(plane.policies().empty());
}

// The log says SPIs in both forms, and no key.
TEST_F(ManualKeyingTest, the_log_has_spis_and_no_keys) {
  const policy::ManualTunnel one = tunnel("b", 4096);
  keying.set({one}, at(0), kNow);
  EXPECT_THAT(log.text, HasSubstr("4096 (0x1000)"));
  EXPECT_EQ(log.text.find(to_hex(one.keys[0].encr_in.reveal())), std::string::npos);
}

// What the daemon before left goes on: nobody touches it.
TEST_F(ManualKeyingTest, a_restart_takes_over_what_stands) {
  keying.set({tunnel("b", 300), tunnel("c", 400)}, at(0), kNow);
  const auto left = plane.sas();
  plane.account({Direction::kOut, Spi(301), tunnel("b", 300).remote}, 7, 700, at(1));

  Lines said;
  ManualKeying next(plane, said);
  // In another order, and with one more.
  const auto wanted = next.begin({tunnel("d", 500), tunnel("c", 400), tunnel("b", 300)}, kNow);
  EXPECT_EQ(wanted.sas.size(), 6u);
  EXPECT_EQ(wanted.policies.size(), 3u);
  for (const auto& sa : wanted.sas) {
    const auto before = left.find(sa.key());
    if (before != left.end()) {
      EXPECT_EQ(sa, before->second) << sa.pair;
    }
  }
  next.take_over(now(), at(2), kNow);
  EXPECT_EQ(plane.sas().size(), 6u);
  const dataplane::Snapshot there = now();
  for (const auto& sa : there.sas) {
    if (sa.key.spi == Spi(301)) {
      EXPECT_EQ(sa.counters.packets, 7u) << "made anew";
    }
  }
  EXPECT_THAT(said.text, HasSubstr("a-b: 2 SAs with manual keys of the daemon before go on"));
  EXPECT_THAT(said.text, ::testing::Not(HasSubstr("a-d: 2 SAs")));
  EXPECT_EQ(next.reconcile(now(), at(3), kNow), 0u);
  EXPECT_EQ(next.restored(), 0u);
}

TEST_F(ManualKeyingTest, what_vanishes_is_installed_again_and_counted) {
  keying.set({tunnel("b", 300)}, at(0), kNow);
  const SaKey out{Direction::kOut, Spi(301), tunnel("b", 300).remote};
  ASSERT_TRUE(plane.lose(out));
  EXPECT_EQ(keying.reconcile(now(), at(1), kNow), 1u);
  EXPECT_THAT(spis(), ElementsAre("in 300", "out 301"));
  EXPECT_EQ(keying.restored(), 1u);
  EXPECT_THAT(log.text, HasSubstr("a-b: the SA with SPI 301 (0x12d) was gone"));
  // The policy likewise; and one of ours that nobody wants goes.
  const auto policy = plane.policies().begin()->second;
  const dataplane::Change gone = dataplane::DeletePolicy{policy.reqid};
  dataplane::PolicySpec stranger = policy;
  stranger.reqid = ReqId(policy.reqid.value ^ 1);
  const dataplane::Change strange = dataplane::SetPolicy{stranger};
  ASSERT_TRUE(plane.apply({&gone, 1}).ok());
  ASSERT_TRUE(plane.apply({&strange, 1}).ok());
  EXPECT_EQ(keying.reconcile(now(), at(2), kNow), 2u);
  ASSERT_EQ(plane.policies().size(), 1u);
  EXPECT_EQ(plane.policies().begin()->second, policy);
  EXPECT_EQ(keying.reconcile(now(), at(3), kNow), 0u);
}

TEST_F(ManualKeyingTest, a_refusal_is_a_reason_told_once_and_tried_again) {
  plane.fail_next_install(make_error(ErrorCode::kAlreadyExists, "refused."));
  keying.set({tunnel("b", 300)}, at(0), kNow);
  EXPECT_THAT(spis(), ElementsAre("out 301"));
  EXPECT_EQ(keying.status(now(), at(0), kNow)[0].state, "down");
  EXPECT_THAT(keying.status(now(), at(0), kNow)[0].reason.value_or(""),
              HasSubstr("SPI 300 (0x12c) to the same address"));
  plane.fail_next_install(make_error(ErrorCode::kAlreadyExists, "refused."));
  keying.reconcile(now(), at(1), kNow);
  EXPECT_EQ(log.text.find("refused."), log.text.rfind("refused."));
  keying.reconcile(now(), at(2), kNow);
  EXPECT_THAT(spis(), ElementsAre("in 300", "out 301"));
  EXPECT_EQ(keying.status(now(), at(2), kNow)[0].state, "up");
}

TEST_F(ManualKeyingTest, keys_change_at_their_time_and_overlap) {
  policy::ManualTunnel two = tunnel("b", 300);
  two.overlap = 60s;
  two.keys.push_back(keys(500, 501, kNow + 100));
  keying.set({two}, at(0), kNow);
  EXPECT_THAT(spis(), ElementsAre("in 300", "in 500", "out 301"));
  EXPECT_EQ(keying.next_change(), kNow + 100);
  keying.update(at(100), kNow + 100);
  EXPECT_THAT(spis(), ElementsAre("in 300", "in 500", "out 501"));
  EXPECT_EQ(keying.next_change(), kNow + 160);
  keying.update(at(160), kNow + 160);
  EXPECT_THAT(spis(), ElementsAre("in 500", "out 501"));
  EXPECT_FALSE(keying.next_change());
  EXPECT_THAT(log.text, HasSubstr("manual keys 2 of 2: sending with SPI 501 (0x1f5)"));
}

// Other tunnels are not touched, whatever comes and goes beside them.
TEST_F(ManualKeyingTest, a_reload_touches_what_changed) {
  keying.set({tunnel("b", 300), tunnel("c", 400)}, at(0), kNow);
  plane.account({Direction::kOut, Spi(301), tunnel("b", 300).remote}, 7, 700, at(1));
  const auto reqid = plane.sas().begin()->second.reqid;
  keying.set({tunnel("b", 300), tunnel("d", 500)}, at(2), kNow);
  EXPECT_THAT(spis(), ElementsAre("in 300", "in 500", "out 301", "out 501"));
  EXPECT_EQ(plane.sas().begin()->second.reqid, reqid);
  const dataplane::Snapshot there = now();
  for (const auto& sa : there.sas) {
    if (sa.key.spi == Spi(301)) {
      EXPECT_EQ(sa.counters.packets, 7u);
    }
  }
}

}  // namespace
}  // namespace espalier::daemon
