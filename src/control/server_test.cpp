#include "control/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/fake_view.hpp"
#include "control/fields.hpp"
#include "control/limits.hpp"
#include "control/status_codec.hpp"

namespace espalier::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using wire::vici::Packet;
using wire::vici::PacketType;

Instant at(Duration since_start) { return Instant(since_start); }

// A client's end of the socket: sends packets, reads what the server says.
class ServerTest : public ::testing::Test {
 protected:
  static constexpr ClientId kOne{1};
  static constexpr ClientId kTwo{2};

  void SetUp() override {
    ASSERT_TRUE(server.connect(kOne).ok());
    ASSERT_TRUE(server.connect(kTwo).ok());
  }

  static DaemonInfo info() {
    return {"0.1.0", "Linux", "6.1", "x86_64", "2026-11-21 01:00:00", at(0s)};
  }

  void send(ClientId client, PacketType type, std::string name, Section message = {}) {
    const auto frame = wire::vici::encode_frame({type, std::move(name), std::move(message)});
    ASSERT_TRUE(frame.ok()) << frame.error().message;
    server.receive(now, client, *frame);
  }
  void request(ClientId client, std::string name, Section message = {}) {
    send(client, PacketType::kCmdRequest, std::move(name), std::move(message));
  }
  // Registers and takes the confirmation away.
  void listen(ClientId client, std::string event) {
    send(client, PacketType::kEventRegister, std::move(event));
    const auto answer = read(client);
    ASSERT_EQ(answer.size(), 1u);
    ASSERT_EQ(answer[0].type, PacketType::kEventConfirm);
  }

  // Everything that the server has for a client now.
  std::vector<Packet> read(ClientId client) {
    pump();
    std::vector<Packet> out;
    wire::vici::Framer& framer = framers[client];
    while (true) {
      auto frame = framer.next();
      if (!frame.ok() || !frame->has_value()) break;
      auto packet = wire::vici::parse_packet(**frame);
      EXPECT_TRUE(packet.ok());
      if (packet.ok()) out.push_back(std::move(*packet));
    }
    return out;
  }
  void pump() {
    while (auto output = server.poll_output()) {
      framers[output->client].push(output->bytes);
      if (output->close) closed.push_back(output->client);
    }
  }
  // The single answer expected.
  Section answer(ClientId client) {
    const auto packets = read(client);
    EXPECT_EQ(packets.size(), 1u);
    if (packets.size() != 1) return {};
    EXPECT_EQ(packets[0].type, PacketType::kCmdResponse);
    return packets[0].message;
  }
  static Section arguments(std::vector<std::pair<std::string, std::string>> values) {
    Section out;
    for (const auto& [key, value] : values) put(out, key, value);
    return out;
  }

  FakeView view;
  Server server{view, info()};
  Instant now = at(10s);
  std::map<ClientId, wire::vici::Framer> framers;
  std::vector<ClientId> closed;
};

TEST_F(ServerTest, version_and_stats) {
  request(kOne, "version");
  const Section version = answer(kOne);
  EXPECT_EQ(get(version, "daemon"), "espalierd");
  EXPECT_EQ(get(version, "version"), "0.1.0");
  EXPECT_EQ(get(version, "machine"), "x86_64");
  now = at(75s);
  request(kOne, "stats");
  const Section stats = answer(kOne);
  EXPECT_EQ(get(stats, "uptime.running"), "75 seconds");
  EXPECT_EQ(get(stats, "ikesas.total"), "1");
  EXPECT_EQ(get(stats, "ikesas.half-open"), "0");
}

TEST_F(ServerTest, unknown_command_and_event_are_said_to_be_unknown) {
  request(kOne, "load-pool");
  auto packets = read(kOne);
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].type, PacketType::kCmdUnknown);
  send(kOne, PacketType::kEventRegister, "alert");
  send(kOne, PacketType::kEventUnregister, "log");
  packets = read(kOne);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(packets[0].type, PacketType::kEventUnknown);
  EXPECT_EQ(packets[1].type, PacketType::kEventUnknown);
}

