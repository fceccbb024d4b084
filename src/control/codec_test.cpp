// Values that travel between the daemon and the command come back as they went.
#include <gtest/gtest.h>

#include "control/command_table.hpp"
#include "control/fake_view.hpp"
#include "control/fields.hpp"
#include "control/limits.hpp"
#include "control/status_codec.hpp"
#include "control/suite_words.hpp"

namespace espalier::control {
namespace {

// Through the octets, as over the socket.
Section travel(const Section& section) {
  const auto bytes = wire::vici::encode_message(section);
  EXPECT_TRUE(bytes.ok());
  auto parsed = wire::vici::parse_message(*bytes);
  EXPECT_TRUE(parsed.ok());
  return parsed.ok() ? std::move(*parsed) : Section();
}

TEST(StatusCodecTest, pairs_come_back) {
  for (const PairStatus& pair : two_pairs().pairs) {
    const auto back = decode_pair(travel(encode_pair(pair)));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->name, pair.name);
    EXPECT_EQ(back->peer, pair.peer);
    EXPECT_EQ(back->state, pair.state);
    EXPECT_EQ(back->reason, pair.reason);
    EXPECT_EQ(back->attempts, pair.attempts);
    EXPECT_EQ(back->next_retry_s, pair.next_retry_s);
    ASSERT_EQ(back->ike.has_value(), pair.ike.has_value());
    ASSERT_EQ(back->children.size(), pair.children.size());
    if (!pair.ike) continue;
    EXPECT_EQ(back->ike->remote_id, "flexo");
    EXPECT_EQ(back->ike->spi_remote, "1112131415161718");
    EXPECT_EQ(back->ike->rekey_in_s, 14000);
    EXPECT_FALSE(back->ike->nat);
    const ChildStatus& child = back->children[0];
    EXPECT_EQ(child.reqid, 0xE5000001u);
    EXPECT_EQ(child.bytes_in, 1258291u);
    EXPECT_EQ(child.packets_out, 4u);
    EXPECT_EQ(child.rekey_in_s, 3420);
    EXPECT_EQ(child.remote_ts, pair.children[0].remote_ts);
  }
}

TEST(StatusCodecTest, certificates_come_back) {
  StatusSnapshot snapshot;
  snapshot.mesh = "m";
  for (int i = 0; i < 70; ++i) {
    snapshot.certificates.push_back({"peer", "bender-flexo", "CN=flexo", "urgent", -1, i, "Soon."});
  }
  const StatusSnapshot back = decode_summary(travel(encode_summary(snapshot)));
  EXPECT_EQ(back.mesh, "m");
  ASSERT_EQ(back.certificates.size(), 64u) << "bounded";
  EXPECT_EQ(back.certificates[63].until, 63);
  EXPECT_EQ(back.certificates[63].from, -1);
  EXPECT_EQ(back.certificates[63].kind, "peer");
  EXPECT_EQ(back.certificates[63].where, "bender-flexo");
  EXPECT_EQ(back.certificates[63].state, "urgent");
  EXPECT_EQ(back.certificates[63].text, "Soon.");
}

TEST(StatusCodecTest, a_pair_without_a_name_is_malformed) {
  const auto pair = decode_pair(Section());
  ASSERT_FALSE(pair.ok());
  EXPECT_EQ(pair.error().code, ErrorCode::kMalformed);
}

TEST(StatusCodecTest, log_and_outcome_come_back) {
  const LogRecord record{1234567890123, LogLevel::kDebug, "ike", "bender-flexo", "text"};
  EXPECT_EQ(decode_log(travel(encode_log(record))), record);
  EXPECT_TRUE(decode_outcome(travel(encode_outcome({}))).ok());
  const Error error = make_error(ErrorCode::kBadInput, "mesh.yaml:1:1: no.");
  EXPECT_EQ(decode_outcome(travel(encode_outcome(error))).error(), error);
  EXPECT_FALSE(decode_outcome(Section()).ok());
}

TEST(StatusCodecTest, a_reload_of_a_fleet_fits_a_packet) {
  ReloadReport report;
  for (int i = 0; i < 5000; ++i) report.added.push_back(std::string(500, 'h'));
  report.removed = report.changed = report.added;
  const auto bytes =
      wire::vici::encode_packet({wire::vici::PacketType::kCmdResponse, "", encode_reload(report)});
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  const ReloadReport back = decode_reload(encode_reload(report));
  EXPECT_EQ(back.added.size(), kMaxReloadNames + 1);
  EXPECT_EQ(back.added.back(), "and 4700 more");
}

TEST(SuiteWordsTest, words_become_strongswans_names) {
  EXPECT_EQ(suite_names("aes256gcm16-prfsha384-x25519"),
            (SuiteNames{"AES_GCM_16", "256", "", "PRF_HMAC_SHA2_384", "CURVE_25519", false}));
  EXPECT_EQ(suite_names("aes256-sha384-modp3072-esn"),
            (SuiteNames{"AES_CBC", "256", "HMAC_SHA2_384_192", "", "MODP_3072", true}));
  EXPECT_EQ(suite_names("chacha20poly1305-unheardof").encr, "CHACHA20_POLY1305");
  EXPECT_EQ(suite_names(""), SuiteNames());
}

TEST(CommandTableTest, names_are_unique_and_explained) {
  for (const Command& command : command_table()) {
    EXPECT_EQ(find_command(command.name), &command);
    EXPECT_FALSE(command.help.empty()) << command.name;
  }
  for (const EventName& event : event_table()) EXPECT_FALSE(event.help.empty()) << event.name;
}

TEST(CommandTableTest, log_levels) {
  EXPECT_EQ(vici_level(LogLevel::kError), 0);
  EXPECT_EQ(vici_level(LogLevel::kInfo), 1);
  EXPECT_FALSE(from_vici_level(-1).has_value());
  EXPECT_EQ(from_vici_level(1), LogLevel::kInfo);
  EXPECT_EQ(from_vici_level(9), LogLevel::kTrace);
}

}  // namespace
}  // namespace espalier::control
