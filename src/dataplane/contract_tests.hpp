// What every dataplane promises. A plane's test gives a type with `Port& port()` and instantiates:
//
//     INSTANTIATE_TYPED_TEST_SUITE_P(Memory, PortContract, MemoryUnderTest);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/port.hpp"

namespace espalier::dataplane::contract {

inline policy::TrafficSelector host(std::string_view address) {
  const IpAddress ip = IpAddress::parse(address).value();
  return {0, 0, 65535, ip, ip};
}

// One of our reqids (ARCHITECTURE.md): a plane may take others for somebody else's.
inline ReqId id(std::uint32_t number) { return ReqId(0xE5000000 + number); }

inline SaSpec sa(Direction direction, std::uint32_t spi, std::uint32_t reqid = 7,
                 std::string_view remote = "192.0.2.2") {
  SaSpec out;
  out.direction = direction;
  out.spi = Spi(spi);
  out.reqid = id(reqid);
  out.pair = "bender-flexo";
  out.local = {IpAddress::parse("192.0.2.1").value(), 4500};
  out.remote = {IpAddress::parse(remote).value(), 4500};
  out.suite = {crypto::EncrId::kAesGcm16, 256, crypto::IntegId::kNone};
  out.encr_key = SecretBytes(Bytes(36, std::uint8_t(spi)));
  out.local_ts = {host("192.0.2.1")};
  out.remote_ts = {host("192.0.2.2")};
  return out;
}

inline PolicySpec policy(std::uint32_t reqid, std::string_view remote = "192.0.2.2") {
  return {"bender-flexo",
          id(reqid),
          {host("192.0.2.1")},
          {host(remote)},
          policy::Mode::kTunnel,
          IpAddress::parse("192.0.2.1").value(),
          IpAddress::parse("192.0.2.2").value()};
}

// A plane that cannot run everywhere has why_not(): the reason, or nothing.
template <class Plane>
concept MayBeMissing = requires(const Plane& plane) {
  plane.why_not();
};

template <class Plane>
class PortContract : public ::testing::Test {
 protected:
  void SetUp() override {
    if constexpr (MayBeMissing<Plane>) {
      if (const auto reason = plane_.why_not()) GTEST_SKIP() << "SKIPPED, NOT TESTED: " << *reason;
    }
  }
  Status apply(std::vector<Change> changes) { return plane_.port().apply(changes); }
  Snapshot snapshot() { return plane_.port().query().value(); }
  std::vector<SaKey> keys() {
    std::vector<SaKey> out;
    for (const SaState& state : snapshot().sas) out.push_back(state.key);
    return out;
  }
  Plane plane_;
};
TYPED_TEST_SUITE_P(PortContract);

TYPED_TEST_P(PortContract, startsEmptyAndSilent) {
  EXPECT_TRUE(this->snapshot().sas.empty());
  EXPECT_TRUE(this->snapshot().policies.empty());
  EXPECT_TRUE(this->plane_.port().poll_events().empty());
}

TYPED_TEST_P(PortContract, readsBackWhatIsThereInOrder) {
  const SaSpec in = sa(Direction::kIn, 0x2000), out = sa(Direction::kOut, 0x1000);
  ASSERT_TRUE(
      this->apply({AddSa{out}, AddSa{in}, SetPolicy{policy(9)}, SetPolicy{policy(7)}}).ok());
  const Snapshot now = this->snapshot();
  ASSERT_EQ(now.sas.size(), 2u);
  EXPECT_EQ(now.sas[0].key, in.key());
  EXPECT_EQ(now.sas[1].key, out.key());
  EXPECT_EQ(now.sas[1].reqid, id(7));
  EXPECT_EQ(now.sas[1].local, out.local);
  EXPECT_EQ(now.sas[1].remote, out.remote);
  EXPECT_EQ(now.sas[1].counters, SaCounters{});
  EXPECT_EQ(now.policies, (std::vector<PolicySpec>{policy(7), policy(9)}));
  EXPECT_TRUE(std::is_sorted(now.counters.begin(), now.counters.end()));
}

TYPED_TEST_P(PortContract, anSaExistsOnce) {
  ASSERT_TRUE(
      this->apply({AddSa{sa(Direction::kIn, 0x2000)}, AddSa{sa(Direction::kOut, 0x2000)}}).ok());
  EXPECT_EQ(this->apply({AddSa{sa(Direction::kOut, 0x2000)}}).error().code,
            ErrorCode::kAlreadyExists);
  // Outbound: another peer may have chosen the same SPI. Inbound: we chose it, so it is one for
  // all.
  EXPECT_TRUE(this->apply({AddSa{sa(Direction::kOut, 0x2000, 8, "192.0.2.3")}}).ok());
  EXPECT_EQ(this->apply({AddSa{sa(Direction::kIn, 0x2000, 8, "192.0.2.3")}}).error().code,
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(this->keys().size(), 3u);
}

TYPED_TEST_P(PortContract, theFirstFailureStopsTheBatchAndNamesItself) {
  const Status status =
      this->apply({AddSa{sa(Direction::kOut, 0x1000)}, AddSa{sa(Direction::kOut, 0x1000)},
                   AddSa{sa(Direction::kOut, 0x1001)}});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("00001000"), std::string::npos) << status.error().message;
  EXPECT_NE(status.error().message.find("bender-flexo"), std::string::npos)
      << status.error().message;
  EXPECT_EQ(this->keys(), std::vector<SaKey>{sa(Direction::kOut, 0x1000).key()});
}

TYPED_TEST_P(PortContract, deletingWhatIsNotThereIsDone) {
  ASSERT_TRUE(this->apply({AddSa{sa(Direction::kIn, 0x2000)}, SetPolicy{policy(7)}}).ok());
  EXPECT_TRUE(this->apply({DeleteSa{sa(Direction::kOut, 0x2000).key()}, DeletePolicy{id(8)}}).ok());
  EXPECT_EQ(this->keys().size(), 1u);
  EXPECT_TRUE(this->apply({DeleteSa{sa(Direction::kIn, 0x2000).key()}, DeletePolicy{id(7)}}).ok());
  EXPECT_TRUE(this->apply({DeleteSa{sa(Direction::kIn, 0x2000).key()}, DeletePolicy{id(7)}}).ok());
  EXPECT_TRUE(this->snapshot().sas.empty());
  EXPECT_TRUE(this->snapshot().policies.empty());
}

TYPED_TEST_P(PortContract, anInboundSaIsNamedByItsSpiAlone) {
  ASSERT_TRUE(this->apply({AddSa{sa(Direction::kIn, 0x2000)}}).ok());
  SaKey key = sa(Direction::kIn, 0x2000).key();
  key.peer = IpAddress::parse("198.51.100.9").value();
  EXPECT_TRUE(this->apply({DeleteSa{key}}).ok());
  EXPECT_TRUE(this->keys().empty());
}

TYPED_TEST_P(PortContract, aMoveChangesAddressesAndTheKeysPeer) {
  ASSERT_TRUE(
      this->apply({AddSa{sa(Direction::kIn, 0x2000)}, AddSa{sa(Direction::kOut, 0x1000)}}).ok());
  const SocketAddress local{IpAddress::parse("2001:db8::1").value(), 4500};
  const SocketAddress remote{IpAddress::parse("2001:db8::2").value(), 1024};
  for (const SaKey& key : this->keys()) ASSERT_TRUE(this->apply({MoveSa{key, local, remote}}).ok());
  for (const SaState& state : this->snapshot().sas) {
    EXPECT_EQ(state.local, local);
    EXPECT_EQ(state.remote, remote);
    EXPECT_EQ(state.key.peer, remote.ip);
  }
  EXPECT_EQ(this->apply({MoveSa{sa(Direction::kOut, 0x1000).key(), local, remote}}).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(this->keys().size(), 2u);
}

TYPED_TEST_P(PortContract, aPolicyIsReplacedByReqid) {
  ASSERT_TRUE(this->apply({SetPolicy{policy(7)}, SetPolicy{policy(8)}}).ok());
  ASSERT_TRUE(this->apply({SetPolicy{policy(7, "192.0.2.77")}}).ok());
  EXPECT_EQ(this->snapshot().policies,
            (std::vector<PolicySpec>{policy(7, "192.0.2.77"), policy(8)}));
}

TYPED_TEST_P(PortContract, aRekeyMakesBeforeItBreaks) {
  ASSERT_TRUE(this->apply({AddSa{sa(Direction::kOut, 0x1000)}}).ok());
  ASSERT_TRUE(
      this->apply({AddSa{sa(Direction::kOut, 0x1001)}, DeleteSa{sa(Direction::kOut, 0x1000).key()}})
          .ok());
  EXPECT_EQ(this->keys(), std::vector<SaKey>{sa(Direction::kOut, 0x1001).key()});
  // A new one that cannot be made leaves the old one alone.
  EXPECT_FALSE(
      this->apply({AddSa{sa(Direction::kOut, 1)}, DeleteSa{sa(Direction::kOut, 0x1001).key()}})
          .ok());
  EXPECT_EQ(this->keys(), std::vector<SaKey>{sa(Direction::kOut, 0x1001).key()});
}

TYPED_TEST_P(PortContract, nonsenseIsRefusedAndChangesNothing) {
  SaSpec families = sa(Direction::kOut, 0x1000);
  families.local.ip = IpAddress::parse("2001:db8::1").value();
  EXPECT_EQ(this->apply({AddSa{families}}).error().code, ErrorCode::kInvalidArgument);
  SaSpec empty = sa(Direction::kIn, 0x1000);
  empty.remote_ts.clear();
  EXPECT_EQ(this->apply({AddSa{empty}}).error().code, ErrorCode::kInvalidArgument);
  PolicySpec backwards = policy(7);
  backwards.remote_ts[0].start = IpAddress::parse("192.0.2.9").value();
  EXPECT_EQ(this->apply({SetPolicy{backwards}}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(this->apply({AddSa{sa(Direction::kOut, 255)}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(this->snapshot().sas.empty());
  EXPECT_TRUE(this->snapshot().policies.empty());
}

TYPED_TEST_P(PortContract, aLevelOfProtectionIsSetInPlace) {
  ASSERT_TRUE(this->apply({AddSa{sa(Direction::kIn, 0x2000)}, AddSa{sa(Direction::kOut, 0x1000)},
                           SetPolicy{policy(7)}})
                  .ok());
  for (const bool optional : {true, false, true}) {
    PolicySpec wanted = policy(7);
    wanted.optional = optional;
    ASSERT_TRUE(this->apply({SetPolicy{wanted}}).ok());
    EXPECT_EQ(this->snapshot().policies, std::vector<PolicySpec>{wanted});
    EXPECT_EQ(this->keys().size(), 2u);
  }
  // An exception stands beside it, with its own selectors.
  PolicySpec clear = policy(8);
  clear.clear = true;
  clear.local_ts.front().protocol = 6;
  clear.remote_ts.front().protocol = 6;
  clear.remote_ts.front().start_port = clear.remote_ts.front().end_port = 22;
  ASSERT_TRUE(this->apply({SetPolicy{clear}}).ok());
  ASSERT_EQ(this->snapshot().policies.size(), 2u);
  EXPECT_EQ(this->snapshot().policies.back(), clear);
  ASSERT_TRUE(this->apply({DeletePolicy{clear.reqid}}).ok());
  EXPECT_EQ(this->snapshot().policies.size(), 1u);
}

REGISTER_TYPED_TEST_SUITE_P(PortContract, startsEmptyAndSilent, readsBackWhatIsThereInOrder,
                            anSaExistsOnce, theFirstFailureStopsTheBatchAndNamesItself,
                            deletingWhatIsNotThereIsDone, anInboundSaIsNamedByItsSpiAlone,
                            aMoveChangesAddressesAndTheKeysPeer, aPolicyIsReplacedByReqid,
                            aRekeyMakesBeforeItBreaks, nonsenseIsRefusedAndChangesNothing,
                            aLevelOfProtectionIsSetInPlace);

}  // namespace espalier::dataplane::contract
