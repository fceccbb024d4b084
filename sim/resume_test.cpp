// Session resumption (RFC 5723): a peer that fell silent comes back by its ticket, and what must
// not come back does not.
#include <gtest/gtest.h>

#include "ike/core/limits.hpp"
#include "sim/seeds.hpp"
#include "sim/two.hpp"

namespace espalier::sim {
namespace {

using ike::Counter;
using wire::ike::ExchangeType;

void with_tickets(policy::Connection& connection) {
  connection.resumption = true;
  connection.dpd = 5s;
}

// bender is the client.
struct Session : Two {
  explicit Session(std::uint64_t seed,
                   const std::function<void(policy::Connection&)>& change = with_tickets)
      : Two(seed, change) {
    of("flexo").start = policy::Start::kNone;
  }
  bool has_ticket() { return static_cast<bool>(ticket()); }
  Box<ike::v2::Ticket>& ticket() { return inside("bender").pairs.begin()->second.ticket; }
  // Both ends lose the other without a word.
  void part(Duration time = 120s) {
    world.filter = [](const Host&, const Host&, ByteView) { return false; };
    world.run_for(time);
    // Between two attempts: what is on its way has a ticket already.
    EXPECT_TRUE(world.run_until([&] { return inside("bender").sas.empty(); }, 300s));
    world.filter = nullptr;
  }
  std::uint64_t resumed() { return count("flexo", Counter::kResumed); }
};

TEST(Resume, AfterAPartition) {
  for (const std::uint64_t seed : seeds(60)) {
    Session two(seed);
    two.world.network = {seed % 2 == 0 ? 0.2 : 0.0, 0.1, 5ms, 50ms};
    two.world.configure_all();
    ASSERT_TRUE(two.heals(300s)) << two.log();
    ASSERT_TRUE(two.has_ticket());
    const auto before = two.pair("bender");
    two.part();
    ASSERT_FALSE(two.world.all_up());
    std::size_t inits = 0;
    two.world.filter = [&](const Host&, const Host&, ByteView datagram) {
      inits += datagram[18] == static_cast<std::uint8_t>(ExchangeType::kIkeSaInit);
      return true;
    };
    ASSERT_TRUE(two.heals(300s)) << two.world.fault() << "\n" << two.log();
    ASSERT_EQ(two.resumed(), 1u) << two.log();
    ASSERT_EQ(inits, 0u) << two.log();
    const auto after = two.pair("bender");
    EXPECT_EQ(after.ike->suite, before.ike->suite);
    EXPECT_EQ(two.pair("flexo").peer_id, two.of("flexo").remote_id);
    EXPECT_NE(after.ike->spi_local, before.ike->spi_local);
    // Another ticket came with it; and it is good for another time.
    ASSERT_TRUE(two.has_ticket());
    two.world.network = {};
    two.world.run_for(20s);
    two.part();
    ASSERT_TRUE(two.heals(300s)) << two.log();
    ASSERT_EQ(two.resumed(), 2u) << two.log();
    two.world.run_for(60s);
    ASSERT_EQ(two.world.fault(), "") << two.log();
  }
}

// The server's old IKE SA is still there: the session goes on, and the old one goes silently
// (section 4.3.4).
TEST(Resume, WhereTheServerStillHasTheOldSa) {
  Session two(1, [](policy::Connection& connection) { connection.resumption = true; });
  two.of("bender").dpd = 3s;
  two.of("flexo").dpd = 0s;
  ASSERT_TRUE(two.start());
  two.part(60s);
  EXPECT_EQ(two.pair("flexo").ike_sas, 1u);
  ASSERT_TRUE(two.heals(60s)) << two.world.fault() << two.log();
  EXPECT_EQ(two.resumed(), 1u) << two.log();
  EXPECT_EQ(two.pair("flexo").ike_sas, 1u) << two.log();
  EXPECT_NE(two.log().find("the peer started anew (INITIAL_CONTACT)"), std::string::npos);
}

TEST(Resume, ARebootedServerTakesAFullExchangeAtOnce) {
  for (const std::uint64_t seed : seeds(20)) {
    Session two(seed);
    ASSERT_TRUE(two.start());
    two.world.crash("flexo");
    two.world.run_for(120s);
    ASSERT_FALSE(two.world.all_up());
    two.world.start("flexo");
    ASSERT_TRUE(two.heals(120s)) << two.log();
    EXPECT_EQ(two.resumed(), 0u);
    EXPECT_GE(two.count("flexo", Counter::kTicketsRefused), 1u) << two.log();
    EXPECT_NE(two.log().find("the key of the session ticket is gone"), std::string::npos);
  }
}

TEST(Resume, AfterRekeysTheTicketIsTheNewSas) {
  for (const char* end : {"bender", "flexo"}) {
    Session two(1);
    ASSERT_TRUE(two.start());
    two.world.run_for(3s);
    const Bytes first = two.ticket()->opaque;
    two.world.command(end,
                      ike::Rekey{std::string(end) + (end[0] == 'b' ? "-flexo" : "-bender"), true});
    two.world.run_for(5s);
    ASSERT_TRUE(two.has_ticket()) << two.log();
    EXPECT_NE(two.ticket()->opaque, first);
    two.part();
    ASSERT_TRUE(two.heals(120s)) << two.log();
    EXPECT_EQ(two.resumed(), 1u) << two.log();
  }
}

// Section 6.2: a deleted IKE SA takes its ticket with it.
TEST(Resume, NotWhatWasDeleted) {
  for (const char* end : {"bender", "flexo"}) {
    Session two(1);
    ASSERT_TRUE(two.start());
    ASSERT_TRUE(two.has_ticket());
    const std::string name = std::string(end) + (end[0] == 'b' ? "-flexo" : "-bender");
    two.world.command(end, ike::Terminate{name});
    two.world.run_for(2s);
    EXPECT_FALSE(two.has_ticket());
    two.world.command(end, ike::Initiate{name});
    ASSERT_TRUE(two.heals(120s)) << two.log();
    EXPECT_EQ(two.resumed(), 0u) << two.log();
  }
}

// What the client lacks, the server refuses, and a full exchange follows: the pair comes up in any
// case.
void refused_and_healed(const std::function<void(Session&)>& spoil, const std::string& why) {
  Session two(1);
  ASSERT_TRUE(two.start());
  two.part();
  ASSERT_TRUE(two.has_ticket());
  spoil(two);
  ASSERT_TRUE(two.heals(120s)) << two.log();
  EXPECT_EQ(two.resumed(), 0u);
  EXPECT_EQ(two.count("flexo", Counter::kTicketsRefused), 1u) << two.log();
  EXPECT_NE(two.log().find(why), std::string::npos) << two.log();
}

TEST(Resume, WrongTicketsFallBackToAFullExchange) {
  refused_and_healed([](Session& two) { two.ticket()->opaque.back() ^= 1; }, "was altered");
  refused_and_healed([](Session& two) { two.ticket()->opaque.at(30) ^= 1; }, "was altered");
  refused_and_healed([](Session& two) { two.ticket()->opaque.at(8) ^= 1; }, "was altered");
  refused_and_healed([](Session& two) { two.ticket()->opaque.at(4) ^= 7; }, "is gone");
  refused_and_healed([](Session& two) { two.ticket()->opaque = Bytes(3, 1); }, "none of ours");
  // The client believes it to be good for longer than it is.
  refused_and_healed(
      [](Session& two) {
        two.ticket()->expires += 24h;
        two.part(24h);
      },
      "has expired");
  // The credentials are others now.
  refused_and_healed(
      [](Session& two) {
        two.of("flexo").psk = SecretBytes(as_bytes("another"));
        two.of("bender").psk = SecretBytes(as_bytes("another"));
        auto kept = two.ticket();
        two.world.configure_all();
        two.ticket() = kept;
      },
      "credentials");
}

// A ticket with whose session key the client is not acquainted: stolen on the wire.
TEST(Resume, AStolenTicketIsOfNoUse) {
  Session two(1);
  ASSERT_TRUE(two.start());
  two.part();
  two.ticket()->state.sk_d = SecretBytes(Bytes(48, 7));
  ASSERT_TRUE(two.heals(180s)) << two.log();
  EXPECT_EQ(two.resumed(), 0u) << two.log();
}

// The same ticket twice: a copy of the client's state (a restored image) cannot clone the session.
TEST(Resume, AReplayedTicketIsRefused) {
  Session two(1);
  ASSERT_TRUE(two.start());
  two.part();
  const auto kept = two.ticket();
  ASSERT_TRUE(two.heals(120s));
  ASSERT_EQ(two.resumed(), 1u);
  two.part();
  two.ticket() = kept;
  ASSERT_TRUE(two.heals(120s)) << two.log();
  EXPECT_EQ(two.resumed(), 1u) << two.log();
  EXPECT_NE(two.log().find("was used before"), std::string::npos) << two.log();
}

// An expired ticket is not presented at all (section 4.3.1).
TEST(Resume, AnExpiredTicketStaysAtHome) {
  Session two(1);
  ASSERT_TRUE(two.start());
  two.part(2min);
  ASSERT_TRUE(two.has_ticket());
  two.part(25h);
  ASSERT_TRUE(two.heals(180s)) << two.log();
  EXPECT_EQ(two.resumed(), 0u);
  EXPECT_EQ(two.count("flexo", Counter::kTicketsRefused), 0u) << two.log();
}

TEST(Resume, APostQuantumKeyStaysPartOfTheSession) {
  Session two(1, [](policy::Connection& connection) {
    with_tickets(connection);
    connection.ppk = policy::Ppk{Bytes{'a'}, SecretBytes(as_bytes("of both")), true};
  });
  ASSERT_TRUE(two.start());
  two.part();
  ASSERT_TRUE(two.heals(120s)) << two.log();
  EXPECT_EQ(two.resumed(), 1u) << two.log();
  EXPECT_TRUE(two.pair("bender").ike->ppk);
  EXPECT_TRUE(two.pair("flexo").ike->ppk);
}

// RFC 4478, and section 6.2: what is resumed is as old as it was, and is authenticated anew in
// time.
TEST(Resume, AnAuthenticationIsNotRenewedByIt) {
  Session two(1, [](policy::Connection& connection) {
    with_tickets(connection);
    connection.lifetimes.reauth = 20min;
  });
  ASSERT_TRUE(two.start());
  const Instant by = *two.sa("bender").reauth_by;
  two.part(5min);
  ASSERT_TRUE(two.heals(120s)) << two.log();
  ASSERT_EQ(two.resumed(), 1u) << two.log();
  EXPECT_LE(*two.sa("bender").reauth_by, by);
  EXPECT_LE(*two.sa("flexo").reauth_by, by);
  two.world.run_for(30min);
  EXPECT_EQ(two.world.fault(), "") << two.log();
  EXPECT_EQ(two.resumed(), 1u);
  EXPECT_GE(two.count("bender", Counter::kReauthentications), 1u) << two.log();
}

TEST(Resume, OnlyOneSideWantsIt) {
  for (const char* without : {"bender", "flexo"}) {
    Session two(1);
    two.of(without).resumption = false;
    ASSERT_TRUE(two.start());
    EXPECT_FALSE(two.has_ticket());
    two.part();
    ASSERT_TRUE(two.heals(120s)) << two.log();
    EXPECT_EQ(two.resumed(), 0u);
  }
}

// A flood: cookies are asked for before a ticket is opened.
TEST(Resume, UnderCookies) {
  Session two(1);
  ASSERT_TRUE(two.start());
  two.part();
  for (std::uint64_t i = 1; i <= ike::kCookieThreshold; ++i) {
    two.inside("flexo").half_open.add(two.world.now(), IkeSpi(i),
                                      IpAddress::parse("198.51.100.7").value(), false);
  }
  ASSERT_TRUE(two.heals(120s)) << two.log();
  EXPECT_EQ(two.resumed(), 1u) << two.log();
  EXPECT_GE(two.count("flexo", Counter::kCookiesDemanded), 1u);
}

// The request truncated at each octet and with each octet changed, from elsewhere: nothing is kept
// beyond what half-open SAs may cost, and the ticket stays its owner's.
TEST(Resume, MangledRequestsCostNothing) {
  Session two(1);
  ASSERT_TRUE(two.start());
  two.part();
  Bytes request;
  two.world.filter = [&](const Host& from, const Host&, ByteView datagram) {
    if (from.name == "bender" && is_request(datagram, ExchangeType::kIkeSessionResume)) {
      request = to_vector(datagram);
    }
    return false;
  };
  ASSERT_TRUE(two.world.run_until([&] { return !request.empty(); }, 120s));
  Host& flexo = two.world.host("flexo");
  const ike::Path path{{flexo.address, 500}, {IpAddress::parse("198.51.100.7").value(), 500}};
  for (std::size_t size = 0; size < request.size(); ++size) {
    flexo.engine.handle_datagram(two.world.now(), flexo.rng, path, ByteView(request).first(size));
  }
  EXPECT_TRUE(two.inside("flexo").sas.empty());
  for (std::size_t i = 0; i < request.size(); ++i) {
    Bytes changed = request;
    changed[0] = static_cast<std::uint8_t>(i);  // another SPI each time, or it is a repetition
    changed[1] = static_cast<std::uint8_t>(i >> 8);
    changed[i] ^= 0x11;
    // From another network each time, or its cookies come first.
    ike::Path from = path;
    from.remote.ip = IpAddress::v4(0xc6330007u + (static_cast<std::uint32_t>(i) << 8));
    flexo.engine.handle_datagram(two.world.now(), flexo.rng, from, changed);
  }
  EXPECT_LE(two.inside("flexo").sas.size(), ike::kCookieThreshold);
  EXPECT_GE(two.count("flexo", Counter::kTicketsRefused), 100u);
  EXPECT_GE(two.count("flexo", Counter::kCookiesDemanded), 1u);
  EXPECT_EQ(two.resumed(), 0u);
  two.world.command("flexo", ike::Rekey{"nobody", false});  // drains
  two.world.filter = nullptr;
  ASSERT_TRUE(two.heals(180s)) << two.log();
  EXPECT_EQ(two.resumed(), 1u) << two.log();
}

}  // namespace
}  // namespace espalier::sim
