// What clients can make the server hold, and what slow ones lose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/fake_view.hpp"
#include "control/fields.hpp"
#include "control/limits.hpp"
#include "control/server.hpp"
#include "control/status_codec.hpp"

namespace espalier::control {
namespace {

using ::testing::HasSubstr;
using wire::vici::Packet;
using wire::vici::PacketType;

constexpr ClientId kOne{1};

Bytes frame(PacketType type, std::string name, Section message = {}) {
  auto encoded = wire::vici::encode_frame({type, std::move(name), std::move(message)});
  EXPECT_TRUE(encoded.ok());
  return encoded.ok() ? std::move(*encoded) : Bytes();
}

class ServerLimitsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server.connect(kOne).ok()); }

  std::vector<Packet> read_all() {
    std::vector<Packet> out;
    while (auto output = server.poll_output()) {
      largest = std::max(largest, output->bytes.size());
      closed = closed || output->close;
      framer.push(output->bytes);
      while (true) {
        auto next = framer.next();
        if (!next.ok() || !next->has_value()) break;
        auto packet = wire::vici::parse_packet(**next);
        EXPECT_TRUE(packet.ok());
        if (packet.ok()) out.push_back(std::move(*packet));
      }
    }
    return out;
  }
  void log(std::size_t count, std::string pair = "bender-amy") {
    for (std::size_t i = 0; i < count; ++i) {
      server.on_log({LogLevel::kInfo, "ike", pair, "line " + std::to_string(logged)},
                    static_cast<std::int64_t>(logged));
      ++logged;
    }
  }

  FakeView view;
  Server server{view, {}};
  wire::vici::Framer framer;
  std::size_t logged = 0;
  std::size_t largest = 0;
  bool closed = false;
};

TEST_F(ServerLimitsTest, clients_are_counted) {
  for (std::uint64_t id = 2; id <= kMaxClients; ++id) {
    ASSERT_TRUE(server.connect(ClientId(id)).ok());
  }
  const Status refused = server.connect(ClientId(kMaxClients + 1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
  server.disconnect(ClientId(2));
  EXPECT_TRUE(server.connect(ClientId(kMaxClients + 1)).ok());
}

TEST_F(ServerLimitsTest, octets_that_are_no_vici_end_the_connection) {
  server.receive({}, kOne, Bytes{0xff, 0xff, 0xff, 0xff});
  read_all();
  EXPECT_TRUE(closed);
  EXPECT_FALSE(server.poll_output().has_value());
  ASSERT_TRUE(server.connect(kOne).ok());
  closed = false;
  server.receive({}, kOne, frame(PacketType::kCmdResponse, ""));
  read_all();
  EXPECT_TRUE(closed);
}

TEST_F(ServerLimitsTest, requests_may_arrive_octet_by_octet) {
  for (std::uint8_t octet : frame(PacketType::kCmdRequest, "version")) {
    server.receive({}, kOne, Bytes{octet});
  }
  EXPECT_EQ(read_all().size(), 1u);
}

TEST_F(ServerLimitsTest, requests_that_pile_up_end_the_connection) {
  Section arguments;
  put(arguments, "ike", "amy");
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "initiate", arguments));
  for (std::size_t i = 0; i < kMaxQueuedRequests; ++i) {
    server.receive({}, kOne, frame(PacketType::kCmdRequest, "version"));
  }
  read_all();
  EXPECT_FALSE(closed);
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "version"));
  read_all();
  EXPECT_TRUE(closed);
}

TEST_F(ServerLimitsTest, one_that_asks_and_never_reads_is_disconnected) {
  server.set_writable(kOne, false);
  const Bytes one = frame(PacketType::kCmdRequest, "get-counters");
  Bytes many;
  for (int i = 0; i < 1000; ++i) many.insert(many.end(), one.begin(), one.end());
  for (int i = 0; i < 100 && !closed; ++i) {
    server.receive({}, kOne, many);
    read_all();
  }
  EXPECT_TRUE(closed);
  EXPECT_LE(largest, kOutputLimit);
}

TEST_F(ServerLimitsTest, a_large_listing_waits_for_its_reader) {
  const PairStatus flexo = view.snapshot.pairs[1];
  for (int i = 0; i < 3000; ++i) {
    PairStatus pair = flexo;
    pair.name = "bender-h" + std::to_string(i);
    view.snapshot.pairs.push_back(pair);
  }
  server.receive({}, kOne, frame(PacketType::kEventRegister, std::string(kPairEvent)));
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "espalier-status"));
  server.set_writable(kOne, false);
  EXPECT_FALSE(server.poll_output().has_value());
  server.set_writable(kOne, true);
  const auto packets = read_all();
  EXPECT_EQ(packets.size(), 1u + 3002u + 1u);
  EXPECT_LE(largest, kOutputPause + 4096);
  EXPECT_EQ(packets.back().type, PacketType::kCmdResponse);
  EXPECT_EQ(decode_summary(packets.back().message).mesh, "prod");
}

