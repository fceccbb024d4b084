// NULL authentication (RFC 7619): one end or both do not say who they are.
#include <gtest/gtest.h>

#include "policy/identity.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using policy::NullAuth;

const policy::Identity kNobody{wire::ike::IdType::kNull, {}};

void make_anonymous(policy::Connection& connection, NullAuth which) {
  connection.foreign = true;
  connection.null_auth = which;
  if (policy::we_are_anonymous(which)) connection.local_id = kNobody;
  if (policy::peer_is_anonymous(which)) connection.remote_id = kNobody;
}

NullAuth turned(NullAuth which) {
  if (which == NullAuth::kLocal) return NullAuth::kRemote;
  if (which == NullAuth::kRemote) return NullAuth::kLocal;
  return which;
}

void make_anonymous(Two& two, NullAuth bender) {
  make_anonymous(two.of("bender"), bender);
  make_anonymous(two.of("flexo"), turned(bender));
}

TEST(NullAuth, OneEndOrBothEitherStarts) {
  for (const NullAuth which : {NullAuth::kLocal, NullAuth::kRemote, NullAuth::kBoth}) {
    for (const char* waits : {"bender", "flexo"}) {
      Two two(1);
      make_anonymous(two, which);
      if (which == NullAuth::kBoth) {
        two.of("bender").psk = SecretBytes();
        two.of("flexo").psk = SecretBytes();
      }
      two.of(waits).start = policy::Start::kNone;
      ASSERT_TRUE(two.start()) << two.log();
      EXPECT_EQ(two.world.fault(), "") << two.log();
    }
  }
}

TEST(NullAuth, BothAtOnceUnderLossDuplicationAndReordering) {
  for (const std::uint64_t seed : seeds(120)) {
    ike::Settings settings;
    settings.election = false;
    Two two(seed, {}, settings);
    make_anonymous(two, seed % 3 == 0   ? NullAuth::kLocal
                        : seed % 3 == 1 ? NullAuth::kRemote
                                        : NullAuth::kBoth);
    two.world.network = {0.2, 0.1, 5ms, 200ms};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(400s)) << two.world.fault() << "\n" << two.log();
    two.world.network.loss = 0;
    two.world.run_for(90s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

// Nobody who does not prove who it is gets in where that was not said, and no wildcard lets it.
TEST(NullAuth, IsRefusedUnlessConfigured) {
  for (const bool wildcard : {false, true}) {
    Two two(1);
    make_anonymous(two.of("bender"), NullAuth::kLocal);
    two.of("flexo").start = policy::Start::kNone;
    if (wildcard) two.of("flexo").remote_id = {policy::kAnyIdType, {}};
    two.world.configure_all();
    two.world.run_for(20s);
    EXPECT_FALSE(two.world.all_up());
    EXPECT_EQ(two.count("flexo", ike::Counter::kEstablished), 0u);
    EXPECT_GE(two.count("flexo", ike::Counter::kAuthFailed), 1u);
    EXPECT_NE(two.log().find("no configured peer may stay anonymous"), std::string::npos)
        << two.log();
  }
}

// What an anonymous peer says of itself is not trusted: it finds the anonymous connection, never
// the one of the name that it says.
TEST(NullAuth, AnIdentityWithoutProofIsNobodys) {
  Two two(1);
  make_anonymous(two.of("bender"), NullAuth::kLocal);
  two.of("bender").local_id = policy::parse_identity("bender").value();
  two.of("flexo").start = policy::Start::kNone;
  two.world.configure_all();
  two.world.run_for(20s);
  EXPECT_EQ(two.count("flexo", ike::Counter::kEstablished), 0u) << two.log();
}

TEST(NullAuth, AResponderThatMustProveWhoItIsAndDoesNotIsRefused) {
  Two two(1);
  make_anonymous(two.of("bender"), NullAuth::kLocal);  // the peer proves itself
  make_anonymous(two.of("flexo"), NullAuth::kBoth);    // it does not
  two.of("flexo").start = policy::Start::kNone;
  two.world.configure_all();
  two.world.run_for(20s);
  EXPECT_EQ(two.count("bender", ike::Counter::kEstablished), 0u) << two.log();
  EXPECT_FALSE(two.world.all_up());
}

// A second anonymous peer does not push the first one out, and has the pair when that one is gone.
TEST(NullAuth, AnotherDoesNotTakeThePlaceOfTheFirst) {
  Two two(1);
  make_anonymous(two, NullAuth::kBoth);
  two.of("flexo").start = policy::Start::kNone;
  two.world.add_host("zoidberg", "10.0.0.3");
  auto& connection = two.of("flexo");
  connection.remote_addresses.clear();
  policy::Connection more = two.of("bender");
  more.name = "zoidberg-flexo";
  more.local_addresses = {IpAddress::parse("10.0.0.3").value()};
  two.world.host("zoidberg").connections.push_back(more);
  two.world.command("flexo", ike::Configure{two.world.host("flexo").connections});
  two.world.command("bender", ike::Configure{two.world.host("bender").connections});
  two.world.run_for(10s);
  ASSERT_EQ(two.count("flexo", ike::Counter::kEstablished), 1u) << two.log();
  const auto first = two.pair("flexo").ike->spi_local;
  two.world.command("zoidberg", ike::Configure{two.world.host("zoidberg").connections});
  two.world.run_for(60s);
  EXPECT_EQ(two.count("flexo", ike::Counter::kEstablished), 1u) << two.log();
  EXPECT_EQ(two.pair("flexo").ike->spi_local, first) << two.log();
  two.world.crash("bender");
  two.world.run_for(180s);
  EXPECT_EQ(two.count("flexo", ike::Counter::kEstablished), 2u) << two.log();
  EXPECT_TRUE(two.world.host("zoidberg").engine.snapshot().front().state == "up") << two.log();
}

}  // namespace
}  // namespace espalier::sim
