// Against a kernel with ESP, in a network namespace of its own: the lab's
// (tests/lab/test_kernel_plane.py runs these in it). Elsewhere they are skipped in words.
#include "dataplane/kernel/kernel.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>

#include "dataplane/contract_tests.hpp"
#include "dataplane/userspace/fd.hpp"

namespace espalier::dataplane {
namespace {

KernelOptions options() {
  KernelOptions out;
  out.clock = [] { return Instant(std::chrono::steady_clock::now().time_since_epoch()); };
  out.unix_now = [] { return static_cast<std::int64_t>(std::time(nullptr)); };
  return out;
}

// Whether this kernel takes an SA: its errors for the lack of ESP differ by version.
std::optional<std::string> lacks_esp(Port& plane) {
  const SaSpec sa = contract::sa(Direction::kIn, 0xC0FFEE00);
  const Change add = AddSa{sa};
  if (const Status added = plane.apply({&add, 1}); !added) {
    return "this kernel has no ESP (" + added.error().message + ")";
  }
  const Change remove = DeleteSa{sa.key()};
  EXPECT_TRUE(plane.apply({&remove, 1}).ok());
  return std::nullopt;
}

// A plane whose sockets belong to a namespace of their own; the test stays where it is.
struct KernelUnderTest {
  KernelUnderTest() {
    const userspace::Fd before(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (geteuid() != 0 || !before || unshare(CLONE_NEWNET) != 0) {
      reason = "this needs root (a network namespace of its own)";
      return;
    }
    ours = userspace::Fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(setns(before.get(), CLONE_NEWNET), 0);
    auto made = make();
    if (!made) {
      reason = made.error().message;
      return;
    }
    plane = std::move(*made);
    reason = lacks_esp(*plane);
  }
  // Another plane in the same namespace.
  Result<std::unique_ptr<Kernel>> make(bool keep = false) const {
    KernelOptions how = options();
    how.keep = keep;
    const userspace::Fd before(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(setns(ours.get(), CLONE_NEWNET), 0);
    auto made = Kernel::make(how);
    EXPECT_EQ(setns(before.get(), CLONE_NEWNET), 0);
    return made;
  }
  Port& port() { return *plane; }
  std::optional<std::string> why_not() const { return reason; }

  userspace::Fd ours;
  std::unique_ptr<Kernel> plane;
  std::optional<std::string> reason;
};

}  // namespace
namespace contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Kernel, PortContract, KernelUnderTest);
}
namespace {

class KernelPlane : public ::testing::Test {
 protected:
  void SetUp() override {
    if (under_.reason) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *under_.reason;
  }
  Status apply(std::vector<Change> changes) { return under_.plane->apply(changes); }
  KernelUnderTest under_;
};

TEST_F(KernelPlane, ANewDaemonRemovesTheSasOfTheLastAndLeavesItsPolicies) {
  ASSERT_TRUE(
      apply({AddSa{contract::sa(Direction::kIn, 0x2000)}, SetPolicy{contract::policy(7)}}).ok());
  auto next = under_.make();
  ASSERT_TRUE(next.ok());
  const Snapshot now = (*next)->query().value();
  EXPECT_TRUE(under_.plane->query().value().sas.empty());
  ASSERT_EQ(now.policies.size(), 1u);
  EXPECT_EQ(now.policies[0].reqid, contract::id(7));
  EXPECT_EQ(now.policies[0].local_ts, contract::policy(7).local_ts);
  EXPECT_EQ(now.policies[0].remote_ts, contract::policy(7).remote_ts);
}

SaSpec manual_sa(Direction direction, std::uint32_t spi) {
  SaSpec sa = contract::sa(direction, spi);
  sa.reqid = ReqId(kernel::kManualReqIdFirst + 5);
  sa.suite = {crypto::EncrId::kAesCbc, 128, crypto::IntegId::kHmacSha2_256_128};
  sa.encr_key = SecretBytes(Bytes(16, 7));
  sa.integ_key = SecretBytes(Bytes(32, 8));
  sa.replay_window = 0;
  return sa;
}

std::vector<std::uint32_t> spis(Kernel& plane) {
  std::vector<std::uint32_t> out;
  const Snapshot now = plane.query().value();
  for (const SaState& sa : now.sas) out.push_back(sa.key.spi.value);
  return out;
}

// What the kernel says of an SA is what it was told, so that it is known again.
TEST_F(KernelPlane, SasWithManualKeysOutliveTheDaemonAndAreTakenOver) {
  std::vector<SaSpec> ours;
  for (const Direction direction : {Direction::kIn, Direction::kOut}) {
    const std::uint32_t spi = direction == Direction::kIn ? 0x4000 : 0x4001;
    ours.push_back(manual_sa(direction, spi));
    ours.push_back(manual_sa(direction, spi + 2));
    ours.back().udp_encap = !ours.back().udp_encap;
    ours.back().mode = policy::Mode::kTransport;
  }
  for (const SaSpec& sa : ours) ASSERT_TRUE(apply({AddSa{sa}}).ok());
  ASSERT_TRUE(apply({AddSa{contract::sa(Direction::kIn, 0x2000)}}).ok());
  // One that stops takes IKE's away, and these not.
  ASSERT_TRUE(under_.plane->remove_sas(Kernel::Which::kNegotiated).ok());
  EXPECT_EQ(spis(*under_.plane), (std::vector<std::uint32_t>{0x4000, 0x4002, 0x4001, 0x4003}));
  ASSERT_TRUE(apply({AddSa{contract::sa(Direction::kIn, 0x2000)}}).ok());

  auto next = under_.make(true);
  ASSERT_TRUE(next.ok());
  ASSERT_TRUE((*next)->close({}).ok());
  ASSERT_TRUE((*next)->adopt(ours, {}).ok());
  EXPECT_EQ(spis(**next), (std::vector<std::uint32_t>{0x4000, 0x4002, 0x4001, 0x4003}));
  EXPECT_EQ(spis(*under_.plane), spis(**next)) << "IKE's are gone, nothing else";

  // With another key they are not the same: they make room.
  auto third = under_.make(true);
  ASSERT_TRUE(third.ok());
  ASSERT_TRUE((*third)->close({}).ok());
  ours[0].encr_key = SecretBytes(Bytes(16, 9));
  ASSERT_TRUE((*third)->adopt(ours, {}).ok());
  EXPECT_EQ(spis(**third).size(), 3u);
  const Change add = AddSa{ours[0]};
  ASSERT_TRUE((*third)->apply({&add, 1}).ok());
  EXPECT_EQ(spis(**third).size(), 4u);
  // One that nobody wants any more goes with the first comparison.
  auto fourth = under_.make(true);
  ASSERT_TRUE(fourth.ok());
  ASSERT_TRUE((*fourth)->close({}).ok());
  ASSERT_TRUE((*fourth)->adopt(std::vector{ours[0]}, {}).ok());
  EXPECT_EQ((*fourth)->repair().value().size(), 3u);
  EXPECT_EQ(spis(**fourth), std::vector<std::uint32_t>{0x4000});
  EXPECT_EQ(spis(*under_.plane), std::vector<std::uint32_t>{0x4000});
}

// One selector, two reqids: the kernel has it once, the later owner first.
TEST_F(KernelPlane, APolicyGoesBackToTheOwnerBefore) {
  ASSERT_TRUE(apply({SetPolicy{contract::policy(7)}, SetPolicy{contract::policy(8)}}).ok());
  const auto stranger = under_.make();  // sees what the kernel has, and knows no owners
  ASSERT_TRUE(stranger.ok());
  ASSERT_EQ((*stranger)->query().value().policies.size(), 1u);
  EXPECT_EQ((*stranger)->query().value().policies[0].reqid, contract::id(8));
  ASSERT_TRUE(apply({DeletePolicy{contract::id(8)}}).ok());
  EXPECT_EQ((*stranger)->query().value().policies[0].reqid, contract::id(7));
  const Snapshot now = under_.plane->query().value();
  ASSERT_EQ(now.policies.size(), 1u);
  EXPECT_EQ(now.policies[0], contract::policy(7));
}

// Both ends must choose the same for the same packets, whoever set what first.
TEST_F(KernelPlane, TransportModeComesBeforeATunnelWhicheverIsSetFirst) {
  PolicySpec transport = contract::policy(9);
  transport.mode = policy::Mode::kTransport;
  for (const bool tunnel_first : {true, false}) {
    const Change tunnel = SetPolicy{contract::policy(8)}, host = SetPolicy{transport};
    ASSERT_TRUE(apply(tunnel_first ? std::vector{tunnel, host} : std::vector{host, tunnel}).ok());
    ASSERT_TRUE(apply({SetPolicy{contract::policy(8)}}).ok());  // as a rekey does
    const auto stranger = under_.make();
    ASSERT_TRUE(stranger.ok());
    const auto seen = (*stranger)->query().value().policies;
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back().reqid, contract::id(9));
    EXPECT_EQ(seen.back().mode, policy::Mode::kTransport);
    ASSERT_TRUE(apply({DeletePolicy{contract::id(9)}}).ok());
    ASSERT_EQ((*stranger)->query().value().policies.size(), 1u);
    EXPECT_EQ((*stranger)->query().value().policies[0].reqid, contract::id(8));
    ASSERT_TRUE(apply({DeletePolicy{contract::id(8)}}).ok());
  }
}

TEST_F(KernelPlane, EverySuiteAndEveryWindow) {
  using crypto::EncrId;
  using crypto::IntegId;
  struct Suite {
    crypto::CipherSuite suite;
    std::size_t encr, integ;
  };
  std::uint32_t spi = 0x3000;
  for (const Suite& one : {Suite{{EncrId::kAesGcm16, 128, IntegId::kNone}, 20, 0},
                           Suite{{EncrId::kAesGcm16, 192, IntegId::kNone}, 28, 0},
                           Suite{{EncrId::kAesGcm16, 256, IntegId::kNone}, 36, 0},
                           Suite{{EncrId::kChaCha20Poly1305, 0, IntegId::kNone}, 36, 0},
                           Suite{{EncrId::kAesGcm8, 128, IntegId::kNone}, 20, 0},
                           Suite{{EncrId::kAesGcm12, 256, IntegId::kNone}, 36, 0},
                           Suite{{EncrId::kAesCcm8, 128, IntegId::kNone}, 19, 0},
                           Suite{{EncrId::kAesCcm12, 192, IntegId::kNone}, 27, 0},
                           Suite{{EncrId::kAesCcm16, 256, IntegId::kNone}, 35, 0},
                           Suite{{EncrId::kAesGmac, 128, IntegId::kNone}, 20, 0},
                           Suite{{EncrId::kAesCtr, 256, IntegId::kHmacSha2_256_128}, 36, 32},
                           Suite{{EncrId::kNull, 0, IntegId::kHmacSha2_256_128}, 0, 32},
                           Suite{{EncrId::kAesCbc, 128, IntegId::kHmacSha1_96}, 16, 20},
                           Suite{{EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128}, 32, 32},
                           Suite{{EncrId::kAesCbc, 256, IntegId::kHmacSha2_384_192}, 32, 48},
                           Suite{{EncrId::kAesCbc, 256, IntegId::kHmacSha2_512_256}, 32, 64}}) {
    for (const std::uint32_t window : {32u, 64u, 1024u, 4096u}) {
      SaSpec sa = contract::sa(spi % 2 == 0 ? Direction::kIn : Direction::kOut, spi);
      ++spi;
      sa.suite = one.suite;
      sa.encr_key = SecretBytes(Bytes(one.encr, 9));
      sa.integ_key = SecretBytes(Bytes(one.integ, 9));
      sa.replay_window = window;
      sa.esn = window > 32;
      const Status added = apply({AddSa{sa}});
      EXPECT_TRUE(added.ok()) << added.error().message;
    }
  }
  EXPECT_EQ(under_.plane->query().value().sas.size(), 64u);
}

// RFC 4555 section 3.5: a path with a NAT, and one without. Told by a second plane, which knows the
// kernel only.
TEST_F(KernelPlane, AMoveTurnsUdpEncapsulationOnAndOff) {
  for (const Direction direction : {Direction::kIn, Direction::kOut}) {
    SaSpec sa = contract::sa(direction, 0x2000);
    sa.udp_encap = false;
    sa.esn = true;
    ASSERT_TRUE(apply({AddSa{sa}}).ok());
    for (const bool encap : {true, false, true}) {
      const SocketAddress remote{sa.remote.ip, static_cast<std::uint16_t>(encap ? 61000 : 4500)};
      const Status moved = apply({MoveSa{sa.key(), sa.local, remote, encap}});
      ASSERT_TRUE(moved.ok()) << moved.error().message;
      const Snapshot now = under_.plane->query().value();
      ASSERT_EQ(now.sas.size(), 1u);
      EXPECT_EQ(now.sas[0].remote, remote);
    }
    // Other addresses and no UDP, at once.
    const SocketAddress local{IpAddress::parse("198.51.100.1").value(), 4500};
    const SocketAddress remote{IpAddress::parse("198.51.100.2").value(), 4500};
    ASSERT_TRUE(apply({MoveSa{sa.key(), local, remote, false}}).ok());
    ASSERT_TRUE(apply({DeleteSa{{direction, sa.spi, remote.ip}}}).ok());
    EXPECT_TRUE(under_.plane->query().value().sas.empty());
  }
}

TEST_F(KernelPlane, WhatTheKernelRefusesComesWithItsWords) {
  SaSpec sa = contract::sa(Direction::kIn, 0x2000);
  sa.encr_key = SecretBytes(Bytes(7, 1));
  const Status refused = apply({AddSa{sa}});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("bender-flexo"), std::string::npos);
  EXPECT_NE(refused.error().message.find("00002000"), std::string::npos);
}

}  // namespace
}  // namespace espalier::dataplane
