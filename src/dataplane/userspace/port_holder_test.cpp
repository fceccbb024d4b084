#include "dataplane/userspace/port_holder.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

namespace espalier::dataplane::userspace {
namespace {

using ::testing::HasSubstr;

// A socket on a port that the kernel chooses.
class Held {
 public:
  explicit Held(int family) : fd_(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 address{};
    address.sin6_family = static_cast<sa_family_t>(family);
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin6_port);
  }
  ~Held() { close(fd_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  std::uint16_t port = 0;

 private:
  int fd_;
};

TEST(PortHolder, FindsThisProcessByName) {
  std::ifstream comm("/proc/self/comm");
  std::string name;
  std::getline(comm, name);
  for (const int family : {AF_INET, AF_INET6}) {
    const Held held(family);
    const auto holder = find_udp_port_holder(held.port);
    ASSERT_TRUE(holder.has_value());
    EXPECT_EQ(holder->pid, getpid());
    EXPECT_EQ(holder->process, name);
    EXPECT_THAT(describe_port_conflict(held.port), HasSubstr("is held by " + name + " (pid "));
  }
}

TEST(PortHolder, NobodyHoldsAFreePort) {
  std::uint16_t port = 0;
  {
    const Held held(AF_INET);
    port = held.port;
  }
  EXPECT_FALSE(find_udp_port_holder(port).has_value());
}

}  // namespace
}  // namespace espalier::dataplane::userspace
