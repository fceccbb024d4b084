// Additional key exchanges (RFC 9370): IKE_INTERMEDIATE (RFC 9242) at the start, IKE_FOLLOWUP_KE at
// rekeys, with classical groups and with a key encapsulation whose answer is no public key.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "crypto/prf.hpp"
#include "policy/proposal.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using crypto::DhId;
using wire::ike::ExchangeType;

std::vector<policy::IkeProposal> ike(std::initializer_list<const char*> words) {
  std::vector<policy::IkeProposal> list;
  for (const char* one : words) list.push_back(policy::parse_ike_proposal(one).value());
  return list;
}
std::vector<policy::EspProposal> esp(std::initializer_list<const char*> words) {
  std::vector<policy::EspProposal> list;
  for (const char* one : words) list.push_back(policy::parse_esp_proposal(one).value());
  return list;
}

constexpr const char* kIke = "aes256gcm16-prfsha384-x25519-ke1_ecp256-ke3_ecp384";
constexpr const char* kEsp = "aes256gcm16-x25519-ke2_ecp256";

void with_more(policy::Connection& connection) {
  connection.proposals = ike({kIke});
  connection.children.front().proposals = esp({kEsp});
}

// A key encapsulation that anybody can open, of ML-KEM-768's sizes: the public key is the secret's
// hash and filling, the answer hides nothing. For the shape of the exchange, where the library has
// no ML-KEM.
ike::JobResult toy_kem(const ike::Job& job, crypto::Rng& rng) {
  ike::JobResult out;
  const auto shared_of = [](ByteView key, ByteView chance) {
    return SecretBytes(crypto::sha256({key.first(32), chance.first(32)}));
  };
  if (const auto* generate = std::get_if<ike::DhGenerateJob>(&job)) {
    out.key_pair.group = generate->group;
    out.key_pair.private_key = SecretBytes(rng.bytes(32));
    out.key_pair.public_key = crypto::sha256({out.key_pair.private_key.reveal()});
    out.key_pair.public_key.resize(crypto::info(generate->group)->public_octets, 0x5a);
  } else if (const auto* respond = std::get_if<ike::DhRespondJob>(&job)) {
    EXPECT_EQ(respond->peer_public.size(), crypto::info(respond->group)->public_octets);
    out.key_pair.group = respond->group;
    out.key_pair.public_key = rng.bytes(crypto::info(respond->group)->answer_octets);
    out.shared = shared_of(respond->peer_public, out.key_pair.public_key);
  } else {
    const auto& shared = std::get<ike::DhSharedJob>(job);
    EXPECT_EQ(shared.peer_public.size(), crypto::info(shared.own.group)->answer_octets);
    out.shared = shared_of(shared.own.public_key, shared.peer_public);
  }
  return out;
}

bool is_kem(const ike::Job& job) {
  DhId group = DhId::kNone;
  if (const auto* generate = std::get_if<ike::DhGenerateJob>(&job)) group = generate->group;
  if (const auto* respond = std::get_if<ike::DhRespondJob>(&job)) group = respond->group;
  if (const auto* shared = std::get_if<ike::DhSharedJob>(&job)) group = shared->own.group;
  const auto known = crypto::info(group);
  return known && known->kem;
}

