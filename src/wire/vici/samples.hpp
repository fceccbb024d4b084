// For tests and the seed corpus of the fuzzer: packets as values.
#pragma once

#include "wire/testing/random.hpp"
#include "wire/vici/message.hpp"

namespace espalier::wire::vici::samples {

inline Packet load_conn() {
  Packet packet{PacketType::kCmdRequest, "load-conn", {}};
  Section& connection = packet.message.section("bender-flexo");
  connection.list("remote_addrs", {"192.0.2.12", "2001:db8::12"}).set("version", "2");
  connection.section("local").set("auth", "psk").set("id", "bender");
  connection.section("remote").set("auth", "psk").set("id", "flexo");
  connection.section("children")
      .section("net")
      .list("local_ts", {"10.3.0.0/16"})
      .list("remote_ts", {})
      .set("mode", "tunnel");
  return packet;
}

inline Packet event() {
  Packet packet{PacketType::kEvent, "list-sa", {}};
  packet.message.section("bender-flexo").set("state", "ESTABLISHED").set("nothing", "");
  return packet;
}

Section any_section(testing::Random& random, std::size_t depth);
Packet any_packet(testing::Random& random);

}  // namespace espalier::wire::vici::samples
