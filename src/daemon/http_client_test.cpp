// The HTTP client against a server on loopback: what it fetches, and what it gives up on.
#include "daemon/http_client.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace espalier::daemon {
namespace {

using dataplane::userspace::Fd;
using ::testing::HasSubstr;

// Answers each connection with the next text, and keeps what it was asked.
class Server {
 public:
  explicit Server(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url(const std::string& target = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + target;
  }
  std::vector<std::string> asked;  // complete when the answers are out

 private:
  void run() {
    for (const std::string& answer : answers_) {
      const Fd client(accept(listener_.get(), nullptr, nullptr));
      if (!client) return;
      char chunk[4096];
      const ssize_t got = recv(client.get(), chunk, sizeof chunk, 0);
      asked.emplace_back(chunk, static_cast<std::size_t>(got > 0 ? got : 0));
      send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }
  std::vector<std::string> answers_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

HttpRequest request(const std::string& url, const std::string& body = "") {
  return {1, url, to_vector(as_bytes(body)), "application/ocsp-request", 100};
}

std::string fault(const Result<Bytes>& answer) {
  return answer ? "none: " + to_text(*answer) : answer.error().message;
}

TEST(HttpClient, GetAndPost) {
  Server server(
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.0 200 OK\r\n\r\nuntil the end"});
  const auto got = http_fetch(request(server.url("/a?b")));
  ASSERT_TRUE(got) << fault(got);
  EXPECT_EQ(to_text(*got), "hi");
  const auto posted = http_fetch(request(server.url(), "body"));
  ASSERT_TRUE(posted) << fault(posted);
  EXPECT_EQ(to_text(*posted), "until the end");
  EXPECT_THAT(server.asked[0], ::testing::StartsWith("GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(server.asked[1], ::testing::StartsWith("POST / HTTP/1.1\r\n"));
}

TEST(HttpClient, Redirects) {
  const std::string moved = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n";
  Server server({moved, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", moved, moved, moved,
                 moved, moved, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"});
  EXPECT_EQ(fault(http_fetch(request(server.url()))), "none: hi");
  EXPECT_THAT(fault(http_fetch(request(server.url()))), HasSubstr("more than 3 redirects"));
  EXPECT_THAT(fault(http_fetch(request(server.url(), "body"))), HasSubstr("answered 302"))
      << "a request with a body is not made into another";
  EXPECT_THAT(fault(http_fetch(request(server.url()))), HasSubstr("is not of the scheme http"));
}

TEST(HttpClient, WhatIsGivenUp) {
  Server server({"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
                 "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "",
                 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"});
  EXPECT_THAT(fault(http_fetch(request(server.url()))), HasSubstr("the server answered 404"));
  EXPECT_THAT(fault(http_fetch(request(server.url()))), HasSubstr("more than 100"));
  EXPECT_THAT(fault(http_fetch(request(server.url()))), HasSubstr("before the whole answer"));
  EXPECT_THAT(fault(http_fetch(request(server.url()))), HasSubstr("before the whole answer"));
  EXPECT_THAT(fault(http_fetch(request("http://127.0.0.1:1/"))), HasSubstr("no connection: "));
  EXPECT_THAT(fault(http_fetch(request("http://no.such.name.invalid/"))),
              HasSubstr("the name 'no.such.name.invalid' has no address"));
  EXPECT_THAT(fault(http_fetch(request("ftp://127.0.0.1/"))), HasSubstr("not of the scheme http"));
}

TEST(HttpWorkers, TheControlThreadHearsByItsDescriptor) {
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
  Server server({ok, ok, ok, ok, ok, ok});
  const auto workers = HttpWorkers::create();
  ASSERT_TRUE(workers);
  EXPECT_TRUE((*workers)->take().empty());
  for (std::uint64_t id = 1; id <= 6; ++id) {
    HttpRequest one = request(server.url());
    one.id = id;
    ASSERT_TRUE((*workers)->submit(std::move(one)));
  }
  std::uint64_t sum = 0, count = 0;
  while (count < 6) {
    pollfd entry{(*workers)->fd(), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 10'000), 1);
    for (const HttpAnswer& answer : (*workers)->take()) {
      EXPECT_FALSE(answer.error) << answer.error->message;
      EXPECT_EQ(to_text(answer.body), "hi");
      sum += answer.id;
      ++count;
    }
  }
  EXPECT_EQ(sum, 21u);
}

TEST(HttpWorkers, TheQueueIsBounded) {
  // A listener that never accepts keeps every thread.
  Fd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(silent.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent.get(), 8), 0);
  ASSERT_EQ(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto workers = HttpWorkers::create();
  ASSERT_TRUE(workers);
  const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
  std::size_t taken = 0;
  while (taken < 200 && (*workers)->submit(request(url))) ++taken;
  EXPECT_GE(taken, kHttpQueue);
  EXPECT_LE(taken, kHttpQueue + kHttpThreads);
  workers->reset();  // waits for nobody
}

}  // namespace
}  // namespace espalier::daemon
