// IKE SAs without a child of their own (RFC 6023): the first child comes by CREATE_CHILD_SA, with a
// key exchange for itself.
#include <gtest/gtest.h>

#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using policy::Childless;
using wire::ike::ExchangeType;

struct Wire {
  std::size_t create_child = 0;
};

Wire watch(Two& two) {
  Wire seen;
  two.world.filter = [&seen](const Host&, const Host&, ByteView datagram) {
    seen.create_child += is_request(datagram, ExchangeType::kCreateChildSa);
    return true;
  };
  const bool up = two.start();
  EXPECT_TRUE(up) << two.log();
  EXPECT_EQ(two.world.fault(), "") << two.log();
  two.world.filter = nullptr;
  return seen;
}

TEST(Childless, WhoWantsItAndWhoAllowsIt) {
  struct Case {
    Childless bender, flexo;
    bool childless;
  };
  for (const Case& one : {Case{Childless::kPrefer, Childless::kAllow, true},
                          Case{Childless::kForce, Childless::kAllow, true},
                          Case{Childless::kForce, Childless::kForce, true},
                          Case{Childless::kAllow, Childless::kPrefer, false},
                          Case{Childless::kPrefer, Childless::kNever, false},
                          Case{Childless::kNever, Childless::kAllow, false}}) {
    Two two(1);
    two.of("flexo").start = policy::Start::kNone;
    two.of("bender").childless = one.bender;
    two.of("flexo").childless = one.flexo;
    EXPECT_EQ(watch(two).create_child, one.childless ? 1u : 0u);
    // Its own key exchange, which a child of IKE_AUTH cannot have (RFC 7296 section 1.2).
    EXPECT_EQ(two.pair("bender").children.front().spec.suite.dh != crypto::DhId::kNone,
              one.childless);
  }
}

TEST(Childless, ForcedAndNotAllowedIsNamed) {
  Two two(1);
  two.of("flexo").start = policy::Start::kNone;
  two.of("bender").childless = Childless::kForce;
  two.of("flexo").childless = Childless::kNever;
  two.world.configure_all();
  two.world.run_for(20s);
  EXPECT_FALSE(two.world.all_up());
  EXPECT_NE(two.pair("bender").last_error.find("'childless: force'"), std::string::npos)
      << two.log();
}

// The responder's children have key exchanges of their own too: what IKE_AUTH asks for is refused,
// and comes by CREATE_CHILD_SA.
TEST(Childless, AForcingResponderGivesNoChildInIkeAuth) {
  Two two(1);
  two.of("flexo").start = policy::Start::kNone;
  two.of("flexo").childless = Childless::kForce;
  EXPECT_GE(watch(two).create_child, 1u);
  EXPECT_NE(two.pair("bender").children.front().spec.suite.dh, crypto::DhId::kNone);
}

TEST(Childless, BothAtOnceUnderLossDuplicationAndReordering) {
  for (const std::uint64_t seed : seeds(120)) {
    ike::Settings settings;
    settings.election = seed % 2 == 0;
    Two two(
        seed,
        [&](policy::Connection& connection) {
          connection.childless = seed % 3 == 0 ? Childless::kForce : Childless::kPrefer;
        },
        settings);
    two.world.network = {0.2, 0.1, 5ms, 200ms};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(300s)) << two.world.fault() << "\n" << two.log();
    two.world.network.loss = 0;
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

// A request for half a child, and one for none where that was not announced.
TEST(Childless, IsNotGivenWhereItWasNotAnnounced) {
  Two two(1);
  two.of("flexo").start = policy::Start::kNone;
  two.of("bender").childless = Childless::kPrefer;
  two.of("flexo").childless = Childless::kAllow;
  // The responder's word is taken back between its two answers.
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    if (from.name == "bender" && is_request(datagram, ExchangeType::kIkeAuth)) {
      for (auto& [spi, sa] : two.inside("flexo").sas) sa.handshake().childless = false;
    }
    return true;
  };
  two.world.configure_all();
  two.world.run_for(3s);
  EXPECT_FALSE(two.world.all_up());
  EXPECT_NE(two.pair("bender").last_error.find("INVALID_SYNTAX"), std::string::npos) << two.log();
}

}  // namespace
}  // namespace espalier::sim
