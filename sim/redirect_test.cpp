// Redirect (RFC 5685): bender is sent from one gateway to another, at each time that the protocol
// allows, and goes nowhere that its configuration does not name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "policy/identity.hpp"
#include "sim/seeds.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;
using wire::ike::ExchangeType;
using wire::ike::NotifyType;

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

// Two gateways with one identity and one secret; bender knows the address of the first.
struct Gateways {
  World world;
  explicit Gateways(std::uint64_t seed) : world(seed) {
    world.add_host("bender", "10.0.0.1");
    world.add_host("first", "10.0.0.2");
    world.add_host("second", "10.0.0.3");
    world.connect("bender", "first");
    for (policy::Connection* one : {&bender(), &gateway("first")}) one->foreign = true;
    gateway("first").start = policy::Start::kNone;
    bender().remote_id = policy::parse_identity("gateway").value();
    gateway("first").local_id = bender().remote_id;
    policy::Connection second = gateway("first");
    second.local_addresses = {address("10.0.0.3")};
    world.host("second").connections = {second};
    policy::Redirect redirect;
    redirect.accept = {Prefix::parse("10.0.0.2/31").value()};
    bender().redirect = redirect;
  }
  policy::Connection& bender() { return world.host("bender").connections.front(); }
  policy::Connection& gateway(const char* name) { return world.host(name).connections.front(); }
  void send_on(const char* from, const char* to, bool after_auth = false) {
    policy::Redirect redirect;
    redirect.to = address(to);
    redirect.after_auth = after_auth;
    gateway(from).redirect = redirect;
  }
  ike::PairSnapshot pair() { return world.host("bender").engine.snapshot().front(); }
  std::uint64_t count(const char* host, Counter counter) {
    return world.host(host).engine.counter(counter);
  }
  bool is_at(const char* where) {
    const auto now = pair();
    return now.state == "up" && now.ike_sas == 1 && now.ike->path.remote.ip == address(where);
  }
  std::string log() {
    std::string text = fmt::format("seed {}\n", world.seed());
    for (const char* name : {"bender", "first", "second"}) {
      for (const ike::Event& event : world.host(name).events) {
        text += fmt::format("{} {} {}: {}\n", name, ike::name(event.kind), event.pair, event.text);
      }
    }
    return text;
  }
};

TEST(Redirect, InTheFirstExchangeAndInIkeAuth) {
  for (const std::uint64_t seed : seeds(60)) {
    for (const bool after_auth : {false, true}) {
      Gateways lab(seed);
      lab.send_on("first", "10.0.0.3", after_auth);
      lab.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.1, 5ms, 50ms};
      lab.world.configure_all();
      ASSERT_TRUE(lab.world.run_until([&] { return lab.is_at("10.0.0.3"); }, 300s)) << lab.log();
      ASSERT_GE(lab.count("first", Counter::kRedirected), 1u);
      lab.world.network = {};
      lab.world.run_for(30s);
      ASSERT_TRUE(lab.is_at("10.0.0.3")) << lab.log();
      // Nothing is left with the first.
      ASSERT_EQ(lab.world.host("first").engine.snapshot().front().ike_sas, 0u) << lab.log();
      ASSERT_EQ(lab.world.host("second").engine.snapshot().front().ike_sas, 1u);
    }
  }
}

TEST(Redirect, OfASessionThatStands) {
  for (const std::uint64_t seed : seeds(60)) {
    Gateways lab(seed);
    lab.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.1, 5ms, 50ms};
    lab.world.configure_all();
    ASSERT_TRUE(lab.world.run_until([&] { return lab.is_at("10.0.0.2"); }, 300s)) << lab.log();
    if (seed % 3 == 0) {  // who began the session is known after a rekey, whoever asked for it
      lab.world.command("first", ike::Rekey{"first-bender", true});
      lab.world.run_for(60s);
    }
    lab.world.command("first", ike::Redirect{"first-bender", address("10.0.0.3")});
    ASSERT_TRUE(lab.world.run_until([&] { return lab.is_at("10.0.0.3"); }, 300s)) << lab.log();
    lab.world.network = {};
    lab.world.run_for(60s);
    ASSERT_TRUE(lab.is_at("10.0.0.3")) << lab.log();
    ASSERT_EQ(lab.world.host("first").engine.snapshot().front().ike_sas, 0u) << lab.log();
  }
}

