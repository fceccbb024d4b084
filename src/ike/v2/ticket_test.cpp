#include "ike/v2/ticket.hpp"

#include <gtest/gtest.h>

#include "ike/core/limits.hpp"

namespace espalier::ike::v2 {
namespace {

TicketState some_state() {
  TicketState state;
  state.idi = {wire::ike::IdType::kFqdn, Bytes{'a'}};
  state.idr = {wire::ike::IdType::kIpv4, Bytes{192, 0, 2, 1}};
  state.suite.cipher = {crypto::EncrId::kAesGcm16, 256, crypto::IntegId::kNone};
  state.suite.prf = crypto::PrfId::kHmacSha2_384;
  state.suite.dh = crypto::DhId::kX25519;
  state.suite.additional[2] = crypto::DhId::kEcp384;
  state.sk_d = SecretBytes(Bytes(48, 0x11));
  state.ppk = true;
  state.auth_by = Instant(9h);
  state.mark = Bytes(32, 0x22);
  state.path = {{Bytes(32, 0x33), Bytes{1, 2}}, {Bytes(32, 0x44), Bytes{3}}};
  return state;
}

struct Tickets : testing::Test {
  crypto::SeededRng rng{7};
  TicketKeys keys;
  Instant now{1h};
  Bytes seal(Duration good = 4h) {
    refresh(keys, rng, now);
    return seal_ticket(keys, rng, some_state(), now + good);
  }
};

TEST_F(Tickets, OpensWhatItSealed) {
  const Bytes ticket = seal();
  const auto opened = open_ticket(keys, ticket, now);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->state, some_state());
  EXPECT_EQ(opened->handle.first, now + 4h);
  EXPECT_LE(ticket.size(), kTicketOctetsMax);
  // The same again is another ticket, and another number.
  const Bytes second = seal();
  EXPECT_NE(open_ticket(keys, second, now)->handle, opened->handle);
}

TEST_F(Tickets, NoOctetMayChange) {
  const Bytes ticket = seal();
  for (std::size_t i = 0; i < ticket.size(); ++i) {
    Bytes altered = ticket;
    altered[i] ^= 0x40;
    EXPECT_FALSE(open_ticket(keys, altered, now)) << i;
    EXPECT_FALSE(open_ticket(keys, ByteView(ticket).first(i), now)) << i;
  }
  EXPECT_FALSE(open_ticket(TicketKeys(), ticket, now));
  TicketKeys others;
  refresh(others, rng, now);
  EXPECT_FALSE(open_ticket(others, ticket, now));
}

TEST_F(Tickets, KeysChangeAndGo) {
  const Bytes ticket = seal(kTicketLifetimeMax);
  const SecretBytes first = keys.current;
  now += kTicketKeyLifetime - 1s;
  refresh(keys, rng, now);
  EXPECT_EQ(keys.current, first);
  EXPECT_TRUE(open_ticket(keys, ticket, now));
  now += 1s;
  refresh(keys, rng, now);
  EXPECT_NE(keys.current, first);
  const auto late = open_ticket(keys, ticket, now);
  EXPECT_FALSE(late);  // it has just expired; the key would still be there
  EXPECT_NE(late.error().message.find("expired"), std::string::npos);
  now += kTicketKeyLifetime;
  refresh(keys, rng, now);
  EXPECT_NE(keys.previous, first);
  const auto gone = open_ticket(keys, ticket, now);
  EXPECT_NE(gone.error().message.find("is gone"), std::string::npos);
  forget_keys(keys);
  EXPECT_TRUE(keys.current.empty() && keys.previous.empty());
}

TEST_F(Tickets, OtherCredentialsHaveAnotherMark) {
  policy::Connection connection;
  connection.psk = SecretBytes(Bytes{1});
  std::set<Bytes> marks{credentials_mark(connection)};
  const auto differs = [&](const policy::Connection& changed) {
    EXPECT_TRUE(marks.insert(credentials_mark(changed)).second);
  };
  policy::Connection other = connection;
  other.psk = SecretBytes(Bytes{2});
  differs(other);
  other = connection;
  other.auth = policy::AuthKind::kCert;
  differs(other);
  other.anchors = {Bytes{1, 2}};
  differs(other);
  other = connection;
  other.remote_id.data = Bytes{'x'};
  differs(other);
  other = connection;
  other.ppk = policy::Ppk{Bytes{'p'}, SecretBytes(Bytes{3}), true};
  differs(other);
  other.ppk->required = false;
  differs(other);
}

}  // namespace
}  // namespace espalier::ike::v2