void use_toy_kem(World& world) {
  world.run_job = [&world](const ike::Job& job, crypto::Rng& rng) {
    return is_kem(job) ? toy_kem(job, rng) : ike::run_job(job, rng, world.keys, 1'800'000'000);
  };
}

void with_kem(policy::Connection& connection) {
  auto for_ike = ike({"aes256gcm16-prfsha384-x25519-ke2_ecp256"});
  for_ike.front().additional.push_back({1, DhId::kMlKem768});
  connection.proposals = for_ike;
  auto for_esp = esp({"aes256gcm16-x25519"});
  for_esp.front().additional = {{1, DhId::kMlKem1024}};
  connection.children.front().proposals = for_esp;
}

std::string suite(Two& two, const char* host) { return policy::words(two.pair(host).ike->suite); }

TEST(MultipleKe, EitherEndStarts) {
  for (const char* starter : {"bender", "flexo"}) {
    Two two(1, with_more);
    two.of(starter[0] == 'b' ? "flexo" : "bender").start = policy::Start::kNone;
    std::size_t intermediate = 0;
    two.world.filter = [&](const Host&, const Host&, ByteView datagram) {
      intermediate += datagram[18] == static_cast<std::uint8_t>(ExchangeType::kIkeIntermediate);
      return true;
    };
    ASSERT_TRUE(two.start()) << two.log();
    EXPECT_EQ(two.world.fault(), "") << two.log();
    EXPECT_EQ(intermediate, 4u) << "two exchanges";
    EXPECT_EQ(suite(two, "bender"), kIke);
    EXPECT_EQ(suite(two, "flexo"), kIke);
  }
}

TEST(MultipleKe, AKeyEncapsulationInFragments) {
  for (const std::uint64_t seed : seeds(60)) {
    Two two(seed, with_kem);
    use_toy_kem(two.world);
    two.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.1, 5ms, 50ms};
    std::size_t fragments = 0;
    two.world.filter = [&](const Host&, const Host&, ByteView datagram) {
      EXPECT_LE(datagram.size(), 1280u);
      fragments += datagram[16] == static_cast<std::uint8_t>(wire::ike::PayloadType::kSkf);
      return true;
    };
    two.world.configure_all();
    ASSERT_TRUE(two.heals(300s)) << two.world.fault() << "\n" << two.log();
    ASSERT_GE(fragments, 2u);
    two.world.network = {};
    two.world.command("bender", ike::Rekey{"bender-flexo", true});
    two.world.run_for(10s);
    two.world.command("flexo", ike::Rekey{"flexo-bender", false});
    two.world.run_for(20s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
    ASSERT_EQ(two.count("bender", ike::Counter::kIkeRekeyed), 1u) << two.log();
    ASSERT_EQ(two.count("bender", ike::Counter::kChildRekeyed), 1u) << two.log();
  }
}

TEST(MultipleKe, BothAtOnceUnderLossDuplicationAndReordering) {
  for (const std::uint64_t seed : seeds(120)) {
    ike::Settings settings;
    settings.election = false;
    Two two(seed, with_more, settings);
    two.world.network = {0.2, 0.1, 5ms, 200ms};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(300s)) << two.world.fault() << "\n" << two.log();
    two.world.network.loss = 0;
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

TEST(MultipleKe, WithAPostQuantumKeyToo) {
  Two two(3, [](policy::Connection& connection) {
    with_more(connection);
    connection.ppk = policy::Ppk{Bytes{'a'}, SecretBytes(as_bytes("of both")), true};
  });
  ASSERT_TRUE(two.start()) << two.log();
  EXPECT_EQ(two.world.fault(), "") << two.log();
  EXPECT_TRUE(two.pair("bender").ike->ppk);
}

TEST(MultipleKe, OptionalOnesAreLeftOut) {
  for (const char* starter : {"bender", "flexo"}) {
    Two two(1);
    two.of("bender").proposals = ike({"aes256gcm16-prfsha384-x25519-ke1_ecp256-ke1_none"});
    two.of("flexo").proposals = ike({"aes256gcm16-prfsha384-x25519"});
    two.of(starter[0] == 'b' ? "flexo" : "bender").start = policy::Start::kNone;
    ASSERT_TRUE(two.start()) << two.log();
    EXPECT_EQ(suite(two, "bender"), "aes256gcm16-prfsha384-x25519");
  }
}

TEST(MultipleKe, RekeysFromEitherEnd) {
  for (const char* end : {"bender", "flexo"}) {
    for (const bool whole : {false, true}) {
      Two two(4, with_more);
      ASSERT_TRUE(two.start());
      two.world.run_for(3s);
      const auto before = two.pair("bender");
      std::size_t followups = 0;
      two.world.filter = [&](const Host&, const Host&, ByteView datagram) {
        followups += datagram[18] == static_cast<std::uint8_t>(ExchangeType::kIkeFollowupKe);
        return true;
      };
      two.world.command(
          end, ike::Rekey{std::string(end) + (end[0] == 'b' ? "-flexo" : "-bender"), whole});
      two.world.run_for(10s);
      EXPECT_EQ(two.world.fault(), "") << two.log();
      const auto after = two.pair("bender");
      EXPECT_EQ(followups, whole ? 4u : 2u);
      EXPECT_EQ(after.ike->spi_local != before.ike->spi_local, whole) << two.log();
      EXPECT_EQ(after.children.front().spec.spi_in != before.children.front().spec.spi_in, !whole);
      EXPECT_EQ(suite(two, "flexo"), kIke);
      if (!whole) {
        EXPECT_EQ(policy::words(after.children.front().spec.suite), std::string(kEsp) + "-esn");
      }
    }
  }
}

// Each pair of operations started at both ends within the same two round trips.
void collide(std::uint64_t seed, bool first_whole, bool second_whole,
             const std::function<void(Two&)>& change = {}) {
  Two two(seed, with_more);
  if (change) change(two);
  ASSERT_TRUE(two.start()) << two.log();
  two.world.run_for(seed % 3 == 0 ? 10s : 0s);
  const double loss = seed % 2 == 0 ? 0.2 : 0.0;
  two.world.network = {loss, loss / 2, 5ms, 15ms};
  two.world.command("bender", ike::Rekey{"bender-flexo", first_whole});
  two.world.run_for(Duration(std::chrono::microseconds(seed * 977 % 45000)));
  two.world.command("flexo", ike::Rekey{"flexo-bender", second_whole});
  two.world.run_for(60s);
  two.world.network = {};
  two.world.run_for(90s);
  ASSERT_EQ(two.world.fault(), "") << two.log();
  ASSERT_EQ(two.count("bender", ike::Counter::kAttemptsFailed), 0u) << two.log();
  const auto either = [&](ike::Counter counter) {
    return two.count("bender", counter) + two.count("flexo", counter);
  };
  if ((first_whole || second_whole) && either(ike::Counter::kEstablished) == 2u) {
    ASSERT_GE(either(ike::Counter::kIkeRekeyed), 1u) << two.log();
  }
  if ((!first_whole || !second_whole) && either(ike::Counter::kEstablished) == 2u) {
    ASSERT_GE(either(ike::Counter::kChildRekeyed), 2u) << two.log();
  }
  // At 20 % loss one exchange in 4,000 is given up, and the pair made anew.
  if (loss == 0) {
    ASSERT_EQ(either(ike::Counter::kEstablished), 2u) << two.log();
  }
}

TEST(MultipleKe, CollisionsOfChildRekeys) {
  for (const std::uint64_t seed : seeds(100)) {
    collide(seed, false, false);
    if (HasFatalFailure()) return;
  }
}

TEST(MultipleKe, CollisionsOfIkeRekeys) {
  for (const std::uint64_t seed : seeds(100)) {
    collide(seed, true, true);
    if (HasFatalFailure()) return;
  }
}

TEST(MultipleKe, CollisionsOfAChildAndAnIkeRekey) {
  for (const std::uint64_t seed : seeds(100)) {
    collide(seed, seed % 4 < 2, seed % 4 >= 2);
    if (HasFatalFailure()) return;
  }
}

// The responder's order decides: one end's rekey has additional key exchanges, the other's not.
TEST(MultipleKe, CollisionsWhereOnlyOneHasThem) {
  for (const std::uint64_t seed : seeds(100)) {
    collide(seed, seed % 3 == 0, seed % 3 == 0, [](Two& two) {
      const char* plain_ike = "aes256gcm16-prfsha384-x25519";
      const char* plain_esp = "aes256gcm16-x25519";
      two.of("bender").proposals = ike({kIke, plain_ike});
      two.of("flexo").proposals = ike({plain_ike, kIke});
      two.of("bender").children.front().proposals = esp({kEsp, plain_esp});
      two.of("flexo").children.front().proposals = esp({plain_esp, kEsp});
    });
    if (HasFatalFailure()) return;
  }
}

// The responder forgets an exchange that does not go on; the initiator starts it over.
TEST(MultipleKe, StateNotFoundIsNotFatal) {
  for (const bool whole : {false, true}) {
    Two two(5, with_more);
    ASSERT_TRUE(two.start());
    two.world.run_for(3s);
    bool lost = true;
    two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
      return !lost || from.name != "bender" || !is_request(datagram, ExchangeType::kIkeFollowupKe);
    };
    two.world.command("bender", ike::Rekey{"bender-flexo", whole});
    two.world.run_for(1s);
    EXPECT_TRUE(two.sa("flexo").pending);
    two.world.run_for(21s);
    EXPECT_FALSE(two.sa("flexo").pending) << "kFollowupWait is over";
    lost = false;
    two.world.run_for(60s);
    EXPECT_EQ(two.world.fault(), "") << two.log();
    EXPECT_NE(two.log().find("STATE_NOT_FOUND"), std::string::npos) << two.log();
    EXPECT_EQ(two.count("bender", whole ? ike::Counter::kIkeRekeyed : ike::Counter::kChildRekeyed),
              1u)
        << two.log();
  }
}

// Who never comes to IKE_AUTH is half-open all the while, and for no longer than others.
TEST(MultipleKe, IntermediateIsHalfOpen) {
  Two two(6, with_more);
  two.of("flexo").start = policy::Start::kNone;
  std::size_t seen = 0;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    const bool mine = is_request(datagram, ExchangeType::kIkeIntermediate);
    return from.name != "bender" || datagram[18] == 34 || (mine && ++seen == 1);
  };
  two.world.configure_all();
  two.world.run_for(2s);
  EXPECT_EQ(two.inside("flexo").half_open.size(), 1u);
  EXPECT_EQ(two.inside("flexo").sas.begin()->second.state, ike::v2::IkeState::kIntermediate);
  two.world.filter = [](const Host&, const Host&, ByteView) { return false; };
  two.world.run_for(29s);
  EXPECT_EQ(two.inside("flexo").half_open.size(), 0u);
  EXPECT_TRUE(two.inside("flexo").sas.empty());
}

