// Post-quantum preshared keys (RFC 8784): each row of its table 1, in both roles, with and without
// loss.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/seeds.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

struct Side {
  const char* id = "";  // empty: no PPK
  const char* secret = "";
  bool required = true;
};

std::optional<policy::Ppk> ppk_of(const Side& side) {
  if (*side.id == '\0') return std::nullopt;
  return policy::Ppk{to_vector(as_bytes(side.id)), SecretBytes(as_bytes(side.secret)),
                     side.required};
}

// bender is the one that starts.
World pair_of(std::uint64_t seed, const Side& bender, const Side& flexo) {
  World world(seed);
  world.add_host("bender", "10.0.0.1");
  world.add_host("flexo", "10.0.0.2");
  world.connect("bender", "flexo");
  world.host("bender").connections.front().ppk = ppk_of(bender);
  world.host("flexo").connections.front().ppk = ppk_of(flexo);
  world.host("flexo").connections.front().start = policy::Start::kNone;
  return world;
}

std::string log_of(World& world) {
  std::string text = fmt::format("seed {}\n", world.seed());
  for (const char* name : {"bender", "flexo"}) {
    for (const ike::Event& event : world.host(name).events) {
      text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
    }
  }
  return text;
}

bool uses_ppk(World& world, const char* name) {
  const auto pair = world.host(name).engine.snapshot().front();
  return pair.ike && pair.ike->ppk;
}

constexpr const char* kSecret = "0123456789abcdef0123456789abcdef";
constexpr const char* kOther = "fedcba9876543210fedcba9876543210";

TEST(Ppk, BothHaveIt) {
  for (const bool ours : {true, false}) {
    for (const bool theirs : {true, false}) {
      World world = pair_of(1, {"fleet", kSecret, ours}, {"fleet", kSecret, theirs});
      world.configure_all();
      ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 10s)) << log_of(world);
      EXPECT_EQ(world.fault(), "") << log_of(world);
      EXPECT_TRUE(uses_ppk(world, "bender") && uses_ppk(world, "flexo")) << log_of(world);
    }
  }
}

TEST(Ppk, RekeysKeepIt) {
  for (const std::uint64_t seed : seeds(60)) {
    World world = pair_of(seed, {"fleet", kSecret, true}, {"fleet", kSecret, true});
    world.network = {0.2, 0.1, 5ms, 50ms};
    world.configure_all();
    ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 300s)) << log_of(world);
    world.command("bender", ike::Rekey{"bender-flexo", true});
    world.run_for(30s);
    world.command("flexo", ike::Rekey{"flexo-bender", false});
    world.run_for(60s);
    world.network = {};
    world.run_for(90s);
    ASSERT_EQ(world.fault(), "") << log_of(world);
    ASSERT_TRUE(uses_ppk(world, "bender") && uses_ppk(world, "flexo")) << log_of(world);
  }
}

TEST(Ppk, BothAtOnceUnderLossDuplicationAndReordering) {
  for (const std::uint64_t seed : seeds(100)) {
    World world(seed);
    ike::Settings settings;
    settings.election = false;
    world.add_host("bender", "10.0.0.1", settings);
    world.add_host("flexo", "10.0.0.2", settings);
    world.connect("bender", "flexo", [&](policy::Connection& connection) {
      connection.ppk = ppk_of({"fleet", kSecret, seed % 2 == 0});
    });
    world.network = {0.2, 0.1, 5ms, 200ms};
    world.configure_all();
    ASSERT_TRUE(world.run_until([&] { return world.all_up() && world.fault().empty(); }, 300s))
        << world.fault() << "\n"
        << log_of(world);
    world.network.loss = 0;
    world.run_for(60s);
    ASSERT_EQ(world.fault(), "") << log_of(world);
    ASSERT_TRUE(uses_ppk(world, "bender") && uses_ppk(world, "flexo")) << log_of(world);
  }
}

TEST(Ppk, WhereNeitherRequiresItAPeerWithoutItComesUpToo) {
  const Side with{"fleet", kSecret, false};
  for (const std::uint64_t seed : seeds(30)) {
    for (const auto& [bender, flexo] :
         {std::pair<Side, Side>(with, Side{}), std::pair<Side, Side>(Side{}, with),
          std::pair<Side, Side>(with, Side{"other", kOther, false})}) {
      World world = pair_of(seed, bender, flexo);
      world.network.loss = seed == 1 ? 0 : 0.2;
      world.configure_all();
      ASSERT_TRUE(world.run_until([&] { return world.all_up(); }, 300s)) << log_of(world);
      world.network.loss = 0;
      world.run_for(60s);
      ASSERT_EQ(world.fault(), "") << log_of(world);
      ASSERT_FALSE(uses_ppk(world, "bender") || uses_ppk(world, "flexo")) << log_of(world);
    }
  }
}

// What must not come up, and what one of the ends says.
TEST(Ppk, WhatDoesNotFitIsRefusedAndNamed) {
  struct Case {
    Side bender, flexo;
    const char* said;
  };
  const Case cases[] = {
      {{"fleet", kSecret, true}, {}, "has no post-quantum key (RFC 8784), and 'ppk' requires one"},
      {{}, {"fleet", kSecret, true}, "the peer uses no post-quantum key (RFC 8784)"},
      {{"fleet", kSecret, true},
       {"other", kOther, false},
       "the peer uses the post-quantum key 'fleet', ours is 'other'"},
      {{"fleet", kSecret, false},
       {"other", kOther, true},
       "the peer uses the post-quantum key 'fleet', ours is 'other'"},
      {{"fleet", kSecret, true}, {"fleet", kOther, true}, "the post-quantum secret ('ppk')"},
      {{"fleet", kSecret, false}, {"fleet", kOther, false}, "the post-quantum secret ('ppk')"},
  };
  for (const Case& one : cases) {
    World world = pair_of(1, one.bender, one.flexo);
    world.configure_all();
    world.run_for(20s);
    EXPECT_FALSE(world.all_up());
    EXPECT_TRUE(world.host("bender").twin.outbound.empty());
    EXPECT_TRUE(world.host("flexo").twin.outbound.empty());
    EXPECT_NE(log_of(world).find(one.said), std::string::npos) << one.said << "\n" << log_of(world);
    EXPECT_EQ(log_of(world).find(kSecret), std::string::npos);
  }
}

}  // namespace
}  // namespace espalier::sim