TEST_F(ServerTest, list_sas_streams_in_strongswans_words) {
  listen(kOne, "list-sa");
  request(kOne, "list-sas");
  const auto packets = read(kOne);
  ASSERT_EQ(packets.size(), 2u);  // amy has no IKE SA
  EXPECT_EQ(packets[0].type, PacketType::kEvent);
  EXPECT_EQ(packets[0].name, "list-sa");
  EXPECT_EQ(packets[1].type, PacketType::kCmdResponse);
  const Section* sa = get_section(packets[0].message, "bender-flexo");
  ASSERT_NE(sa, nullptr);
  EXPECT_EQ(get(*sa, "uniqueid"), "1");
  EXPECT_EQ(get(*sa, "version"), "2");
  EXPECT_EQ(get(*sa, "state"), "ESTABLISHED");
  EXPECT_EQ(get(*sa, "local-host"), "192.0.2.11");
  EXPECT_EQ(get(*sa, "local-port"), "4500");
  EXPECT_EQ(get(*sa, "remote-id"), "flexo");
  EXPECT_EQ(get(*sa, "initiator"), "yes");
  EXPECT_EQ(get(*sa, "initiator-spi"), "0102030405060708");
  EXPECT_EQ(get(*sa, "responder-spi"), "1112131415161718");
  EXPECT_EQ(get(*sa, "encr-alg"), "AES_GCM_16");
  EXPECT_EQ(get(*sa, "encr-keysize"), "256");
  EXPECT_EQ(get(*sa, "prf-alg"), "PRF_HMAC_SHA2_384");
  EXPECT_EQ(get(*sa, "dh-group"), "CURVE_25519");
  EXPECT_EQ(get(*sa, "established"), "123");
  const Section* child = get_section(*sa, "child-sas.hosts-2");
  ASSERT_NE(child, nullptr);
  EXPECT_EQ(get(*child, "name"), "hosts");
  EXPECT_EQ(get(*child, "state"), "INSTALLED");
  EXPECT_EQ(get(*child, "mode"), "TUNNEL");
  EXPECT_EQ(get(*child, "protocol"), "ESP");
  EXPECT_EQ(get(*child, "encap"), "yes");
  EXPECT_EQ(get(*child, "spi-in"), "c0ffee01");
  EXPECT_EQ(get(*child, "bytes-in"), "1258291");
  EXPECT_EQ(get(*child, "packets-out"), "4");
  EXPECT_EQ(get(*child, "esn"), "1");
  EXPECT_THAT(get_list(*child, "remote-ts"), ElementsAre("192.0.2.12/32", "10.3.0.0/16"));
}

TEST_F(ServerTest, responder_has_the_spis_the_other_way_round) {
  view.pair("bender-flexo").ike->role = "responder";
  listen(kOne, "list-sa");
  request(kOne, "list-sas");
  const auto packets = read(kOne);
  const Section* sa = get_section(packets.at(0).message, "bender-flexo");
  ASSERT_NE(sa, nullptr);
  EXPECT_EQ(get(*sa, "initiator-spi"), "1112131415161718");
  EXPECT_FALSE(find(*sa, "initiator").has_value());
}

TEST_F(ServerTest, numbers_of_sas_stay_and_are_not_given_twice) {
  listen(kOne, "list-sa");
  const auto numbers = [this] {
    request(kOne, "list-sas");
    const auto packets = read(kOne);
    const Section* sa = get_section(packets.at(0).message, "bender-flexo");
    return get(*sa, "uniqueid");
  };
  EXPECT_EQ(numbers(), "1");
  EXPECT_EQ(numbers(), "1");
  view.pair("bender-flexo").ike->spi_local = "aaaaaaaaaaaaaaaa";
  EXPECT_EQ(numbers(), "3");  // 2 is the child
}

TEST_F(ServerTest, listings_are_filtered_and_silent_without_registration) {
  request(kOne, "list-sas");
  EXPECT_TRUE(answer(kOne).empty());
  listen(kOne, "list-conn");
  request(kOne, "list-conns", arguments({{"ike", "bender-amy"}}));
  const auto packets = read(kOne);
  ASSERT_EQ(packets.size(), 2u);
  const Section* conn = get_section(packets[0].message, "bender-amy");
  ASSERT_NE(conn, nullptr);
  EXPECT_EQ(get(*conn, "version"), "IKEv2");
  EXPECT_EQ(get(*conn, "local-1.class"), "pre-shared key");
  EXPECT_EQ(get(*conn, "remote-1.id"), "amy");
  EXPECT_EQ(get(*conn, "children.hosts.mode"), "TUNNEL");
}

