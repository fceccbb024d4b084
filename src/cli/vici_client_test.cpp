// The client against a real Unix socket with a scripted end.
#include "cli/vici_client.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

namespace espalier::cli {
namespace {

using wire::vici::Packet;
using wire::vici::PacketType;
using wire::vici::Section;

class ViciClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "espalier-vici-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/vici.sock";
  }
  void TearDown() override {
    if (listener_ >= 0) ::close(listener_);
    if (server_.joinable()) server_.join();
    std::filesystem::remove_all(folder_);
  }

  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(listener_, 1), 0);
  }
  // Accepts one client, waits for its first octets, says `octets` and closes after `open_for`.
  void answer(Bytes octets, std::chrono::milliseconds open_for = 0ms) {
    server_ = std::thread([this, octets, open_for] {
      const int client = ::accept(listener_, nullptr, nullptr);
      std::array<char, 4096> sink{};
      if (::recv(client, sink.data(), sink.size(), 0) < 0) return;
      for (std::uint8_t octet : octets) ::send(client, &octet, 1, MSG_NOSIGNAL);
      std::this_thread::sleep_for(open_for);
      ::close(client);
    });
  }
  static Bytes frames(const std::vector<Packet>& packets) {
    Bytes out;
    for (const Packet& packet : packets) {
      auto frame = wire::vici::encode_frame(packet);
      EXPECT_TRUE(frame.ok());
      if (frame.ok()) out.insert(out.end(), frame->begin(), frame->end());
    }
    return out;
  }

  std::string folder_, path_;
  int listener_ = -1;
  std::thread server_;
};

TEST_F(ViciClientTest, says_why_it_cannot_connect) {
  auto missing = connect_vici(path_);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  listen();
  ::close(listener_);
  listener_ = -1;
  auto dead = connect_vici(path_);
  ASSERT_FALSE(dead.ok());
  EXPECT_EQ(dead.error().code, ErrorCode::kNotFound);
  EXPECT_NE(dead.error().message.find("nobody listens"), std::string::npos);
  auto long_path = connect_vici(std::string(200, 'x'));
  ASSERT_FALSE(long_path.ok());
  EXPECT_EQ(long_path.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ViciClientTest, hands_events_over_and_returns_the_answer) {
  listen();
  Section event;
  event.set("n", "1");
  Section end;
  end.set("done", "yes");
  answer(frames({{PacketType::kEvent, "list-sa", event}, {PacketType::kCmdResponse, "", end}}));
  auto connection = connect_vici(path_);
  ASSERT_TRUE(connection.ok());
  std::vector<std::string> seen;
  const auto result =
      (*connection)
          ->request(
              "list-sas", Section(),
              [&seen](std::string_view name, const Section& section) {
                seen.push_back(std::string(name) + "=" + std::string(*section.get("n")));
              },
              5s);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(seen, std::vector<std::string>{"list-sa=1"});
  EXPECT_EQ(result->get("done"), "yes");
}

TEST_F(ViciClientTest, unknown_command_is_unsupported) {
  listen();
  answer(frames({{PacketType::kCmdUnknown, "", {}}}));
  auto connection = connect_vici(path_);
  ASSERT_TRUE(connection.ok());
  const auto result = (*connection)->request("x", Section(), {}, 5s);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
}

TEST_F(ViciClientTest, a_daemon_that_closes_or_is_silent_is_an_error) {
  listen();
  answer({});
  auto connection = connect_vici(path_);
  ASSERT_TRUE(connection.ok());
  const auto result = (*connection)->request("x", Section(), {}, 5s);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kSystem);
  server_.join();
  answer({}, 300ms);
  connection = connect_vici(path_);
  ASSERT_TRUE(connection.ok());
  const auto silent = (*connection)->request("x", Section(), {}, 50ms);
  ASSERT_FALSE(silent.ok());
  EXPECT_EQ(silent.error().code, ErrorCode::kTimeout);
}

}  // namespace
}  // namespace espalier::cli
