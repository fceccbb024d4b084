#include "ike/journal/journal.hpp"

#include <gtest/gtest.h>

#include "crypto/prf.hpp"
#include "policy/identity.hpp"

namespace espalier::ike::journal {
namespace {

// Something of everything that a record can hold.
v2::IkeSa full_sa() {
  auto connection = std::make_shared<policy::Connection>();
  connection->name = "bender-flexo";
  v2::IkeSa sa;
  sa.state = v2::IkeState::kEstablished;
  sa.role = v2::Role::kResponder;
  sa.spi_i = IkeSpi(0x1122334455667788);
  sa.spi_r = IkeSpi(0x99aabbccddeeff00);
  sa.connection.ptr = connection;
  sa.keys.d = SecretBytes(as_bytes("sk_d"));
  sa.iv_counter = 77;
  sa.next_request = MessageId(5);
  sa.peer_hashes = {crypto::HashId::kSha2_256};
  sa.outstanding.made().packets = {Bytes{1, 2, 3}};
  sa.last_response.made().packets = {Bytes{4, 5}, Bytes{6}};
  v2::ActiveTask& active = sa.active.made();
  active.task.kind = v2::TaskKind::kRekeyChild;
  active.child.name = "net";
  active.child.proposals = {policy::EspProposal{}};
  active.child.outer.made().set_mark = policy::Mark{1, 2};
  active.child.binding.made() = {3, 4, policy::Mark{5, 6}, std::nullopt};
  active.collision = v2::Collision{Bytes{9}, Spi(300), IkeSpi(4)};
  active.followup.made().first = SecretBytes(as_bytes("sk(0)"));
  active.deleted_by_peer = {Spi(301)};
  active.response = wire::ike::Message{{}, {wire::ike::NoncePayload{Bytes(32, 7)}}};
  sa.pending.made().request = wire::ike::Message{{}, {wire::ike::KePayload{31, Bytes(32, 8)}}};
  sa.mobike.made().peer_addresses = {IpAddress::v4(0x0a000001)};
  sa.reply_path.made().remote.port = 4501;
  sa.peer_certificates.made().path = {{Bytes{1}, Bytes{2}}};
  sa.tasks.emplace_back();
  v2::ChildSa& child = sa.children.emplace_back();
  child.spec.pair = "bender-flexo";
  child.spec.nat_original.made().local = IpAddress::any(Family::kIpv6);
  child.spec.local_ts.emplace_back();
  child.spec.soft_bytes = 1000;
  child.lowest_nonce = Bytes{3};
  sa.reauth_at = Instant(3h);
  return sa;
}

TEST(Journal, ARecordGivesBackTheSa) {
  Core core;
  const v2::IkeSa sa = full_sa();
  core.pairs["bender-flexo"].holder = policy::parse_identity("flexo").value();
  core.pairs["bender-flexo"].sas = {sa.local_spi()};
  const auto record = load(save(core, sa).reveal());
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->connection, "bender-flexo");
  EXPECT_EQ(record->mark, connection_mark(*sa.connection));
  ASSERT_TRUE(record->holder);
  v2::IkeSa there = record->sa;
  there.connection = sa.connection;
  EXPECT_EQ(there, sa);
}

// A change of what a record holds, or of its order: kFormat is one higher then, and this digest the
// new one.
TEST(Journal, TheFormatIsTheOneOfItsNumber) {
  const SecretBytes record = save(Core(), full_sa());
  EXPECT_EQ(kFormat, 3u);
  EXPECT_EQ(to_hex(crypto::sha256({record.reveal()})).substr(0, 16), "4afcbad4fca4f8e9");
}

TEST(Journal, OfAConnectionAllCountsThatItsSasRestOn) {
  policy::Connection connection;
  const Bytes mark = connection_mark(connection);
  policy::Connection elsewhere = connection;
  elsewhere.lines[policy::Setting::kMode] = 7;
  EXPECT_EQ(connection_mark(elsewhere), mark);
  policy::Connection other = connection;
  other.dpd += 1s;
  other.lifetimes.child += 1s;
  EXPECT_EQ(connection_mark(other), mark);
  other.psk = SecretBytes(as_bytes("another"));
  EXPECT_NE(connection_mark(other), mark);
  other = connection;
  other.children.emplace_back();
  EXPECT_NE(connection_mark(other), mark);
}

TEST(Journal, WhatIsNotEstablishedIsNotKept) {
  v2::IkeSa sa = full_sa();
  EXPECT_EQ(keep(sa), Keep::kRecord);
  sa.job = JobId{4};
  EXPECT_EQ(keep(sa), Keep::kAsBefore);
  sa = full_sa();
  sa.state = v2::IkeState::kAuth;
  EXPECT_EQ(keep(sa), Keep::kNothing);
  EXPECT_FALSE(load(save(Core(), sa).reveal()));
}

// Nothing in it makes a record that does not parse do harm.
TEST(Journal, AlteredRecordsAreReadOrRefused) {
  const Bytes good = to_vector(save(Core(), full_sa()).reveal());
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned flip : {0x01u, 0x80u, 0xffu}) {
      Bytes bad = good;
      bad[at] = static_cast<std::uint8_t>(bad[at] ^ flip);
      if (const auto record = load(bad)) {
        EXPECT_NE(keep(record->sa), Keep::kNothing);
      }
    }
  }
}

}  // namespace
}  // namespace espalier::ike::journal