TEST_F(ServerTest, initiate_answers_when_the_pair_is_up) {
  listen(kOne, "control-log");
  request(kOne, "initiate", arguments({{"ike", "amy"}, {"timeout", "5000"}}));
  EXPECT_THAT(view.calls, ElementsAre("initiate bender-amy"));
  EXPECT_TRUE(read(kOne).empty());
  ASSERT_TRUE(server.poll_timeout().has_value());
  EXPECT_EQ(*server.poll_timeout(), at(15s));
  server.on_log({LogLevel::kInfo, "ike", "bender-amy", "sent IKE_SA_INIT"}, 1);
  server.on_log({LogLevel::kInfo, "ike", "bender-flexo", "of another pair"}, 2);
  server.on_log({LogLevel::kDebug, "ike", "bender-amy", "finer than asked"}, 3);
  server.on_pair_event({PairEvent::Kind::kUp, "bender-flexo", ""});
  const auto lines = read(kOne);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(get(lines[0].message, "msg"), "sent IKE_SA_INIT");
  EXPECT_EQ(get(lines[0].message, "group"), "ike");
  EXPECT_EQ(get(lines[0].message, "level"), "1");
  server.on_log({LogLevel::kInfo, "ike", "bender-amy", "established"}, 4);
  server.on_pair_event({PairEvent::Kind::kUp, "bender-amy", ""});
  const auto end = read(kOne);
  ASSERT_EQ(end.size(), 2u);  // the last line comes before the answer
  EXPECT_EQ(get(end[0].message, "msg"), "established");
  EXPECT_EQ(get(end[1].message, "success"), "yes");
  EXPECT_FALSE(server.poll_timeout().has_value());
  server.on_log({LogLevel::kInfo, "ike", "bender-amy", "afterwards"}, 5);
  EXPECT_TRUE(read(kOne).empty());
}

TEST_F(ServerTest, initiate_fails_with_the_reason) {
  request(kOne, "initiate", arguments({{"ike", "bender-amy"}}));
  EXPECT_FALSE(server.poll_timeout().has_value());  // VICI: no timeout waits for ever
  server.on_pair_event({PairEvent::Kind::kDown, "bender-amy", "the old SA goes"});
  EXPECT_TRUE(read(kOne).empty());
  server.on_pair_event({PairEvent::Kind::kAttemptFailed, "bender-amy", "AUTH failed."});
  const Section end = answer(kOne);
  EXPECT_EQ(get(end, "success"), "no");
  EXPECT_EQ(get(end, "errmsg"), "AUTH failed.");
}