// One that the other end does not have, and that is required: named, on both.
TEST(MultipleKe, RequiredAndMissingIsNamed) {
  for (const char* lacks : {"bender", "flexo"}) {
    Two two(1, with_more);
    two.of(lacks).proposals = ike({"aes256gcm16-prfsha384-x25519"});
    two.of("flexo").start = policy::Start::kNone;
    two.world.configure_all();
    two.world.run_for(10s);
    EXPECT_FALSE(two.world.all_up());
    EXPECT_GE(two.count("flexo", ike::Counter::kNoProposal), 1u);
    EXPECT_NE(two.log().find("ke1_ecp256"), std::string::npos) << two.log();
  }
}

// Changes a request of bender's as it leaves: what a peer with the keys may do.
void spoil_intermediate(const std::function<void(ike::v2::IkeSa&)>& change, const char* why) {
  Two two(1, with_more);
  two.of("flexo").start = policy::Start::kNone;
  bool done = false;
  two.world.run_job = [&](const ike::Job& job, crypto::Rng& rng) {
    for (auto& [spi, sa] : two.inside("bender").sas) {
      if (!done && sa.state == ike::v2::IkeState::kIntermediate) {
        done = true;
        change(sa);
      }
    }
    return ike::run_job(job, rng, two.world.keys, 1'800'000'000);
  };
  two.world.configure_all();
  two.world.run_for(1s);
  EXPECT_TRUE(done);
  EXPECT_EQ(two.count("flexo", ike::Counter::kEstablished), 0u) << two.log();
  EXPECT_NE(two.log().find(why), std::string::npos) << why << "\n" << two.log();
  // And the next attempt, which is as it should be, comes up.
  EXPECT_TRUE(two.heals(120s)) << two.log();
}

TEST(MultipleKe, AnotherMethodThanAgreedIsInvalidSyntax) {
  spoil_intermediate([](ike::v2::IkeSa& sa) { sa.suite.additional[0] = DhId::kModp3072; },
                     "which is not the one agreed to");
}

TEST(MultipleKe, TheWrongOrderIsInvalidSyntax) {
  spoil_intermediate(
      [](ike::v2::IkeSa& sa) { std::swap(sa.suite.additional[0], sa.suite.additional[2]); },
      "which is not the one agreed to");
}

// IKE_AUTH before the additional key exchanges are done, and IKE_INTERMEDIATE when none is due, are
// not legal: dropped and counted, and what was going on goes on.
TEST(MultipleKe, AnExchangeLeftOutIsDropped) {
  Two two(1, with_more);
  two.of("flexo").start = policy::Start::kNone;
  const std::uint64_t before = two.count("flexo", ike::Counter::kDropUnexpected);
  bool done = false;
  two.world.run_job = [&](const ike::Job& job, crypto::Rng& rng) {
    for (auto& [spi, sa] : two.inside("bender").sas) {
      if (!done && sa.state == ike::v2::IkeState::kIntermediate &&
          std::holds_alternative<ike::DhSharedJob>(job)) {
        done = true;
        sa.suite.additional = {};  // bender believes that this was the last
      }
    }
    return ike::run_job(job, rng, two.world.keys, 1'800'000'000);
  };
  two.world.configure_all();
  two.world.run_for(3s);
  EXPECT_TRUE(done);
  EXPECT_GT(two.count("flexo", ike::Counter::kDropUnexpected), before) << two.log();
  EXPECT_EQ(two.count("flexo", ike::Counter::kEstablished), 0u);
  EXPECT_TRUE(two.heals(120s)) << two.log();
}

}  // namespace
}  // namespace espalier::sim