TEST_F(ServerLimitsTest, log_shows_the_past_and_ends) {
  log(3);
  log(2, "bender-flexo");
  server.receive({}, kOne, frame(PacketType::kEventRegister, std::string(kLogEvent)));
  Section arguments;
  put(arguments, "pair", "flexo");
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "espalier-log", arguments));
  log(1, "bender-flexo");  // after the request: not the past
  const auto packets = read_all();
  ASSERT_EQ(packets.size(), 4u);
  EXPECT_EQ(decode_log(packets[1].message).text, "line 3");
  EXPECT_EQ(decode_log(packets[2].message).text, "line 4");
  EXPECT_EQ(decode_log(packets[2].message).unix_ms, 4);
  EXPECT_EQ(get(packets[3].message, "success"), "yes");
  log(1, "bender-flexo");
  EXPECT_TRUE(read_all().empty());
}

TEST_F(ServerLimitsTest, log_follows_without_gap_or_repetition) {
  log(2);
  server.receive({}, kOne, frame(PacketType::kEventRegister, std::string(kLogEvent)));
  Section arguments;
  put(arguments, "follow", "yes");
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "espalier-log", arguments));
  log(2);
  auto packets = read_all();
  log(1);
  for (auto& packet : read_all()) packets.push_back(packet);
  std::vector<std::string> texts;
  for (const auto& packet : packets) {
    if (packet.type == PacketType::kEvent) texts.push_back(decode_log(packet.message).text);
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"line 0", "line 1", "line 2", "line 3", "line 4"}));
  server.receive({}, kOne, frame(PacketType::kEventUnregister, std::string(kLogEvent)));
  log(1);
  EXPECT_EQ(read_all().size(), 1u);  // the confirmation
}

TEST_F(ServerLimitsTest, a_slow_reader_of_the_log_is_told_what_it_lost) {
  server.receive({}, kOne, frame(PacketType::kEventRegister, "log"));
  read_all();
  server.set_writable(kOne, false);
  log(kLogHistory + 500);
  EXPECT_FALSE(server.poll_output().has_value());
  server.set_writable(kOne, true);
  const auto packets = read_all();
  ASSERT_EQ(packets.size(), 1 + kLogHistory);
  EXPECT_EQ(get(packets[0].message, "lost"), "500");
  EXPECT_THAT(get(packets[0].message, "msg"), HasSubstr("500 log lines were lost"));
  EXPECT_EQ(get(packets[1].message, "msg"), "line 500");
}

TEST_F(ServerLimitsTest, a_command_with_a_long_log_still_answers) {
  server.receive({}, kOne, frame(PacketType::kEventRegister, "control-log"));
  Section arguments;
  put(arguments, "ike", "amy");
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "initiate", arguments));
  server.set_writable(kOne, false);
  for (int i = 0; i < 1000; ++i) {
    server.on_log({LogLevel::kInfo, "ike", "bender-amy", std::string(5000, 'x')}, i);
  }
  server.on_pair_event({PairEvent::Kind::kUp, "bender-amy", ""});
  server.set_writable(kOne, true);
  const auto packets = read_all();
  ASSERT_GE(packets.size(), 3u);
  EXPECT_FALSE(closed);
  EXPECT_LE(largest, kOutputLimit);
  EXPECT_EQ(get(packets.back().message, "success"), "yes");
  EXPECT_THAT(get(packets[packets.size() - 2].message, "msg"), HasSubstr("were left out"));
}

TEST_F(ServerLimitsTest, long_names_are_cut_and_do_not_break_the_listing) {
  view.pair("bender-flexo").name = std::string(400, 'a') + "\n";
  server.receive({}, kOne, frame(PacketType::kEventRegister, "list-sa"));
  server.receive({}, kOne, frame(PacketType::kCmdRequest, "list-sas"));
  const auto packets = read_all();
  ASSERT_EQ(packets.size(), 3u);
  EXPECT_EQ(packets[1].message.entries().at(0).name, std::string(kMaxViciName, 'a'));
}

}  // namespace
}  // namespace espalier::control