TEST_F(ServerTest, initiate_of_a_pair_that_is_up_is_done_at_once) {
  request(kOne, "initiate", arguments({{"child", "flexo"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
}

TEST_F(ServerTest, initiate_times_out_and_says_how_it_stands) {
  request(kOne, "initiate", arguments({{"ike", "amy"}, {"timeout", "2000"}}));
  server.handle_timeout(at(11s));
  EXPECT_TRUE(read(kOne).empty());
  server.handle_timeout(at(12s));
  const Section end = answer(kOne);
  EXPECT_EQ(get(end, "success"), "no");
  EXPECT_EQ(get(end, "code"), "timeout");
  EXPECT_THAT(get(end, "errmsg"), HasSubstr("bender-amy is not up after 2 s; its state is waiting: "
                                            "amy (192.0.2.13) did not answer"));
}

TEST_F(ServerTest, a_timeout_that_meets_a_pair_that_is_up_is_a_success) {
  request(kOne, "initiate", arguments({{"ike", "amy"}, {"timeout", "2000"}}));
  view.pair("bender-amy").state = "up";
  server.handle_timeout(at(12s));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
}

TEST_F(ServerTest, initiate_ends_when_somebody_disables_the_pair) {
  request(kOne, "initiate", arguments({{"ike", "amy"}}));
  view.pair("bender-amy").state = "disabled";
  server.on_pair_event({PairEvent::Kind::kDown, "bender-amy", "terminated by a command"});
  EXPECT_THAT(get(answer(kOne), "errmsg"), HasSubstr("was taken down while it was started"));
}

TEST_F(ServerTest, initiate_without_waiting) {
  request(kOne, "initiate", arguments({{"ike", "amy"}, {"timeout", "-1"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
}

TEST_F(ServerTest, errors_of_the_view_and_of_the_request_are_answers) {
  request(kOne, "initiate", arguments({{"ike", "zoidberg"}}));
  EXPECT_THAT(get(answer(kOne), "errmsg"), HasSubstr("There is no pair 'zoidberg'"));
  request(kOne, "initiate");
  EXPECT_THAT(get(answer(kOne), "errmsg"), HasSubstr("names no pair"));
  request(kOne, "initiate", arguments({{"child", "hosts"}}));
  EXPECT_THAT(get(answer(kOne), "errmsg"), HasSubstr("2 pairs have a child named hosts"));
  request(kOne, "initiate", arguments({{"ike", "amy"}, {"child", "net"}}));
  EXPECT_THAT(get(answer(kOne), "errmsg"), HasSubstr("no child named net; it has hosts"));
  request(kOne, "terminate", arguments({{"ike-id", "77"}}));
  EXPECT_THAT(get(answer(kOne), "errmsg"), HasSubstr("number 77"));
  EXPECT_TRUE(view.calls.empty());
  view.result = make_error(ErrorCode::kUnsupported, "No address is known.");
  request(kOne, "initiate", arguments({{"ike", "amy"}}));
  EXPECT_EQ(get(answer(kOne), "errmsg"), "No address is known.");
}

TEST_F(ServerTest, terminate_waits_until_the_pair_is_down) {
  request(kOne, "terminate", arguments({{"ike", "flexo"}, {"timeout", "1000"}}));
  EXPECT_THAT(view.calls, ElementsAre("terminate bender-flexo"));
  EXPECT_TRUE(read(kOne).empty());
  server.on_pair_event({PairEvent::Kind::kDown, "bender-flexo", "terminated"});
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  view.pair("bender-amy").state = "disabled";  // nothing to delete: done at once
  request(kOne, "terminate", arguments({{"ike", "amy"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
}

TEST_F(ServerTest, terminate_by_the_numbers_of_list_sas) {
  listen(kTwo, "list-sa");
  request(kTwo, "list-sas");
  read(kTwo);
  request(kOne, "terminate", arguments({{"child-id", "2"}, {"timeout", "-1"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  request(kOne, "terminate", arguments({{"ike-id", "1"}, {"timeout", "-1"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  EXPECT_THAT(view.calls, ElementsAre("terminate bender-flexo", "terminate bender-flexo"));
}

TEST_F(ServerTest, what_is_not_supported_is_refused) {
  request(kOne, "terminate", arguments({{"ike", "flexo"}, {"force", "yes"}}));
  EXPECT_EQ(get(answer(kOne), "code"), "unsupported");
  request(kOne, "rekey", arguments({{"ike", "flexo"}, {"reauth", "yes"}}));
  EXPECT_EQ(get(answer(kOne), "code"), "unsupported");
  EXPECT_TRUE(view.calls.empty());
}

TEST_F(ServerTest, rekey_answers_at_once_or_waits_for_every_child) {
  request(kOne, "rekey", arguments({{"ike", "flexo"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  view.pair("bender-flexo").children.push_back(view.pair("bender-flexo").children[0]);
  request(kOne, "rekey", arguments({{"ike", "flexo"}, {"children", "yes"}, {"timeout", "9000"}}));
  EXPECT_THAT(view.calls, ElementsAre("rekey bender-flexo ike", "rekey bender-flexo children"));
  server.on_pair_event({PairEvent::Kind::kIkeRekeyed, "bender-flexo", ""});
  server.on_pair_event({PairEvent::Kind::kChildRekeyed, "bender-flexo", ""});
  EXPECT_TRUE(read(kOne).empty());
  server.on_pair_event({PairEvent::Kind::kChildRekeyed, "bender-flexo", ""});
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  // One that has its successor and waits for its Delete is not rekeyed again: nothing waits for it.
  view.pair("bender-flexo").children[1].state = "rekeyed";
  request(kOne, "rekey", arguments({{"child", "flexo"}, {"timeout", "9000"}}));
  server.on_pair_event({PairEvent::Kind::kChildRekeyed, "bender-flexo", ""});
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  request(kOne, "rekey", arguments({{"child", "flexo"}, {"timeout", "9000"}}));
  server.on_pair_event({PairEvent::Kind::kRekeyFailed, "bender-flexo", "no answer."});
  EXPECT_EQ(get(answer(kOne), "errmsg"), "no answer.");
}

TEST_F(ServerTest, redirect) {
  request(kOne, "redirect", arguments({{"ike", "flexo"}, {"gateway", "192.0.2.7"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  EXPECT_THAT(view.calls, ElementsAre("redirect bender-flexo 192.0.2.7"));
  request(kOne, "redirect", arguments({{"ike", "flexo"}, {"gateway", "gw.example.net"}}));
  EXPECT_EQ(get(answer(kOne), "success"), "no");
  request(kOne, "redirect", arguments({{"peer-ip", "192.0.2.1"}, {"gateway", "192.0.2.7"}}));
  EXPECT_EQ(get(answer(kOne), "code"), "unsupported");
}

TEST_F(ServerTest, counters_and_reload) {
  request(kOne, "get-counters");
  const auto packets = read(kOne);
  ASSERT_EQ(packets.size(), 1u);
  const Section* counters = get_section(packets[0].message, "counters");
  ASSERT_NE(counters, nullptr);
  ASSERT_EQ(counters->entries().size(), 1u);
  const auto* global = std::get_if<Section>(&counters->entries()[0].value);
  ASSERT_NE(global, nullptr);
  EXPECT_EQ(get(*global, "ike_messages_in"), "17");
  request(kOne, "reload-settings");
  EXPECT_EQ(get(answer(kOne), "success"), "yes");
  request(kOne, "espalier-reload");
  const ReloadReport report = decode_reload(answer(kOne));
  EXPECT_THAT(report.added, ElementsAre("bender-zoidberg"));
  EXPECT_EQ(report.generation, 4u);
  view.result = make_error(ErrorCode::kBadInput, "mesh.yaml:3:1: unknown key.");
  request(kOne, "espalier-reload");
  const Status failed = decode_outcome(answer(kOne));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error(), view.result.error());
}

TEST_F(ServerTest, updown_events_reach_those_who_asked) {
  listen(kOne, "ike-updown");
  listen(kTwo, "child-updown");
  server.on_pair_event({PairEvent::Kind::kUp, "bender-flexo", ""});
  server.on_pair_event({PairEvent::Kind::kDown, "bender-flexo", "DPD"});
  server.on_pair_event({PairEvent::Kind::kIkeRekeyed, "bender-flexo", ""});
  const auto ike = read(kOne);
  ASSERT_EQ(ike.size(), 2u);
  EXPECT_EQ(ike[0].name, "ike-updown");
  EXPECT_EQ(get(ike[0].message, "up"), "yes");
  EXPECT_EQ(get(ike[0].message, "bender-flexo.state"), "ESTABLISHED");
  EXPECT_EQ(get_section(ike[0].message, "bender-flexo.child-sas"), nullptr);
  EXPECT_EQ(get(ike[1].message, "up"), "no");
  const auto child = read(kTwo);
  ASSERT_EQ(child.size(), 2u);
  EXPECT_NE(get_section(child[0].message, "bender-flexo.child-sas"), nullptr);
}

TEST_F(ServerTest, one_command_at_a_time_and_the_rest_in_order) {
  request(kOne, "initiate", arguments({{"ike", "amy"}}));
  request(kOne, "version");
  request(kTwo, "version");  // another client does not wait
  EXPECT_EQ(get(answer(kTwo), "daemon"), "espalierd");
  EXPECT_TRUE(read(kOne).empty());
  server.on_pair_event({PairEvent::Kind::kUp, "bender-amy", ""});
  const auto packets = read(kOne);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(get(packets[0].message, "success"), "yes");
  EXPECT_EQ(get(packets[1].message, "daemon"), "espalierd");
}

TEST_F(ServerTest, a_client_that_left_is_forgotten) {
  request(kOne, "initiate", arguments({{"ike", "amy"}, {"timeout", "1000"}}));
  server.disconnect(kOne);
  EXPECT_FALSE(server.poll_timeout().has_value());
  server.on_pair_event({PairEvent::Kind::kUp, "bender-amy", ""});
  server.receive(now, kOne, Bytes{0, 0, 0, 1, 0});
  pump();
  EXPECT_TRUE(framers.empty());
}

}  // namespace
}  // namespace espalier::control
