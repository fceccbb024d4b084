// A rtnetlink socket through libmnl: one request and its acknowledgement, or a dump.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/address.hpp"
#include "base/result.hpp"

namespace espalier::dataplane::userspace {

// One message under construction. Our messages are small: a handful of attributes.
class NetlinkMessage {
 public:
  // type: RTM_...; flags: NLM_F_... besides NLM_F_REQUEST.
  NetlinkMessage(std::uint16_t type, std::uint16_t flags);
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
  void put_address(std::uint16_t attribute, const IpAddress& address) {
    mnl_attr_put(header(), attribute, address.bytes().size(), address.bytes().data());
  }

 private:
  alignas(nlmsghdr) std::array<char, 512> buffer_{};
};

// The attributes of a message (after a fixed body of body_size octets), or inside an attribute, by
// type. Later ones of the same type win, as in the kernel. They live as long as the message.
using Attributes = std::map<std::uint16_t, const nlattr*>;
Attributes attributes(const nlmsghdr& header, std::size_t body_size);
Attributes attributes(const nlattr& outer);

class Netlink {
 public:
  static Result<Netlink> open();
  // Sends and waits for the acknowledgement. The error is the kernel's errno as kSystem,
  // kPermission, kNotFound or kAlreadyExists; last_errno() is the number itself.
  Status request(NetlinkMessage& message);
  // The same, and gives each answer that comes before it to visitor.
  Status visit(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor);
  // Sends a dump request and gives each answer to visitor.
  Status dump(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor);
  int last_errno() const { return errno_; }

 private:
  explicit Netlink(mnl_socket* socket) : socket_(socket, mnl_socket_close) {}
  Status exchange(NetlinkMessage& message, const std::function<void(const nlmsghdr&)>& visitor);
  std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket_;
  unsigned sequence_ = 0;
  int errno_ = 0;
};

}  // namespace espalier::dataplane::userspace
