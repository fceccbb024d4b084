// A netlink socket through libmnl: one request and its acknowledgement, or a dump.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/address.hpp"
#include "base/result.hpp"

namespace espalier::dataplane {

// One message under construction. Ours are small; the largest is an SA with two keys and a replay
// window of 4096 packets.
class NetlinkMessage {
 public:
  // type: RTM_... or XFRM_MSG_...; flags: NLM_F_... besides NLM_F_REQUEST.
  NetlinkMessage(std::uint16_t type, std::uint16_t flags);
  NetlinkMessage(const NetlinkMessage&) = default;
  NetlinkMessage& operator=(const NetlinkMessage&) = default;
  ~NetlinkMessage();  // overwrites it: there may be keys in it
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }
  // The fixed part after the header (rtmsg, ifinfomsg, fib_rule_hdr), zeroed.
  template <class T>
  T& body() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header(), sizeof(T)));
  }
  void put_u32(std::uint16_t attribute, std::uint32_t value) {
    mnl_attr_put_u32(header(), attribute, value);
  }
  void put_u8(std::uint16_t attribute, std::uint8_t value) {
    mnl_attr_put_u8(header(), attribute, value);
  }
  // A structure of the kernel's, as it lies in memory.
  template <class T>
  void put_struct(std::uint16_t attribute, const T& value) {
    mnl_attr_put(header(), attribute, sizeof(T), &value);
  }
  // A structure with octets behind it: an algorithm and its key, a replay window and its bits.
  template <class T>
  void put_struct(std::uint16_t attribute, const T& value, ByteView behind) {
    char* const at = static_cast<char*>(put_room(attribute, sizeof(T) + behind.size()));
    std::memcpy(at, &value, sizeof(T));
    if (!behind.empty()) std::memcpy(at + sizeof(T), behind.data(), behind.size());
  }
  void put_octets(std::uint16_t attribute, ByteView octets) {
    mnl_attr_put(header(), attribute, octets.size(), octets.data());
  }
  void put_address(std::uint16_t attribute, const IpAddress& address) {
    mnl_attr_put(header(), attribute, address.bytes().size(), address.bytes().data());
  }

 private:
  void* put_room(std::uint16_t attribute, std::size_t octets);  // zeroed; the payload
  static constexpr std::size_t kOctets = 2048;
  alignas(nlmsghdr) std::array<char, kOctets> buffer_{};
};

// The attributes of a message (after a fixed body of body_size octets), or inside an attribute, by
// type. Later ones of the same type win, as in the kernel. They live as long as the message.
using Attributes = std::map<std::uint16_t, const nlattr*>;
Attributes attributes(const nlmsghdr& header, std::size_t body_size);
Attributes attributes(const nlattr& outer);
// Nothing: there is none of that type, or it is too short for that.
std::optional<std::uint32_t> u32_of(const Attributes& all, std::uint16_t type);
std::optional<IpAddress> address_of(const Attributes& all, std::uint16_t type);
// AF_INET or AF_INET6.
std::uint8_t af(Family family);

class Netlink {
 public:
  // bus: NETLINK_ROUTE or NETLINK_XFRM.
  static Result<Netlink> open(int bus = NETLINK_ROUTE);
  // Sends and waits for the acknowledgement. The error is the kernel's errno as kSystem,
  // kPermission, kNotFound, kAlreadyExists, kUnsupported or kInvalidArgument, with the kernel's own
  // extended message when it sent one; last_errno() is the number itself.
  Status request(NetlinkMessage& message);
  // The same, and gives each answer that comes before it to visitor.
  Status visit(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor);
  // Sends a dump request and gives each answer to visitor.
  Status dump(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor);
  // Receives a multicast group's messages from now on. Not on a socket that makes requests.
  Status join(unsigned group);
  // Gives every message that waits to visitor, without waiting for more. Errors: kLimit when the
  // kernel had more than the socket holds and some are lost.
  Status receive_waiting(const std::function<void(const nlmsghdr&)>& visitor);
  // What the kernel calls this socket: in what a group hears, it stands for who asked for it.
  std::uint32_t port() const { return mnl_socket_get_portid(socket_.get()); }
  // Room for a burst of a group's messages; more are lost, which receive_waiting() says.
  void widen(std::size_t octets);
  int fd() const { return mnl_socket_get_fd(socket_.get()); }
  int last_errno() const { return errno_; }

 private:
  explicit Netlink(mnl_socket* socket) : socket_(socket, mnl_socket_close) {}
  Status exchange(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor);
  Status failed(int number, const std::string& extended);
  std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket_;
  unsigned sequence_ = 0;
  int errno_ = 0;
};

}  // namespace espalier::dataplane
