// strongSwan's own swanctl, and our client, against the control server on a real socket.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "cli/status_text.hpp"
#include "cli/vici_client.hpp"
#include "control/fake_view.hpp"
#include "control/fields.hpp"
#include "control/server.hpp"
#include "control/status_codec.hpp"

namespace espalier::cli {
namespace {

using control::ClientId;
using ::testing::HasSubstr;
using wire::vici::Section;

// As small a daemon as serves the socket: one thread, blocking writes.
class SocketServer {
 public:
  SocketServer(control::View& view, const std::string& path)
      : server_(view, {"0.1.0", "Linux", "6.1", "x86_64", "2026-11-21 01:00:00", {}}) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~SocketServer() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  template <class Function>
  void with(Function function) {
    const std::lock_guard<std::mutex> lock(mutex_);
    function(server_);
  }

 private:
  void serve() {
    while (!stop_) {
      std::vector<pollfd> entries{{listener_, POLLIN, 0}};
      for (int fd : clients_) entries.push_back({fd, POLLIN, 0});
      ::poll(entries.data(), entries.size(), 10);
      const std::lock_guard<std::mutex> lock(mutex_);
      server_.handle_timeout(now());
      if (entries[0].revents != 0) accept_client();
      for (std::size_t i = 1; i < entries.size(); ++i) {
        if (entries[i].revents != 0) receive(entries[i].fd);
      }
      write_output();
    }
    for (int fd : clients_) ::close(fd);
  }
  void accept_client() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    EXPECT_TRUE(server_.connect(ClientId(static_cast<std::uint64_t>(fd))).ok());
    clients_.push_back(fd);
  }
  void receive(int fd) {
    std::array<std::uint8_t, 4096> buffer{};
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    const ClientId id(static_cast<std::uint64_t>(fd));
    if (count > 0) {
      server_.receive(now(), id, {buffer.data(), static_cast<std::size_t>(count)});
    } else {
      server_.disconnect(id);
      close_client(fd);
    }
  }
  void write_output() {
    while (auto output = server_.poll_output()) {
      const int fd = static_cast<int>(output->client.value);
      ::send(fd, output->bytes.data(), output->bytes.size(), MSG_NOSIGNAL);
      if (output->close) close_client(fd);
    }
  }
  void close_client(int fd) {
    ::close(fd);
    std::erase(clients_, fd);
  }
  static Instant now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

  control::Server server_;
  int listener_ = -1;
  std::vector<int> clients_;
  std::mutex mutex_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

class SwanctlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "espalier-vici-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    server_ = std::make_unique<SocketServer>(view_, path());
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::string path() const { return folder_ + "/vici.sock"; }
  static bool has_swanctl() { return std::system("command -v swanctl >/dev/null 2>&1") == 0; }

  std::string swanctl(const std::string& arguments, int& status) {
    const std::string command = "swanctl " + arguments + " --uri unix://" + path() + " 2>&1";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> buffer{};
    while (std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
      text.append(buffer.data(), count);
    }
    status = ::pclose(pipe);
    return text;
  }

  control::FakeView view_;
  std::string folder_;
  std::unique_ptr<SocketServer> server_;
};

TEST_F(SwanctlTest, our_client_gets_the_status) {
  auto connection = connect_vici(path());
  ASSERT_TRUE(connection.ok());
  ASSERT_TRUE((*connection)->subscribe(control::kPairEvent).ok());
  control::StatusSnapshot snapshot;
  std::vector<control::PairStatus> pairs;
  const auto summary = (*connection)
                           ->request(
                               "espalier-status", Section(),
                               [&pairs](std::string_view, const Section& section) {
                                 auto pair = control::decode_pair(section);
                                 ASSERT_TRUE(pair.ok());
                                 pairs.push_back(*pair);
                               },
                               5s);
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  snapshot = control::decode_summary(*summary);
  snapshot.pairs = pairs;
  EXPECT_EQ(status_table(snapshot, false), status_table(control::two_pairs(), false));
}

TEST_F(SwanctlTest, swanctl_lists_and_commands) {
  if (!has_swanctl()) GTEST_SKIP() << "swanctl (package strongswan-swanctl) is not installed";
  int status = 0;
  const std::string sas = swanctl("--list-sas", status);
  EXPECT_EQ(status, 0) << sas;
  EXPECT_THAT(sas, HasSubstr("bender-flexo: #1, ESTABLISHED, IKEv2, 0102030405060708_i* "
                             "1112131415161718_r\n"
                             "  local  'bender' @ 192.0.2.11[4500]\n"
                             "  remote 'flexo' @ 192.0.2.12[4500]\n"
                             "  AES_GCM_16-256/PRF_HMAC_SHA2_384/CURVE_25519\n"
                             "  established 123s ago, rekeying in 14000s\n"
                             "  hosts: #2, reqid 3841982465, INSTALLED, TUNNEL-in-UDP, "
                             "ESP:AES_GCM_16-256/ESN\n"));
  EXPECT_THAT(sas, HasSubstr("in  c0ffee01, 1258291 bytes,  1000 packets"));
  const std::string conns = swanctl("--list-conns", status);
  EXPECT_EQ(status, 0) << conns;
  EXPECT_THAT(conns, HasSubstr("bender-amy: IKEv2, no reauthentication, rekeying every 14400s"));
  EXPECT_THAT(conns, HasSubstr("hosts: TUNNEL, rekeying every 3600s\n"));
  EXPECT_THAT(swanctl("--version --daemon", status), HasSubstr("0.1.0 espalierd (Linux"));
  EXPECT_THAT(swanctl("--counters", status), HasSubstr("ike_messages_in"));
  EXPECT_THAT(swanctl("--stats", status), HasSubstr("IKE_SAs: 1 total, 0 half-open"));
  EXPECT_EQ(status, 0);
  EXPECT_THAT(swanctl("--initiate --ike flexo", status), HasSubstr("initiate completed"));
  EXPECT_EQ(status, 0);
  const std::string failed = swanctl("--terminate --ike zoidberg", status);
  EXPECT_NE(status, 0);
  EXPECT_THAT(failed, HasSubstr("There is no pair 'zoidberg'"));
  EXPECT_THAT(swanctl("--rekey --ike flexo", status), HasSubstr("rekey completed"));
}

}  // namespace
}  // namespace espalier::cli
