#include "dataplane/memory/memory.hpp"

#include "dataplane/contract_tests.hpp"

namespace espalier::dataplane {
namespace {

struct MemoryUnderTest {
  Memory plane;
  Port& port() { return plane; }
};

}  // namespace
namespace contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, PortContract, MemoryUnderTest);
}
namespace {

using contract::sa;

TEST(Memory, theNewestOutboundSaCarriesThePolicy) {
  Memory plane;
  EXPECT_EQ(plane.newest_outbound(contract::id(7)), nullptr);
  const std::vector<Change> both{AddSa{sa(Direction::kOut, 0x1000)},
                                 AddSa{sa(Direction::kOut, 0x0900)}};
  ASSERT_TRUE(plane.apply(both).ok());
  EXPECT_EQ(plane.newest_outbound(contract::id(7))->spi, Spi(0x0900));
  EXPECT_TRUE(plane.lose(sa(Direction::kOut, 0x0900).key()));
  EXPECT_FALSE(plane.lose(sa(Direction::kOut, 0x0900).key()));
  EXPECT_EQ(plane.newest_outbound(contract::id(7))->spi, Spi(0x1000));
  EXPECT_TRUE(plane.poll_events().empty());
}

TEST(Memory, failsTheNextInstallOnce) {
  Memory plane;
  plane.fail_next_install(make_error(ErrorCode::kSystem, "no memory"));
  const std::vector<Change> one{AddSa{sa(Direction::kOut, 0x1000)}};
  EXPECT_EQ(plane.apply(one).error().message, "no memory");
  EXPECT_TRUE(plane.sas().empty());
  EXPECT_TRUE(plane.apply(one).ok());
}

TEST(Memory, limitsSpeakOnceAndEndTheSa) {
  Memory plane;
  SaSpec limited = sa(Direction::kOut, 0x1000);
  limited.soft_bytes = 100;
  limited.hard_packets = 3;
  ASSERT_TRUE(plane.apply(std::vector<Change>{AddSa{limited}}).ok());
  EXPECT_TRUE(plane.account(limited.key(), 1, 60, Instant(5ns)));
  EXPECT_TRUE(plane.poll_events().empty());
  EXPECT_TRUE(plane.account(limited.key(), 1, 60, Instant(6ns)));
  std::vector<Event> events = plane.poll_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<SoftExpire>(events[0]).key, limited.key());
  EXPECT_EQ(plane.query()->sas[0].counters, (SaCounters{120, 2, Instant(6ns)}));
  EXPECT_TRUE(plane.account(limited.key(), 1, 60, Instant(7ns)));
  events = plane.poll_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<HardExpire>(events[0]).key, limited.key());
  EXPECT_TRUE(plane.sas().empty());
  EXPECT_FALSE(plane.account(limited.key(), 1, 60, Instant(8ns)));
}

TEST(Memory, theFirstPacketIsToldOnceWhereItIsAwaited) {
  Memory plane;
  SaSpec awaited = sa(Direction::kIn, 0x1000);
  awaited.tell_first = true;
  const SaSpec other = sa(Direction::kIn, 0x2000);
  ASSERT_TRUE(plane.apply(std::vector<Change>{AddSa{awaited}, AddSa{other}}).ok());
  for (const SaSpec& each : {awaited, other, awaited}) {
    EXPECT_TRUE(plane.account(each.key(), 1, 60, Instant(5ns)));
  }
  const std::vector<Event> events = plane.poll_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<FirstPacket>(events[0]).key, awaited.key());
}

TEST(Memory, isAValue) {
  Memory plane;
  ASSERT_TRUE(plane.apply(std::vector<Change>{AddSa{sa(Direction::kIn, 0x1000)}}).ok());
  Memory copy = plane;
  copy.emit(UnknownSpi{Spi(0x9999), {}});
  EXPECT_TRUE(copy.lose(sa(Direction::kIn, 0x1000).key()));
  EXPECT_NE(plane.find(sa(Direction::kIn, 0x1000).key()), nullptr);
  EXPECT_TRUE(plane.poll_events().empty());
  EXPECT_EQ(copy.poll_events().size(), 1u);
}

}  // namespace
}  // namespace espalier::dataplane