TEST(Redirect, OnlyWhereTheConfigurationAllows) {
  for (const bool after_auth : {false, true}) {
    Gateways lab(1);
    lab.send_on("first", "10.0.0.3", after_auth);
    lab.bender().redirect->accept = {Prefix::parse("10.0.1.0/24").value()};
    lab.world.configure_all();
    lab.world.run_for(60s);
    EXPECT_NE(lab.pair().state, "up");
    EXPECT_EQ(lab.count("second", Counter::kMessagesIn), 0u);
    EXPECT_GE(lab.count("bender", Counter::kRedirectsRefused), 1u);
    EXPECT_NE(lab.log().find("'accept' of 'redirect'"), std::string::npos) << lab.log();
  }
  Gateways lab(1);
  lab.bender().redirect->accept = {Prefix::parse("10.0.1.0/24").value()};
  lab.world.configure_all();
  lab.world.run_for(5s);
  lab.world.command("first", ike::Redirect{"first-bender", address("10.0.0.3")});
  lab.world.run_for(60s);
  EXPECT_TRUE(lab.is_at("10.0.0.2")) << lab.log();
  EXPECT_EQ(lab.count("bender", Counter::kRedirectsRefused), 1u);
}

// Who did not say that it follows redirects is served.
TEST(Redirect, NotOfWhoCannot) {
  for (const bool after_auth : {false, true}) {
    Gateways lab(1);
    lab.bender().redirect.reset();
    lab.send_on("first", "10.0.0.3", after_auth);
    lab.world.configure_all();
    lab.world.run_for(10s);
    EXPECT_TRUE(lab.is_at("10.0.0.2")) << lab.log();
    lab.world.command("first", ike::Redirect{"first-bender", address("10.0.0.3")});
    lab.world.run_for(10s);
    EXPECT_TRUE(lab.is_at("10.0.0.2")) << lab.log();
  }
}

// Section 7: two gateways that send us to and fro.
TEST(Redirect, LoopsEnd) {
  Gateways lab(1);
  lab.world.add_host("third", "10.0.0.4");
  lab.world.host("third").connections = {lab.gateway("second")};
  lab.bender().redirect->accept = {Prefix::parse("10.0.0.0/24").value()};
  // In a circle of three: a gateway keeps whom the one sent it that it would send it to.
  lab.send_on("first", "10.0.0.3");
  lab.send_on("second", "10.0.0.4");
  lab.send_on("third", "10.0.0.2");
  lab.world.configure_all();
  lab.world.run_for(200s);
  EXPECT_NE(lab.pair().state, "up");
  EXPECT_EQ(lab.count("bender", Counter::kRedirectsFollowed), ike::kRedirectsMax) << lab.log();
  EXPECT_NE(lab.log().find("send us from one to another"), std::string::npos) << lab.log();
}

// A redirect without our nonce is nobody's that saw our request (section 3).
TEST(Redirect, AForgedOneIsDiscarded) {
  Gateways lab(1);
  lab.send_on("first", "10.0.0.3");
  std::size_t forged = 0;
  lab.world.filter = [&](const Host& from, const Host& to, ByteView datagram) {
    const bool answer = from.name == "first" && to.name == "bender";
    if (answer && datagram[18] == static_cast<std::uint8_t>(ExchangeType::kIkeSaInit)) {
      const_cast<std::uint8_t*>(datagram.data())[datagram.size() - 1] ^= 1;  // the nonce's end
      ++forged;
    }
    return true;
  };
  lab.world.configure_all();
  lab.world.run_for(5s);
  EXPECT_GE(forged, 1u);
  EXPECT_EQ(lab.count("bender", Counter::kRedirectsRefused), forged);
  EXPECT_EQ(lab.count("bender", Counter::kRedirectsFollowed), 0u) << lab.log();
}

// Section 3: the same PAD entry. A gateway with another identity or secret is not taken for it.
TEST(Redirect, TheNewGatewayIsOfTheSameIdentity) {
  for (const bool identity : {true, false}) {
    Gateways lab(1);
    lab.send_on("first", "10.0.0.3");
    if (identity) lab.gateway("second").local_id = policy::parse_identity("other").value();
    if (!identity) lab.gateway("second").psk = SecretBytes(as_bytes("another"));
    lab.world.configure_all();
    lab.world.run_for(30s);
    EXPECT_NE(lab.pair().state, "up") << lab.log();
    EXPECT_EQ(lab.count("bender", Counter::kEstablished), 0u);
  }
}

}  // namespace
}  // namespace espalier::sim
